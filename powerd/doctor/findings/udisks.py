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
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, mask

FIX: Final = "stops and masks udisks2"
_UNIT: Final = "udisks2.service"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service runs; files with timers or APM are to be removed by hand."""
    running = machine.running(_UNIT)
    for number, (effect, remedy, _) in enumerate(machine.conflicts_with("udisks"), 1):
        fixable = running and effect.startswith("udisks2 reads")
        files, commands = mask(_UNIT) if fixable else ((), ())
        yield Diagnosis(
            "udisks" if fixable else f"udisks:{number}",
            _UNIT,
            effect,
            "The service is stopped and masked. Desktop environments and the storage pages of Cockpit need "
            "it."
            if fixable
            else remedy,
            disks=tuple(sorted(machine.disks)),
            files=files,
            commands=commands,
            accesses=AccessPattern(units=(_UNIT,), comms=("udisksd",)),
        )
