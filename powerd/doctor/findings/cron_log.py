"""cron logs the start of each job, and PAM each of its sessions.

Cause: cron(8) logs each job that it starts (``-L 1``, its default), and pam_unix(8) the beginning and the
end of each session. The log lines are written to /var/log by rsyslogd and to the journal by journald.

Cost: one log write for each job; a job that runs every 5 minutes keeps the disk with /var/log spinning.

Remedy: cron logs errors only. The lines of PAM remain; ``quiet`` suppresses them.

Source: cron(8) of Debian (-L, EXTRA_OPTS in /etc/default/cron), pam_unix(8) (quiet).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments
from powerd.doctor.machine import Machine, last
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "lets cron log errors only, by a drop-in of cron.service"
_UNIT: Final = "cron.service"
_LEVEL: Final = re.compile(r"-L\s*(\d+)")
_IN_UNIT: Final = re.compile(r"EXTRA_OPTS=([^\"']*)")
_PAM: Final = "/etc/pam.d/common-session-noninteractive"
_LOGS: Final = ("/var/log/syslog", "/var/log/auth.log", "/var/log/journal")


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while cron logs the start of jobs and logs are written to a hard disk.

    Debian 13 sets an empty EXTRA_OPTS in /etc/default/cron, which overrides that of a drop-in, so the fix
    adds the level to ExecStart. A level that the owner has chosen remains.
    """
    settings = machine.unit(_UNIT)
    command = last(settings, "Service.ExecStart")
    configured = assignments(machine.text("/etc/default/cron")).get("EXTRA_OPTS")
    found = _IN_UNIT.search(" ".join(settings.get("Service.Environment", ())))
    options = configured if configured is not None else found[1] if found else ""
    levels = _LEVEL.findall(command.replace("$EXTRA_OPTS", options))
    logs = [path for path in _LOGS if machine.exists(path) and machine.disks_of(path)]
    if not machine.enabled(_UNIT) or "$EXTRA_OPTS" not in command or levels[-1:] == ["0"] or not logs:
        return
    disks = tuple(sorted({disk for path in logs for disk in machine.disks_of(path)}))
    by_hand = f"In {_PAM}, to silence PAM as well: session required pam_unix.so quiet"
    yield Diagnosis(
        "cron_log",
        _UNIT,
        f"It logs each job that it starts to {', '.join(logs)} on {', '.join(disks)}.",
        "cron logs errors only.",
        disks=disks,
        files=()
        if levels
        else (
            OwnFile(
                f"/etc/systemd/system/{_UNIT}.d/zz-powerd-log.conf",
                f"[Service]\nExecStart=\nExecStart={command} -L 0\n",
            ),
        ),
        commands=() if levels else (DAEMON_RELOAD, restart(_UNIT)),
        by_hand=f'In /etc/default/cron: EXTRA_OPTS="{options} -L 0"\n{by_hand}' if levels else by_hand,
        accesses=AccessPattern(comms=("cron",)),  # the unit also has the jobs
    )
