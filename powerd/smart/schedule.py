"""When the next check and self-test of a drive are due, in civil time: it survives restarts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from powerd.config.disk_options import SmartOptions
from powerd.smart.actions import TestKind
from powerd.smart.model import Health, SmartRecord

_DAY: Final = 86400.0
_TEST_TIME_FACTOR: Final = 1.25
"""Factor on the reported duration of a self-test, which shares the drive with other work."""
_MAX_TEST_SECONDS: Final = 3 * _DAY
_MIN_TEST_SECONDS: Final = 600.0
"""Seconds until a self-test that a check found running is checked again."""
_MAX_DELAY: Final = 3600.0
"""Seconds by which a check may be late to meet the preferred time; otherwise it is earlier, so a
drive that is used once a day, at any hour, is checked each time.
"""
_CLOCK_ERROR: Final = 3600.0
"""Seconds; a check farther in the future was made while the clock was wrong."""


class CheckTimes(NamedTuple):
    """POSIX times from which a check is due, and from which the drive may be woken for it."""

    due: float
    overdue: float


def next_check(record: SmartRecord, options: SmartOptions, wall: datetime) -> CheckTimes | None:
    """The next check of a drive; None = never.

    Args:
        record: of the drive.
        options: an interval ``every`` of a day or more is shortened to meet the preferred time ``at``.
        wall: now, in the time zone of ``at``.
    """
    if not options.every:
        return None
    longest, posix = max(options.max_defer, options.every), wall.timestamp()
    # a damaged record may have lost its last check; a sample has its time
    latest = record.last or next(reversed(record.samples), None)
    last = None if latest is None else latest.checked_at
    if last is not None and last > posix + _CLOCK_ERROR:
        last = posix - options.every  # its real time is unknown
    base = record.known_since if last is None else min(last, posix)
    overdue = max(base, record.woken_at if record.woken_at <= posix else 0.0) + longest
    if record.last is None:
        return CheckTimes(base, overdue)
    if (test_end := self_test_ends_at(record)) is not None and test_end > base:
        return CheckTimes(test_end, overdue)  # to read the result
    due = base + options.every
    return CheckTimes(
        _last_time_of_day(due + _MAX_DELAY, options.at, wall) if options.every >= _DAY else due, overdue
    )


def next_test(record: SmartRecord, options: SmartOptions) -> tuple[float, TestKind] | None:
    """The POSIX time and the kind of the next self-test; None = never, or the drive has none."""
    minutes = record.last.test_minutes if record.last is not None else (0, 0)
    candidates: list[tuple[float, TestKind]] = []
    kinds: tuple[tuple[TestKind, float, int], ...] = (
        ("long", options.self_test.long, minutes[1]),
        ("short", options.self_test.short, minutes[0]),
    )
    for kind, every, duration in kinds:
        # a long test includes a short one
        started = [at for name, at in record.test_started_at.items() if name in {kind, "long"}]
        if every and duration:
            candidates.append((max([record.known_since, *started]) + every, kind))
    return min(candidates, default=None)


def self_test_ends_at(record: SmartRecord) -> float | None:
    """The POSIX time at which the running self-test has certainly ended; None = none is known to be running.

    A test started by powerd runs until a check finds that it has ended. A test that a check finds, whatever
    program started it, takes the reported remainder.
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
    """Whether a self-test makes no progress within the time of a tenth of it: the drive only reports it."""
    return (
        previous is not None
        and previous.test_remaining_percent == last.test_remaining_percent
        and last.checked_at - previous.checked_at >= duration / 10
    )


def self_test_name(record: SmartRecord) -> str:
    """A name for the running self-test."""
    last = record.last.checked_at if record.last is not None else 0.0
    started = [(at, kind) for kind, at in record.test_started_at.items() if last - at < _MAX_TEST_SECONDS]
    return f"{max(started)[1]} self-test" if started else "a self-test that another program started"


def _last_time_of_day(posix: float, minute: int, wall: datetime) -> float:
    """The last time of day ``minute`` before ``posix``; a time that DST skips follows PEP 495."""
    day = datetime.fromtimestamp(posix, wall.tzinfo)
    begin = day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    candidates = [(begin - timedelta(days=days)).timestamp() for days in (0, 1)]
    return next((each for each in candidates if each <= posix), candidates[-1])
