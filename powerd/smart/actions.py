"""What may be ordered about a drive's health, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, get_args

from powerd.core.codec import one_of
from powerd.disks.disk_id import ByIdName, CommandCount
from powerd.smart.model import Health

TestKind: TypeAlias = Literal["short", "long"]
"""A self-test of a drive: of some minutes, or of its whole surface."""
DeviceType: TypeAlias = Annotated[
    str, one_of("", "auto", "sat", "sat,12", "scsi", "nvme", "usbjmicron", "usbprolific", "usbsunplus")
]
"""A device type of smartctl (-d); "" = whatever fits the disk."""
TEST_KINDS: Final[tuple[TestKind, ...]] = get_args(TestKind)


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Read all that a drive says of its health; one that sleeps is left alone unless ``wake``.

    Attributes:
        disk, may_wake: see there.
        device_type: the device type by which smartctl reached it the last time; "" = unknown.
    """

    disk: ByIdName
    may_wake: bool = False
    device_type: DeviceType = field(default="", compare=False)
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class StartTest:
    """Have a spinning drive test itself; ``kind`` as in CheckHealth."""

    disk: ByIdName
    test: TestKind
    device_type: DeviceType = field(default="", compare=False)
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class HealthReading:
    """A drive's health, as it was read.

    Attributes:
        health: see there.
        device_type: the device type by which smartctl reached it (``-d``), to be tried first the next time.
        commands: as in Answered.
    """

    health: Health
    device_type: DeviceType = ""
    commands: CommandCount = 0
