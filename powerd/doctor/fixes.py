"""Applies and removes the fixes of diagnoses: files of powerd's own, then commands. Only root can.

Each fix has a record in /var/lib/powerd-doctor, which only root can write: the commands of a record are
executed as root. The record is on the disk before anything is changed, and removed after everything has
been undone. So whatever an interruption leaves, --fix completes and --undo removes: each file is as the
record says, or absent.

powerd never replaces a file that exists and that it has not written, so undoing is removing: the files, the
directories that were made for them, and then the inverse commands.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from powerd.core.codec import CodecError, decode, encode
from powerd.core.dataclass import dataclass
from powerd.doctor.model import AppliedFix, Diagnosis, DoctorError, OwnFile, SystemCommand
from powerd.linux.regular_file import read_regular_file
from powerd.linux.values import HostError

Execute: TypeAlias = Callable[[Sequence[str]], Awaitable[None]]
"""Executes a command. Raises HostError."""
RECORDS: Final = "/var/lib/powerd-doctor"
_MAX_RECORD: Final = 1 << 20
_MAX_FILE: Final = 1 << 20
_FILE_MODE: Final = 0o644
_NEW_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FixRecord:
    """What a fix changes.

    Attributes:
        complete: whether all of it has been done.
        files: those that it writes.
        directories: those that it makes, the outermost first.
        commands: those that it executes.
    """

    complete: bool
    files: tuple[OwnFile, ...]
    directories: tuple[str, ...]
    commands: tuple[SystemCommand, ...]


class FixStore:
    """The fixes of one machine.

    Args:
        root: the directory below which paths are resolved; tests give a tree of files.
        execute: executes a command.
        on_step: called with one line for each thing that has been done.
    """

    def __init__(self, root: Path, execute: Execute, on_step: Callable[[str], None] = lambda _: None) -> None:
        self._root = root
        self._execute = execute
        self._on_step = on_step

    def applied(self) -> tuple[AppliedFix, ...]:
        """The recorded fixes, by id. Raises DoctorError if a record cannot be used."""
        directory = self._local(RECORDS)
        try:
            names = sorted(path.stem for path in directory.glob("*.json"))
        except PermissionError:  # an ordinary user; the fixes themselves no longer apply
            return ()
        found = [(_id_of(name), self._load(_id_of(name))) for name in names]
        return tuple(
            AppliedFix(id_, record.complete, tuple(file.path for file in record.files))
            for id_, record in found
            if record is not None
        )

    async def apply(self, id_: str, diagnosis: Diagnosis | None) -> None:
        """Write the files and execute the commands.

        Args:
            id_: of the diagnosis.
            diagnosis: None = complete what was interrupted.

        Raises:
            DoctorError: a file is in the way, or another fix has written it, or the change failed.
            HostError: a command failed; the record stays, incomplete.
        """
        record = self._load(id_)
        first = record is None
        if record is None:
            record = self._plan(id_, diagnosis)
        self._require_unchanged(id_, record.files, may_exist=not first)
        with _translated(f"apply {id_}"):
            if first:
                self._save(id_, record)
            for directory in record.directories:
                _make_directory(self._local(directory))
            for file in record.files:
                _write_durably(self._local(file.path), file)
                self._on_step(f"wrote {file.path}")
        for command in record.commands:
            await self._run(command.argv)
        with _translated(f"apply {id_}"):
            self._save(id_, replace(record, complete=True))

    async def remove(self, id_: str) -> None:
        """Remove the files and execute the inverse commands; repeats what was interrupted.

        A command that fails does not prevent the others, because the unit may have been removed meanwhile.

        Raises:
            DoctorError: there is no such fix; a file has been changed since; or all is removed, and a
                command has failed.
        """
        record = self.record(id_)
        self._require_unchanged(id_, record.files, may_exist=True)
        with _translated(f"undo {id_}"):
            for file in record.files:
                if _remove_durably(self._local(file.path)):
                    self._on_step(f"removed {file.path}")
            for directory in reversed(record.directories):
                if _remove_empty_directory(self._local(directory)):
                    self._on_step(f"removed {directory}, which is empty")
        failures = [text for command in record.commands if (text := await self._failure(command.inverse))]
        with _translated(f"undo {id_}"):
            _remove_durably(self._record_path(id_))
            _remove_empty_directory(self._local(RECORDS))
        if failures:
            raise DoctorError(
                f"the files of {id_} have been removed, but {'; '.join(failures)}; run that by hand if it is "
                "still needed"
            )

    def record(self, id_: str) -> FixRecord:
        """The record of a fix. Raises DoctorError if there is none."""
        record = self._load(id_)
        if record is None:
            raise DoctorError(
                f"powerd has not applied the fix {id_}; `powerd doctor` lists those that it has"
            )
        return record

    def _plan(self, id_: str, diagnosis: Diagnosis | None) -> FixRecord:
        if diagnosis is None:
            raise DoctorError(f"powerd has not begun the fix {id_}; `powerd doctor` lists what applies")
        return FixRecord(
            complete=False,
            files=diagnosis.files,
            directories=self._missing_directories(diagnosis.files),
            commands=diagnosis.commands,
        )

    def _load(self, id_: str) -> FixRecord | None:
        path = self._record_path(id_)
        try:
            found = path.parent.lstat()
            if (
                found.st_uid not in {0, os.geteuid()}
                or stat.S_IMODE(found.st_mode) & 0o022
                or stat.S_ISLNK(found.st_mode)
            ):
                raise DoctorError(
                    f"{path.parent} can be written by others than root, so its records are not trusted; "
                    "see who has changed it, and remove it"
                )
            content, _ = read_regular_file(path, _MAX_RECORD, follow_link=False)
            return decode(FixRecord, json.loads(content))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DoctorError(f"cannot read {path}: {error.strerror}; run it as root") from None
        except (ValueError, CodecError) as error:
            raise DoctorError(f"{path} cannot be used: {error}; remove it and the files of the fix") from None

    def _save(self, id_: str, record: FixRecord) -> None:
        path = self._record_path(id_)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(path.parent.parent)  # else a power failure may leave the files and no record
        document = json.dumps(encode(record), indent=1)
        _write_durably(path, OwnFile(str(path), f"{document}\n"), mode=0o600)

    def _require_unchanged(self, id_: str, files: Iterable[OwnFile], *, may_exist: bool) -> None:
        """Raise DoctorError if anything but what powerd has written is at the path of a file."""
        for file in files:
            path = self._local(file.path)
            if not os.path.lexists(path):
                continue
            if not may_exist:
                raise DoctorError(
                    f"{file.path} exists, and powerd has not written it, so it is left; move it away, "
                    f"or make the change in it by hand: powerd doctor --fix {id_} --dry-run"
                )
            if not _is_as_written(path, file):
                raise DoctorError(
                    f"{file.path} has been changed since powerd wrote it, so it is left as it is; move it "
                    "away and repeat the command"
                )

    def _missing_directories(self, files: Iterable[OwnFile]) -> tuple[str, ...]:
        missing = {
            str(parent)
            for file in files
            for parent in Path(file.path).parents
            if not os.path.lexists(self._local(str(parent)))
        }
        return tuple(sorted(missing))

    async def _run(self, argv: Sequence[str]) -> None:
        await self._execute(argv)
        self._on_step(f"executed {' '.join(argv)}")

    async def _failure(self, argv: Sequence[str]) -> str:
        """Execute a command; returns why it failed, or ""."""
        try:
            await self._run(argv)
        except HostError as error:
            return str(error)
        return ""

    def _record_path(self, id_: str) -> Path:
        return self._local(RECORDS) / f"{id_.replace('/', '%2f')}.json"

    def _local(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def _id_of(name: str) -> str:
    return name.replace("%2f", "/")


class _translated:  # noqa: N801 - a context manager is named as a function
    """Translates an OSError of the ``with`` block into a DoctorError."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise DoctorError(
                f"cannot {self._what}: {error.filename}: {error.strerror}; repeat it as root"
            ) from None


def _is_as_written(path: Path, file: OwnFile) -> bool:
    try:
        if file.link:
            return str(path.readlink()) == file.link
        content, mode = read_regular_file(path, _MAX_FILE, follow_link=False)
    except OSError:
        return False
    return content == file.text.encode() and stat.S_IMODE(mode) == _FILE_MODE


def _make_directory(path: Path) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(0o755)
    _sync(path.parent)


def _write_durably(path: Path, file: OwnFile, mode: int = _FILE_MODE) -> None:
    """Write a file as a whole: under a name that no program reads, then renamed."""
    new = path.with_name(f".{path.name}.powerd-new")
    new.unlink(missing_ok=True)
    if file.link:
        new.symlink_to(file.link)
    else:
        with open(os.open(new, _NEW_FLAGS, mode), "wb") as output:  # noqa: PTH123 - opens a descriptor
            os.fchmod(output.fileno(), mode)  # the umask may have removed bits
            output.write(file.text.encode())
            output.flush()
            os.fsync(output.fileno())
    new.replace(path)
    _sync(path.parent)


def _remove_durably(path: Path) -> bool:
    """Remove a file, and what an interrupted write has left beside it; whether the file existed."""
    path.with_name(f".{path.name}.powerd-new").unlink(missing_ok=True)
    existed = os.path.lexists(path)
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        _sync(path.parent)
    return existed


def _remove_empty_directory(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:  # another file has been put there since
            return False
        raise
    _sync(path.parent)
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
