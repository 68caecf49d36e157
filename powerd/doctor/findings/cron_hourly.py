"""cron runs the hourly jobs every hour, although there are none.

Cause: /etc/crontab starts run-parts for /etc/cron.hourly every hour, also if the directory has no job. cron
starts a shell, and logs the start and a session of PAM.

Cost: three log lines an hour, and the times of access of the shell, of run-parts and of what they read.

Remedy: a comment sign before the line. The file belongs to the package cron, so powerd does not change it.
anacron and the jobs of /etc/cron.daily do not depend on the line.

Source: crontab(5), run-parts(8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_CRONTAB: Final = "/etc/crontab"
_DIRECTORY: Final = "/etc/cron.hourly"
_JOB_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""The names that run-parts executes."""
_UNITS: Final = ("cron.service", "crond.service", "cronie.service")


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while cron is enabled, the line is there, and the directory has no job."""
    disks = machine.disks_of(_DIRECTORY)
    used = any(machine.enabled(unit) or machine.running(unit) for unit in _UNITS)
    if not disks or not used or any(map(_JOB_NAME.fullmatch, machine.listdir(_DIRECTORY))):
        return
    for number, line in enumerate(machine.text(_CRONTAB).splitlines(), 1):
        if _DIRECTORY in line and not line.lstrip().startswith("#"):
            yield Diagnosis(
                "cron_hourly",
                f"{_CRONTAB}, line {number}",
                f"cron runs the jobs of {_DIRECTORY}, which has none, every hour, and logs that on "
                f"{', '.join(disks)}.",
                "Put a comment sign before the line, and remove it when you add an hourly job:",
                disks=disks,
                by_hand=f"{_CRONTAB}, line {number}:\n#{line}",
                accesses=AccessPattern(comms=("cron", "crond", "run-parts")),
            )
