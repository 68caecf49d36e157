"""fanotify(7) by ctypes: the accesses of all processes to whole file systems, with process id and name.

Each event has information records (linux/fanotify.h): DFID_NAME, the directory and the name in it, and FID,
the file itself. Both are file handles (open_by_handle_at(2)), because an open file would keep the file
system mounted. The kernel encodes and merges them in memory; neither a mark nor an event reads the disk.

Importing ctypes takes 0.3 MB and 2 ms.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_CLOEXEC, _NONBLOCK = 0x1, 0x2
_REPORT_FID, _REPORT_DIR_FID, _REPORT_NAME = 0x200, 0x400, 0x800  # the last two since Linux 5.9
_REPORT_TARGET_FID: Final = 0x1000  # the file that was created, deleted or renamed; since Linux 5.17
_ADD, _FLUSH, _FILESYSTEM = 0x1, 0x80, 0x100

ACCESS, MODIFY, ATTRIB, CLOSE_WRITE, OPEN = 0x1, 0x2, 0x4, 0x8, 0x20
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
Q_OVERFLOW: Final = 0x4000
_ON_DIRECTORIES: Final = 0x40000000
_MASK: Final = (
    ACCESS | MODIFY | ATTRIB | CLOSE_WRITE | OPEN
    | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ON_DIRECTORIES
)  # fmt: skip

_EVENT: Final = struct.Struct("=IBxHQii")  # length, version, length of this, mask, descriptor, process
_VERSION: Final = 3
_RECORD: Final = struct.Struct("=BxHQIi")  # type, length, file system; then the handle: its length and type
_HANDLE: Final = struct.Struct("=Ii")
_FID, _DFID_NAME, _DFID = 1, 2, 3
_READ_SIZE: Final = 1 << 17
_MAX_READS: Final = 32
"""Reads in one call: 4 MB, twice the size of the queue, so that a storm of events does not delay it."""
_AT_FDCWD: Final = -100

_INODE_AT_START: Final = {
    # Type of a handle (linux/exportfs.h, enum fid_type): the inode number that it starts with.
    **dict.fromkeys((0x01, 0x02), struct.Struct("=I")),
    **dict.fromkeys((0x81, 0x82), struct.Struct("=Q")),  # 64-bit inodes, also of XFS
    **dict.fromkeys((0x4D, 0x4E, 0x4F), struct.Struct("=Q")),  # btrfs: number within the subvolume
}
BTRFS_TOP_LEVEL: Final = _HANDLE.pack(20, 0x4D) + struct.pack("=QQI", 256, 5, 0)
"""The handle of the root directory of the top-level subvolume of any btrfs (fs/btrfs/export.h): inode 256 of
tree 5; generation 0 matches every one. It is in memory as long as any subvolume is mounted."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class FileEvent(NamedTuple):
    """One event.

    Attributes:
        fsid: of the file system, as statvfs(3) has it; 0 of an event without a file system.
        mask: what happened.
        pid: of the process.
        directory: the handle of the directory; b"" = unknown.
        name: within the directory; ``.`` is the directory itself; b"" = unknown.
        inode: of the file; 0 = unknown.
    """

    fsid: int
    mask: int
    pid: int
    directory: bytes
    name: bytes
    inode: int


class FanotifyGroup:
    """A queue of events; when it has fs.fanotify.max_queued_events (16,384) the kernel drops the newest.

    Raises:
        OSError: the kernel refuses it: EPERM without CAP_SYS_ADMIN, EINVAL before Linux 5.9.
    """

    def __init__(self) -> None:
        flags = _CLOEXEC | _NONBLOCK | _REPORT_FID | _REPORT_DIR_FID | _REPORT_NAME
        try:
            self._descriptor = _call("fanotify_init", flags | _REPORT_TARGET_FID, os.O_RDONLY)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._descriptor = _call("fanotify_init", flags, os.O_RDONLY)

    def close(self) -> None:
        """End the group, its marks and its events."""
        os.close(self._descriptor)

    def mark(self, directory: int) -> None:
        """Watch the whole file system that a directory is on; it can still be unmounted.

        Args:
            directory: a descriptor, also one of O_PATH.

        Raises:
            OSError: its file system cannot be watched.
        """
        self._mark(_ADD | _FILESYSTEM, directory)

    def unmark_all(self) -> None:
        """Stop watching all file systems; queued events stay."""
        self._mark(_FLUSH | _FILESYSTEM, _AT_FDCWD)

    def _mark(self, flags: int, directory: int) -> None:
        _call("fanotify_mark", self._descriptor, flags, ctypes.c_uint64(_MASK), directory, b".")

    def read(self) -> Iterator[FileEvent]:
        """The events in the queue; an event of mask Q_OVERFLOW stands for those that did not fit."""
        for _ in range(_MAX_READS):
            try:
                data = os.read(self._descriptor, _READ_SIZE)
            except BlockingIOError:
                return
            yield from parse_events(data)


def parse_events(data: bytes) -> Iterator[FileEvent]:
    """The events of one read of the descriptor."""
    start = 0
    while start + _EVENT.size <= len(data):
        length, version, header, mask, _, pid = _EVENT.unpack_from(data, start)
        if version != _VERSION or length < _EVENT.size:
            return
        fsid, inode, directory, name = 0, 0, b"", b""
        at, end = start + header, min(start + length, len(data))
        while at + _RECORD.size <= end:
            kind, size, record_fsid, handle_size, _ = _RECORD.unpack_from(data, at)
            handle_end = at + _RECORD.size + handle_size
            handle = data[at + _RECORD.size - _HANDLE.size : handle_end]
            fsid = fsid or record_fsid
            if kind in {_DFID_NAME, _DFID}:
                directory = handle
                name = data[handle_end : at + size].partition(b"\0")[0] or b"."
            if kind == _FID or name == b".":
                inode = _inode_of(handle)
            at += max(size, _RECORD.size)
        yield FileEvent(fsid, mask, pid, directory, name, inode)
        start += length


def _inode_of(handle: bytes) -> int:
    """The number of the inode that a handle is of; 0 = unknown."""
    _, kind = _HANDLE.unpack_from(handle)
    number = _INODE_AT_START.get(kind)
    if number is None or len(handle) < _HANDLE.size + number.size:
        return 0
    return int(number.unpack_from(handle, _HANDLE.size)[0])


def open_by_handle(handle: bytes) -> int:
    """A descriptor (O_PATH) of a file of the file system that the working directory is on.

    The kernel does not accept an O_PATH descriptor of the file system, and opening a directory in any other
    way may read it. A file whose inode is not in memory is read from the disk.

    Raises:
        OSError: the file no longer exists (ESTALE).
    """
    return _call(
        "open_by_handle_at",
        _AT_FDCWD,
        ctypes.create_string_buffer(handle, len(handle)),
        os.O_PATH | os.O_CLOEXEC,
    )


def _call(name: str, *arguments: object) -> int:
    """The result of a function of libc.

    Raises:
        OSError: it has failed.
    """
    try:
        result: int = getattr(_libc, name)(*arguments)
    except AttributeError:  # libc does not have it
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
