"""Append-only files of lines in one directory, for records that grow: stored lines are not written again.

A power cut can leave the last line incomplete, or other bytes in its place; the next append begins a new
line, and readers skip what they cannot read. append() never calls fsync(2), as Storage.save() does not.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MAX_SIZE: Final = 4 << 20
"""Bytes of a file; larger ones are neither read nor continued."""
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""O_NONBLOCK: opening a FIFO without a writer blocks for ever."""
_SUFFIX: Final = ".jsonl"


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
        return sorted(path.stem for path in self._directory.glob(f"*{_SUFFIX}"))

    def size(self, name: str) -> int:
        """Bytes of a file; 0 if there is none, or it cannot be read."""
        if self._directory is not None:
            with contextlib.suppress(OSError):
                return self._path(self._directory, name).lstat().st_size
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
            start = f"{header}\n" if not size else "" if os.pread(descriptor, 1, size - 1) == b"\n" else "\n"
            content = (start + text).encode()
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

    def lines(self, name: str) -> Iterator[str]:
        """The complete lines of a file without their newlines; not one that has been cut at the end.

        Raises:
            OSError: the file cannot be read; ``strerror`` is a clause.
        """
        if self._directory is None:
            return
        descriptor = os.open(self._path(self._directory, name), os.O_RDONLY | _FLAGS)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - opens a descriptor
            if _regular_size(descriptor) > _MAX_SIZE:
                raise OSError(None, f"it has more than {_MAX_SIZE} bytes")
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1].decode(errors="replace")

    def set_aside(self, name: str) -> str:
        """Rename a file to ``NAME.bad``, and return its new name.

        Raises:
            OSError: it cannot be renamed.
        """
        if self._directory is None:
            return ""
        path = self._path(self._directory, name)
        return path.replace(path.with_suffix(".bad")).name

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            OSError: it cannot be removed.
        """
        if self._directory is not None:
            self._path(self._directory, name).unlink(missing_ok=True)

    def describe(self, name: str) -> str:
        """The path of a file, for messages."""
        return str(self._path(self._directory or Path(), name))

    @staticmethod
    def _path(directory: Path, name: str) -> Path:
        return directory / f"{name}{_SUFFIX}"


def _regular_size(descriptor: int) -> int:
    """The size of an open file.

    Raises:
        OSError: it is no regular file.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(None, "it is not a regular file")
    return found.st_size
