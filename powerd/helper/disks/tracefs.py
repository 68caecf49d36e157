"""A private tracefs instance that reports the kernel's work on a disk at once.

Documentation/trace/ftrace.rst, "Instances", and events.rst, "Event filtering". The event block_rq_issue has
the number of the whole disk, for each of its partitions, in the kernel's own encoding (major << 20 |
minor). It comes when a request is sent to the driver, long before a disk in standby responds. Passthrough
commands, such as hdparm's, and flushes have no sectors in it. The events writeback_dirty_* have the name of
the backing device, and come when data becomes dirty.

An instance cannot be removed while its pipe is open, and it outlives its process. So its name has the
process id, and the instances of dead processes are removed when a new one is made.
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
"""The mount points of tracefs, also within debugfs."""
_PREFIX: Final = "powerd-guard"
_ISSUE_EVENT: Final = "block/block_rq_issue"
_ISSUE_LINE: Final = re.compile(rb"\bblock_rq_issue: ([0-9]+),([0-9]+) ")
_DIRTY_EVENTS: Final = (  # the last two are one event, before and since Linux 5.18
    "writeback/writeback_dirty_inode",
    "writeback/writeback_dirty_page",
    "writeback/writeback_dirty_folio",
)
_BUFFER_KB: Final = 8  # per processor; only the first event matters
_READ_SIZE: Final = 1 << 16
_instance_numbers = count()


class TracefsUnavailableError(Exception):
    """tracefs is not available; the text gives the reason."""


class TraceInstance:
    """A directory below ``instances``: a buffer with filters of its own.

    Args:
        root: the directory that paths start at.
        name: of the directory, which may not exist yet.

    Raises:
        OSError: tracefs is not mounted; and in all methods.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.path = instances_directory(root) / name

    def read(self, file: str) -> str:
        """The text of a file, stripped."""
        return (self.path / file).read_bytes().decode("utf-8", "replace").strip()

    def write(self, file: str, text: str) -> None:
        """Write a file at once; "" = only truncate it."""
        descriptor = os.open(self.path / file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            if text:
                os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def supported(self, events: Iterable[str]) -> list[str]:
        """Those of ``events`` that this kernel has."""
        return [event for event in events if (self.path / "events" / event).is_dir()]

    def open_pipe(self) -> int:
        """A descriptor that reads and removes events without blocking; there can be only one."""
        return os.open(self.path / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


class Trace:
    """The events of the kernel from ``with`` on.

    Args:
        root: the directory that paths start at.
        events: a filter per event; events that this kernel does not have are ignored.

    Raises:
        TracefsUnavailableError: at ``with``.
    """

    def __init__(self, root: Path, events: Mapping[str, str]) -> None:
        self._root = root
        self._events = events
        self._pipe = -1
        self._instance: TraceInstance | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self.__exit__()
            raise TracefsUnavailableError(f"tracefs is unavailable: {error.strerror or error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._instance is not None:
            with contextlib.suppress(OSError):
                self._instance.write("events/enable", "0")
            with contextlib.suppress(OSError):
                self._instance.path.rmdir()

    async def wait(self, seconds: float | None, matches: Callable[[bytes], bool]) -> bytes:
        """Wait for events, without a wake-up in between.

        Args:
            seconds: the time limit; None = none.
            matches: whether the new events, one per line, contain the expected one; others are discarded.

        Returns:
            The events that match; b"" = none came in time.
        """
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()

        def on_readable() -> None:
            events = self._read_events()
            if matches(events) and not found.done():
                found.set_result(events)

        loop.add_reader(self._pipe, on_readable)
        try:
            await asyncio.wait({found}, timeout=seconds)
            return found.result() if found.done() else b""
        finally:
            loop.remove_reader(self._pipe)

    def _read_events(self) -> bytes:
        """The events since the last call."""
        events = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _READ_SIZE):
                events += chunk
        return events

    def _open(self) -> None:
        remove_stale(instances_directory(self._root))
        instance = TraceInstance(self._root, f"{_PREFIX}-{os.getpid()}-{next(_instance_numbers)}")
        instance.path.mkdir()
        self._instance = instance
        instance.write("buffer_size_kb", str(_BUFFER_KB))
        with contextlib.suppress(OSError):  # since Linux 5.0
            instance.write("buffer_percent", "0")
        supported = instance.supported(self._events)
        if not supported:
            raise OSError("this kernel has none of the events")
        for event in supported:
            instance.write(f"events/{event}/filter", self._events[event])
        self._pipe = instance.open_pipe()
        for event in supported:
            instance.write(f"events/{event}/enable", "1")


def request_filter(numbers: Iterable[tuple[int, int]]) -> dict[str, str]:
    """The event of requests to these disks."""
    devices = " || ".join(f"dev == {major << 20 | minor}" for major, minor in sorted(numbers))
    return {_ISSUE_EVENT: f"({devices}) && nr_sector > 0"}


def requested_disks(events: bytes) -> set[tuple[int, int]]:
    """The disks that requests were sent to."""
    return {(int(major), int(minor)) for major, minor in _ISSUE_LINE.findall(events)}


def dirty_filter(names: Collection[str]) -> dict[str, str]:
    """The events of data that becomes dirty on these backing devices."""
    return dict.fromkeys(_DIRTY_EVENTS, " || ".join(f'name == "{name}"' for name in sorted(names)))


def remove_stale(instances: Path) -> None:
    """Remove the instances of helpers that were killed."""
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
        return True  # another user's process, or an impossible id: leave the instance
    return True


def instances_directory(root: Path) -> Path:
    """The directory of all instances.

    Raises:
        OSError: tracefs is not mounted.
    """
    for directory in TRACEFS_DIRECTORIES:
        path = root / directory / "instances"
        if path.is_dir():
            return path
    raise OSError("it is not mounted on /sys/kernel/tracing")
