"""Actions on a drive's health, and their results."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, get_args

from powerd.core.codec import one_of
from powerd.core.dataclass import dataclass
from powerd.disks.model import ByIdName, CommandCount, DiskAction, FailureCause, PowerFeatures, PowerStatus
from powerd.smart.model import Health

TestKind: TypeAlias = Literal["short", "long"]
"""A self-test of some minutes, or of the whole surface."""
DeviceType: TypeAlias = Annotated[
    str, one_of("", "auto", "sat", "sat,12", "scsi", "nvme", "usbjmicron", "usbprolific", "usbsunplus")
]
"""A device type of smartctl (-d); "" = whatever fits the disk."""
TEST_KINDS: Final[tuple[TestKind, ...]] = get_args(TestKind)


@dataclass(frozen=True, slots=True)
class CheckHealth(DiskAction):
    """Read a drive's health; a drive in standby is left alone unless ``may_wake``.

    Attributes:
        disk: the drive.
        may_wake: the drive may be woken for it.
        device_type: by which smartctl reached it the last time.
    """

    disk: ByIdName
    may_wake: bool = False
    device_type: DeviceType = field(default="", compare=False)
    has_own_tool: ClassVar[bool] = True  # smartctl


@dataclass(frozen=True, slots=True)
class StartTest(DiskAction):
    """Start a self-test of a spinning drive; ``device_type`` as in CheckHealth."""

    disk: ByIdName
    test: TestKind
    device_type: DeviceType = field(default="", compare=False)
    has_own_tool: ClassVar[bool] = True  # smartctl


@dataclass(frozen=True, slots=True)
class HealthReading:
    """A drive's health, as read.

    Attributes:
        health: its time is 0; the reader of the response sets it.
        device_type: by which smartctl reached the drive, to be tried first the next time.
        commands: as in PowerStatus.
    """

    health: Health
    device_type: DeviceType = ""
    commands: CommandCount = 0


DiskResult: TypeAlias = PowerStatus | PowerFeatures | HealthReading | FailureCause
"""The result of an action on a disk, of health or not; the helper returns one of these."""
