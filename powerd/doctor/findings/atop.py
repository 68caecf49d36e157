"""atop appends to its log on a hard disk every few minutes.

Cause: atop.service writes a sample of all processes to ``LOGPATH``, /var/log/atop, every ``LOGINTERVAL``
seconds, 600 by default (/etc/default/atop).

Cost: the disk with the log is started every 10 minutes, or never stops.

Remedy: the log is written to /run/atop, in memory (2 to 4 MB a day), and kept for three days. It is lost at a
restart. ``atop -r /run/atop/atop_YYYYMMDD`` shows it.

Source: /lib/systemd/system/atop.service and /etc/default/atop of Debian 12; systemd.exec(5)
(EnvironmentFile= of a later file overrides an earlier one).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments
from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "keeps the log in memory, by a drop-in of atop.service"
_UNIT: Final = "atop.service"
_DROP_IN: Final = "/etc/systemd/system/atop.service.d"
_FILES: Final = (
    OwnFile(
        f"{_DROP_IN}/zz-powerd.conf",
        "[Service]\nRuntimeDirectory=atop\nRuntimeDirectoryPreserve=yes\n"
        f"EnvironmentFile={_DROP_IN}/zz-powerd.env\n",
    ),
    OwnFile(f"{_DROP_IN}/zz-powerd.env", "LOGPATH=/run/atop\nLOGGENERATIONS=3\n"),
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service is enabled and its log lies on a hard disk."""
    settings = {"LOGPATH": "/var/log/atop", "LOGINTERVAL": "600"}
    for path in machine.unit(_UNIT).get("Service.EnvironmentFile", ()):
        settings |= assignments(machine.text(path.removeprefix("-")))
    disks = machine.disks_of(settings["LOGPATH"])
    if not (machine.enabled(_UNIT) or machine.running(_UNIT)) or not disks:
        return
    yield Diagnosis(
        "atop",
        _UNIT,
        f"It writes to {settings['LOGPATH']} on {', '.join(disks)} every {settings['LOGINTERVAL']} seconds.",
        "The log is kept in memory, in /run/atop, for three days; it is lost at a restart. Read it with "
        "atop -r /run/atop/atop_YYYYMMDD.",
        disks=disks,
        files=_FILES,
        commands=(DAEMON_RELOAD, restart(_UNIT)),
        accesses=AccessPattern(units=(_UNIT,), comms=("atop",), paths=(f"{settings['LOGPATH']}/",)),
    )
