"""TLP sets timers and APM levels of disks.

Cause: TLP applies DISK_SPINDOWN_TIMEOUT and DISK_APM_LEVEL at each start, resume and change of the power
source.

Cost: timers that powerd does not know of, and an APM level that may stop a disk after seconds.

Remedy: comment out the settings. /etc/tlp.conf overrides the files in /etc/tlp.d, so powerd cannot do so by
a file of its own.

Source: https://linrunner.de/tlp/settings/disks.html.
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
        "tlp", "TLP", AccessPattern(units=("tlp.service",), comms=("tlp", "hdparm"))
    )
