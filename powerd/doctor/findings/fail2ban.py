"""fail2ban writes a log line and a database row for each failed login.

Cause: it logs each match and each ban to ``logtarget``, /var/log/fail2ban.log, and stores bans and its
place in each log that it reads in ``dbfile``, /var/lib/fail2ban/fail2ban.sqlite3.

Cost: on a server that the Internet can reach, a disk write every few minutes.

Remedy: the log goes to the journal, whose size is limited, as a file in memory would not be: everyone who can
reach the server makes it grow. ``powerd doctor --fix journald`` keeps the journal in memory. The database is
kept in memory: after a restart of fail2ban or of the server, hosts that were banned have to fail again before
they are banned. The jail ``recidive`` reads the log file, so where it is enabled the remedy is left to the
owner.

Source: /etc/fail2ban/fail2ban.conf of Debian 12 (dbfile = :memory:), jail.conf(5) (fail2ban.d/*.conf
override it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "logs to the journal and keeps the database in memory, by a fragment of fail2ban.conf"
_UNIT: Final = "fail2ban.service"
_CONFIGS: Final = (
    "/etc/fail2ban/fail2ban.conf",
    "/etc/fail2ban/fail2ban.d/*.conf",
    "/etc/fail2ban/fail2ban.local",
    "/etc/fail2ban/fail2ban.d/*.local",
)
_JAILS: Final = ("/etc/fail2ban/jail.local", "/etc/fail2ban/jail.d/*")
_RECIDIVE: Final = re.compile(
    r"^\[recidive\][^\[]*^enabled\s*=\s*(?:true|yes|on|1)\b", re.MULTILINE | re.IGNORECASE
)
_OPTION: Final = re.compile(r"^(logtarget|dbfile)\s*=\s*(\S+)", re.MULTILINE)
_FRAGMENT: Final = "[Definition]\nlogtarget = SYSOUT\ndbfile = :memory:\n"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service is enabled and its log or its database is on a hard disk."""
    options = {"logtarget": "/var/log/fail2ban.log", "dbfile": "/var/lib/fail2ban/fail2ban.sqlite3"}
    local = False
    for pattern in _CONFIGS:
        for path, text in machine.texts(pattern):
            options |= dict(_OPTION.findall(text))
            local |= path.endswith(".local") and _OPTION.search(text) is not None
    paths = [path for path in options.values() if path.startswith("/") and machine.disks_of(path)]
    if not (machine.enabled(_UNIT) or machine.running(_UNIT)) or not paths:
        return
    disks = tuple(sorted({disk for path in paths for disk in machine.disks_of(path)}))
    recidive = any(_RECIDIVE.search(text) for pattern in _JAILS for _, text in machine.texts(pattern))
    head = (
        "In /etc/fail2ban/jail.local, [recidive], which reads the log file: backend = systemd\n"
        if recidive
        else ""
    )
    yield Diagnosis(
        "fail2ban",
        _UNIT,
        f"It writes to {' and '.join(paths)} on {', '.join(disks)} at each failed login.",
        "The log goes to the journal, which --fix journald keeps in memory, and the database is kept in "
        "memory. After a restart, banned hosts have to fail again before they are banned.",
        disks=disks,
        files=() if local or recidive else (OwnFile("/etc/fail2ban/fail2ban.d/zz-powerd.conf", _FRAGMENT),),
        commands=() if local or recidive else (restart(_UNIT),),
        by_hand=f"{head}In /etc/fail2ban/fail2ban.local, which overrides other files:\n{_FRAGMENT}"
        if local or recidive
        else "",
        accesses=AccessPattern(units=(_UNIT,), comms=("fail2ban-server", "f2b/server"), paths=tuple(paths)),
    )
