"""systemd-tmpfiles-clean looks through the directories for temporary files.

Cause: systemd-tmpfiles-clean.timer runs 15 minutes after boot and then daily. It reads /var/tmp, and /tmp
unless that is in memory, with all directories below, and what packages add in tmpfiles.d, and deletes old
files.

Cost: one start of the disk a day, and one a quarter of an hour after each boot, when powerd may have stopped
the disk.

Remedy: once a week. Files in /var/tmp are kept for 30 days anyway, and those in /tmp for 10.

Source: systemd-tmpfiles(8), tmpfiles.d(5), systemd.timer(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "runs it weekly, by a drop-in of its timer"
_TIMER: Final = "systemd-tmpfiles-clean.timer"
_DIRECTORIES: Final = ("/tmp", "/var/tmp")  # noqa: S108 - names, in which nothing is created
_DROP_IN: Final = OwnFile(
    f"/etc/systemd/system/{_TIMER}.d/zz-powerd.conf",
    "[Timer]\nOnBootSec=\nOnBootSec=1d\nOnUnitActiveSec=7d\n",
)
"""An empty value removes all times of the timer."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the timer is enabled with its usual times and a directory is on a hard disk."""
    disks = tuple(sorted({disk for directory in _DIRECTORIES for disk in machine.disks_of(directory)}))
    intervals = machine.unit(_TIMER).get("Timer.OnUnitActiveSec", ())
    if not disks or not machine.enabled(_TIMER) or not set(intervals) & {"1d", "1day", "24h", "86400"}:
        return
    yield Diagnosis(
        "tmpfiles_clean",
        _TIMER,
        f"It reads the directories for temporary files on {', '.join(disks)} daily, and 15 minutes after "
        "each boot.",
        "It runs once a week, the first time a day after boot, so old files take space up to a week longer.",
        disks=disks,
        files=(_DROP_IN,),
        commands=(DAEMON_RELOAD, restart(_TIMER)),
        accesses=AccessPattern(units=("systemd-tmpfiles-clean.service",), comms=("systemd-tmpfile",)),
    )
