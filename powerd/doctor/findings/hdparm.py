"""hdparm.conf sets the timers of disks at each start and resume.

Cause: Debian's udev rule and sleep hook apply /etc/hdparm.conf to the disks, also to stopped ones, because
hdparm -S starts a drive.

Cost: a start of each disk at each resume, and timers that powerd does not know of.

Remedy: the blocks become rules of powerd, and are removed from the file.

Source: hdparm.conf(5), hdparm(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to what ``powerd check`` finds."""
    return machine.conflicts_with("hdparm", "/etc/hdparm.conf", AccessPattern(comms=("hdparm",)))
