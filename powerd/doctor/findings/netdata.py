"""Netdata writes its metrics to a hard disk.

Cause: the database mode ``dbengine``, the default, appends the collected metrics to
/var/cache/netdata/dbengine.

Cost: the disk never stops.

Remedy: the mode ``ram`` keeps the metrics in memory; those of before a restart are lost.

Source: netdata(1) (-W set), the section [db] of netdata.conf: ``mode = dbengine | ram | none ...`` (Netdata
1.33 and later; Debian 12 has 1.37).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "keeps the metrics in memory, by a drop-in of netdata.service"
_UNIT: Final = "netdata.service"
_CONFIGS: Final = ("/etc/netdata/netdata.conf", "/opt/netdata/etc/netdata/netdata.conf")
_CACHE: Final = "/var/cache/netdata"
_IN_MEMORY: Final = re.compile(r"^\s*(?:memory )?mode\s*=\s*(?:ram|alloc|none)\b", re.MULTILINE)
_OPTION: Final = "-W set db mode ram"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service is enabled and its database is on a hard disk."""
    commands = machine.unit(_UNIT).get("Service.ExecStart", ())
    in_memory = any(_IN_MEMORY.search(machine.text(path)) for path in _CONFIGS)
    disks = machine.disks_of(_CACHE)
    if not (machine.enabled(_UNIT) or machine.running(_UNIT)) or in_memory or not disks:
        return
    if len(commands) != 1 or _OPTION in commands[0]:
        return
    yield Diagnosis(
        "netdata",
        _UNIT,
        f"It writes its metrics to {_CACHE} on {', '.join(disks)} all the time.",
        "The metrics are kept in memory; those of before a restart are lost.",
        disks=disks,
        files=(
            OwnFile(
                f"/etc/systemd/system/{_UNIT}.d/powerd.conf",
                f"[Service]\nExecStart=\nExecStart={commands[0]} {_OPTION}\n",
            ),
        ),
        commands=(DAEMON_RELOAD, restart(_UNIT)),
        accesses=AccessPattern(
            units=(_UNIT,), comms=("netdata", "DBENGINE"), paths=(f"{_CACHE}/", "/var/log/netdata/")
        ),
    )
