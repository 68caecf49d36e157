"""Small files that the kernel or udev makes: sysfs(5), /proc, /run/udev. Reading one touches no device node.

Opening and reading a file of sysfs takes 20 us, reading one that is kept open 3 us; and one that is kept open
stays with its device: it answers ENODEV once that is gone, also when another has got its name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from powerd.linux import files
from powerd.linux.values import HostError

_CHUNK: Final = 1 << 16
_ATTRIBUTE_SIZE: Final = 1 << 12  # an attribute of sysfs is at most a page
_KEPT: Final = 768
"""So many files are kept open at most; a service may have 1024 (systemd.exec(5), LimitNOFILE=)."""
_ABSENT: Final = {errno.ENOENT, errno.ENOTDIR, errno.ENODEV}


class Sysfs:
    """Reads small files below a root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = str(root).rstrip("/")
        self._descriptors: dict[str, int] = {}

    def listdir(self, directory: str) -> tuple[str, ...]:
        """Names of all that is in it, sorted; () = there is no such directory.

        Raises:
            HostError: it may not be looked into.
        """
        path = self._prefix + directory
        try:
            return tuple(sorted(os.listdir(path)))  # noqa: PTH208 - names alone, of which a Path would make objects
        except OSError as error:
            if error.errno in _ABSENT:
                return ()
            raise HostError(files.error_text("look into", directory, Path(path), error)) from error

    def read_text(self, path: str, limit: int = 1 << 20) -> str | None:
        """The file's text without white space around it; None = it is not there, or does not answer."""
        try:
            fd = os.open(self._prefix + path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            data = bytearray()
            while len(data) < limit and (chunk := os.read(fd, _CHUNK)):
                data += chunk
        except OSError:
            return None
        finally:
            os.close(fd)
        return data[:limit].decode(errors="replace").strip()

    def realpath(self, path: str) -> str | None:
        """Where it really is, all links followed, as seen from the root; None = it is not there."""
        try:
            real = os.path.realpath(self._prefix + path, strict=True)
        except OSError:
            return None
        return real.removeprefix(os.path.realpath(self._root).rstrip("/"))

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """The texts of files that are read again and again, in the order of ``paths``; None as for peek().

        They are kept open until a call that no longer asks for them.
        """
        for path in self._descriptors.keys() - set(paths):
            os.close(self._descriptors.pop(path))
        return [self._read_open_file(path) for path in paths]

    def close(self) -> None:
        """Close what is kept open."""
        self.read_cached(())

    def _read_open_file(self, path: str) -> str | None:
        fd = self._descriptors.get(path)
        if fd is None:
            if len(self._descriptors) >= _KEPT:
                return self.read_text(path, _ATTRIBUTE_SIZE)
            try:
                fd = os.open(self._prefix + path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                return None
            self._descriptors[path] = fd
        try:
            return os.pread(fd, _ATTRIBUTE_SIZE, 0).decode(errors="replace").strip()
        except OSError:
            with suppress(OSError):
                os.close(self._descriptors.pop(path))
            return None
