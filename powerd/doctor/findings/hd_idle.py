"""hd-idle spins disks down as well.

Cause: hd-idle stops disks by its own clock, and does not query the drive, but assumes that it has stopped.

Cost: two programs stop the same disk; the starts that follow are counted by neither, and a limit of starts
per day does not hold.

Remedy: hd-idle is masked. ``powerd import /etc/default/hd-idle`` prints its settings as those of powerd.

Source: hd-idle(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, mask

FIX: Final = "stops and masks hd-idle"
_UNIT: Final = "hd-idle.service"
_REMEDY: Final = (
    "hd-idle is stopped and masked. Print its settings as those of powerd by: powerd import "
    "/etc/default/hd-idle"
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while hd-idle is configured to start, or runs."""
    if not machine.unit(_UNIT) and not machine.running(_UNIT):
        return
    accesses = AccessPattern(units=(_UNIT,), comms=("hd-idle",))
    for found in machine.conflicts_with("hd_idle", _UNIT, accesses):
        files, commands = mask(_UNIT)
        if not machine.running(_UNIT):  # so undoing does not start it either
            commands = (DAEMON_RELOAD,)
        yield replace(found, id="hd_idle", remedy=_REMEDY, files=files, commands=commands)
