"""A private tracefs instance that tells, at the very moment, what the kernel does with a disk.

Documentation/trace/ftrace.rst, "Instances", and events.rst, "Event filtering". The event block_rq_issue
carries the whole disk's number, whatever partition is meant, in the kernel's own coding (major << 20 |
minor), and comes when the request leaves for the driver, long before a sleeping disk has answered it.
Commands past the file systems, such as hdparm's, have no sectors in it, and neither has a flush. The events
writeback_dirty_* carry the name of the backing device, and come when data begin to wait.

An instance cannot be removed as long as its pipe is open. It outlives whoever made it, so its name tells the
process, and the instances of processes that are gone are removed when a new one is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Final, Self

TRACEFS_DIRECTORIES: Final = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
"""Where tracefs is mounted, or shows itself within debugfs."""
_PREFIX: Final = "powerd-guard"
_ISSUE_EVENT: Final = "block/block_rq_issue"
_ISSUE_LINE: Final = re.compile(rb"\bblock_rq_issue: ([0-9]+),([0-9]+) ")
_DIRTY_EVENTS: Final = (  # the last two are one, before Linux 5.18 and since
    "writeback/writeback_dirty_inode",
    "writeback/writeback_dirty_page",
    "writeback/writeback_dirty_folio",
)
_BUFFER_KB: Final = 8  # for each processor; the first event is all that matters
_READ_SIZE: Final = 1 << 16
_instance_numbers = count()


class TracefsUnavailableError(Exception):
    """tracefs is not to be had here; the text says why."""


class Trace:
    """What happens from ``with`` on.

    Args:
        root: where paths begin.
        events: a filter for each; those that this kernel does not have are left out.

    Raises:
        NoTraceError: at ``with``.
    """

    def __init__(self, root: Path, events: Mapping[str, str]) -> None:
        self._root = root
        self._events = events
        self._pipe = -1
        self._instance = root

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self.__exit__()
            raise TracefsUnavailableError(f"tracefs is not to be had: {error.strerror or error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._instance != self._root:
            with contextlib.suppress(OSError):
                self._write("events/enable", "0")
            with contextlib.suppress(OSError):
                self._instance.rmdir()

    async def wait(self, seconds: float | None, matches: Callable[[bytes], bool]) -> bytes:
        """Wait, without a wake-up, until the kernel tells what is waited for.

        Args:
            seconds: for how long; None = for ever.
            matches: whether it is among the events just told, a line for each; what does not fit is
                forgotten.

        Returns:
            The events that fit; b"" = none did in time.
        """
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()

        def on_readable() -> None:
            told = self._read_events()
            if matches(told) and not found.done():
                found.set_result(told)

        loop.add_reader(self._pipe, on_readable)
        try:
            await asyncio.wait({found}, timeout=seconds)
            return found.result() if found.done() else b""
        finally:
            loop.remove_reader(self._pipe)

    def _read_events(self) -> bytes:
        """What has been told since the last call."""
        events = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _READ_SIZE):
                events += chunk
        return events

    def _open(self) -> None:
        instances = _instances(self._root)
        remove_stale(instances)
        instance = instances / f"{_PREFIX}-{os.getpid()}-{next(_instance_numbers)}"
        instance.mkdir()
        self._instance = instance
        self._write("buffer_size_kb", str(_BUFFER_KB))
        with contextlib.suppress(OSError):  # not before Linux 5.0
            self._write("buffer_percent", "0")
        supported = [event for event in self._events if (instance / "events" / event).is_dir()]
        if not supported:
            raise OSError("this kernel has none of the events")
        for event in supported:
            self._write(f"events/{event}/filter", self._events[event])
        self._pipe = os.open(instance / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        for event in supported:
            self._write(f"events/{event}/enable", "1")

    def _write(self, file: str, text: str) -> None:
        descriptor = os.open(self._instance / file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def request_filter(numbers: Iterable[tuple[int, int]]) -> dict[str, str]:
    """The event of a request to disks, by their numbers."""
    devices = " || ".join(f"dev == {major << 20 | minor}" for major, minor in sorted(numbers))
    return {_ISSUE_EVENT: f"({devices}) && nr_sector > 0"}


def requested_disks(events: bytes) -> set[tuple[int, int]]:
    """The numbers of the disks that requests went to."""
    return {(int(major), int(minor)) for major, minor in _ISSUE_LINE.findall(events)}


def dirty_filter(names: Collection[str]) -> dict[str, str]:
    """The events of data that begin to wait for backing devices, by their names."""
    return dict.fromkeys(_DIRTY_EVENTS, " || ".join(f'name == "{name}"' for name in sorted(names)))


def remove_stale(instances: Path) -> None:
    """Remove what helpers left behind that were killed."""
    for path in instances.glob(f"{_PREFIX}-*-*"):
        pid = path.name.split("-")[2]
        if pid.isdigit() and not _is_alive(int(pid)):
            with contextlib.suppress(OSError):
                path.rmdir()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no process at all, and then not ours to judge
    return True


def _instances(root: Path) -> Path:
    for directory in TRACEFS_DIRECTORIES:
        path = root / directory / "instances"
        if path.is_dir():
            return path
    raise OSError("it is not mounted on /sys/kernel/tracing")
