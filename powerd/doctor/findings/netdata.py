"""Netdata writes its metrics to a hard disk.

Cause: the database mode ``dbengine``, the default, appends the metrics to ``dbengine`` in its cache
directory, /var/cache/netdata. In every mode a database of what it measures and of alarms lies there as
well, and its logs are in /var/log/netdata.

Cost: the disk never stops.

Remedy: the mode ``ram``, and a cache directory in memory; no logs but errors, which go to the journal. A
restart loses the metrics and the alarms.

Source: netdata(1) (-W set); the sections [db], [directories] and [logs] of netdata.conf (Netdata 1.33 and
later; Debian 12 has 1.37), tried there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "keeps the metrics in memory, by a drop-in of netdata.service"
_UNIT: Final = "netdata.service"
_CONFIG: Final = "/etc/netdata/netdata.conf"
_CACHE: Final = re.compile(r"^\s*cache\s*=\s*(/\S+)", re.MULTILINE)
_CACHE_OPTION: Final = re.compile(r"-W set directories cache (/\S+)")
_OPTIONS: Final = (
    "-W set db mode ram -W set directories cache /run/netdata "
    "-W set logs access none -W set logs health none -W set logs error syslog"
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service is enabled and its cache directory is on a hard disk."""
    commands = machine.unit(_UNIT).get("Service.ExecStart", ())
    if not (machine.enabled(_UNIT) or machine.running(_UNIT)) or len(commands) != 1:
        return
    found = _CACHE_OPTION.findall(commands[0]) or _CACHE.findall(machine.text(_CONFIG))
    cache = found[-1] if found else "/var/cache/netdata"
    disks = machine.disks_of(cache)
    if not disks:
        return
    yield Diagnosis(
        "netdata",
        _UNIT,
        f"It writes its metrics to {cache} on {', '.join(disks)} all the time.",
        "The metrics are kept in memory; a restart loses them. Errors go to the journal.",
        disks=disks,
        files=(
            OwnFile(
                f"/etc/systemd/system/{_UNIT}.d/zz-powerd.conf",
                f"[Service]\nExecStart=\nExecStart={commands[0]} {_OPTIONS}\n",
            ),
        ),
        commands=(DAEMON_RELOAD, restart(_UNIT)),
        accesses=AccessPattern(
            units=(_UNIT,), comms=("netdata", "DBENGINE"), paths=(f"{cache}/", "/var/log/netdata/")
        ),
    )
