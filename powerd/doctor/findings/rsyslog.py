"""rsyslog writes each log message to files on a hard disk.

Cause: Debian's rsyslog.conf writes every message to /var/log/syslog and to a second file, at the end of each
batch of messages. journald has the same messages.

Cost: a disk write for each message, so each cron job, login or DHCP lease starts the disk.

Remedy: rsyslog collects the messages of each file in memory, and writes them when there are 256 kB, every 6
hours, at logrotate's signal, and when it stops. A crash loses the messages of these hours, unless journald
has written them. Programs that read the files, such as fail2ban, read messages that much later and do not
protect in the meantime: where one runs, the remedy is left to the owner. The drop-in is read before the rules
and sets defaults for those in the old format, as Debian's are. Files of ``action(type="omfile")`` take
parameters of their own, which are to be added by hand. If nobody needs the files, mask rsyslog.

Source: https://www.rsyslog.com/doc/configuration/modules/omfile.html, rsyslog.conf(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "writes the files every 6 hours, by a file in /etc/rsyslog.d"
_UNIT: Final = "rsyslog.service"
_READERS: Final = (
    "fail2ban.service",
    "crowdsec.service",
    "denyhosts.service",
    "sshguard.service",
    "psad.service",
)
"""Programs that block attackers by what they read in log files."""
_MAIN: Final = "/etc/rsyslog.conf"
_OWN: Final = OwnFile(
    "/etc/rsyslog.d/00-powerd.conf",
    "$OMFileAsyncWriting on\n$OMFileFlushOnTXEnd off\n$OMFileFlushInterval 21600\n$OMFileIOBufferSize 256k\n",
)
_INCLUDE: Final = re.compile(
    r"^\s*(?:\$IncludeConfig\s+|include\(\s*file=\")/etc/rsyslog\.d/\*\.conf", re.MULTILINE | re.IGNORECASE
)
_OLD_RULE: Final = re.compile(r"^[^#$&:\s(]\S*\s+-?(/\S+)", re.MULTILINE)
"""``kern.*  -/var/log/kern.log``; a minus means without fsync(2), which is the default anyway."""
_ACTION: Final = re.compile(r"action\s*\(([^)]*type=\"omfile\"[^)]*)\)", re.IGNORECASE)
_FILE: Final = re.compile(r"\bfile=\"([^\"]+)\"", re.IGNORECASE)
_COLLECTS: Final = re.compile(r"flushOnTXEnd[=\s]\s*\"?off", re.IGNORECASE)
_PARAMETERS: Final = 'asyncWriting="on" flushOnTXEnd="off" flushInterval="21600" ioBufferSize="256k"'


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while rsyslog writes files on hard disks at once."""
    if not (machine.enabled(_UNIT) or machine.running(_UNIT)):
        return
    main = machine.text(_MAIN)
    texts = {_MAIN: main, **dict(machine.texts("/etc/rsyslog.d/*.conf"))}
    accesses = AccessPattern(units=(_UNIT,), comms=("rsyslogd", "rs:main Q:Reg"))
    old = {path: machine.disks_of(path) for text in texts.values() for path in _OLD_RULE.findall(text)}
    old = {path: disks for path, disks in old.items() if disks}
    collects = any(
        _COLLECTS.search(line) for text in texts.values() for line in text.splitlines() if "$" in line
    )
    readers = [unit for unit in _READERS if machine.enabled(unit) or machine.running(unit)]
    warning = (
        f"First let {', '.join(readers)} read the journal instead (fail2ban: backend = systemd).\n"
        if readers
        else ""
    )
    if old and not collects:
        disks = tuple(sorted({disk for found in old.values() for disk in found}))
        rule = _OLD_RULE.search(main)
        included = _INCLUDE.search(main, 0, rule.start() if rule else len(main))
        fixable = included is not None and not readers
        yield Diagnosis(
            "rsyslog",
            _UNIT,
            f"Each message is written at once to {', '.join(old)} on {', '.join(disks)}.",
            "The messages are written every 6 hours, and when 256 kB have come together; a crash loses "
            "those of the last hours, and programs that read these files see them that late. If the journal "
            "is enough for you: systemctl mask --now rsyslog.",
            disks=disks,
            files=(_OWN,) if fixable else (),
            commands=(restart(_UNIT),) if fixable else (),
            by_hand="" if fixable else f"{warning}{_MAIN}, before the first rule:\n{_OWN.text.strip()}",
            accesses=accesses,
        )
    actions = [
        (path, found[1], disks)
        for path, text in texts.items()
        for action in _ACTION.findall(text)
        if not _COLLECTS.search(action)
        and (found := _FILE.search(action))
        and (disks := machine.disks_of(found[1]))
    ]
    if actions:
        yield Diagnosis(
            "rsyslog:actions",
            _UNIT,
            f"Each message is written at once to {', '.join(target for _, target, _ in actions)}.",
            "Let rsyslog collect the messages for 6 hours; a crash loses those of the last hours, and "
            "programs that read these files see them that late.",
            disks=tuple(sorted({disk for _, _, disks in actions for disk in disks})),
            by_hand=warning
            + "\n".join(
                f'{path}, action with file="{target}", add: {_PARAMETERS}' for path, target, _ in actions
            ),
            accesses=accesses,
        )
