"""laptop-mode-tools set timers and APM levels of disks.

Cause: laptop-mode-tools apply CONTROL_HD_IDLE_TIMEOUT and CONTROL_HD_POWERMGMT at each start, resume and
change of the power source.

Cost: timers that powerd does not know of.

Remedy: set both to 0 in /etc/laptop-mode/laptop-mode.conf.

Source: laptop-mode.conf(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to what ``powerd check`` finds."""
    return machine.conflicts_with(
        "laptop_mode",
        "laptop-mode-tools",
        AccessPattern(units=("laptop-mode.service",), comms=("laptop_mode", "hdparm")),
    )
