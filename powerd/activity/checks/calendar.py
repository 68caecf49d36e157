"""Calendar: the server is up during the events of an iCalendar file, and wakes up for them.

The calendar (RFC 5545) is a file or comes from a server; recurrence, exceptions and time zones are those of
the packages icalendar and recurring-ical-events (``pip install powerd[calendar]``), which run in a short-
lived child process. It is read at the start, when a sleep is near and the last reading is older than
``refresh``, and every 12 hours; after a failure, again after 15 minutes, or ``refresh`` if that is shorter.
Reading a file may wake its disk. Cancelled events do not count, nor do
all-day events (birthdays, holidays) unless ``all_day = true``. A time without a zone is one of the zone of
the server. An event wakes the server up ``wake.before`` its begin, by the RTC alarm.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from powerd.activity.answer import optional
from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.checks.http import read_header_file
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, boolean, duration, option, string_list
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.core.reasons import day_and_time
from powerd.core.time import Moment, add_seconds
from powerd.linux.http_client import parse_url
from powerd.linux.subprocess import OUTPUT_CAP
from powerd.linux.values import HostError

_CHILD: Final = (sys.executable, "-I", "-m", "powerd.activity.calendar_child")
_CHILD_TIMEOUT: Final = 20.0
_SERVER_TIMEOUT: Final = 5.0
_ROUTINE_REFRESH: Final = 12 * 3600.0
"""Seconds; another program may put the server to sleep at any time, and its alarm must be right."""
_RETRY: Final = 900.0
"""Seconds after a failure; a server may be out of reach for a moment after a wake-up."""
_HORIZON: Final = 28 * 86_400.0
"""Seconds; longer than the RTC alarm may be ahead (power/wake_schedule.py)."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one calendar."""

    path: str = option("", "an iCalendar file (.ics)", absolute_path())
    url: str = option("", "http: or https: URL of a calendar, instead of a file", optional(parse_url))
    header_file: str = option(
        "", 'a file with header lines "Name: value", which others cannot read', absolute_path()
    )
    ca_file: str = option(
        "", "certificates (PEM) to trust for https, instead of those of the system", absolute_path()
    )
    match: tuple[str, ...] = option(("*",), "summaries of the events that count, with `*`", string_list())
    all_day: bool = option(False, "true = events of whole days count too", boolean())
    wake: bool = option(True, "false = an event keeps the server awake, but does not wake it up", boolean())
    refresh: float = option(
        3600.0, "a calendar read longer ago is read again before a sleep", duration(60, 7 * 86_400)
    )

    def __post_init__(self) -> None:
        """Check the combination."""
        if bool(self.path) == bool(self.url):
            raise ValueError('requires either "path" or "url"; write one of them')


class CalendarEvent(NamedTuple):
    """One occurrence of an event; POSIX seconds."""

    begin: float
    end: float
    summary: str


def parse(text: str) -> tuple[CalendarEvent, ...]:
    """The events that the child process has printed.

    Raises:
        HostError: it has printed something else.
    """
    try:
        return tuple(
            CalendarEvent(float(row["begin"]), float(row["end"]), str(row["summary"]))
            for row in json.loads(text)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"the process that reads the calendar has printed no events: {error}") from None


def current_activities(events: Iterable[CalendarEvent], now: Moment, *, wakes_up: bool) -> Iterator[Activity]:
    """The events that take place, and the next one with the time to wake up for it."""
    posix = now.wall.timestamp()
    for event in events:
        name = f'"{event.summary}"' if event.summary else "an event"
        if event.begin <= posix < event.end:
            text = f"{name} is in the calendar until {_civil(event.end, now)}"
            yield Activity(name, text, keeps_awake=True)
        elif event.begin > posix:
            text = f"{name} is in the calendar at {_civil(event.begin, now)}"
            yield Activity(name, text, keeps_awake=False, wake_at=event.begin if wakes_up else None)
            return


def _civil(posix: float, now: Moment) -> str:
    return day_and_time(add_seconds(now, posix - now.wall.timestamp()), now)


class CalendarCheck:
    """Reads one calendar.

    Args:
        options: of the check.
        ports: child processes, and the clock.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        self._events: tuple[CalendarEvent, ...] = ()
        self._started_at: float | None = None
        self._failure = ""

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """Read the calendar if it is due; the events that matter now."""
        now = self._ports.clock.now()
        uptime = now.mono + now.slept
        max_age = self._options.refresh
        if depth is PollDepth.ROUTINE:
            max_age = min(max_age, _RETRY) if self._failure else max(max_age, _ROUTINE_REFRESH)
        elif self._failure:
            max_age = 0.0
        if self._started_at is None or uptime - self._started_at >= max_age:
            self._started_at, self._failure = uptime, "the last reading of the calendar was interrupted"
            try:
                self._events = await self._read(now)
            except HostError as error:
                self._failure = str(error)
                raise
            self._failure = ""
        if self._failure:
            raise HostError(self._failure)
        return tuple(current_activities(self._events, now, wakes_up=self._options.wake))

    async def _read(self, now: Moment) -> tuple[CalendarEvent, ...]:
        options = self._options
        request = {
            "path": options.path,
            "url": options.url,
            "headers": read_header_file(options.header_file),
            "ca_file": options.ca_file,
            "timeout": _SERVER_TIMEOUT,
            "match": options.match,
            "all_day": options.all_day,
            "now": now.wall.timestamp(),
            "horizon": _HORIZON,
            "output_cap": OUTPUT_CAP,
        }
        result = await self._ports.processes.run(
            _CHILD, timeout=_CHILD_TIMEOUT, stdin=json.dumps(request).encode()
        )
        result.require_success("the process that reads the calendar")
        return parse(result.stdout)


KIND: Final = CheckKind(
    "calendar", Options, CalendarCheck, many=True, example=Options(path="/etc/powerd/calendar.ics")
)
