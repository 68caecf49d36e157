"""Scrutiny starts stopped disks, and Telegraf reads their health all the time.

Cause: the collector of Scrutiny runs ``smartctl --xall`` on each disk by scrutiny-collector.timer, without
``--nocheck=standby``. Telegraf's inputs ``smart`` and ``smartctl`` leave out disks in standby, but query the
others at each interval, 10 seconds by default.

Cost: a start of each disk at each run of Scrutiny; some drives count Telegraf's queries as use, so that their
own timer never expires.

Remedy: by hand, because a person has installed the units in /etc, and because Telegraf's configuration is its
own. powerd reads the health itself, just before it stops a disk (``[smart]``).

Source: https://github.com/AnalogJ/scrutiny (docs/INSTALL_MANUAL.md, example.collector.yaml),
https://github.com/influxdata/telegraf (plugins/inputs/smart, nocheck), smartctl(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_PROGRAMS: Final = {
    "scrutiny": AccessPattern(units=("scrutiny-collector.service",), comms=("scrutiny-collec",)),
    "telegraf": AccessPattern(units=("telegraf.service",), comms=("telegraf",)),
}


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per program, while its timer is enabled or it runs with an input that queries disks."""
    for program, accesses in _PROGRAMS.items():
        found = [
            each for each in machine.conflicts_with("agents", program, accesses) if program in each.effect
        ]
        if found:
            yield replace(
                found[0],
                id=f"agents:{program}",
                effect=" ".join(each.effect for each in found),
                by_hand="\n".join(each.by_hand for each in found if each.by_hand),
            )
