"""The part of the vocabulary that is about disks: what may be asked of a drive, and what is answered.

A disk goes by the name of its link in /dev/disk/by-id, which udev makes from model and serial number; never
by ``sda``, which is another disk after the next start. The helper follows the link itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeAlias, get_args

from powerd import model
from powerd.helper.kinds import (
    BooleanField,
    ChoiceField,
    DurationField,
    IntegerField,
    ListField,
    Message,
    OptionalField,
    PatternField,
)
from powerd.model.disk_id import BY_ID_PATTERN
from powerd.model.disks import SpinDownMethod

SPINDOWN_METHODS: Final = get_args(SpinDownMethod)
STATES: Final = tuple(model.PowerMode)

DISK_FIELD: Final = PatternField(BY_ID_PATTERN, "a disk's name in /dev/disk/by-id of 1 to 128 characters")
_LONGEST_TIMER: Final = 255
COMMANDS_FIELD: Final = IntegerField(0, 99)
_MAX_SECONDS: Final = 31 * 86_400


@dataclass(frozen=True, slots=True)
class AtaTimerField:
    """The count of ATA IDLE, as hdparm -S takes it, but for 253 and 254, which are the vendors' own."""

    def describe(self) -> str:
        """In words."""
        return "a whole number from 0 to 252, or 255"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return type(value) is int and (0 <= value <= 252 or value == _LONGEST_TIMER)  # noqa: PLR2004 - said in must_be


@dataclass(frozen=True, slots=True)
class ReadPowerRequest(Message):
    """Whether a disk spins, by ATA CHECK POWER MODE. Answer: Power. Wakes nothing."""

    wire_name: ClassVar[str] = "read-power"
    disk: Annotated[str, DISK_FIELD]


@dataclass(frozen=True, slots=True)
class SpinDownRequest(Message):
    """Stop a disk's spindle until its next access. Answer: Power, as the command was answered.

    Refused while data waits to be written to it, a self-test runs, or an array that it is in is being
    rebuilt or checked. Whether it really sleeps, a later ReadPower tells.

    Attributes:
        disk: which.
        how: ``ata`` = STANDBY IMMEDIATE; ``scsi`` = START STOP UNIT.
    """

    wire_name: ClassVar[str] = "stand-by"
    disk: Annotated[str, DISK_FIELD]
    how: Annotated[str, ChoiceField(SPINDOWN_METHODS)]


@dataclass(frozen=True, slots=True)
class SetTimerRequest(Message):
    """Set the drive's own standby timer. Answer: Power. Refused for a disk that does not spin.

    It is the ATA command IDLE, which would wake a sleeping disk.

    Attributes:
        disk: which.
        value: encoded as powerd.model.standby_timer does; 0 = no timer.
    """

    wire_name: ClassVar[str] = "set-timer"
    disk: Annotated[str, DISK_FIELD]
    value: Annotated[int, AtaTimerField()]


@dataclass(frozen=True, slots=True)
class SetApmRequest(Message):
    """Set a spinning disk's Advanced Power Management. Answer: Drive, read back.

    Attributes:
        disk: which.
        level: 1 = least power, 254 = most performance; below 128 the drive may spin down when it likes to.
        spin_down: so low a level is meant; without it one is Refused.
    """

    wire_name: ClassVar[str] = "set-apm"
    disk: Annotated[str, DISK_FIELD]
    level: Annotated[int, IntegerField(1, 254)]
    spin_down: Annotated[bool, BooleanField()]


@dataclass(frozen=True, slots=True)
class ReadDriveRequest(Message):
    """What a spinning disk can do about power, and how it is set. Answer: Drive."""

    wire_name: ClassVar[str] = "read-drive"
    disk: Annotated[str, DISK_FIELD]


@dataclass(frozen=True, slots=True)
class AwaitFirstAccess(Message):
    """Watch sleeping disks; the first access to any rouses all others. Answer: Roused, when it has.

    They are woken all at once, by reading a block of each.

    The connection stays open as long as that takes; closing it ends the watch.
    """

    wire_name: ClassVar[str] = "guard"
    disks: Annotated[tuple[str, ...], ListField(DISK_FIELD, 2, model.MAX_WATCHED_DISKS)]


@dataclass(frozen=True, slots=True)
class PowerResponse(Message):
    """What a disk does.

    Attributes:
        disk: which.
        state: as the drive says; ``unknown`` = it does not say, which is not asleep; ``suspended`` = the
            kernel has put the device to sleep, so it was not even opened.
        commands: sent to the drive past the block layer. Linux before 5.18 counts them as reads.
        stopped: it was told to stand by for this; False = it did so already, or that was not asked for.
    """

    wire_name: ClassVar[str] = "power"
    disk: Annotated[str, DISK_FIELD]
    state: Annotated[str, ChoiceField(STATES)]
    commands: Annotated[int, COMMANDS_FIELD]
    stopped: Annotated[bool, BooleanField()] = False


@dataclass(frozen=True, slots=True)
class DriveResponse(Message):
    """What a disk can do about power, by ATA IDENTIFY DEVICE.

    Attributes:
        disk: which.
        apm: its level; None = switched off, or not supported.
        apm_supported: it has Advanced Power Management.
        epc: Extended Power Conditions are enabled: it has further timers, which may overrule the others.
        commands: as in Power.
    """

    wire_name: ClassVar[str] = "drive"
    disk: Annotated[str, DISK_FIELD]
    apm: Annotated[int | None, OptionalField(IntegerField(1, 254))]
    apm_supported: Annotated[bool, BooleanField()]
    epc: Annotated[bool, BooleanField()]
    commands: Annotated[int, COMMANDS_FIELD]


@dataclass(frozen=True, slots=True)
class GroupSpinUpResponse(Message):
    """Disks were woken.

    Attributes:
        disk: whose access gave the cause.
        others: those that were read, in the order of the request.
        failed: those that could not be, or have not answered in time.
        seconds: from the first read's begin to the last one's end.
    """

    wire_name: ClassVar[str] = "roused"
    disk: Annotated[str, DISK_FIELD]
    others: Annotated[tuple[str, ...], ListField(DISK_FIELD, 0, model.MAX_WATCHED_DISKS)]
    failed: Annotated[tuple[str, ...], ListField(DISK_FIELD, 0, model.MAX_WATCHED_DISKS)]
    seconds: Annotated[float, DurationField(_MAX_SECONDS)]


PowerRequest: TypeAlias = ReadPowerRequest | SpinDownRequest | SetTimerRequest
DriveRequest: TypeAlias = SetApmRequest | ReadDriveRequest
HdparmRequest: TypeAlias = PowerRequest | DriveRequest | AwaitFirstAccess
HdparmResponse: TypeAlias = PowerResponse | DriveResponse | GroupSpinUpResponse
