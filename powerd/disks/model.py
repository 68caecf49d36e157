"""The values of the domain: disks, their activity, the actions for one disk, and their results."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, NewType, TypeAlias

from powerd.core.actions import Action, RequestRefusedError
from powerd.core.codec import DISTINCT, length, pattern, span
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import SourceId
from powerd.core.time import Reading, Unavailable

DISKS: Final = SourceId("disks")
"""The source of DiskFacts."""
DiskId = NewType("DiskId", str)
"""A disk's name below /dev/disk/by-id, which udev makes of model and serial number; only an excluded disk
that has no such name goes by the kernel's, ``loop0``."""
BY_ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,127}"
"""A regular expression that matches every name below /dev/disk/by-id that udev makes for hardware."""

ByIdName: TypeAlias = Annotated[
    DiskId, pattern(BY_ID_PATTERN, "a disk's name in /dev/disk/by-id of 1 to 128 characters")
]
"""The name of a disk in a request to the helper."""

CommandCount: TypeAlias = Annotated[int, span(0, 99)]
"""Commands sent to a drive past the block layer; Linux before 5.18 counts them as reads."""


def find_disk(disks: Iterable[Disk], name: str) -> Disk | None:
    """The disk with this id, kernel name or serial number; None = there is none.

    An id is unique, so it takes precedence over kernel names and serial numbers.

    Raises:
        RequestRefusedError: several disks match; some USB bridges give all of theirs one serial number.
    """
    candidates = tuple(disks)
    matches = [disk for disk in candidates if disk.id == name]
    if name and not matches:
        matches = [disk for disk in candidates if name in {disk.device, disk.serial}]
    if len(matches) > 1:
        devices = " or ".join(disk.device for disk in matches)
        raise RequestRefusedError(
            f'"{name}" may be {devices}; `powerd disks` lists their ids, which are unique'
        )
    return matches[0] if matches else None


APM_WITHOUT_STANDBY: Final = 128
"""At this APM level and above a drive does not spin down by itself (hdparm(8), -B)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted filesystem, a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).

    Attributes:
        mount_point: an absolute path.
        fs_type: ``ext4``.
        options: of the mount, ``noatime``.
    """

    mount_point: str
    fs_type: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """A whole disk.

    Attributes:
        id: the same after a restart and on another port.
        device: the kernel's name in this boot, ``sda``.
        device_number: ``MAJOR:MINOR`` in this boot.
        model, serial: as udev reads them; "" = unknown.
        size: bytes.
        transport: how it is attached: ata, usb, sas, nvme, virtio, mmc, other.
        rotational: whether it is a hard disk; None = unknown.
        rpm: revolutions per minute; None = unknown.
        removable: the medium can be removed.
        mounts: the filesystems on it, including those above md, LVM or dm-crypt.
        group: common to the members of one array, pool or volume group: ``md0``, ``btrfs:photos``,
            ``zfs:tank``, ``vg0``; None = the disk is in none.
        array: a read from its group takes several members (md, ZFS, btrfs; not a linear volume).
        busy_reason: running maintenance: ``md0 resync``, ``btrfs:photos scrub``; None = none.
        holds_journal: journald writes to it, or to its group.
        swap_in_use: swap space on it, or on its group, is in use; False if unknown.
        ineligible_reason: why powerd cannot manage it, whatever the configuration says; None = it can.
        runtime_pm: the kernel may suspend it by itself (power/control is auto, with a delay).
        apm: its APM level when udev last read it, possibly at hotplug; None = off, not supported, or unknown.
            What the drive reported to powerd since is in DiskMemory.
        attached_at: CLOCK_MONOTONIC at which powerd first saw the drive since it was attached.
    """

    id: DiskId
    device: str
    device_number: str = ""
    model: str = ""
    serial: str = ""
    size: int = 0
    transport: str = "ata"
    rotational: bool | None = True
    rpm: int | None = None
    removable: bool = False
    mounts: tuple[Mount, ...] = ()
    group: str | None = None
    array: bool = False
    busy_reason: str | None = None
    holds_journal: bool = False
    swap_in_use: bool = False
    ineligible_reason: str | None = None
    runtime_pm: bool = False
    apm: int | None = None
    attached_at: float = 0.0


@dataclass(frozen=True, slots=True)
class DiskActivity:
    """A disk's I/O counters (Documentation/block/stat.rst) without powerd's own commands.

    Attributes:
        last_io_at: CLOCK_MONOTONIC of the reading that last found I/O; the first reading counts as I/O.
        io_count: reads, writes, discards and flushes since the disk was attached.
        in_flight: requests not completed; during a spin-up they wait while ``io_count`` stays the same.
        runtime_suspended: the kernel has suspended the device (power/runtime_status), or is about to.
        last_passthrough_at: CLOCK_MONOTONIC of the reading that last found SCSI or ATA commands of other
            programs (smartctl, hdparm) that are not I/O and may start the drive; None = there was none, or
            the kernel does not count them.
    """

    last_io_at: float
    io_count: int = 0
    in_flight: int = 0
    runtime_suspended: bool = False
    last_passthrough_at: float | None = None


class DiskTransfer(NamedTuple):
    """What a whole disk has transferred since it was attached, powerd's own commands included.

    Attributes:
        read, written: bytes.
        busy: seconds in which at least one request was not completed.
    """

    read: int = 0
    written: int = 0
    busy: float = 0.0


class PowerMode(enum.StrEnum):
    """The power mode that a drive reports (CHECK POWER MODE); UNKNOWN does not count as stopped."""

    ACTIVE = "active"
    STANDBY = "standby"
    SLEEPING = "sleeping"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"

    @property
    def is_stopped(self) -> bool:
        """Whether the drive does not spin."""
        return self in {PowerMode.STANDBY, PowerMode.SLEEPING}


SpinDownMethod: TypeAlias = Literal["ata", "scsi"]
"""The command that stops a drive: ATA STANDBY IMMEDIATE, or SCSI START STOP UNIT."""


MAX_TIMER_SECONDS: Final = 19_800
"""5.5 h, the longest time of the ATA standby timer."""
_UNIT_SECONDS, _MAX_UNITS = 5, 240
_HALF_HOUR_SECONDS: Final = 1800
_SPECIAL_TIMERS: Final = ((252, 1260), (255, 1275))


class StandbyTimer(NamedTuple):
    """A drive's standby timer: the count of ATA IDLE, and the seconds that it means; both 0 = no timer."""

    value: int
    seconds: int


def encode_timer(seconds: float) -> StandbyTimer:
    """The shortest standby timer of at least ``seconds``, MAX_TIMER_SECONDS at most (hdparm(8), -S).

    0          no timer
    1-240      n x 5 s               5 s to 20 min
    241-251    (n - 240) x 30 min    30 min to 5.5 h
    252        21 min
    253, 254   vendor specific and reserved; powerd never sends them
    255        21 min 15 s

    Args:
        seconds: 0 or less = no timer.
    """
    if seconds <= 0:
        return StandbyTimer(0, 0)
    if seconds <= _UNIT_SECONDS * _MAX_UNITS:
        units = math.ceil(seconds / _UNIT_SECONDS)
        return StandbyTimer(units, units * _UNIT_SECONDS)
    for value, special_seconds in _SPECIAL_TIMERS:
        if seconds <= special_seconds:
            return StandbyTimer(value, special_seconds)
    half_hours = math.ceil(min(seconds, MAX_TIMER_SECONDS) / _HALF_HOUR_SECONDS)
    return StandbyTimer(_MAX_UNITS + half_hours, half_hours * _HALF_HOUR_SECONDS)


class DiskAction(Action):
    """Base class of every action on one disk.

    Attributes:
        disk: the disk.
        has_own_tool: the helper needs a program for it that no other action on the disk needs.
    """

    __slots__ = ()
    disk: DiskId
    has_own_tool: ClassVar[bool] = False

    @property
    def target(self) -> DiskId:
        """The disk."""
        return self.disk

    @property
    def may_wake(self) -> bool:
        """Whether the action may start a drive that is in standby."""
        return False


@dataclass(frozen=True, slots=True)
class CheckPowerMode(DiskAction):
    """Read the power mode, which starts no drive; a runtime-suspended device is not opened."""

    disk: ByIdName


@dataclass(frozen=True, slots=True)
class SpinDown(DiskAction):
    """Stop the drive until the next access."""

    disk: ByIdName
    method: SpinDownMethod


@dataclass(frozen=True, slots=True)
class SetStandbyTimer(DiskAction):
    """Set the drive's own standby timer to a value that encode_timer() yields; 0 = off.

    The command is ATA IDLE, which starts a stopped drive, so it is sent only to a drive that spins.
    """

    disk: ByIdName
    seconds: Annotated[int, span(0, MAX_TIMER_SECONDS)]


@dataclass(frozen=True, slots=True)
class SetApmLevel(DiskAction):
    """Set the APM level of a spinning disk.

    Attributes:
        disk: the disk.
        level: 1 = least power, 254 = most performance; below APM_WITHOUT_STANDBY the drive may spin down by
            itself.
        allow_spin_down: confirms a level below APM_WITHOUT_STANDBY; without it such a level is refused.
    """

    disk: ByIdName
    level: Annotated[int, span(1, 254)]
    allow_spin_down: bool = field(default=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ReadPowerFeatures(DiskAction):
    """Read the power features and settings of a drive that spins."""

    disk: ByIdName


MAX_WATCHED_DISKS: Final = 100
"""Disks of a watched group at most; a request to the helper holds no more names."""


@dataclass(frozen=True, slots=True)
class GroupWatch:
    """Watch the stopped members of a group; the first access to one of them starts all at once.

    It is not an action: the watch lasts as long as each decision contains it.
    """

    group: str
    disks: tuple[DiskId, ...]


@dataclass(frozen=True, slots=True)
class PowerStatus:
    """The power mode of a drive.

    Attributes:
        mode: as the drive reports it.
        commands: passthrough commands that the request took; Linux before 5.18 counts them as reads.
        spin_down_sent: the drive got a spin-down command; False = it was stopped already, or the request
            was another one.
    """

    mode: PowerMode
    commands: CommandCount = 0
    spin_down_sent: bool = False


@dataclass(frozen=True, slots=True)
class PowerFeatures:
    """The power features of a drive.

    Attributes:
        apm: its level; None = off, or not supported.
        apm_supported: it has Advanced Power Management.
        epc_enabled: Extended Power Conditions are on: further timers in the drive, which may overrule the
            standby timer.
        commands: as in PowerStatus.
    """

    apm: Annotated[int, span(1, 254)] | None = None
    apm_supported: bool = False
    epc_enabled: bool = False
    commands: CommandCount = 0


class FailureCause(enum.StrEnum):
    """Why an action for a disk failed."""

    BUSY = "busy"
    """Dirty data, a running self-test or a rebuild; a retry in a minute may succeed."""
    IN_STANDBY = "asleep"
    """The drive is stopped, and the command would have started it."""
    UNRESPONSIVE = "hung"
    """The drive missed the deadline, or still executes an earlier command."""
    GONE = "gone"
    """The disk is detached."""
    FAILED = "failed"
    """The drive or the tool refused, or its answer has an unknown format."""
    HELPER_UNAVAILABLE = "unreached"
    """The drive got nothing: the helper is not there, or its tool is not installed."""


@dataclass(frozen=True, slots=True)
class GroupSpinUp:
    """A watched group was started.

    Attributes:
        first_disk: the disk that was accessed.
        other_disks: those that were read because of it, in the order of the request.
        failed_disks: those that could not be read, or did not respond in time.
        duration: seconds from the start of the first read to the end of the last.
    """

    first_disk: ByIdName
    other_disks: Annotated[tuple[ByIdName, ...], length(0, MAX_WATCHED_DISKS), DISTINCT]
    failed_disks: Annotated[tuple[ByIdName, ...], length(0, MAX_WATCHED_DISKS), DISTINCT]
    duration: Annotated[float, span(0, 31 * 86_400)]


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The facts that the disk source reads.

    Attributes:
        disks: every whole disk.
        activity: the counters of each that powerd can manage.
        transfers: in the same poll, of each disk with hardware of its own, solid state and virtio included.
    """

    disks: Mapping[DiskId, Disk] = field(default_factory=lambda: MappingProxyType({}))
    activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    transfers: Mapping[DiskId, Reading[DiskTransfer] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True)
class DiskEvents:
    """Events that concern disks.

    Attributes:
        group_spin_ups: the last time that each group was spun up as a whole.
        spin_down_requests: CLOCK_MONOTONIC of the last spin-down requested by a user, for each disk.
    """

    group_spin_ups: Mapping[str, Reading[GroupSpinUp]] = field(default_factory=lambda: MappingProxyType({}))
    spin_down_requests: Mapping[DiskId, float] = field(default_factory=lambda: MappingProxyType({}))
