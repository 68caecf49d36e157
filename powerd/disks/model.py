"""Which disk a word means: people type the id, the kernel's name of today, or the serial number.

Disks: which there are, what they do, what may be ordered of one, and what a drive says.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from powerd.disks.disk_id import DiskId
from powerd.requests.model import RequestRefusedError
from powerd.smart.actions import CheckHealth, HealthReading, StartTest


def find_disk(disks: Iterable[Disk], name: str) -> Disk | None:
    """The disk that has this id, device or serial number; None = there is none.

    An id is one disk's alone, so it always means that disk, whatever others are called.

    Raises:
        RefusedError: the word fits several disks: USB bridges may give all of theirs one serial number.
    """
    candidates = tuple(disks)
    matches = [disk for disk in candidates if disk.id == name]
    if name and not matches:
        matches = [disk for disk in candidates if name in {disk.device, disk.serial}]
    if len(matches) > 1:
        devices = " or ".join(disk.device for disk in matches)
        raise RequestRefusedError(
            f'"{name}" may be {devices}; `powerd disks` tells their ids, which are one disk\'s alone'
        )
    return matches[0] if matches else None


APM_WITHOUT_STANDBY: Final = 128
"""From this APM level on a drive does not spin down of its own accord (hdparm(8), -B)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A filesystem on a disk that is mounted, a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).

    Attributes:
        mount_point: the mount point.
        fs_type: its type, ``ext4``.
        options: of the mount, ``noatime``.
    """

    mount_point: str
    fs_type: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """A whole disk.

    Attributes:
        id: by which it is known over restarts and other cables.
        device: the kernel's name of today, ``sda``.
        device_number: ``MAJOR:MINOR`` of today.
        model, serial: as udev knows them; "" = unknown.
        size: bytes.
        transport: how it is attached: ata, usb, sas, nvme, virtio, mmc, other.
        rotational: whether it has a spindle; None = nobody says.
        rpm: rounds a minute; None = unknown.
        removable: its medium can be taken out.
        mounts: the filesystems on it, also those above md, LVM or dm-crypt.
        group: shared by the members of one array, pool or volume group, named as people know it: ``md0``,
            ``btrfs:photos``, ``zfs:tank``, ``vg0``; None = it stands alone.
        array: reading from its group takes several members (md, ZFS, btrfs), as a linear volume does not.
        busy_reason: what goes on in it that is no mere access: ``md0 resync``, ``btrfs:photos scrub``; None =
            nothing.
        holds_journal: journald writes to it, or to its group.
        swap_in_use: swap space on it, or on its group, is in use; False also where nobody can tell.
        ineligible_reason: why powerd leaves it alone; None = it does not. Of USB, journal and swap the
            configuration decides, not this.
        runtime_pm: the kernel may suspend it by itself (power/control = auto, and a delay).
        apm: its APM level as it said when udev last asked, which may have been when it was plugged in; None =
            off, not supported, or unknown. What it has told powerd since is in its DiskMemory.
        attached_at: CLOCK_MONOTONIC at which this drive was first seen since it was plugged in.
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
    """What a disk's counters say (Documentation/block/stat.rst), powerd's own commands taken off.

    Attributes:
        last_io_at: CLOCK_MONOTONIC of the look that last found I/O; the first look counts as one.
        io_count: reads, writes, discards and flushes since the disk was attached.
        in_flight: those under way; a disk that spins up has some while ``ios`` stands still.
        runtime_suspended: the kernel has put the device to sleep (power/runtime_status), or is about to.
        last_passthrough_at: CLOCK_MONOTONIC of the look that last found commands of others that are no
            I/O, such as
            smartctl's or hdparm's, which may wake it; -inf = none has, or they are not counted.
    """

    last_io_at: float
    io_count: int = 0
    in_flight: int = 0
    runtime_suspended: bool = False
    last_passthrough_at: float = float("-inf")


class PowerMode(enum.StrEnum):
    """What a drive says of its spindle when asked (CHECK POWER MODE); unknown is not asleep."""

    ACTIVE = "active"
    STANDBY = "standby"
    SLEEPING = "sleeping"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"

    @property
    def is_stopped(self) -> bool:
        """Whether the spindle stands."""
        return self in {PowerMode.STANDBY, PowerMode.SLEEPING}


SpinDownMethod: TypeAlias = Literal["ata", "scsi"]
"""A way to stop a spindle: STANDBY IMMEDIATE, or START STOP UNIT."""


@dataclass(frozen=True, slots=True)
class CheckPowerMode:
    """Ask the drive whether it spins; wakes nothing, and is not asked while the kernel has it suspended."""

    disk: DiskId
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class SpinDown:
    """Stop the spindle until the next access."""

    disk: DiskId
    method: SpinDownMethod
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class SetStandbyTimer:
    """Set the drive's own standby timer, to a value that it can hold (see timer_for); 0 = none.

    It is ATA IDLE, which would wake a sleeping disk: only ever for one that spins.
    """

    disk: DiskId
    seconds: int
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class SetApmLevel:
    """Set the APM level, 1 to 254, of a disk that spins; see APM_WITHOUT_STANDBY for what that means."""

    disk: DiskId
    level: int
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class ReadPowerFeatures:
    """Ask a spinning disk what it can do about power, and how it is set."""

    disk: DiskId
    irreversible: ClassVar[bool] = False


DiskAction: TypeAlias = (
    CheckPowerMode | SpinDown | SetStandbyTimer | SetApmLevel | ReadPowerFeatures | CheckHealth | StartTest
)
"""Each is about one disk, its ``disk``."""


MAX_WATCHED_DISKS: Final = 100
"""Disks of a group that is guarded: so many names fit into a request to the helper."""


@dataclass(frozen=True, slots=True)
class GroupWatch:
    """Watch the sleeping members of a group; the first access to one wakes all at once.

    No order but a standing wish: it is obeyed for as long as decisions say it.
    """

    group: str
    disks: tuple[DiskId, ...]


@dataclass(frozen=True, slots=True)
class PowerStatus:
    """A drive's word on its power.

    Attributes:
        mode: as it said.
        commands: sent to it past the block layer for that; Linux before 5.18 counts them as reads.
        spin_down_sent: it was told to stand by for this; False = it did so already, or that was not asked
            for.
    """

    mode: PowerMode
    commands: int = 0
    spin_down_sent: bool = False


@dataclass(frozen=True, slots=True)
class PowerFeatures:
    """What a drive can do about power.

    Attributes:
        apm: its level; None = off, or not supported.
        apm_supported: it has Advanced Power Management.
        epc_enabled: Extended Power Conditions are on: timers of its own, which may overrule the others.
        commands: as in Answered.
    """

    apm: int | None = None
    apm_supported: bool = False
    epc_enabled: bool = False
    commands: int = 0


class FailureCause(enum.StrEnum):
    """Why an order to a disk was not carried out."""

    BUSY = "busy"
    """Data waits to be written, a self-test runs, an array is rebuilt: worth asking again in a minute."""
    IN_STANDBY = "asleep"
    """It sleeps, and the order would have woken it."""
    UNRESPONSIVE = "hung"
    """It did not answer in time, or has still not."""
    GONE = "gone"
    """There is no such disk any more."""
    FAILED = "failed"
    """The drive or its tool refused, or said what nobody understands."""
    HELPER_UNAVAILABLE = "unreached"
    """It was not even asked, which is not its fault: the helper is not there, or its tool not installed."""


DiskResult: TypeAlias = PowerStatus | PowerFeatures | HealthReading | FailureCause


@dataclass(frozen=True, slots=True)
class GroupSpinUp:
    """A guarded group was woken.

    Attributes:
        first_disk: whose access was the cause.
        other_disks: those that were woken for it.
        at: CLOCK_MONOTONIC.
        duration: that waking them took.
    """

    first_disk: DiskId
    other_disks: tuple[DiskId, ...]
    at: float
    duration: float
