"""Timers of systemd start programs more often than daily.

Cause: packages and administrators install timers that run every few minutes or hours.

Cost: each run reads the program, unless it is still in memory, writes log lines, and often files: a start of
the disk each time.

Remedy: a drop-in sets the timer to once a day. The record of wakes shows which timers matter; for a
job that has to run often, move its data to an SSD or to memory.

Source: systemd.timer(5), systemd.time(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart
from powerd.linux.systemd_files import UnitSettings

FIX: Final = "runs it daily, by a drop-in of the timer"
_OTHER_FINDINGS: Final = re.compile(
    r"systemd-tmpfiles-clean|apt-daily|sysstat|scrutiny|man-db|(m|p)locate|powerd"
)
"""Timers that have a finding of their own, or are powerd's."""
_FREQUENT: Final = ("minutely", "hourly")
_UNITS: Final = {
    word: seconds
    for words, seconds in (
        ("usec us", 1e-6),
        ("msec ms", 1e-3),
        ("seconds second sec s", 1),
        ("minutes minute min m", 60),
        ("hours hour hr h", 3600),
    )
    for word in words.split()
}
"""The units of less than a day."""
_DAY: Final = 86400
_SPAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_REPEATING: Final = ("Timer.OnUnitActiveSec", "Timer.OnUnitInactiveSec")
_RESET: Final = "[Timer]\nOnCalendar=\n"
"""An empty value removes all times of the timer, of whichever kind."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to each enabled timer with a shorter period, where the system lies on a hard disk."""
    disks = tuple(sorted({*machine.disks_of("/usr/bin"), *machine.disks_of("/var/log")}))
    for timer in machine.enabled_timers() if disks else ():
        name, settings = timer.removesuffix(".timer"), machine.unit(timer)
        times = [*filter(is_frequent, settings.get("Timer.OnCalendar", ())), *_short_intervals(settings)]
        if not times or _OTHER_FINDINGS.match(name):
            continue
        service = (*settings.get("Timer.Unit", ()), f"{name}.service")[0]
        yield Diagnosis(
            f"timers:{name}",
            timer,
            f"It starts {service} more often than daily ({', '.join(times)}), which may start "
            f"{', '.join(disks)} each time.",
            "It runs once a day. Leave it if its work has to be done more often.",
            disks=disks,
            files=(OwnFile(f"/etc/systemd/system/{timer}.d/zz-powerd.conf", f"{_RESET}OnCalendar=daily\n"),),
            commands=(DAEMON_RELOAD, restart(timer)),
            accesses=AccessPattern(units=(service,)),
        )


def is_frequent(calendar: str) -> bool:
    """Whether a calendar event comes more often than daily (systemd.time(7), "Calendar events")."""
    if calendar in _FREQUENT:
        return True
    times = [word for word in calendar.split() if ":" in word]
    hours = times[0].partition(":")[0] if times else "0"
    return not hours.isdecimal()


def _short_intervals(settings: UnitSettings) -> Iterator[str]:
    for name in _REPEATING:
        for value in settings.get(name, ()):
            if 0 < span_seconds(value) < _DAY:
                yield f"every {value}"


def span_seconds(span: str) -> float:
    """Seconds of a time span (systemd.time(7)) of less than a day; 0 = it is longer, or is not read."""
    parts = _SPAN.findall(span)
    if _SPAN.sub("", span) or any(unit and unit not in _UNITS for _, unit in parts):
        return 0.0
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
