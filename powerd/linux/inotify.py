"""Watches directories by inotify(7), with ctypes; the standard library has no interface to it.

The kernel keeps the events until they are read, so no event wakes the process. It merges an event with the
one before it if they are equal, and drops the newest when it has fs.inotify.max_queued_events (16,384). A
watch is on the inode of a directory, and keeps it in memory. Adding one looks the path up, which may read a
disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from powerd.attribution.model import MAX_EVENTS, MAX_UNWATCHED, FileAccess, FileReading, Operation

_ACCESS, _MODIFY, _ATTRIB, _CLOSE_WRITE, _OPEN = 0x1, 0x2, 0x4, 0x8, 0x20
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _Q_OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_DIRECTORY: Final = 0x1000000
_OPERATIONS: Final[tuple[tuple[int, Operation], ...]] = (
    # The first that an event contains; a file that is only opened is read.
    (_CREATE, "create"),
    (_DELETE, "delete"),
    (_MOVED_FROM | _MOVED_TO, "rename"),
    (_MODIFY | _CLOSE_WRITE, "write"),
    (_ATTRIB, "attributes"),
    (_ACCESS | _OPEN, "read"),
)
_GONE: Final = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_MASK: Final = sum(mask for mask, _ in _OPERATIONS) | _DELETE_SELF | _MOVE_SELF | _ONLY_DIRECTORY
_EVENT: Final = struct.Struct("=iIII")  # watch, mask, cookie, length of the name
_READ_SIZE: Final = 1 << 16
_MAX_READS: Final = 32
"""Reads in one call: 2 MB, twice the size of the queue, so that a storm of events does not delay it."""
_FileKey: TypeAlias = tuple[str, Operation]
_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_HIDDEN_BY_SYSTEMD: Final = ("/home", "/root", "/run/user")
"""What ProtectHome=yes of the unit hides (systemd.exec(5))."""


class _Event(NamedTuple):
    watch: int
    mask: int
    name: str


class DirectoryWatch:
    """The accesses to the files in some directories, not to those in directories below.

    A directory that has been deleted or renamed, or is no longer mounted, is watched again when its path
    exists again. After each change of the mount table all paths are looked up again, because another file
    system may be mounted over a directory; the renaming of a directory above it is not noticed before.

    Args:
        prefix: the directory below which paths are resolved, without a slash at its end.
        explain: the sentence for a path, where that is here, and the error.

    Raises:
        OSError: the kernel has no inotify (ENOSYS), or this user has too many instances (EMFILE).
    """

    def __init__(self, prefix: str, explain: Callable[[str, Path, OSError], str]) -> None:
        self._prefix, self._explain = prefix, explain
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._mounts = os.open(_MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
        self._mount_events = select.poll()
        self._mount_events.register(self._mounts, select.POLLPRI)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            os.close(self._mounts)
            raise OSError(ctypes.get_errno(), "inotify_init1 fails")
        self._paths: dict[int, str] = {}  # by watch
        self._stale: set[str] = set()  # watched, but the path may lead to another directory now
        self._problems: dict[str, str] = {}

    def close(self) -> None:
        """End all watches."""
        os.close(self._descriptor)
        os.close(self._mounts)

    def read(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        """The accesses since the last call; from now on exactly these directories are watched.

        Args:
            directories: absolute paths.
            may_look_up: those of them whose path may be looked up on its disk.
        """
        accesses, overflow = self._drain()
        if self._mount_events.poll(0):
            self._stale.update(self._paths.values())
        for watch, path in list(self._paths.items()):
            if path not in directories:
                self._forget(watch)
        self._problems = {path: self._problems[path] for path in directories if path in self._problems}
        watched = set(self._paths.values())
        for path in directories:
            if path in may_look_up and (path in self._stale or path not in watched):
                self._add(path)
        watched = set(self._paths.values())
        return FileReading(
            tuple(
                FileAccess(0, path, operation, count=count) for (path, operation), count in accesses.items()
            ),
            overflow=overflow,
            unwatched=tuple(
                self._problems.get(path, f"{path} is not watched yet: its disk is in standby")
                for path in directories
                if path not in watched
            )[:MAX_UNWATCHED],
        )

    def _drain(self) -> tuple[Counter[_FileKey], bool]:
        accesses: Counter[_FileKey] = Counter()
        overflow = False
        for event in self._events():
            overflow |= bool(event.mask & _Q_OVERFLOW)
            directory = self._paths.get(event.watch)
            if directory is None:
                continue
            for mask, operation in _OPERATIONS:
                if event.mask & mask:
                    key = f"{directory.rstrip('/')}/{event.name}" if event.name else directory, operation
                    if key in accesses or len(accesses) < MAX_EVENTS:
                        accesses[key] += 1
                    else:
                        overflow = True
                    break
            if event.mask & _GONE:
                self._forget(event.watch)
        return accesses, overflow

    def _events(self) -> Iterator[_Event]:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MAX_READS):
                data = os.read(self._descriptor, _READ_SIZE)
                start = 0
                while start < len(data):
                    watch, mask, _, length = _EVENT.unpack_from(data, start)
                    start += _EVENT.size + length
                    yield _Event(watch, mask, os.fsdecode(data[start - length : start].partition(b"\0")[0]))

    def _add(self, path: str) -> None:
        """Watch a directory, instead of another one that its path led to before."""
        local = self._prefix + path
        watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(local), ctypes.c_uint32(_MASK))
        code = ctypes.get_errno()
        for other, other_path in list(self._paths.items()):
            if other_path == path and other != watch:
                self._forget(other)
        self._stale.discard(path)
        if watch < 0:
            error = OSError(code, os.strerror(code))
            self._problems[path] = _known_problem(path, code) or self._explain(path, Path(local), error)
        elif (same := self._paths.setdefault(watch, path)) != path:
            self._problems[path] = f"{path} is not watched: it is the directory {same}; name it once"
        else:
            self._problems.pop(path, None)

    def _forget(self, watch: int) -> None:
        self._stale.discard(self._paths.pop(watch))
        self._libc.inotify_rm_watch(self._descriptor, watch)  # fails if the directory has gone


def _known_problem(path: str, code: int) -> str:
    """Why a directory is not watched, one sentence with the remedy; "" = no special reason."""
    if code == errno.ENOSPC:
        return f"cannot watch {path}: there are too many watches; raise fs.inotify.max_user_watches"
    if code == errno.ENOTDIR:
        return f"cannot watch {path}: it is not a directory; name the directory that it is in"
    for hidden in _HIDDEN_BY_SYSTEMD:
        if f"{path}/".startswith(f"{hidden}/") and _is_hidden(hidden):
            return (
                f"cannot watch {path}: its unit hides {hidden} from powerd; "
                "systemctl edit powerd, [Service], ProtectHome=read-only"
            )
    return ""


def _is_hidden(directory: str) -> bool:
    """Whether systemd has mounted its inaccessible directory there (in a container it is nspawn's)."""
    with contextlib.suppress(OSError):
        return f"/inaccessible/dir {directory} " in _MOUNTINFO.read_text()
    return False
