"""Files, sysfs and udev below a root directory, read without blocking the event loop.

Opening and reading a file of sysfs takes 20 us, reading one that is open 3 us. An open file of sysfs stays
with its device: once the device is removed, reads fail with ENODEV, even when another device has its name.
"""

from __future__ import annotations

import asyncio
import codecs
import errno
import glob
import grp
import os
import pwd
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from powerd.linux import udev_monitor
from powerd.linux.regular_file import read_regular_file
from powerd.linux.values import HostError, StatSignature

if TYPE_CHECKING:
    from powerd.attribution.model import FileReading
    from powerd.linux.inotify import DirectoryWatch

_CHUNK_SIZE: Final = 1 << 16
_ATTRIBUTE_SIZE: Final = 1 << 12  # an attribute of sysfs is at most a page
MAX_OPEN_FILES: Final = 768
"""Files that read_cached() keeps open at most; a process started by hand may have 1024 (getrlimit(2))."""
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Without O_NONBLOCK, opening a FIFO waits until another process writes to it."""
_ABSENT: Final = (FileNotFoundError, NotADirectoryError)
_ABSENT_ERRNOS: Final = {errno.ENOENT, errno.ENOTDIR, errno.ENODEV}


class HostFiles:
    """The Files port on this machine.

    Args:
        root: the directory below which paths are resolved; tests give a tree of files.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._prefix = str(root).rstrip("/")
        self._descriptors: dict[str, int] = {}
        self._monitors: list[udev_monitor.BlockDeviceMonitor] = []
        self._directory_watch: DirectoryWatch | None = None

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths of what matches a glob, without directories, sorted, as seen from the root.

        Raises:
            HostError: this user may not list a directory of the pattern.
        """
        root, relative = self._root, pattern.lstrip("/")
        try:
            if not glob.has_magic(relative):
                return () if _is_directory(root / relative) else ("/" + relative,)
            os.scandir(_fixed_part(root, relative)).close()
        except _ABSENT:
            return ()
        except OSError as error:
            raise HostError(error_text("list", pattern, root / relative, error)) from error
        names = glob.glob(relative, root_dir=root)  # noqa: PTH207 - Path.glob has no root_dir and fails on what vanishes
        return tuple(sorted("/" + name for name in names if not (root / name).is_dir()))

    def stat_signature(self, path: str) -> StatSignature | None:
        """One stat(2) that follows links; None = there is no such file.

        Raises:
            HostError: this user may not stat the file.
        """
        local = self.local_path(path)
        try:
            found = local.stat()
        except _ABSENT:
            return None
        except OSError as error:
            raise HostError(error_text("access", path, local, error)) from error
        return StatSignature(found.st_ino, found.st_size, found.st_mtime_ns)

    async def read_chunks(self, path: str) -> AsyncGenerator[str]:
        """The text in chunks of 64 KiB, never cut within a character; bytes that are not UTF-8 become U+FFFD.

        Raises:
            HostError: the file cannot be opened or read, or is not a regular file.
        """
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        local = self.local_path(path)
        try:
            fd = os.open(local, _OPEN_FLAGS)
            with open(fd, "rb", buffering=0) as file:  # noqa: ASYNC230, PTH123 - a page-cache read of 64 KiB; of a descriptor
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise HostError(f"cannot read {path}: it is not a regular file; name another one")
                while chunk := file.read(_CHUNK_SIZE):
                    text = decoder.decode(chunk)
                    if text:
                        yield text
                    await asyncio.sleep(0)
        except OSError as error:
            raise HostError(error_text("read", path, local, error)) from error
        if last_chunk := decoder.decode(b"", final=True):
            yield last_chunk

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text, at most ``limit`` bytes of it. Raises HostError as read_chunks()."""
        parts: list[str] = []
        remaining = limit
        async with aclosing(self.read_chunks(path)) as chunks:
            async for chunk in chunks:
                parts.append(chunk.encode()[:remaining].decode(errors="ignore"))
                remaining -= len(chunk.encode())
                if remaining <= 0:
                    break
        return "".join(parts)

    def listdir(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted; () = there is no such directory.

        Raises:
            HostError: this user may not list the directory.
        """
        path = self._prefix + directory
        try:
            return tuple(sorted(os.listdir(path)))  # noqa: PTH208 - names alone, of which a Path would make objects
        except OSError as error:
            if error.errno in _ABSENT_ERRNOS:
                return ()
            raise HostError(error_text("list", directory, Path(path), error)) from error

    def read_text(self, path: str, limit: int = 1 << 20) -> str | None:
        """The file's text, stripped; None = the file does not exist or cannot be read."""
        data = self.read_bytes(path, limit)
        return None if data is None else data.decode(errors="replace").strip()

    def read_regular(self, path: str) -> str | None:
        """As read_text(), of a file that another user may have put there: no device or pipe is opened."""
        try:
            fd = os.open(self._prefix + path, os.O_PATH | os.O_CLOEXEC)  # has no effect on a device
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return None
        try:  # by the descriptor, because the user may put a link to a device there meanwhile
            content, _ = read_regular_file(Path(f"/proc/self/fd/{fd}"), 1 << 20)
        except OSError:
            return None
        finally:
            os.close(fd)
        return content.decode(errors="replace").strip()

    def read_bytes(self, path: str, limit: int, start: int = 0) -> bytes | None:
        """At most ``limit`` bytes of a file, from ``start``; None = it does not exist or cannot be read."""
        try:
            fd = os.open(self._prefix + path, _OPEN_FLAGS)
        except OSError:
            return None
        try:
            if start:
                os.lseek(fd, start, os.SEEK_SET)
            data = bytearray()
            while len(data) < limit and (chunk := os.read(fd, min(_CHUNK_SIZE, limit - len(data)))):
                data += chunk
        except OSError:
            return None
        finally:
            os.close(fd)
        return bytes(data)

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """The texts of files that are read again and again, in the order of ``paths``; None as read_text().

        The files stay open until a call without them.
        """
        for path in self._descriptors.keys() - set(paths):
            os.close(self._descriptors.pop(path))
        return [self._read_open_file(path) for path in paths]

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        """The accesses in these directories since the last call; they stay watched until a call without them.

        Args:
            directories: absolute paths.
            may_look_up: those whose path may be looked up on its disk.

        Raises:
            HostError: no directory can be watched.
        """
        if self._directory_watch is None and not directories:
            from powerd.attribution.model import FileReading  # noqa: PLC0415 - powerd check does without it

            return FileReading()
        from powerd.linux.inotify import DirectoryWatch  # noqa: PLC0415 - 0.3 MB, with ctypes

        try:
            if self._directory_watch is None:
                self._directory_watch = DirectoryWatch(self._prefix, partial(error_text, "watch"))
            reading = self._directory_watch.read(directories, may_look_up)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise HostError(
                f"cannot watch directories: {reason}; raise fs.inotify.max_user_instances"
            ) from error
        if not directories:
            self._directory_watch.close()
            self._directory_watch = None
        return reading

    def realpath(self, path: str) -> str | None:
        """The path with all links resolved, as seen from the root; None = it does not exist."""
        try:
            real = os.path.realpath(self._prefix + path, strict=True)
        except (OSError, ValueError):  # ValueError: a NUL in it, as a broken file of settings may have
            return None
        return real.removeprefix(os.path.realpath(self._root).rstrip("/"))

    def readlink(self, path: str) -> str | None:
        """What a symbolic link contains; None = it is none, or does not exist. It follows no last link."""
        try:
            return os.readlink(self._prefix + path)  # noqa: PTH115 - a Path changes its text
        except (OSError, ValueError):  # ValueError: a NUL in it
            return None

    def kernel_release(self) -> str:
        """The kernel's release; /proc/sys does not show it to a service with ProcSubset=pid."""
        return os.uname().release

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` when a block device has been added, removed or changed."""
        if self._root == Path("/") and udev_monitor.is_udev_running():
            self._monitors.append(udev_monitor.BlockDeviceMonitor(on_change))

    def local_path(self, path: str) -> Path:
        """The absolute ``path`` below the root."""
        return self._root / path.lstrip("/")

    def close(self) -> None:
        """Close the files, monitors and watches that are open between calls."""
        if self._directory_watch is not None:
            self.read_directories((), ())
        while self._monitors:
            self._monitors.pop().close()
        self.read_cached(())

    def _read_open_file(self, path: str) -> str | None:
        fd = self._descriptors.get(path)
        if fd is None:
            if len(self._descriptors) >= MAX_OPEN_FILES:
                return self.read_text(path, _ATTRIBUTE_SIZE)
            try:
                fd = os.open(self._prefix + path, _OPEN_FLAGS)
            except OSError:
                return None
            self._descriptors[path] = fd
        try:
            return os.pread(fd, _ATTRIBUTE_SIZE, 0).decode(errors="replace").strip()
        except OSError:
            with suppress(OSError):
                os.close(self._descriptors.pop(path))
            return None


def error_text(verb: str, shown_path: str, path: Path, error: OSError) -> str:
    """One sentence: what cannot be done, why, and the remedy."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno not in {errno.EACCES, errno.EPERM}:
        return f"cannot {verb} {shown_path}: {reason}; check the path and the disk"
    return f"cannot {verb} {shown_path}: {reason}; {_remedy(path)}"


def _remedy(path: Path) -> str:
    """The command that lets this user read ``path``: by its group if that may read it, else by an ACL."""
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
    """The topmost of ``path`` and its parents that this user may not enter, or read."""
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
