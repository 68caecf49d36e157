"""Append-only files of lines in one directory, for records that grow: stored lines are not written again.

A power cut can leave the last line incomplete, or other bytes in its place; the next append begins a new
line, and readers skip invalid lines. append() never calls fsync(2), as Storage.save() does not.

A file that no longer grows can be compressed; if it grows again, because the clock was set back, it gets its
content back. The file itself is removed by a later call, once its compressed form has turned out to be
complete: a power cut could otherwise lose both.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from powerd.linux.regular_file import read_regular_file

_MAX_SIZE: Final = 4 << 20
"""Bytes of a file; larger ones are neither read nor continued."""
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""O_NONBLOCK: opening a FIFO without a writer blocks for ever."""
_SUFFIX: Final = ".jsonl"
_COMPRESSED_SUFFIX: Final = ".jsonl.z"
_SET_ASIDE: Final = ".bad"
_WRITTEN_AFTER: Final = 3600.0
"""Seconds after which the kernel has written a file (see core/storage.py)."""


class LineFiles:
    """The files ``NAME.jsonl`` of one directory.

    Args:
        directory: created by the first append; None = nothing is stored.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        """The names of the files, sorted.

        Raises:
            OSError: the directory cannot be read.
        """
        if self._directory is None or not self._directory.exists():
            return []
        paths = self._directory.iterdir()  # glob() finds nothing in a directory that it cannot read
        return sorted({path.name.partition(".")[0] for path in paths if _SUFFIX in path.name})

    def size(self, name: str) -> int:
        """Bytes of the compressed form of a file, or of the file itself; 0 if there is neither."""
        for path in reversed(self._forms(name)):
            with contextlib.suppress(OSError):
                return path.lstat().st_size
        return 0

    def append(self, name: str, text: str, *, header: str) -> bool:
        """Append lines.

        Args:
            name: of the file.
            text: complete lines.
            header: the first line of a new file, without its newline.

        Returns:
            False if nothing is stored here.

        Raises:
            OSError: nothing was appended; ``strerror`` is a clause.
        """
        if self._directory is None:
            return False
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path(self._directory, name), os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        try:
            size = _regular_size(descriptor)
            if not size:
                start = self._earlier_content(name) or f"{header}\n".encode()
            else:
                start = b"" if os.pread(descriptor, 1, size - 1) == b"\n" else b"\n"
            content = start + text.encode()
            if size + len(content) > _MAX_SIZE:
                raise OSError(None, f"it would have more than {_MAX_SIZE} bytes")
            try:
                written = os.pwrite(descriptor, content, size)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            if written != len(content):
                os.ftruncate(descriptor, size)
                raise OSError(None, "there is no space left for it")
        finally:
            os.close(descriptor)
        return True

    def _earlier_content(self, name: str) -> bytes:
        """What a file held before it was compressed and removed: it grows again if the clock was set back."""
        with contextlib.suppress(OSError):
            return _decompress(self._forms(name)[1])
        return b""

    def read(self, name: str) -> str:
        """The complete lines of a file, not one that has been cut at the end; "" = there is no directory.

        Raises:
            OSError: the file cannot be read; ``strerror`` is a clause.
        """
        if self._directory is None:
            return ""
        path, compressed = self._forms(name)
        try:
            content, _ = read_regular_file(path, _MAX_SIZE, follow_link=False)
        except FileNotFoundError:
            content = _decompress(compressed)
        return content[: content.rfind(b"\n") + 1].decode(errors="replace")

    def compress(self, name: str, now: float) -> bool:
        """Compress a file that no longer grows; a call an hour later removes the file itself.

        Args:
            name: of the file.
            now: POSIX time.

        Returns:
            Whether the file itself has been removed.

        Raises:
            OSError: the file cannot be read, or its compressed form cannot be written or removed.
        """
        if self._directory is None:
            return True
        path, compressed = self._forms(name)
        if not path.exists():
            return True
        # negative if the clock was set back since: the compressed form is written again
        age = now - compressed.stat().st_mtime if compressed.exists() else -1.0
        if 0 <= age < _WRITTEN_AFTER:
            return False
        content, _ = read_regular_file(path, _MAX_SIZE, follow_link=False)
        if age >= 0:
            with contextlib.suppress(OSError):
                if _decompress(compressed) == content:
                    path.unlink()
                    return True
        import zlib  # noqa: PLC0415 - only files of earlier months are compressed

        new = compressed.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600), "wb") as file:  # noqa: PTH123 - opens a descriptor
            file.write(zlib.compress(content, 9))
        new.replace(compressed)
        return False

    def set_aside(self, name: str) -> str:
        """Rename a file to ``NAME.bad``, and return its new name.

        Raises:
            OSError: it cannot be renamed.
        """
        if self._directory is None:
            return ""
        path = next(each for each in self._forms(name) if os.path.lexists(each))
        return path.replace(self._directory / f"{name}{_SET_ASIDE}").name

    def names_set_aside(self) -> list[str]:
        """The names of the files that were set aside, sorted; [] also if the directory cannot be read."""
        with contextlib.suppress(OSError):
            if self._directory is not None:
                return sorted(path.stem for path in self._directory.iterdir() if path.suffix == _SET_ASIDE)
        return []

    def remove(self, name: str) -> None:
        """Remove a file and its compressed form.

        Raises:
            OSError: it cannot be removed.
        """
        for path in self._forms(name):
            path.unlink(missing_ok=True)

    def describe(self, name: str) -> str:
        """The path of a file, for messages."""
        return str(self._path(self._directory or Path(), name))

    def _forms(self, name: str) -> tuple[Path, ...]:
        """The paths of a file and of its compressed form; () if nothing is stored."""
        if self._directory is None:
            return ()
        return self._path(self._directory, name), self._directory / f"{name}{_COMPRESSED_SUFFIX}"

    @staticmethod
    def _path(directory: Path, name: str) -> Path:
        return directory / f"{name}{_SUFFIX}"


def _regular_size(descriptor: int) -> int:
    """The size of an open file.

    Raises:
        OSError: it is not a regular file.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(None, "it is not a regular file")
    return found.st_size


def _decompress(path: Path) -> bytes:
    """The content of a compressed file.

    Raises:
        OSError: it cannot be read, or is damaged.
    """
    import zlib  # noqa: PLC0415 - only files of earlier months are compressed

    content, _ = read_regular_file(path, _MAX_SIZE, follow_link=False)
    decompressor = zlib.decompressobj()
    try:
        found = decompressor.decompress(content, _MAX_SIZE)
    except zlib.error:
        raise OSError(None, "its compressed content is damaged") from None
    if not decompressor.eof:
        raise OSError(None, "its compressed content is incomplete or too large")
    return found
