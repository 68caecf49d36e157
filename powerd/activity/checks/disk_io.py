"""Sustained reads and writes of disks.

What counts: any disk with hardware of its own (SATA, SAS, USB, NVMe, SSD, virtio), also one that powerd does
not spin down. It keeps the server awake while it transfers more than ``floor`` on the average of ``window``,
or has requests to complete for more than ``busy`` of that time (small synchronous writes and random reads
keep a hard disk busy at a low rate), and the same holds for the last minute: so the work ends in the poll
after its end. The disks of one array, pool or volume group are one subject. A volume (md, dm, loop, zram) is
not counted again, and not a disk of another machine (nbd, rbd), whose flow the check "traffic" sees.

A copy, a backup, a scrub of any filesystem, ZFS and LVM included, mkfs and fsck count by what they transfer.

Where the kernel does not count I/O by unit, the text names those that ``powerd wakes --busy`` shows.

What does not count: units of ``ignore`` and the background services of BACKGROUND_UNITS, if the kernel counts
I/O by unit (cgroup v2, ``IOAccounting=yes``; io.stat in https://docs.kernel.org/admin-guide/cgroup-v2.html).
Where it does, the text names the units that transfer most. Everywhere the background stays below the floor by
its rate. Measured for 48 minutes (tests/fixtures/stock_nas.txt): ext4 with Samba and an idle connection,
cron, rsyslog, journald, atop and sysstat every 10 minutes, collectd with rrdcached, the node exporter scraped
every 15 s and the JSON log of a container, a line a second: 16 kB/s in the median minute, 95 kB/s over 3
minutes at most (flushes of rrdcached), busy 0.5 % of the time at most. Computed: rrdcached with 1,000 files
of 8 kB an hour writes 8 MB at once in the worst case, 44 kB/s over 3 minutes; ten containers with a line a
second, 30 kB/s with the journal of ext4; the superblock of md 4 kB and the commit of ext4 12 kB every 5 s, 3
kB/s.

The counters are those that the source "disks" reads in each round from /sys/block/X/stat, which stays open
(https://docs.kernel.org/block/stat.html); this check reads no counter of a disk again. powerd's own writes
are a few kB a day. A disk without counters (queue/iostats is 0) keeps the server awake, because it may be in
use, unless it is in ``ignore`` or has no medium.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.activity.rates import MIN_AVERAGING_TIME, CounterRates
from powerd.config.declare import duration, integer, list_of, option
from powerd.config.disk_options import DiskPattern, parse_disk_pattern
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.core.time import Reading, Unavailable
from powerd.disks.model import Disk, DiskId, DiskTransfer
from powerd.linux.io_stat import UNIT_SUFFIXES, parse_io_stat, read_io_stats
from powerd.linux.values import HostError

BACKGROUND_UNITS: Final = frozenset(
    {
        "atop.service",
        "powerd-helper.service",
        "powerd.service",
        "rrdcached.service",
        "rsyslog.service",
        "sysstat-collect.service",
        "systemd-journald.service",
    }
)
"""Units whose I/O never counts."""
COUNTERS: Final = ("read", "written", "busy", "ignored")
"""Of each disk: the fields of DiskTransfer, and the bytes of ignored units."""
_JITTER: Final = 5.0
"""Seconds by which two polls may be closer to each other than their interval."""
_SEEN_WITHIN: Final = 900.0
"""Seconds for which an access counts as a cause of the present load; a busy disk is not traced."""
_NOTABLE_SHARE: Final = 0.2
"""Share of all bytes from which a direction or a unit is named."""


@dataclass(frozen=True, slots=True)
class Options:
    """Disks that transfer data for some minutes."""

    floor: int = option(
        256, "kB/s; reads and writes of a disk on the average of the window", integer(1, 1_000_000)
    )
    busy: int = option(
        25, "per cent of the time in which a disk has requests to complete, at any rate", integer(1, 100)
    )
    window: float = option(180.0, "time over which both are averaged", duration(60, 3600))
    ignore: tuple[DiskPattern, ...] = option(
        (),
        "disks, by name in /dev/disk/by-id, model or serial number, and systemd units with IOAccounting=yes; "
        "`*` is any text",
        list_of(parse_disk_pattern),
    )


class Load(NamedTuple):
    """Bytes/s that a disk reads and writes, and the part of the time in which it is busy."""

    read: float
    written: float
    busy: float

    @property
    def rate(self) -> float:
        """Bytes/s."""
        return self.read + self.written

    def excess(self, options: Options) -> float:
        """How many times the load is above its floor; below 1 it does not count."""
        return max(self.rate / (options.floor * 1000), self.busy * 100 / options.busy)


def load_of(disk: DiskId, rates: Mapping[tuple[DiskId, str], float]) -> Load:
    """The load of a disk without the part of the ignored units, from the rates of its COUNTERS."""
    read, written, busy, ignored = (rates.get((disk, name), 0.0) for name in COUNTERS)
    counted = max(1 - ignored / (read + written), 0.0) if read + written else 1.0
    return Load(read * counted, written * counted, min(busy, 1.0) * counted)


class DiskIoCheck:
    """Averages the counters of each disk over the window and over the last minute."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        windows = (options.window - _JITTER, MIN_AVERAGING_TIME - _JITTER)
        self._averages = [CounterRates[tuple[DiskId, str]](window) for window in windows]
        self._first_at: dict[DiskId, float] = {}
        self._unit_bytes: Mapping[str, Mapping[str, int]] = {}
        self._units_read = False
        self._ignored: dict[str, float] = {}
        self._busy_since: dict[str, float] = {}

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """The disks that transfer anything; before a sleep also those that have been polled only once.

        Raises:
            HostError: the disks cannot be read or have not been read, or a disk has lost its counters.
        """
        facts = self._ports.disks()
        if facts is None:
            if depth is PollDepth.ROUTINE:
                return ()  # in the first round both sources are polled at the same time
            raise HostError("the disks have not been polled yet")
        recent = self._read_units()
        disks = {id_: disk for id_, disk in facts.disks.items() if not self._ignores_disk(disk)}
        transfers = {id_: each for id_, each in facts.transfers.items() if id_ in disks}
        readings = {id_: each for id_, each in transfers.items() if isinstance(each, Reading)}
        self._update(disks, readings)
        rates = [each.rates() for each in self._averages]
        loads: dict[str, tuple[Disk, Load]] = {}
        unmeasured: list[Activity] = []
        for id_, reading in readings.items():
            disk = disks[id_]
            load = min((load_of(id_, each) for each in rates), key=self._excess)
            subject = disk.group or id_
            if reading.at == self._first_at[id_]:
                text = "has been polled once only, so its transfer is not known yet"
                unmeasured.append(Activity(subject, text, keeps_awake=True, since=reading.at))
            elif subject not in loads or self._excess(load) > self._excess(loads[subject][1]):
                loads[subject] = disk, load
        found = [
            self._activity(subject, disk, load, readings[disk.id].at, recent)
            for subject, (disk, load) in loads.items()
            if any(load)
        ]
        self._busy_since = {each.subject: each.since for each in found if each.since is not None}
        uncounted = [  # a disk without a medium cannot be in use
            Activity(id_, each.reason, keeps_awake=disks[id_].size > 0 or not disks[id_].removable)
            for id_, each in transfers.items()
            if isinstance(each, Unavailable)
        ]
        return (
            *found,
            *(unmeasured if depth is not PollDepth.ROUTINE else ()),
            *uncounted,
            *self._uncounted_units(),
        )

    def _uncounted_units(self) -> Iterator[Activity]:
        """The units of ``ignore`` that cannot be taken off, because their I/O is not counted."""
        for pattern in self._options.ignore:
            if str(pattern).endswith(UNIT_SUFFIXES) and not any(map(pattern.matches, self._unit_bytes)):
                text = "is to be ignored, but does not run, or its I/O is not counted; set IOAccounting=yes"
                yield Activity(str(pattern), text, keeps_awake=False)

    def _excess(self, load: Load) -> float:
        return load.excess(self._options)

    def _ignores_disk(self, disk: Disk) -> bool:
        names = (disk.id, disk.model, disk.serial, disk.group or "")
        return any(pattern.matches(*names) for pattern in self._options.ignore)

    def _ignores_unit(self, unit: str) -> bool:
        return unit in BACKGROUND_UNITS or any(pattern.matches(unit) for pattern in self._options.ignore)

    def _update(self, disks: Mapping[DiskId, Disk], readings: Mapping[DiskId, Reading[DiskTransfer]]) -> None:
        """Add the counters; those of all disks were read at the same time."""
        for id_ in self._first_at.keys() & (disks.keys() - readings.keys()):
            device = disks[id_].device
            raise HostError(
                f"the I/O counters of {device} can no longer be read; "
                f"see /sys/block/{device}/stat and queue/iostats there"
            )
        self._first_at = {id_: self._first_at.get(id_, each.at) for id_, each in readings.items()}
        counters = {
            (id_, name): value
            for id_, each in readings.items()
            for name, value in zip(
                COUNTERS, (*each.value, self._ignored.get(disks[id_].device_number, 0.0)), strict=True
            )
        }
        if readings:
            at = max(each.at for each in readings.values())
            for average in self._averages:
                average.update(at, counters)

    def _read_units(self) -> dict[str, dict[str, int]]:
        """The bytes of each unit that counts since the last poll, by device number; adds up the others."""
        before, first = self._unit_bytes, not self._units_read
        self._units_read = True
        self._unit_bytes = {
            unit: {number: each.read + each.written for number, each in parse_io_stat(text).items()}
            for unit, text in read_io_stats(self._ports.files)
        }
        recent: dict[str, dict[str, int]] = {}
        for unit, counters in self._unit_bytes.items() if not first else ():
            earlier = before.get(unit, {})
            increase = {
                number: now - then if now >= (then := earlier.get(number, 0)) else now
                for number, now in counters.items()
            }
            if not self._ignores_unit(unit):
                recent[unit] = increase
                continue
            for number, size in increase.items():
                self._ignored[number] = self._ignored.get(number, 0.0) + size
        return recent

    def _recorded_causes(self, disk: DiskId, at: float) -> str:
        """The units and processes that were seen using the disk, as _causes()."""
        seen: dict[str, dict[str, int]] = {}
        for access in self._ports.accesses():
            culprit = access.culprit
            name = culprit.unit or culprit.owner or culprit.comm
            if access.disk == disk and name and not access.own and at - access.last_at <= _SEEN_WITHIN:
                seen.setdefault(name, {})[disk] = access.size or access.count
        return _causes(seen, disk)

    def _activity(
        self, subject: str, disk: Disk, load: Load, at: float, recent: Mapping[str, Mapping[str, int]]
    ) -> Activity:
        options = self._options
        above = self._excess(load) >= 1
        by_rate = load.rate / (options.floor * 1000) >= load.busy * 100 / options.busy
        return Activity(
            subject,
            f"{disk.device} {_direction(load)}"
            + (_causes(recent, disk.device_number) or self._recorded_causes(disk.id, at)),
            keeps_awake=above,
            value=round(load.rate) if by_rate else round(load.busy * 100, 1),
            unit="B/s" if by_rate else "% busy",
            threshold=1000 * options.floor if by_rate else options.busy,
            since=self._busy_since.get(subject, at) if above else None,
        )


def _direction(load: Load) -> str:
    directions = {"read": load.read, "written": load.written}
    named = [name for name, rate in directions.items() if rate >= _NOTABLE_SHARE * load.rate]
    return f"is {' and '.join(named)}"


def _causes(recent: Mapping[str, Mapping[str, int]], number: str) -> str:
    """The units with a notable part of the I/O of units, most first."""
    sizes = {unit: size for unit, by_device in recent.items() if (size := by_device.get(number, 0))}
    notable = [unit for unit, size in sizes.items() if size >= _NOTABLE_SHARE * sum(sizes.values())]
    notable.sort(key=lambda unit: -sizes[unit])
    return f" by {_joined(notable)}" if notable else ""


def _joined(words: Iterable[str]) -> str:
    return " and ".join(words)


KIND: Final = CheckKind(
    "disk_io",
    Options,
    DiskIoCheck,
    default_on=True,
    example=Options(ignore=tuple(map(parse_disk_pattern, ("smbd.service", "ata-*BACKUP*")))),
)
