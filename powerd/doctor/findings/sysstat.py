"""sysstat appends a sample to its log on a hard disk every 10 minutes.

Cause: sysstat-collect.timer runs sadc(8) by ``OnCalendar=*:00/10``, which writes to ``SA_DIR`` of
/etc/sysstat/sysstat, /var/log/sysstat by default.

Cost: the disk with the log is started every 10 minutes, or never stops.

Remedy: /run/sysstat, in memory (1 MB a day), takes the place of that directory for the three services of
sysstat. Its samples are lost at a restart. ``sar -f /run/sysstat`` shows them.

Source: sysstat(5), sadc(8), sar(1) (-f with a directory), the units of Debian 12; systemd.exec(5)
(BindPaths=, RuntimeDirectoryPreserve=).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments
from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile

FIX: Final = "keeps the samples in memory, by drop-ins of sysstat's services"
_TIMER: Final = "sysstat-collect.timer"
_SERVICES: Final = ("sysstat.service", "sysstat-collect.service", "sysstat-summary.service")
_MEMORY: Final = "/run/sysstat"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the timer is enabled and its service writes to a hard disk."""
    directory = assignments(machine.text("/etc/sysstat/sysstat")).get("SA_DIR", "/var/log/sysstat")
    bound = f"{_MEMORY}:{directory}" in machine.unit(_SERVICES[1]).get("Service.BindPaths", ())
    disks = machine.disks_of(directory)
    if not machine.enabled(_TIMER) or bound or not disks:
        return
    often = ", ".join(machine.unit(_TIMER).get("Timer.OnCalendar", ()))
    runtime = "RuntimeDirectory=sysstat\nRuntimeDirectoryPreserve=yes\n"
    drop_in = f"[Service]\n{runtime}BindPaths={_MEMORY}:{directory}\n"
    yield Diagnosis(
        "sysstat",
        _TIMER,
        f"Its service writes a sample to {directory} on {', '.join(disks)} by OnCalendar={often}.",
        f"The samples are kept in memory, in {_MEMORY}, and are lost at a restart. Read them with sar -f "
        f"{_MEMORY}.",
        disks=disks,
        files=tuple(OwnFile(f"/etc/systemd/system/{unit}.d/zz-powerd.conf", drop_in) for unit in _SERVICES),
        commands=(DAEMON_RELOAD,),
        accesses=AccessPattern(units=_SERVICES, comms=("sadc", "sa1", "sa2"), paths=(f"{directory}/",)),
    )
