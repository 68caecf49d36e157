"""A private tracefs instance that tells, at the very moment, that a request goes to a disk.

Documentation/trace/ftrace.rst, "Instances", and events.rst, "Event filtering". The event block_rq_issue
carries the whole disk's number, whatever partition is meant, in the kernel's own coding (major << 20 |
minor), and comes when the request leaves for the driver, long before a sleeping disk has answered it.
Commands past the file systems, such as hdparm's, have no sectors in it, and neither has a flush.

An instance cannot be removed as long as its pipe is open. It outlives whoever made it, so its name tells the
process, and the instances of processes that are gone are removed when a new one is made.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Final, Self

from powerd.helper.disks import Disk

PLACES: Final = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
"""Where tracefs is mounted, or shows itself within debugfs."""
_PREFIX: Final = "powerd-guard"
_EVENT: Final = "events/block/block_rq_issue"
_ISSUED: Final = re.compile(rb"\bblock_rq_issue: ([0-9]+),([0-9]+) ")
_BUFFER_KB: Final = 8  # for each processor; the first event is all that matters
_PIECE: Final = 1 << 16
_numbers = count()


class NoTraceError(Exception):
    """tracefs is not to be had here; the text says why."""


class Trace:
    """Requests to ``disks``, from ``with`` on.

    Args:
        root: where paths begin.
        disks: to be watched.

    Raises:
        NoTraceError: at ``with``.
    """

    def __init__(self, root: Path, disks: Collection[Disk]) -> None:
        self._root = root
        self._numbers = {disk.number for disk in disks}
        self._pipe = -1
        self._instance = root

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self.__exit__()
            raise NoTraceError(f"tracefs is not to be had: {error.strerror or error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._instance != self._root:
            with contextlib.suppress(OSError):
                self._write(f"{_EVENT}/enable", "0")
            with contextlib.suppress(OSError):
                self._instance.rmdir()

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to be told."""
        return self._pipe

    def seen(self) -> set[tuple[int, int]]:
        """The numbers of the disks that requests went to since the last call."""
        found: set[tuple[int, int]] = set()
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._pipe, _PIECE):
                found |= {(int(major), int(minor)) for major, minor in _ISSUED.findall(piece)}
        return found & self._numbers

    def _open(self) -> None:
        instances = _instances(self._root)
        remove_stale(instances)
        instance = instances / f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        instance.mkdir()
        self._instance = instance
        self._write("buffer_size_kb", str(_BUFFER_KB))
        with contextlib.suppress(OSError):  # not before Linux 5.0
            self._write("buffer_percent", "0")
        self._write(f"{_EVENT}/filter", _filter(self._numbers))
        self._pipe = os.open(instance / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._write(f"{_EVENT}/enable", "1")

    def _write(self, file: str, text: str) -> None:
        descriptor = os.open(self._instance / file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def remove_stale(instances: Path) -> None:
    """Remove what helpers left behind that were killed."""
    for path in instances.glob(f"{_PREFIX}-*-*"):
        pid = path.name.split("-")[2]
        if pid.isdigit() and not _lives(int(pid)):
            with contextlib.suppress(OSError):
                path.rmdir()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no process at all, and then not ours to judge
    return True


def _instances(root: Path) -> Path:
    for place in PLACES:
        path = root / place / "instances"
        if path.is_dir():
            return path
    raise OSError("it is not mounted on /sys/kernel/tracing")


def _filter(numbers: Collection[tuple[int, int]]) -> str:
    devices = " || ".join(f"dev == {major << 20 | minor}" for major, minor in sorted(numbers))
    return f"({devices}) && nr_sector > 0"
