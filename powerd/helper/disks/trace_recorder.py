"""Records accesses to disks in tracefs instances that outlive the helper, and reads them on request.

Documentation/trace/ftrace.rst, "Instances". The kernel records without any program that waits, so an idle
disk costs nothing. Three instances of fixed names:

powerd-disks       accesses: I/O, commands past the block layer, write-back, sync(2)
powerd-changes     what makes data dirty and journals necessary; apart, because copying a file fires thousands
                   of them, which would leave no space for the I/O
powerd-processes   forks, names, and moves between control groups

The first two keep the first events, and record no more when they are full: a busy disk costs little, and the
event that started it is recorded. Reading empties them. The third is not emptied, because a process may have
been forked long before its write; it keeps the last events.

After each reading markers are written into the first (``trace_marker``): the time since which the present
disks are traced, and their names. So a later helper knows the disks of what was recorded until a request
leaves one out, and notices that another program has emptied the instance, or that the machine was restarted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from powerd.attribution.model import TraceReading
from powerd.core.dataclass import dataclass
from powerd.disks.model import ByIdName, DiskId
from powerd.helper.disks.device import (
    DiskDevice,
    backing_device_names,
    block_device_dirs,
    btrfs_dirs,
    find_disk,
    read_attribute,
)
from powerd.helper.disks.trace_events import (
    ACCESS_EVENTS,
    CHANGE_EVENTS,
    OTHER,
    EventType,
    TraceLine,
    event_filters,
    parse_event,
    parse_lines,
)
from powerd.helper.disks.trace_processes import (
    PROCESS_EVENTS,
    ProcessTable,
    fitting_rows,
    parse_process_log,
    read_control_groups,
)
from powerd.helper.disks.tracefs import TraceInstance
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.codec import MAX_RESPONSE, encode_response
from powerd.helper.protocol.messages import ReadTrace, StopTrace, TraceRequest

_MAX_FILTER: Final = 4000  # characters; the kernel takes less than a page
_MAX_READ: Final = 4 << 20  # bytes of a pipe; what a busy disk adds meanwhile stays for the next time
_READ_SIZE: Final = 1 << 16
_LOST_BYTES: Final = 20  # of the number of lost events, in a response
_LOST: Final = re.compile(r"^(?:overrun|commit overrun|dropped events): ([0-9]+)$", re.MULTILINE)
_OVERWRITTEN: Final = re.compile(r"^overrun: [1-9](?:.*\n)+oldest event ts: +([0-9.]+)$", re.MULTILINE)
_SINCE: Final = "powerd traces since "
_DISK: Final = "powerd traces disk "
_DEVICE_CONDITION: Final = re.compile(r'name == "([^"]*)"|dev == ([0-9]+)|dev >= ([0-9]+) && dev <= ([0-9]+)')
_SECONDS: Final = re.compile(r"[0-9]{1,12}\.[0-9]{6}")
_LOCKED: Final = re.compile(r"\[(confidentiality)\]")


class _Buffer(NamedTuple):
    """The settings of an instance: its name, kB per processor, and whether new events replace old ones."""

    name: str
    kilobytes: int
    overwrite: str


_ACCESSES: Final = _Buffer("powerd-disks", 64, "0")
_CHANGES: Final = _Buffer("powerd-changes", 64, "0")
_PROCESSES: Final = _Buffer("powerd-processes", 128, "1")
_BUFFERS: Final = (_ACCESSES, _CHANGES, _PROCESSES)
INSTANCE_NAMES: Final = tuple(buffer.name for buffer in _BUFFERS)
"""Of the directories below tracefs's ``instances``; powerd.service removes them when the daemon stops."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The content of the instances, and the number of events that did not fit."""

    lines: list[TraceLine]
    lost: int

    @property
    def since(self) -> float | None:
        """The time in the markers; None = there is none."""
        return next((float(text) for text in self._marked(_SINCE) if _SECONDS.fullmatch(text)), None)

    @property
    def disks(self) -> set[str]:
        """The disks that were traced, by the markers."""
        return set(self._marked(_DISK))

    def _marked(self, prefix: str) -> Iterator[str]:
        for line in self.lines:
            if line.event == "tracing_mark_write" and line.details.startswith(prefix):
                yield line.details.removeprefix(prefix)


class _ProcessTrace(NamedTuple):
    """The text of the log of processes, and CLOCK_MONOTONIC since which no processor has overwritten any."""

    text: str
    complete_since: float = 0.0


@dataclass(frozen=True, slots=True)
class _TracedDevices:
    """What is traced.

    Attributes:
        numbers: of the disks, their partitions, and what is built on them.
        backing: the names of backing devices.
        btrfs: the backing device of each btrfs, by UUID.
        filesystems: the types of those on the disks.
        disks: below each device, by ``8:17`` or the name of the backing device.
    """

    numbers: frozenset[tuple[int, int]]
    backing: frozenset[str]
    btrfs: Mapping[str, str]
    filesystems: frozenset[str]
    disks: Mapping[str, tuple[ByIdName, ...]]


def execute(request: TraceRequest, root: Path, *, allow_loops: bool = False) -> TraceReading:
    """Execute ``request``.

    Args:
        request: the request.
        root: the directory that paths start at.
        allow_loops: loop devices count as disks; for tests.

    Raises:
        RefusalError: the kernel does not trace.
    """
    match request:
        case ReadTrace():
            return read_trace(request.disks, root, allow_loops=allow_loops)
        case StopTrace():
            return stop_trace(root, allow_loops=allow_loops)


def read_trace(names: Sequence[str], root: Path, *, allow_loops: bool = False) -> TraceReading:
    """What was recorded since the last call; from now on exactly these disks are traced.

    Args:
        names: of disks, in /dev/disk/by-id; those that do not exist are left out.
        root: as in execute().
        allow_loops: as in execute().

    Raises:
        RefusalError: the kernel does not trace.
    """
    disks = _find_disks(names, root, allow_loops=allow_loops)
    if not disks:
        return stop_trace(root, allow_loops=allow_loops)
    devices = _traced_devices(disks, root)
    try:
        accesses, changes, processes = (_open_instance(buffer, root) for buffer in _BUFFERS)
        found = _drain(accesses, changes)
        extended = _set_events(accesses, ACCESS_EVENTS, devices)
        _set_events(changes, CHANGE_EVENTS, devices)
        _enable(processes, PROCESS_EVENTS)
        since = None if extended else found.since
        if since is None:
            since = round(time.monotonic(), 6)
        accesses.write("trace_marker", f"{_SINCE}{since:.6f}\n")
        for disk in disks:
            accesses.write("trace_marker", f"{_DISK}{disk.name}\n")
        log = _read_log(processes) if found.lines else _ProcessTrace("")
    except OSError as error:
        raise RefusalError(_refusal_text(error, root)) from None
    left_out = _find_disks(sorted(found.disks - {disk.name for disk in disks}), root, allow_loops=allow_loops)
    return _make_reading(found, since, _traced_devices([*disks, *left_out], root), log, root)


def stop_trace(root: Path, *, allow_loops: bool = False) -> TraceReading:
    """Stop tracing, and remove the instances; what they still held.

    Raises:
        RefusalError: one of them is in use.
    """
    found, log = _Recorded([], 0), _ProcessTrace("")
    try:
        accesses, changes, processes = (TraceInstance(root, buffer.name) for buffer in _BUFFERS)
        if all(instance.path.is_dir() for instance in (accesses, changes, processes)):
            found, log = _drain(accesses, changes), _read_log(processes)
        for instance in (accesses, changes, processes):
            _remove(instance)
    except OSError as error:
        if error.errno is not None:  # otherwise there is no tracefs, so nothing to stop
            raise RefusalError(_refusal_text(error, root)) from None
    disks = _find_disks(sorted(found.disks), root, allow_loops=allow_loops)
    return _make_reading(found, found.since or 0.0, _traced_devices(disks, root), log, root)


def _find_disks(names: Iterable[str], root: Path, *, allow_loops: bool) -> list[DiskDevice]:
    """The disks that exist."""
    disks = []
    for name in names:
        with contextlib.suppress(RefusalError):  # unplugged; the others are traced
            disks.append(find_disk(root, name, allow_loops=allow_loops))
    return disks


def _traced_devices(disks: Iterable[DiskDevice], root: Path) -> _TracedDevices:
    numbers, btrfs = set[tuple[int, int]](), dict[str, str]()
    below: dict[str, list[ByIdName]] = {}
    backing, filesystems = set[str](), set[str]()
    for disk in disks:
        directories = block_device_dirs(disk)
        keys = {read_attribute(path / "dev") for path in directories} - {""}
        numbers |= {(int(major), int(minor)) for major, _, minor in (key.partition(":") for key in keys)}
        names = backing_device_names(disk, root)
        backing |= names
        for filesystem in btrfs_dirs((path.name for path in directories), root):
            btrfs[filesystem.name] = (filesystem / "bdi").resolve().name
        kinds = {
            kind
            for kind in ("ext4", "xfs")  # which have a directory for each mounted device
            if any((root / "sys/fs" / kind / path.name).is_dir() for path in directories)
        }
        filesystems |= kinds | ({"btrfs"} if names & set(btrfs.values()) else set()) or {OTHER}
        for key in keys | names:
            below.setdefault(key, []).append(DiskId(disk.name))
    return _TracedDevices(
        frozenset(numbers),
        frozenset(backing),
        btrfs,
        frozenset(filesystems),
        {key: tuple(dict.fromkeys(below[key])) for key in sorted(below)},
    )


def _open_instance(buffer: _Buffer, root: Path) -> TraceInstance:
    """The instance with these settings; one that is odd is replaced."""
    instance = TraceInstance(root, buffer.name)
    if instance.path.is_dir():
        if (
            "[mono]" in instance.read("trace_clock")
            and instance.read("options/overwrite") == buffer.overwrite
            and instance.read("tracing_on") == "1"
        ):
            return instance
        _remove(instance)
    instance.path.mkdir()
    instance.write("trace_clock", "mono")
    instance.write("options/overwrite", buffer.overwrite)
    instance.write("buffer_size_kb", str(buffer.kilobytes))
    return instance


def _remove(instance: TraceInstance) -> None:
    try:
        instance.path.rmdir()  # also disables its events
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENODEV}:  # removed already, or just now
            raise


def _drain(*instances: TraceInstance) -> _Recorded:
    """The recorded events, which are removed."""
    lines, lost = list[TraceLine](), 0
    for instance in instances:
        lines += parse_lines(_read_pipe(instance).decode("utf-8", "replace"))
        statistics = (path.read_text() for path in instance.path.glob("per_cpu/cpu*/stats"))
        count = sum(int(count) for text in statistics for count in _LOST.findall(text))
        if count:
            instance.write("trace", "")  # which also resets the counts
        lost += count
    return _Recorded(lines, lost)


def _read_pipe(instance: TraceInstance) -> bytes:
    data = bytearray()
    pipe = instance.open_pipe()
    try:
        with contextlib.suppress(BlockingIOError):
            while len(data) < _MAX_READ and (chunk := os.read(pipe, _READ_SIZE)):
                data += chunk
    finally:
        os.close(pipe)
    return bytes(data)


def _set_events(instance: TraceInstance, types: Mapping[str, EventType], devices: _TracedDevices) -> bool:
    """Record exactly these devices.

    Returns:
        A device is recorded that was not before.
    """
    filters = event_filters(types, devices.numbers, devices.backing, devices.filesystems)
    if max(map(len, filters.values())) > _MAX_FILTER:
        raise OSError(errno.E2BIG, f"{len(devices.numbers)} devices are too many for a filter")
    recorded, extended = [], False
    for event in instance.supported(filters):
        present, wanted = instance.read(f"events/{event}/filter"), filters[event] or "none"
        if present != wanted:
            try:
                instance.write(f"events/{event}/filter", filters[event] or "0")
            except OSError as error:
                if error.errno == errno.EINVAL:  # a kernel without one of the fields
                    continue
                raise
            extended = extended or not _devices_of(wanted) <= _devices_of(present)
        recorded.append(event)
    if not recorded:
        raise OSError(errno.ENOTSUP, "this kernel has none of the events")
    _enable(instance, recorded)
    return extended


def _devices_of(event_filter: str) -> set[str | int]:
    """The device numbers and names that a filter of event_filters() accepts."""
    devices = set[str | int]()
    for name, number, low, high in _DEVICE_CONDITION.findall(event_filter):
        devices |= {name} if name else set(range(int(low or number), int(high or number) + 1))
    return devices


def _enable(instance: TraceInstance, events: Iterable[str]) -> None:
    """Enable exactly ``events``."""
    enabled = {line.replace(":", "/") for line in instance.read("set_event").split()}
    wanted = set(events)
    for event in sorted(enabled ^ wanted):
        instance.write(f"events/{event}/enable", "1" if event in wanted else "0")


def _read_log(instance: TraceInstance) -> _ProcessTrace:
    text = instance.read("trace")
    statistics = (path.read_text() for path in instance.path.glob("per_cpu/cpu*/stats"))
    oldest = (float(at) for text in statistics for at in _OVERWRITTEN.findall(text))
    return _ProcessTrace(text, max(oldest, default=0.0))


def _make_reading(
    found: _Recorded, since: float, devices: _TracedDevices, log: _ProcessTrace, root: Path
) -> TraceReading:
    """The events on these devices, and the processes that they name."""
    reading = TraceReading(devices=devices.disks, since=since, lost=found.lost)
    parsed = (parse_event(line, devices.btrfs) for line in found.lines)
    events = [event for event in parsed if event is not None and event.device in devices.disks]
    if not events:
        return reading
    space = MAX_RESPONSE - len(encode_response(reading)) - _LOST_BYTES
    table = ProcessTable(
        parse_process_log(parse_lines(log.text), log.complete_since), read_control_groups(root)
    )
    rows = fitting_rows(events, table, space)
    return replace(reading, events=rows.events, processes=rows.processes, lost=found.lost + rows.lost)


def _refusal_text(error: OSError, root: Path) -> str:
    """Why the kernel does not trace, and the remedy."""
    where = "/sys/kernel/tracing"
    if _LOCKED.search(read_attribute(root / "sys/kernel/security/lockdown")):
        return "disks cannot be traced: the kernel is locked down (confidentiality); boot without it"
    match error.errno:
        case None:
            return f"disks cannot be traced: tracefs is not mounted; mount -t tracefs nodev {where}"
        case errno.EROFS:
            return f"disks cannot be traced: {where}/instances is read-only; see ReadWritePaths= in the unit"
        case errno.EBUSY:
            return f"disks cannot be traced: another program reads the trace in {where}/instances; end it"
        case errno.EACCES | errno.EPERM:
            return f"disks cannot be traced: {where} permits no access; run the helper as root"
    return f"disks cannot be traced: {error.strerror or error}; see {where}/README and dmesg"
