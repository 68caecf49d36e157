"""Scripts, rules or units give disks commands by hdparm.

Cause: udev rules, units, cron tables and scripts call hdparm with -S, -B, -y or other options that change
the state of a drive.

Cost: stops and timers that powerd does not know of; hdparm -S starts a stopped drive.

Remedy: remove the call, and set spin_down_after or apm in powerd.toml.

Source: hdparm(8), udev(7).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to what ``powerd check`` finds."""
    return machine.conflicts_with("hdparm_calls", "calls of hdparm", AccessPattern(comms=("hdparm",)))
