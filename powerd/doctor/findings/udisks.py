"""udisks2 reads the health of disks every 10 minutes, or sets their timers.

Cause: udisksd queries the SMART values of each disk regularly, also on a server where nobody uses its D-Bus
interface, and applies the files in /etc/udisks2 to disks at each start and resume.

Cost: it does not start stopped disks, but some drives count the query as use, so that their own timer never
expires.

Remedy: the service is masked. Desktop environments, and the storage pages of Cockpit, need it.

Source: udisksd(8), udisks2.conf(5), https://github.com/storaged-project/udisks/issues/892.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, mask

FIX: Final = "stops and masks udisks2"
_UNIT: Final = "udisks2.service"
_REMEDY: Final = (
    "The service is stopped and masked. Desktop environments and the storage pages of Cockpit need it."
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service runs; files with timers or APM are to be removed by hand."""
    accesses = AccessPattern(units=(_UNIT,), comms=("udisksd",))
    for found in machine.conflicts_with("udisks", _UNIT, accesses):
        if machine.running(_UNIT) and found.effect.startswith("udisks2 reads"):
            files, commands = mask(_UNIT)
            yield replace(found, id="udisks", remedy=_REMEDY, files=files, commands=commands)
        else:
            yield found
