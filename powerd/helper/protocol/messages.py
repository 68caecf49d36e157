"""The requests that the helper executes, and their responses: the whole vocabulary, with a deadline for each.

Requests about a disk are the disk actions of ``powerd.disks`` and ``powerd.smart`` themselves. The
constraints on a value are in the type hints of its class (``powerd.core.codec``). A disk is named by its link
in /dev/disk/by-id, which udev makes of model and serial number; ``sda`` may be another disk after the next
boot.

RTC alarms are seconds of the RTC's own clock since 1970, read as if it kept UTC: the values of since_epoch
and wakealarm below /sys/class/rtc/ (Documentation/ABI/testing/sysfs-class-rtc). They are compared with each
other, and never with the wall clock: an RTC may keep local time, or be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple, TypeAlias

from powerd.attribution.model import FileReading, TraceReading
from powerd.core.codec import DISTINCT, PRINTABLE, length, pattern, span
from powerd.core.dataclass import dataclass
from powerd.disks.model import (
    MAX_WATCHED_DISKS,
    ByIdName,
    CheckPowerMode,
    CommandCount,
    FailureCause,
    GroupSpinUp,
    PowerFeatures,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.protocol import deadlines
from powerd.power.model import InterfaceName, NetworkCard
from powerd.smart.actions import CheckHealth, HealthReading, StartTest

MIN_AHEAD: Final = 60
"""Seconds: a nearer alarm may elapse before the machine sleeps."""
MAX_SENTENCE: Final = 300
"""Characters of a sentence; escaped in JSON (at most 12 bytes each) it still fits into a line."""
_MAX_AHEAD: Final = 31 * 86_400

_RtcTime: TypeAlias = Annotated[int, span(0, 253_402_300_799)]  # to the end of the year 9999


@dataclass(frozen=True, slots=True)
class ReadAlarm:
    """Read the time and the alarm of the RTC that can wake the machine. Response: AlarmResponse."""


@dataclass(frozen=True, slots=True)
class SetAlarm:
    """Wake the machine ``in_seconds`` from now. Response: AlarmResponse, read back from the kernel.

    An alarm of another program that is due earlier stays in place, because it wakes the machine in time. If
    it is due within 60 s the request is refused.

    Attributes:
        in_seconds: from 60 to 31 days.
        replaces: the caller's own alarm, as an AlarmResponse gave it; None = the caller has none.
    """

    in_seconds: Annotated[int, span(MIN_AHEAD, _MAX_AHEAD)]
    replaces: _RtcTime | None


@dataclass(frozen=True, slots=True)
class ClearAlarm:
    """Clear the alarm that is set to exactly ``at``. Response: AlarmResponse.

    If no alarm is set, because it has elapsed, there is nothing to do. Another alarm is not changed, and the
    request is refused.
    """

    at: _RtcTime


@dataclass(frozen=True, slots=True)
class AlarmResponse:
    """The RTC after the request, as read from it.

    Attributes:
        rtc: its name, ``rtc0``.
        now: its time.
        at: the alarm that is set; None = none.
        before: the alarm that was set before the request; None = none.
        written: this request has set the alarm.
    """

    rtc: Annotated[str, pattern(r"rtc[0-9]{1,3}", "an RTC's name")]
    now: _RtcTime
    at: _RtcTime | None
    before: _RtcTime | None
    written: bool

    @property
    def in_seconds(self) -> int | None:
        """Seconds from the RTC's time to the alarm; None = no alarm is set."""
        return None if self.at is None else self.at - self.now


@dataclass(frozen=True, slots=True)
class ReadCard:
    """Read how a network card can wake the machine, and how it will. Response: NetworkCard."""

    interface: InterfaceName


@dataclass(frozen=True, slots=True)
class ArmCard:
    """Let a magic packet wake the machine, in addition to what is armed. Response: NetworkCard, read back."""

    interface: InterfaceName


@dataclass(frozen=True, slots=True)
class AwaitFirstAccess:
    """Watch disks in standby; when one is accessed, spin up all others at once, by reading a block of each.

    Response: GroupSpinUp, after the first access. Closing the connection ends the watch.
    """

    disks: Annotated[tuple[ByIdName, ...], length(2, MAX_WATCHED_DISKS), DISTINCT]


@dataclass(frozen=True, slots=True)
class ReadFiles:
    """Return the accesses to files on these disks since the last request, and watch them from now on.

    Response: FileReading. Only the helper that is started with --files executes it. The watch ends with the
    process that has sent the request, or with a request that names no disk.

    Attributes:
        disks: that are spinning; with ``standby`` at most MAX_WATCHED_DISKS.
        standby: others, which are watched too; their accesses are returned once they are in ``disks``,
            because the path of a directory may have to be read from the disk.
    """

    disks: Annotated[tuple[ByIdName, ...], length(0, MAX_WATCHED_DISKS), DISTINCT]
    standby: Annotated[tuple[ByIdName, ...], length(0, MAX_WATCHED_DISKS), DISTINCT] = ()


@dataclass(frozen=True, slots=True)
class ReadTrace:
    """Read which accesses to disks the kernel has recorded, and record those to ``disks`` from now on.

    Response: TraceReading, also for disks that were in the last request only. The kernel records while the
    helper does not run; the first request starts it. Disks that do not exist are left out.
    """

    disks: Annotated[tuple[ByIdName, ...], length(1, MAX_WATCHED_DISKS), DISTINCT]


@dataclass(frozen=True, slots=True)
class StopTrace:
    """Stop recording accesses to disks. Response: TraceReading, with what was still recorded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was not executed.

    Attributes:
        message: one sentence with what, where and the remedy.
        cause: the same for a program.
        commands: sent to the disk nevertheless.
    """

    message: Annotated[str, PRINTABLE, length(1, MAX_SENTENCE)]
    cause: FailureCause = FailureCause.FAILED
    commands: CommandCount = 0


AlarmRequest: TypeAlias = ReadAlarm | SetAlarm | ClearAlarm
CardRequest: TypeAlias = ReadCard | ArmCard
DiskRequest: TypeAlias = (
    CheckPowerMode
    | SpinDown
    | SetStandbyTimer
    | SetApmLevel
    | ReadPowerFeatures
    | CheckHealth
    | StartTest
    | AwaitFirstAccess
)
TraceRequest: TypeAlias = ReadTrace | StopTrace
Request: TypeAlias = AlarmRequest | CardRequest | DiskRequest | TraceRequest | ReadFiles
DiskResponse: TypeAlias = PowerStatus | PowerFeatures | HealthReading | GroupSpinUp
Response: TypeAlias = AlarmResponse | NetworkCard | DiskResponse | TraceReading | FileReading | Refused


class RequestType(NamedTuple):
    """One word of the vocabulary.

    Attributes:
        request: its class.
        response: the class of its response, other than Refused.
        deadline: seconds until the response, whatever the machine does; None = no limit.
    """

    request: type[Request]
    response: type[Response]
    deadline: float | None


REQUESTS: Final[Mapping[str, RequestType]] = {
    "read-alarm": RequestType(ReadAlarm, AlarmResponse, deadlines.DEVICE_REQUEST),
    "set-alarm": RequestType(SetAlarm, AlarmResponse, deadlines.DEVICE_REQUEST),
    "clear-alarm": RequestType(ClearAlarm, AlarmResponse, deadlines.DEVICE_REQUEST),
    "read-card": RequestType(ReadCard, NetworkCard, deadlines.DEVICE_REQUEST),
    "arm-card": RequestType(ArmCard, NetworkCard, deadlines.DEVICE_REQUEST),
    "check-power-mode": RequestType(CheckPowerMode, PowerStatus, deadlines.POWER_MODE_REQUEST),
    "spin-down": RequestType(SpinDown, PowerStatus, deadlines.SPIN_DOWN_REQUEST),
    "set-standby-timer": RequestType(SetStandbyTimer, PowerStatus, deadlines.QUICK_REQUEST),
    "set-apm-level": RequestType(SetApmLevel, PowerFeatures, deadlines.QUICK_REQUEST),
    "read-power-features": RequestType(ReadPowerFeatures, PowerFeatures, deadlines.QUICK_REQUEST),
    "check-health": RequestType(CheckHealth, HealthReading, deadlines.HEALTH_REQUEST),
    "start-test": RequestType(StartTest, PowerStatus, deadlines.SELF_TEST_REQUEST),
    "await-first-access": RequestType(AwaitFirstAccess, GroupSpinUp, None),
    "read-files": RequestType(ReadFiles, FileReading, deadlines.FILES_REQUEST),
    "read-trace": RequestType(ReadTrace, TraceReading, deadlines.TRACE_REQUEST),
    "stop-trace": RequestType(StopTrace, TraceReading, deadlines.TRACE_REQUEST),
}
RESPONSES: Final[Mapping[str, type[Response]]] = {
    "alarm": AlarmResponse,
    "card": NetworkCard,
    "power-status": PowerStatus,
    "power-features": PowerFeatures,
    "health": HealthReading,
    "group-spin-up": GroupSpinUp,
    "files": FileReading,
    "trace": TraceReading,
    "refused": Refused,
}
REQUEST_NAMES: Final = {kind.request: name for name, kind in REQUESTS.items()}
RESPONSE_NAMES: Final = {kind: name for name, kind in RESPONSES.items()}


def deadline_of(request: Request) -> float | None:
    """Seconds from a request to its response, whatever the machine does; None = no limit."""
    return REQUESTS[REQUEST_NAMES[type(request)]].deadline
