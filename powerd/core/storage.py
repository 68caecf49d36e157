"""State files: small JSON documents that outlive a restart; each is replaced as a whole, by rename(2).

A file that cannot be read is never the same as one that does not exist: it is set aside as ``.bad`` with a
sentence for the journal, and what can be read of it or of its previous version is used. Each document has a
checksum, so that a changed digit is noticed. An older file without one is accepted.

save() never calls fsync(2), because that would block the event loop while a disk spins up; sync() does, in a
thread. A power cut shortly after the rename can leave the new document empty or cut: some filesystems (XFS,
f2fs) write the new name before the data. Of an irreplaceable document the previous version is kept as
``.old``, once the kernel has had the time to write it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from binascii import crc32
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

from powerd.core.codec import CodecError, Json, codec_of, salvage, shown
from powerd.linux.regular_file import read_regular_file

_WRITEBACK_TIME: Final = 3600.0
"""Seconds after which the kernel has written a file: 30 by default, more on servers that let disks sleep long
(vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs)."""
_MAX_SIZE: Final = 8 << 20
"""Bytes of a state file; 4096 learned hosts take 316 KB."""
_VERSION: Final = 1
"""Of the documents. A later version that this one must not read has a larger number in ``version``."""
_NEW_FILE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_FAULTS_SHOWN: Final = 3
T = TypeVar("T")


class Loaded(NamedTuple, Generic[T]):
    """What load() has found.

    Attributes:
        value: None = no document is stored, or nothing of it can be read.
        problem: one sentence if the document cannot be read as it was written; "" = nothing is lost.
    """

    value: T | None
    problem: str = ""


class Storage:
    """Documents in one directory.

    Args:
        directory: created by the first save(); None = nothing is stored.
        on_error: called with one sentence for each document that cannot be read or written.
    """

    def __init__(self, directory: Path | None, on_error: Callable[[str], None] = lambda _: None) -> None:
        self.directory = directory
        self._on_error = on_error
        self._not_set_aside: set[str] = set()
        self._sync_lock = asyncio.Lock()  # at most one thread, however many users wait for a disk that hangs

    def load(
        self, name: str, kind: type[T], upgrade: Callable[[Json], Json] = lambda document: document
    ) -> Loaded[T]:
        """Read the document ``name``; one that is damaged is set aside and replaced by what can be read.

        Args:
            name: the file name without ``.json``.
            kind: the type of the document, for the codec.
            upgrade: converts a document of any earlier form, and returns other values unchanged.
        """
        if self.directory is None:
            return Loaded(None)
        path = self.directory / f"{name}.json"
        previous = path.with_suffix(".old")
        value, fault, complete = _read(path, kind, upgrade)
        if not fault and (value is not None or not previous.exists()):
            return Loaded(value)
        used = "what can be read of it is used" if value is not None else "its content is lost"
        if not complete:
            previous_value, previous_fault, _ = _read(previous, kind, upgrade)
            if previous_value is not None and (not previous_fault or value is None):
                value, used = previous_value, "its previous version is used"
        problem = f"{path}: {fault or 'it is missing'}; {self._set_aside(path)}{used}"
        self._on_error(problem)
        if value is not None and name not in self._not_set_aside:
            self.save(name, value, kind=kind)
        return Loaded(value, problem)

    def damaged_file(self, name: str) -> Path | None:
        """The damaged document that load() has set aside, now or in an earlier run; None = there is none."""
        if self.directory is None:
            return None
        if name in self._not_set_aside:
            return self.directory / f"{name}.json"
        aside = self.directory / f"{name}.bad"
        return aside if os.path.lexists(aside) else None

    def dismiss_damaged_file(self, name: str) -> str | None:
        """Rename the damaged document to ``.dismissed``; returns why that failed, one sentence, or None."""
        path = self.damaged_file(name)
        try:
            if path is not None:
                path.replace(path.with_suffix(".dismissed"))
        except OSError as error:
            return f"{path}: cannot be renamed: {error.strerror}; remove it"
        self._not_set_aside.discard(name)
        return None

    def save(
        self,
        name: str,
        value: object,
        *,
        kind: Any = None,  # noqa: ANN401 - a type, or a form of typing
        irreplaceable: bool = False,
    ) -> str | None:
        """Replace the document; after a power cut soon after that it may be missing, unless sync() is called.

        Args:
            name: the file name without ``.json``.
            value: a frozen dataclass or a JSON object; None = remove the document.
            kind: the type of ``value`` for the codec, where it is not its class.
            irreplaceable: powerd cannot learn the data again, so the previous version is kept as well.

        Returns:
            Why it could not be written, one sentence, or None.
        """
        if self.directory is None:
            return None
        path = self.directory / f"{name}.json"
        try:
            document = None if value is None else codec_of(kind or type(value)).encode(value)
            _require_absent(path, damaged=name in self._not_set_aside)
            _replace(path, document, irreplaceable=irreplaceable)
        except (OSError, CodecError) as error:
            return self._not_written(path, error)
        return None

    async def sync(self, name: str) -> str | None:
        """Wait until the disk has the document as last saved, or its removal.

        This takes as long as the disk takes to spin up. fsync(2) blocks, so it runs in a thread that ends
        with it. The thread does nothing else, so saves stay in order.

        Returns:
            Why it could not be written, one sentence, or None.
        """
        if self.directory is None:
            return None
        path = self.directory / f"{name}.json"
        async with self._sync_lock:
            executor = ThreadPoolExecutor(1)  # not asyncio.to_thread: its thread would stay
            try:
                await asyncio.get_running_loop().run_in_executor(executor, _sync, path)
            except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
                return self._not_written(path, error)
            finally:
                executor.shutdown(wait=False)
        return None

    def _not_written(self, path: Path, error: OSError | CodecError | RuntimeError) -> str:
        reason = error.strerror if isinstance(error, OSError) else error
        problem = f"{path}: cannot be written: {reason}; it is lost at a restart"
        self._on_error(problem)
        return problem

    def _set_aside(self, path: Path) -> str:
        """Rename a damaged document to ``.bad``; returns a clause for the problem.

        Of a missing one ``.bad`` is its previous version, so that the next start knows of the loss as well.
        """
        aside = path.with_suffix(".bad")
        try:
            path.replace(aside)
        except FileNotFoundError:
            with contextlib.suppress(OSError):  # an older ``.bad``; or a read-only one, which stays missing
                os.link(path.with_suffix(".old"), aside, follow_symlinks=False)
            return ""
        except OSError as error:
            self._not_set_aside.add(path.stem)
            return f"it cannot be set aside: {error.strerror}; "
        return f"it was set aside as {aside.name}; "


def state_directory() -> Path:
    """The StateDirectory= of systemd, /var/lib/powerd for root, or a directory of the user (XDG)."""
    named = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if named or os.geteuid() == 0:
        return Path(named or "/var/lib/powerd")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "powerd"


def _read(path: Path, kind: Any, upgrade: Callable[[Json], Json]) -> tuple[Any, str, bool]:  # noqa: ANN401 - a type of the codec, and its value
    """What can be read of a document, or None; what is wrong with it, or ""; whether it is complete."""
    try:
        content, _ = read_regular_file(path, _MAX_SIZE, follow_link=False)
    except FileNotFoundError:
        return None, "", False
    except OSError as error:
        return None, f"cannot be read: {error.strerror}", False
    try:
        document = json.loads(content)
        if document is None:  # written by powerd 0.1 in place of a document that has ended
            return None, "", False
        faults = _integrity_faults(document)
        value, misfits = salvage(kind, upgrade(document))
    except CodecError as error:
        return None, f"cannot be used: {error}", False
    except (ValueError, RecursionError):  # RecursionError: thousands of nested brackets
        return None, "is not JSON" if content.strip() else "is empty", False
    return value, "; ".join((*faults, *misfits[:_MAX_FAULTS_SHOWN])), value is not None and not misfits


def _integrity_faults(document: Json) -> tuple[str, ...]:
    """Check the version of a document, and its checksum, which is removed.

    Raises:
        CodecError: a later version of powerd has written it, and it means something else.
    """
    if not isinstance(document, dict):
        return ()
    version = document.get("version", _VERSION)
    if version != _VERSION:
        raise CodecError(f"it has version {shown(version)}; this powerd reads version {_VERSION}")
    checksum = document.pop("checksum", None)
    return () if checksum is None or checksum == _checksum(document) else ("its checksum is wrong",)


def _checksum(document: Json) -> str:
    return f"{crc32(json.dumps(document, sort_keys=True).encode()):08x}"


def _with_checksum(document: Json) -> bytes:
    return (json.dumps({**document, "checksum": _checksum(document)}, indent=1) + "\n").encode()


def _require_absent(path: Path, *, damaged: bool) -> None:
    """Raise OSError if a damaged file is at ``path``: it may be all that is left of the data."""
    if damaged and os.path.lexists(path):
        raise OSError(None, "the damaged file is in the way; remove it")


def _replace(path: Path, document: Json, *, irreplaceable: bool) -> None:
    if document is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".new")
    _write_new_file(new, _with_checksum(document))
    if irreplaceable:
        _keep_previous_version(path, new)
    new.replace(path)


def _write_new_file(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet; one that another process has left there is removed.

    Raises:
        OSError: it cannot be written; there is no file then.
    """
    if len(content) > _MAX_SIZE:
        raise OSError(None, f"it would have more than {_MAX_SIZE} bytes")
    path.unlink(missing_ok=True)
    try:
        with open(os.open(path, _NEW_FILE_FLAGS, 0o600), "wb") as file:  # noqa: PTH123 - opens a descriptor
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    """Have the disk write a file, if it exists, and then its name."""
    for each in (path, path.parent):
        try:
            descriptor = os.open(each, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _keep_previous_version(path: Path, new: Path) -> None:
    """Keep the document that is about to be replaced as ``.old``, if the kernel has written it by now.

    Errors are ignored: on filesystems without hard links (vfat) only the new document exists.
    """
    old = path.with_suffix(".old")
    with contextlib.suppress(OSError):
        if new.stat().st_mtime - path.stat().st_mtime >= _WRITEBACK_TIME:
            old.unlink(missing_ok=True)
            os.link(path, old)
