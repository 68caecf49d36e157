"""The kernel suspends disks by itself.

Cause: power/control of the disk is auto and a delay is set, by a udev rule or a tool such as powertop.

Cost: each open of the device starts the disk; powerd does not manage it.

Remedy: switch it off; a udev rule makes that permanent.

Source: Documentation/ABI/testing/sysfs-devices-power.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import Diagnosis

FIX: Final = ""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to what ``powerd check`` finds."""
    return machine.conflicts_with("runtime_pm", "runtime power management")
