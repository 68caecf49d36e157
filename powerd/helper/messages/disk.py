"""The part of the vocabulary that is about disks: what may be asked of a drive, and what is answered.

A disk goes by the name of its link in /dev/disk/by-id, which udev makes from model and serial number; never
by ``sda``, which is another disk after the next start. The helper follows the link itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeAlias, get_args

from powerd import model
from powerd.helper.kinds import Maybe, Message, OneOf, Seconds, Several, Text, Truth, Whole
from powerd.model.disk_id import BY_ID
from powerd.model.disks import How

HOWS: Final = get_args(How)
STATES: Final = tuple(model.Power)

DISK: Final = Text(BY_ID, "a disk's name in /dev/disk/by-id of 1 to 128 characters")
_TIMER: Final = 255
COMMANDS: Final = Whole(0, 99)
_LONGEST: Final = 31 * 86_400


@dataclass(frozen=True, slots=True)
class TimerValue:
    """The count of ATA IDLE, as hdparm -S takes it, but for 253 and 254, which are the vendors' own."""

    def must_be(self) -> str:
        """In words."""
        return "a whole number from 0 to 252, or 255"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return type(value) is int and (0 <= value <= 252 or value == _TIMER)  # noqa: PLR2004 - said in must_be


@dataclass(frozen=True, slots=True)
class ReadPower(Message):
    """Whether a disk spins, by ATA CHECK POWER MODE. Answer: Power. Wakes nothing."""

    word: ClassVar[str] = "read-power"
    disk: Annotated[str, DISK]


@dataclass(frozen=True, slots=True)
class StandBy(Message):
    """Stop a disk's spindle until its next access. Answer: Power, as the command was answered.

    Refused while data waits to be written to it, a self-test runs, or an array that it is in is being
    rebuilt or checked. Whether it really sleeps, a later ReadPower tells.

    Attributes:
        disk: which.
        how: ``ata`` = STANDBY IMMEDIATE; ``scsi`` = START STOP UNIT.
    """

    word: ClassVar[str] = "stand-by"
    disk: Annotated[str, DISK]
    how: Annotated[str, OneOf(HOWS)]


@dataclass(frozen=True, slots=True)
class SetTimer(Message):
    """Set the drive's own standby timer. Answer: Power. Refused for a disk that does not spin.

    It is the ATA command IDLE, which would wake a sleeping disk.

    Attributes:
        disk: which.
        value: encoded as powerd.model.standby_timer does; 0 = no timer.
    """

    word: ClassVar[str] = "set-timer"
    disk: Annotated[str, DISK]
    value: Annotated[int, TimerValue()]


@dataclass(frozen=True, slots=True)
class SetApm(Message):
    """Set a spinning disk's Advanced Power Management. Answer: Drive, read back.

    Attributes:
        disk: which.
        level: 1 = least power, 254 = most performance; below 128 the drive may spin down when it likes to.
        spin_down: so low a level is meant; without it one is Refused.
    """

    word: ClassVar[str] = "set-apm"
    disk: Annotated[str, DISK]
    level: Annotated[int, Whole(1, 254)]
    spin_down: Annotated[bool, Truth()]


@dataclass(frozen=True, slots=True)
class ReadDrive(Message):
    """What a spinning disk can do about power, and how it is set. Answer: Drive."""

    word: ClassVar[str] = "read-drive"
    disk: Annotated[str, DISK]


@dataclass(frozen=True, slots=True)
class Guard(Message):
    """Watch sleeping disks; the first access to any rouses all others. Answer: Roused, when it has.

    They are woken all at once, by reading a block of each.

    The connection stays open as long as that takes; closing it ends the watch.
    """

    word: ClassVar[str] = "guard"
    disks: Annotated[tuple[str, ...], Several(DISK, 2, model.MOST_GUARDED)]


@dataclass(frozen=True, slots=True)
class Power(Message):
    """What a disk does.

    Attributes:
        disk: which.
        state: as the drive says; ``unknown`` = it does not say, which is not asleep; ``suspended`` = the
            kernel has put the device to sleep, so it was not even opened.
        commands: sent to the drive past the block layer. Linux before 5.18 counts them as reads.
        stopped: it was told to stand by for this; False = it did so already, or that was not asked for.
    """

    word: ClassVar[str] = "power"
    disk: Annotated[str, DISK]
    state: Annotated[str, OneOf(STATES)]
    commands: Annotated[int, COMMANDS]
    stopped: Annotated[bool, Truth()] = False


@dataclass(frozen=True, slots=True)
class Drive(Message):
    """What a disk can do about power, by ATA IDENTIFY DEVICE.

    Attributes:
        disk: which.
        apm: its level; None = switched off, or not supported.
        apm_supported: it has Advanced Power Management.
        epc: Extended Power Conditions are enabled: it has further timers, which may overrule the others.
        commands: as in Power.
    """

    word: ClassVar[str] = "drive"
    disk: Annotated[str, DISK]
    apm: Annotated[int | None, Maybe(Whole(1, 254))]
    apm_supported: Annotated[bool, Truth()]
    epc: Annotated[bool, Truth()]
    commands: Annotated[int, COMMANDS]


@dataclass(frozen=True, slots=True)
class Roused(Message):
    """Disks were woken.

    Attributes:
        disk: whose access gave the cause.
        others: those that were read, in the order of the request.
        failed: those that could not be, or have not answered in time.
        seconds: from the first read's begin to the last one's end.
    """

    word: ClassVar[str] = "roused"
    disk: Annotated[str, DISK]
    others: Annotated[tuple[str, ...], Several(DISK, 0, model.MOST_GUARDED)]
    failed: Annotated[tuple[str, ...], Several(DISK, 0, model.MOST_GUARDED)]
    seconds: Annotated[float, Seconds(_LONGEST)]


PowerRequest: TypeAlias = ReadPower | StandBy | SetTimer
DriveRequest: TypeAlias = SetApm | ReadDrive
DiskRequest: TypeAlias = PowerRequest | DriveRequest | Guard
DiskAnswer: TypeAlias = Power | Drive | Roused
