"""The part of the vocabulary that is about the alarm of the real-time clock.

Alarms are seconds of the RTC's own clock since 1970, read as if it kept UTC: what since_epoch and wakealarm
below /sys/class/rtc/ hold (Documentation/ABI/testing/sysfs-class-rtc). They are compared with each other
and never with the wall clock, as an RTC may keep local time, or be wrong.

The part of the vocabulary that is about network cards that wake the machine.

The part of the vocabulary that is about disks: what may be asked of a drive, and what is answered.

A disk goes by the name of its link in /dev/disk/by-id, which udev makes from model and serial number; never
by ``sda``, which is another disk after the next start. The helper follows the link itself.

The part of the vocabulary that is about drives' health.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias, get_args

from powerd.disks.disk_id import BY_ID_PATTERN
from powerd.disks.model import MAX_WATCHED_DISKS, PowerMode, SpinDownMethod
from powerd.helper.protocol.fields import (
    BooleanField,
    ChoiceField,
    DurationField,
    IntegerField,
    ListField,
    Message,
    OptionalField,
    PatternField,
)
from powerd.smart.actions import TEST_KINDS
from powerd.smart.codec import MalformedHealthError, health_from_json

MIN_AHEAD: Final = 60
"""Seconds: a nearer alarm can go off while the machine is still falling asleep."""

_AHEAD_FIELD: Final = IntegerField(MIN_AHEAD, 31 * 86_400)
_TIME_FIELD: Final = IntegerField(0, 253_402_300_799)  # to the end of the year 9999
_RTC_FIELD: Final = PatternField(r"rtc[0-9]{1,3}", "an RTC's name")


@dataclass(frozen=True, slots=True)
class ReadAlarm(Message):
    """Which RTC can wake the machine, its time, and the alarm that stands. Answer: Alarm."""

    wire_name: ClassVar[str] = "read-alarm"


@dataclass(frozen=True, slots=True)
class SetAlarm(Message):
    """Wake the machine ``in_seconds`` from now. Answer: Alarm, read back from the kernel.

    An alarm that stands and is no later is left alone, as it wakes the machine in time, unless it
    is the one that the caller names as its own; one that goes off within 60 s is Refused.

    Attributes:
        in_seconds: from 60 to 31 days.
        replaces: the caller's own alarm as an Alarm told it; None = it knows of none.
    """

    wire_name: ClassVar[str] = "set-alarm"
    in_seconds: Annotated[int, _AHEAD_FIELD]
    replaces: Annotated[int | None, OptionalField(_TIME_FIELD)]


@dataclass(frozen=True, slots=True)
class ClearAlarm(Message):
    """Take away the alarm that is set to exactly ``at``. Answer: Alarm.

    Where none stands, as it has gone off, there is nothing to do; another one is left alone: Refused.
    """

    wire_name: ClassVar[str] = "clear-alarm"
    at: Annotated[int, _TIME_FIELD]


@dataclass(frozen=True, slots=True)
class AlarmResponse(Message):
    """The RTC after the request, as read from it.

    Attributes:
        rtc: its name, e.g. ``rtc0``.
        now: its time.
        at: the alarm that stands; None = none.
        before: the alarm that stood before the request; None = none.
        written: the one that stands was set by this request.
    """

    wire_name: ClassVar[str] = "alarm"
    rtc: Annotated[str, _RTC_FIELD]
    now: Annotated[int, _TIME_FIELD]
    at: Annotated[int | None, OptionalField(_TIME_FIELD)]
    before: Annotated[int | None, OptionalField(_TIME_FIELD)]
    written: Annotated[bool, BooleanField()]

    @property
    def in_seconds(self) -> int | None:
        """Seconds from the RTC's now to the alarm; None = no alarm stands."""
        return None if self.at is None else self.at - self.now


AlarmRequest: TypeAlias = ReadAlarm | SetAlarm | ClearAlarm


WOL_FLAGS: Final = "pumbagsf"
"""Ways to wake by the network, by the letters of ethtool(8), in the order of the kernel's bits: PHY activity,
unicast, multicast, broadcast, ARP, magic packet, SecureOn password, filter."""

_FLAGS_FIELD: Final = PatternField(
    "".join(f"{letter}?" for letter in WOL_FLAGS),
    f"letters of {WOL_FLAGS!r}, each at most once and in this order",
)
_INTERFACE_FIELD: Final = PatternField(
    r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}", "an interface's name of 1 to 15 letters, digits or _.:@-"
)


@dataclass(frozen=True, slots=True)
class ReadCard(Message):
    """By what a network card can wake the machine, and by what it will. Answer: Card."""

    wire_name: ClassVar[str] = "read-card"
    interface: Annotated[str, _INTERFACE_FIELD]


@dataclass(frozen=True, slots=True)
class ArmCard(Message):
    """Let a magic packet wake the machine, besides whatever may already. Answer: Card, read back."""

    wire_name: ClassVar[str] = "arm-card"
    interface: Annotated[str, _INTERFACE_FIELD]


@dataclass(frozen=True, slots=True)
class CardResponse(Message):
    """A network card after the request, as the kernel tells it: letters of FLAGS.

    Attributes:
        interface: its name.
        supported: by what it can wake the machine, e.g. ``umbg``.
        armed: by what it will; "" = by nothing.
    """

    wire_name: ClassVar[str] = "card"
    interface: Annotated[str, _INTERFACE_FIELD]
    supported: Annotated[str, _FLAGS_FIELD]
    armed: Annotated[str, _FLAGS_FIELD]


CardRequest: TypeAlias = ReadCard | ArmCard


SPINDOWN_METHODS: Final = get_args(SpinDownMethod)
STATES: Final = tuple(PowerMode)

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
        value: encoded as powerd.disks.ata_standby_timer does; 0 = no timer.
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
    disks: Annotated[tuple[str, ...], ListField(DISK_FIELD, 2, MAX_WATCHED_DISKS)]


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
    others: Annotated[tuple[str, ...], ListField(DISK_FIELD, 0, MAX_WATCHED_DISKS)]
    failed: Annotated[tuple[str, ...], ListField(DISK_FIELD, 0, MAX_WATCHED_DISKS)]
    seconds: Annotated[float, DurationField(_MAX_SECONDS)]


PowerRequest: TypeAlias = ReadPowerRequest | SpinDownRequest | SetTimerRequest
DriveRequest: TypeAlias = SetApmRequest | ReadDriveRequest
HdparmRequest: TypeAlias = PowerRequest | DriveRequest | AwaitFirstAccess
HdparmResponse: TypeAlias = PowerResponse | DriveResponse | GroupSpinUpResponse


DEVICE_TYPES: Final = ("", "auto", "sat", "sat,12", "scsi", "nvme", "usbjmicron", "usbprolific", "usbsunplus")
"""Device types of smartctl's (-d); "" = whatever fits the disk."""
_MAX_LENGTH: Final = 14_000


@dataclass(frozen=True, slots=True)
class HealthField:
    """A Health as powerd.smart.codec makes one plain, small enough for a line."""

    def describe(self) -> str:
        """In words."""
        return "a plain Health"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        try:
            health_from_json(value)
        except MalformedHealthError:
            return False
        return len(json.dumps(value)) <= _MAX_LENGTH


@dataclass(frozen=True, slots=True)
class CheckHealthRequest(Message):
    """Read all that a drive says of its health. Answer: DriveHealth. Refused for one that is asleep.

    Attributes:
        disk: which.
        wake: it may be woken for it.
        kind: how it was reached the last time; "" = unknown.
    """

    wire_name: ClassVar[str] = "check-health"
    disk: Annotated[str, DISK_FIELD]
    wake: Annotated[bool, BooleanField()]
    kind: Annotated[str, ChoiceField(DEVICE_TYPES)]


@dataclass(frozen=True, slots=True)
class StartTestRequest(Message):
    """Have a spinning drive test itself. Answer: Power."""

    wire_name: ClassVar[str] = "start-test"
    disk: Annotated[str, DISK_FIELD]
    test: Annotated[str, ChoiceField(TEST_KINDS)]
    kind: Annotated[str, ChoiceField(DEVICE_TYPES)]


@dataclass(frozen=True, slots=True)
class HealthResponse(Message):
    """A drive's health.

    Attributes:
        disk: which.
        kind: how it was reached, to be tried first the next time.
        health: as powerd.smart.codec makes it plain; its time is 0, as the helper tells none.
        commands: as in Power; as many as smartctl sends to an ATA drive for all this.
    """

    wire_name: ClassVar[str] = "health"
    disk: Annotated[str, DISK_FIELD]
    kind: Annotated[str, ChoiceField(DEVICE_TYPES)]
    health: Annotated[dict[str, Any], HealthField()]
    commands: Annotated[int, COMMANDS_FIELD]


SmartRequest: TypeAlias = CheckHealthRequest | StartTestRequest
