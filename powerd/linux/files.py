"""Files below a root directory, read without holding up the loop."""

from __future__ import annotations

import asyncio
import codecs
import errno
import glob
import grp
import os
import pwd
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from powerd.linux.values import HostError, StatSignature

_PIECE: Final = 1 << 16
_ABSENT: Final = (FileNotFoundError, NotADirectoryError)


def find(root: Path, pattern: str) -> tuple[str, ...]:
    """Paths of what fits a glob, directories left out, sorted, as seen from the root.

    Raises:
        HostError: a directory on the way may not be looked into.
    """
    relative = pattern.lstrip("/")
    try:
        if not glob.has_magic(relative):
            return () if _is_directory(root / relative) else ("/" + relative,)
        os.scandir(_fixed_part(root, relative)).close()
    except _ABSENT:
        return ()
    except OSError as error:
        raise HostError(error_text("look into", pattern, root / relative, error)) from error
    names = glob.glob(relative, root_dir=root)  # noqa: PTH207 - Path.glob has no root_dir and fails on what vanishes
    return tuple(sorted("/" + name for name in names if not (root / name).is_dir()))


def stat_signature(path: Path, shown_path: str) -> StatSignature | None:
    """One stat(2), links followed; None = there is no such file.

    Raises:
        HostError: it may not be looked at.
    """
    try:
        found = path.stat()
    except _ABSENT:
        return None
    except OSError as error:
        raise HostError(error_text("look at", shown_path, path, error)) from error
    return StatSignature(found.st_ino, found.st_size, found.st_mtime_ns)


async def read_chunks(path: Path, shown_path: str) -> AsyncGenerator[str]:
    """Its text in pieces of 64 KiB, never cut within a character; what is no UTF-8 becomes U+FFFD.

    Raises:
        HostError: it cannot be opened or read, or is no regular file.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        # Without O_NONBLOCK, opening a FIFO waits until somebody writes to it.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb", buffering=0) as file:  # noqa: ASYNC230, PTH123 - a page-cache read of 64 KiB; of a descriptor
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise HostError(f"cannot read {shown_path}: it is no regular file; name another one")
            while chunk := file.read(_PIECE):
                text = decoder.decode(chunk)
                if text:
                    yield text
                await asyncio.sleep(0)
    except OSError as error:
        raise HostError(error_text("read", shown_path, path, error)) from error
    if last_chunk := decoder.decode(b"", final=True):
        yield last_chunk


def error_text(verb: str, shown_path: str, path: Path, error: OSError) -> str:
    """One sentence: what cannot be done, why, and the remedy."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno not in {errno.EACCES, errno.EPERM}:
        return f"cannot {verb} {shown_path}: {reason}; see whether it is what you meant and the disk is well"
    return f"cannot {verb} {shown_path}: {reason}; {_remedy(path)}"


def _remedy(path: Path) -> str:
    """How this user may get to read ``path``: by its group if that has the right, else by an ACL."""
    user = _user()
    denied = _first_denied(path)
    try:
        found = denied.stat()
    except OSError:
        return f"run as a user that may read it ({user} may not)"
    needed_bit = stat.S_IXGRP if stat.S_ISDIR(found.st_mode) else stat.S_IRGRP
    if found.st_gid and found.st_mode & needed_bit:
        group = _group(found.st_gid)
        return f"add user {user} to group {group}: usermod -aG {group} {user}"
    rights = "rx" if stat.S_ISDIR(found.st_mode) else "r"
    return f"let user {user} read it: setfacl -m u:{user}:{rights} {denied}"


def _first_denied(path: Path) -> Path:
    """The topmost of ``path`` and its parents that this user may not pass, or read."""
    for parent in reversed(path.parents):
        if not os.access(parent, os.X_OK, effective_ids=True):
            return parent
    return path


def _fixed_part(root: Path, relative: str) -> Path:
    """The directory above the first wildcard."""
    fixed = root
    for part in Path(relative).parts:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed


def _is_directory(path: Path) -> bool:
    return stat.S_ISDIR(path.stat().st_mode)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a number without a name, as in containers
        return str(os.geteuid())


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
