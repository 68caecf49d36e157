"""``python -m powerd.activity.calendar_child``: the next events of an iCalendar file (RFC 5545).

A process of its own, because icalendar and recurring-ical-events take 6 MB of resident memory, and the
recurrences of a calendar may be millions: memory and CPU time are limited. It reads an object on standard
input and prints ``[{"begin": 1796050800.0, "end": 1796054400.0, "summary": "Backup"}]``, POSIX seconds.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from powerd.activity.https_child import fetch
from powerd.linux.http_client import HttpRequest, clean, require_success, server_of
from powerd.linux.regular_file import read_regular_file
from powerd.linux.values import HostError

_MAX_SIZE: Final = 1 << 22
_DAY: Final = 86_400.0
_MAX_MEMORY: Final = 1 << 29
_MAX_CPU_SECONDS: Final = 10
_MAX_EVENTS: Final = 300
_TIMES: Final = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"})
_MAX_OCCURRENCES: Final = 20_000


def find_events(content: bytes, now: float, request: dict[str, Any]) -> list[dict[str, object]]:
    """The events that have not ended, and begin within the horizon, by their begin.

    Args:
        content: the calendar.
        now: POSIX seconds.
        request: ``horizon`` in seconds; ``match``, patterns of summaries; ``all_day``, whether such events
            count.

    Raises:
        HostError: it is not a calendar, or has too many events.
    """
    try:
        from icalendar import Calendar  # noqa: PLC0415 - an extra, and what is missing is an error message
        from recurring_ical_events import of  # noqa: PLC0415 - in the extra "calendar"
    except ImportError:
        raise HostError(
            "the package for calendars is not installed: pip install 'powerd[calendar]'"
        ) from None
    lines = content.upper().splitlines()
    begins, ends = (sum(line.startswith(word) for line in lines) for word in (b"BEGIN:", b"END:"))
    if not begins or begins != ends:
        raise HostError("it is not a complete calendar: a BEGIN: or its END: is missing; check its source")
    try:
        calendars = Calendar.from_ical(content, multiple=True)
        for component in (each for calendar in calendars for each in calendar.walk()):
            for name, fault in component.errors:  # the library leaves out what it cannot read
                if name in _TIMES:
                    raise HostError(f"the calendar has an invalid {name}: {clean(str(fault), 200)}")
        occurrences = [
            found
            for calendar in calendars
            for found in _occurrences(of(calendar).after(datetime.fromtimestamp(now, UTC)), now, request)
        ]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise HostError(
            f"the calendar cannot be read: {clean(str(error), 200) or type(error).__name__}"
        ) from None
    if len(occurrences) > _MAX_EVENTS:
        raise HostError(f'the calendar has more than {_MAX_EVENTS} events; choose some by "match"')
    return sorted(occurrences, key=lambda event: (event["begin"], event["end"], event["summary"]))


def _occurrences(events: Iterator[Any], now: float, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number, event in enumerate(events):
        if number > _MAX_OCCURRENCES:
            raise HostError("the calendar has too many occurrences of an event; correct its recurrence rule")
        begin, end = event["DTSTART"].dt, event["DTEND"].dt if "DTEND" in event else event["DTSTART"].dt
        if _posix(begin) > now + request["horizon"] + _DAY:  # in order, but for dates and other zones
            return
        summary = clean(str(event.get("SUMMARY", "")))
        if (
            (isinstance(begin, datetime) or request["all_day"])
            and str(event.get("STATUS", "")).upper() != "CANCELLED"
            and any(fnmatchcase(summary, pattern) for pattern in request["match"])
            and _posix(end) >= now
            and _posix(begin) <= now + request["horizon"]
        ):
            yield {"begin": _posix(begin), "end": _posix(end), "summary": summary}


def _posix(when: date) -> float:
    """POSIX seconds; a date, and a time without a zone, are in the zone of this machine (RFC 5545, 3.3.5)."""
    return (when if isinstance(when, datetime) else datetime.combine(when, time())).timestamp()


def read_calendar(request: dict[str, Any]) -> bytes:
    """The calendar from its file or its server."""
    if request["path"]:
        try:
            return read_regular_file(Path(request["path"]), _MAX_SIZE)[0]
        except OSError as error:
            raise HostError(
                f"cannot read {request['path']}: {error.strerror}; check its path and mode"
            ) from None
    query = HttpRequest(request["url"], request["headers"])
    answer = fetch(query, request["ca_file"], request["timeout"], _MAX_SIZE)
    return require_success(answer, server_of(query))


def encode_events(events: list[dict[str, object]], limit: int) -> bytes:
    """The events as JSON in UTF-8.

    Raises:
        HostError: it has ``limit`` or more bytes, and the daemon would not read all of it.
    """
    output = json.dumps(events, ensure_ascii=False).encode(errors="replace")
    if len(output) >= limit:
        raise HostError(f'the next events of the calendar have {limit} or more bytes; choose some by "match"')
    return output


def main() -> int:
    """Read the request and print the events.

    Returns:
        The exit status: 0, or 1 with a sentence on standard error.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_SECONDS, _MAX_CPU_SECONDS))
    request = json.load(sys.stdin)
    try:
        events = find_events(read_calendar(request), request["now"], request)
        sys.stdout.buffer.write(encode_events(events, request["output_cap"]))
    except HostError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the daemon reads it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
