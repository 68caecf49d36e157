"""When a drive's next check and self-test are due: civil times, which outlive restarts and nights off."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from powerd.config.disk_options import SmartOptions
from powerd.smart.actions import TestKind
from powerd.smart.model import Health, SmartRecord

_DAY: Final = 86400.0
_TEST_TIME_FACTOR: Final = 1.25
"""A self-test shares the drive with other work: so many times what the drive says that it takes."""
_MAX_TEST_SECONDS: Final = 3 * _DAY
_MIN_TEST_SECONDS: Final = 600.0
"""Seconds until a self-test that a check found running is looked at again."""
_MAX_DELAY: Final = 3600.0
"""A check may be so much later than its rhythm for the preferred time's sake, and else is earlier: a drive
that is used once a day, at whatever hour, is then checked each time."""
_CLOCK_ERROR: Final = 3600.0
"""A check that lies so far ahead was made while the clock was wrong."""


class CheckTimes(NamedTuple):
    """POSIX times: from when a check is wanted, and from when even if the drive has to be woken for it."""

    due: float
    overdue: float


def next_check(record: SmartRecord, options: SmartOptions, wall: datetime) -> CheckTimes | None:
    """The next check of a drive; None = never.

    Args:
        record: what is remembered of it.
        options: see there; ``every`` of a day or more is brought forward to the preferred time ``at``.
        wall: now, whose zone ``at`` is in.
    """
    if not options.every:
        return None
    longest, posix = max(options.max_defer, options.every), wall.timestamp()
    last = record.last.checked_at if record.last is not None else None
    if last is not None and last > posix + _CLOCK_ERROR:
        last = posix - options.every  # whenever that was
    base = record.known_since if last is None else min(last, posix)
    overdue = max(base, record.woken_at if record.woken_at <= posix else 0.0) + longest
    if last is None:
        return CheckTimes(base, overdue)
    if (test_end := self_test_ends_at(record)) is not None and test_end > base:
        return CheckTimes(test_end, overdue)  # to read what came of it
    due = base + options.every
    return CheckTimes(
        _last_time_of_day(due + _MAX_DELAY, options.at, wall) if options.every >= _DAY else due, overdue
    )


def next_test(record: SmartRecord, options: SmartOptions) -> tuple[float, TestKind] | None:
    """The POSIX time of the next self-test of a drive, and its kind; None = never, or it has none."""
    minutes = record.last.test_minutes if record.last is not None else (0, 0)
    candidates: list[tuple[float, TestKind]] = []
    kinds: tuple[tuple[TestKind, float, int], ...] = (
        ("long", options.self_test.long, minutes[1]),
        ("short", options.self_test.short, minutes[0]),
    )
    for kind, every, duration in kinds:
        # A long test includes what a short one does.
        started = [at for name, at in record.test_started_at.items() if name in {kind, "long"}]
        if every and duration:
            candidates.append((max([record.known_since, *started]) + every, kind))
    return min(candidates, default=None)


def self_test_ends_at(record: SmartRecord) -> float | None:
    """The POSIX time at which the self-test that runs is over for certain; None = none is known to run.

    One that was begun runs until a check has found it over; one that a check found, whoever began it, takes
    what is left of it.
    """
    last = record.last
    if last is None:
        return None
    started_at, kind = max(
        ((at, kind) for kind, at in record.test_started_at.items()), default=(float("-inf"), "long")
    )
    duration = min(last.test_minutes[kind == "long"] * 60 * _TEST_TIME_FACTOR, _MAX_TEST_SECONDS)
    if last.checked_at <= started_at:
        return started_at + duration
    if last.test_remaining_percent is None or _makes_no_progress(record.previous, last, duration):
        return None
    return last.checked_at + max(duration * min(last.test_remaining_percent, 100) / 100, _MIN_TEST_SECONDS)


def _makes_no_progress(previous: Health | None, last: Health, duration: float) -> bool:
    """Whether a self-test has not come on for as long as one of its tenths takes: the drive only says so."""
    return (
        previous is not None
        and previous.test_remaining_percent == last.test_remaining_percent
        and last.checked_at - previous.checked_at >= duration / 10
    )


def self_test_name(record: SmartRecord) -> str:
    """What to call the self-test that runs."""
    last = record.last.checked_at if record.last is not None else 0.0
    started = [(at, kind) for kind, at in record.test_started_at.items() if last - at < _MAX_TEST_SECONDS]
    return f"{max(started)[1]} self-test" if started else "a self-test that somebody else began"


def _last_time_of_day(posix: float, minute: int, wall: datetime) -> float:
    """The last time of day ``minute`` up to ``posix``; one that DST skips is as PEP 495 has it."""
    day = datetime.fromtimestamp(posix, wall.tzinfo)
    begin = day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    candidates = [(begin - timedelta(days=days)).timestamp() for days in (0, 1)]
    return next((each for each in candidates if each <= posix), candidates[-1])
