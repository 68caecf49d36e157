"""Reads a file that any program may have put at its path, without blocking and with bounded memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: opening a FIFO without a writer blocks for ever."""

_CHUNK_SIZE: Final = 1 << 16


def read_regular_file(path: Path, limit: int, *, follow_link: bool = True) -> tuple[bytes, int]:
    """The content of a regular file, and its mode (inode(7)).

    Anything else is not opened, because opening a device can have an effect.

    Args:
        path: of the file.
        limit: bytes that it may have.
        follow_link: whether ``path`` may be a symbolic link.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is too large; ``strerror`` is a clause.
    """
    _require_regular(path.stat(follow_symlinks=follow_link).st_mode)
    descriptor = os.open(path, _OPEN_FLAGS | (0 if follow_link else os.O_NOFOLLOW))
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - opens a descriptor
        found = os.fstat(descriptor)
        _require_regular(found.st_mode)  # the file may have been replaced meanwhile
        content = bytearray()
        if found.st_size <= limit:
            while len(content) <= limit and (chunk := file.read(_CHUNK_SIZE)):
                content += chunk
    if max(found.st_size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return bytes(content), found.st_mode


def _require_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
