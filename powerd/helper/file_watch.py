"""Which process accesses which file on the watched disks, by marks on their file systems.

The kernel keeps the events until the daemon requests them, so no event wakes this process. A mark is on the
superblock: it covers accesses through every mount, container and namespace. It does not cover stores to a
mapped file (only its opening and closing), or the data of files in an overlay (OverlayFS opens them without
notification).

Starting a watch reads nothing from the disk: mount points and the roots of mounted file systems are always
in memory. A directory of an event may not be, so its path is looked up only while its disk is spinning.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from powerd.attribution.model import MAX_EVENTS, MAX_UNWATCHED, FileAccess, FileReading, Operation
from powerd.disks.model import DiskId, FailureCause
from powerd.helper import fanotify
from powerd.helper.disks.device import block_device_dirs, btrfs_dirs, find_disk, read_attribute
from powerd.helper.errors import RefusalError
from powerd.helper.fanotify import FanotifyGroup, FileEvent, open_by_handle
from powerd.helper.protocol.messages import ReadFiles

_MAX_RESPONSE: Final = 200_000
"""Bytes of the accesses in a response, which fits into a line with them."""
_ROW: Final = 80  # bytes of a row besides its path
_MAX_PATH: Final = 4096
_OPERATIONS: Final[tuple[tuple[int, Operation], ...]] = (
    # The first that an event contains; a file that is only opened or listed is read.
    (fanotify.CREATE, "create"),
    (fanotify.DELETE, "delete"),
    (fanotify.MOVED_FROM | fanotify.MOVED_TO, "rename"),
    (fanotify.MODIFY | fanotify.CLOSE_WRITE, "write"),
    (fanotify.ATTRIB, "attributes"),
)
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")
_FIELDS: Final = 5  # of a line of mountinfo, before the mount point's end
_POOLED: Final = {"btrfs", "bcachefs"}
"""File systems whose device number is anonymous; the source of a mount names one device, or all of them."""


class _Mount(NamedTuple):
    """A line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    mount_id: int
    number: str
    root: str
    point: str
    kind: str
    source: str


class _FileKey(NamedTuple):
    """What equal accesses have in common."""

    directory: bytes
    name: bytes
    pid: int
    operation: Operation
    inode: int


@dataclass(slots=True)
class _Filesystem:
    """A mounted file system.

    Attributes:
        mounts: of it, the best to open it by first.
        disks: those below it that are watched.
        pending: its accesses that no response has contained yet, in order.
    """

    mounts: tuple[_Mount, ...]
    disks: tuple[DiskId, ...]
    pending: Counter[_FileKey] = field(default_factory=Counter)


class FileWatch:
    """Watches the file systems of disks, from one request to the next.

    Args:
        root: the directory that the paths of sysfs, /dev and /proc start at.
        allow_loops: loop devices count as disks; for tests.
    """

    def __init__(self, root: Path = Path("/"), *, allow_loops: bool = False) -> None:
        self._root = root
        self._allow_loops = allow_loops
        self._group: FanotifyGroup | None = None
        self._watched: dict[int, _Filesystem] = {}  # by fsid
        self._overflow = False

    def close(self) -> None:
        """Stop watching."""
        if self._group is not None:
            self._group.close()
        self._group, self._watched, self._overflow = None, {}, False

    def read(self, request: ReadFiles) -> FileReading:
        """The accesses since the last request; from now on its disks are watched.

        Blocks while directories are read from a disk.

        Raises:
            RefusalError: the kernel does not let this process watch files.
        """
        names = (*request.disks, *request.standby)
        if not names:
            self.close()
            return FileReading()
        group = self._open_group()
        self._drain(group)
        unwatched = self._update_marks(group, self._find_filesystems(names))
        accesses = tuple(self._collect(request.standby))
        overflow, self._overflow = self._overflow, False
        devices = {filesystem.mounts[0].number: filesystem.disks for filesystem in self._watched.values()}
        return FileReading(accesses, overflow=overflow, devices=devices, unwatched=unwatched)

    def _open_group(self) -> FanotifyGroup:
        if self._group is None:
            try:
                self._group = FanotifyGroup()
            except OSError as error:
                raise _refusal(error) from None
        return self._group

    def _drain(self, group: FanotifyGroup) -> None:
        """Move the events of the queue to their file systems."""
        for event in group.read():
            self._overflow |= bool(event.mask & fanotify.Q_OVERFLOW)
            filesystem = self._watched.get(event.fsid)
            if filesystem is None or not event.directory:
                continue  # of a disk that is no longer watched; or of a file that no longer has a name
            key = _FileKey(event.directory, event.name, event.pid, _operation_of(event), event.inode)
            if key in filesystem.pending or len(filesystem.pending) < MAX_EVENTS:
                filesystem.pending[key] += 1
            else:
                self._overflow = True

    def _find_filesystems(self, names: Sequence[DiskId]) -> list[_Filesystem]:
        """The mounted file systems on the disks; a disk that is gone has none."""
        disks_by_number: defaultdict[str, list[DiskId]] = defaultdict(list)
        mounts_by_number: defaultdict[str, list[_Mount]] = defaultdict(list)
        for mount in self._read_mounts():
            mounts_by_number[mount.number].append(mount)
        for name in names:
            with contextlib.suppress(RefusalError):
                numbers, devices = self._devices_of(name)
                for number, mounts in mounts_by_number.items():
                    if number in numbers or any(devices & _source_devices(mount) for mount in mounts):
                        disks_by_number[number].append(name)
        return [
            _Filesystem(tuple(sorted(mounts_by_number[number], key=_preference)), tuple(disks))
            for number, disks in disks_by_number.items()
        ]

    def _devices_of(self, name: str) -> tuple[set[str], set[str]]:
        """The numbers of the block devices on a disk; and their names, with those that share a btrfs."""
        directories = block_device_dirs(find_disk(self._root, name, allow_loops=self._allow_loops))
        devices = {path.name for path in directories}
        for filesystem in list(btrfs_dirs(devices, self._root)):
            devices |= {member.name for member in (filesystem / "devices").glob("*")}
        return {read_attribute(path / "dev") for path in directories} - {""}, devices

    def _read_mounts(self) -> Iterator[_Mount]:
        try:
            lines = (self._root / "proc/self/mountinfo").read_bytes().split(b"\n")
        except OSError:
            return
        for line in lines:
            before, _, after = line.partition(b" - ")
            left, right = before.split(b" "), after.split(b" ")
            if len(left) > _FIELDS and len(right) > 1 and left[0].isdigit():
                number, root, point, kind, source = map(_unescape, (*left[2:_FIELDS], *right[:2]))
                yield _Mount(int(left[0]), number, root, point, kind, source)

    def _update_marks(self, group: FanotifyGroup, found: Iterable[_Filesystem]) -> tuple[str, ...]:
        """Watch exactly these file systems; returns why some are not.

        All are marked again at each request, because a mark goes with its file system when that is unmounted,
        and it may have been mounted again. A mark that exists is not changed by it; each takes 40 us.
        """
        watched: dict[int, _Filesystem] = {}
        unwatched: list[str] = []
        marked = set(self._watched)
        for filesystem in found:
            try:
                fsid = _mark(group, filesystem)
            except OSError as error:
                mount = filesystem.mounts[0]
                unwatched.append(f"{_printable(mount.point)} ({mount.kind}) is not watched: {error.strerror}")
                continue
            if fsid in self._watched:
                filesystem.pending = self._watched[fsid].pending
            watched[fsid] = filesystem
        if not marked <= set(watched):
            group.unmark_all()
            for filesystem in watched.values():
                with contextlib.suppress(OSError):  # unmounted in between
                    _mark(group, filesystem)
        self._watched = watched
        return tuple(unwatched[:MAX_UNWATCHED])

    def _collect(self, standby: Iterable[DiskId]) -> Iterator[FileAccess]:
        """The pending accesses to file systems without a disk in standby, as many as fit into a response."""
        asleep, room, count = set(standby), _MAX_RESPONSE, 0
        for filesystem in self._watched.values():
            if not filesystem.pending or not asleep.isdisjoint(filesystem.disks):
                continue
            with _DirectoryPaths(filesystem.mounts) as paths:
                for key in list(filesystem.pending):
                    path = paths.path_of(key)
                    room -= len(json.dumps(path)) + _ROW
                    count += 1
                    if room < 0 or count > MAX_EVENTS:
                        return
                    number = filesystem.mounts[0].number
                    times = filesystem.pending.pop(key)
                    yield FileAccess(key.pid, path, key.operation, key.inode, number, times)


class _DirectoryPaths:
    """The paths of the directories of a file system; inside ``with`` the working directory changes.

    Args:
        mounts: of the file system.
    """

    def __init__(self, mounts: Sequence[_Mount]) -> None:
        self._mounts = mounts
        self._undo = contextlib.ExitStack()
        self._roots: dict[str, int] = {}  # a descriptor by mount point
        self._paths: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        previous = os.open(".", os.O_PATH | os.O_CLOEXEC)
        self._undo.callback(os.close, previous)
        self._undo.callback(os.fchdir, previous)
        for mount, directory in _open_mounts(self._mounts):
            self._undo.callback(os.close, directory)
            self._roots[mount.point] = directory
            if mount.root == "/":  # it shows the whole file system
                break
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def path_of(self, key: _FileKey) -> str:
        """The path of a file as seen by the machine; ``?`` stands for a directory that is unknown."""
        if key.directory not in self._paths:
            unknown = f"{self._mounts[0].point.rstrip('/')}/?"
            self._paths[key.directory] = self._directory_path(key.directory) or unknown
        directory = self._paths[key.directory]
        name = os.fsdecode(key.name)
        return _printable(directory if name == "." else f"{directory.rstrip('/')}/{name}")[:_MAX_PATH]

    def _directory_path(self, handle: bytes) -> str:
        """The path of a directory through the first mount that shows it; "" = it is deleted, or none does."""
        for point, root in self._roots.items():
            os.fchdir(root)
            try:
                descriptor = open_by_handle(handle)
            except OSError:
                break
            try:
                link = os.fspath(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(" (deleted)")
                # "/" is also the name of each directory that this mount does not show.
                if link != "/" or (point == "/" and os.path.samestat(os.fstat(descriptor), os.fstat(root))):
                    return link
            finally:
                os.close(descriptor)
        return ""


def _mark(group: FanotifyGroup, filesystem: _Filesystem) -> int:
    """Watch a file system; its fsid.

    Raises:
        OSError: it cannot be watched, or is no longer mounted.
    """
    with contextlib.ExitStack() as undo:
        opened = next(_open_mounts(filesystem.mounts), None)
        if opened is None:
            raise OSError(errno.ENOENT, "another mount covers it")
        mount, directory = opened
        undo.callback(os.close, directory)
        try:
            group.mark(directory)
        except OSError as error:
            if error.errno != errno.EXDEV or mount.kind != "btrfs":
                raise
            directory = _open_btrfs_top_level(directory)
            undo.callback(os.close, directory)
            group.mark(directory)
        return os.fstatvfs(directory).f_fsid


def _open_btrfs_top_level(subvolume: int) -> int:
    """The root of the btrfs of a subvolume; the kernel refuses a mark on others, and this is for all."""
    previous = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.fchdir(subvolume)
        return open_by_handle(fanotify.BTRFS_TOP_LEVEL)
    finally:
        os.fchdir(previous)
        os.close(previous)


def _open_mounts(mounts: Iterable[_Mount]) -> Iterator[tuple[_Mount, int]]:
    """The mounts that no other one covers, with a descriptor (O_PATH) of the root of each, for the caller."""
    for mount in mounts:
        try:
            directory = os.open(mount.point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # a file, or no longer mounted
            continue
        if f"mnt_id:\t{mount.mount_id}\n" in Path(f"/proc/self/fdinfo/{directory}").read_text():
            yield mount, directory
        else:
            os.close(directory)


def _preference(mount: _Mount) -> tuple[bool, int]:
    """The whole file system first, and the shortest path."""
    return mount.root != "/", len(mount.point)


def _source_devices(mount: _Mount) -> set[str]:
    """The names of devices of a file system that may have several: ``/dev/sda1``, ``/dev/sda:/dev/sdb``."""
    if mount.kind not in _POOLED:
        return set()
    return {Path(path).resolve().name for path in mount.source.replace(":/dev/", "\n/dev/").split("\n")}


def _operation_of(event: FileEvent) -> Operation:
    return next((operation for mask, operation in _OPERATIONS if event.mask & mask), "read")


def _unescape(text: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), text))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _refusal(error: OSError) -> RefusalError:
    reason = {
        errno.EPERM: "it lacks CAP_SYS_ADMIN; start powerd-files.socket, not the program by hand",
        errno.EINVAL: "this kernel reports no names of files; install Linux 5.9 or later",
        errno.ENOSYS: "this kernel has no fanotify; use another level of [watch]",
    }.get(error.errno or 0, f"{error.strerror}; see dmesg")
    return RefusalError(f"files cannot be watched: {reason}", FailureCause.HELPER_UNAVAILABLE)
