"""Daily jobs start a hard disk at different times of the day.

Cause: Debian runs its daily jobs by timers that are spread over the day on purpose: apt-daily.timer,
man-db.timer and plocate-updatedb.timer have ``RandomizedDelaySec=12h``, others start at midnight.

Cost: each job finds the disk in standby, so up to eight jobs start it up to eight times a day.

Remedy: all of them start in one minute between 6:15 and 6:35, when cron(8) runs its daily jobs as well. The
minute is derived from the machine's id, so that not all servers query Debian's mirrors in the same minute.
apt-daily.timer then runs once a day instead of twice. Jobs that were missed while the server slept run when
it wakes, as before.

Source: systemd.timer(5), the timer units of Debian 12, crontab(5).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine, last
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "starts all daily jobs in the same minute, by drop-ins of their timers"
_TIMERS: Final = {
    "apt-daily.timer": "/var/lib/apt",
    "apt-daily-upgrade.timer": "/var/lib/dpkg",
    "dpkg-db-backup.timer": "/var/backups",
    "e2scrub_all.timer": "/usr",
    "exim4-base.timer": "/var/log",
    "fstrim.timer": "/usr",
    "logrotate.timer": "/var/log",
    "man-db.timer": "/var/cache/man",
    "mdmonitor-oneshot.timer": "/usr",
    "ntpsec-rotate-stats.timer": "/var/log",
    "plocate-updatedb.timer": "/var/lib/plocate",
    "sysstat-summary.timer": "/var/log",
}
"""A directory that the job of each timer reads or writes; for the data disks of plocate see locate.py."""
_WEEKLY: Final = {"e2scrub_all.timer": "Sun ", "fstrim.timer": "Mon "}
_LATER: Final = {"apt-daily-upgrade.timer": 5}
"""Minutes, so that upgrades are installed from the lists of the same day."""
_FIRST_MINUTE, _MINUTES = 15, 20
_TOGETHER: Final = 10
"""Minutes between the first job and the last, which then find the disk spinning, as an owner may have set."""
_TIME: Final = re.compile(r"(?:[A-Za-z,.]+\s+)?(?:[\d*-]+\s+)?(\d{1,2}):(\d{2})(?::00)?")
"""A calendar event with one time (systemd.time(7))."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while two or more enabled timers, whose jobs use hard disks, start at different times."""
    disks = {timer: machine.disks_of(path) for timer, path in _TIMERS.items() if machine.enabled(timer)}
    concerned = sorted(timer for timer, names in disks.items() if names)
    minute = _FIRST_MINUTE + zlib.crc32(machine.text("/etc/machine-id").encode()) % _MINUTES
    calendars = {
        timer: f"{_WEEKLY.get(timer, '')}*-*-* 06:{minute + _LATER.get(timer, 0):02}:00"
        for timer in concerned
    }
    starts = [_minute_of_day(*_start(machine, timer)) for timer in concerned]
    known = [start for start in starts if start is not None]
    together = len(known) == len(starts) and max(known, default=0) - min(known, default=0) <= _TOGETHER
    if together or len(concerned) < 2:  # noqa: PLR2004 - one job alone cannot share a start
        return
    all_disks = tuple(sorted({name for timer in concerned for name in disks[timer]}))
    yield Diagnosis(
        "daily_timers",
        ", ".join(concerned),
        f"These {len(concerned)} jobs use {', '.join(all_disks)} at different times of the day, and each "
        "may start a disk.",
        f"All of them start at 6:{minute:02}, the weekly ones on their day; apt looks for updates once a "
        "day instead of twice. A job that is due at that moment runs at once.",
        disks=all_disks,
        files=tuple(
            OwnFile(
                f"/etc/systemd/system/{timer}.d/zz-powerd-daily.conf",
                f"[Timer]\nOnCalendar=\nOnCalendar={calendars[timer]}\nRandomizedDelaySec=0\nAccuracySec=1min\n",
            )
            for timer in concerned
        ),
        commands=(DAEMON_RELOAD, *(restart(timer) for timer in concerned)),
        accesses=AccessPattern(units=tuple(timer.replace(".timer", ".service") for timer in concerned)),
    )


def _start(machine: Machine, timer: str) -> tuple[str, str]:
    """When a timer elapses, and the greatest random delay after it."""
    settings = machine.unit(timer)
    return (
        " ".join(settings.get("Timer.OnCalendar", ())),
        last(settings, "Timer.RandomizedDelaySec", "0"),
    )


def _minute_of_day(calendar: str, delay: str) -> int | None:
    """When a timer starts each time; None = not at one time."""
    found = _TIME.fullmatch(calendar)
    return int(found[1]) * 60 + int(found[2]) if found and delay in {"0", "0s"} else None
