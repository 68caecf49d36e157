"""When a drive's next check and self-test are due: civil times, which outlive restarts and nights off."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from powerd.config import Smart
from powerd.model import Health, Record, TestKind

_DAY: Final = 86400.0
_SLACK: Final = 1.25
"""A self-test shares the drive with other work: so many times what the drive says that it takes."""
_TEST_MOST: Final = 3 * _DAY
_TEST_LEAST: Final = 600.0
"""Seconds until a self-test that a check found running is looked at again."""
_EARLY: Final = 3600.0
"""A check may be so much later than its rhythm for the preferred time's sake, and else is earlier: a drive
that is used once a day, at whatever hour, is then checked each time."""
_SET_BACK: Final = 3600.0
"""A check that lies so far ahead was made while the clock was wrong."""


class Checkup(NamedTuple):
    """POSIX times: from when a check is wanted, and from when even if the drive has to be woken for it."""

    due: float
    must: float


def next_check(record: Record, options: Smart, wall: datetime) -> Checkup | None:
    """The next check of a drive; None = never.

    Args:
        record: what is remembered of it.
        options: see there; ``every`` of a day or more is brought forward to the preferred time ``at``.
        wall: now, whose zone ``at`` is in.
    """
    if not options.every:
        return None
    longest, posix = max(options.max_defer, options.every), wall.timestamp()
    last = record.last.at if record.last is not None else None
    if last is not None and last > posix + _SET_BACK:
        last = posix - options.every  # whenever that was
    base = record.known if last is None else min(last, posix)
    must = max(base, record.woken if record.woken <= posix else 0.0) + longest
    if last is None:
        return Checkup(base, must)
    if (over := testing_until(record)) is not None and over > base:
        return Checkup(over, must)  # to read what came of it
    due = base + options.every
    return Checkup(_latest(due + _EARLY, options.at, wall) if options.every >= _DAY else due, must)


def next_test(record: Record, options: Smart) -> tuple[float, TestKind] | None:
    """The POSIX time of the next self-test of a drive, and its kind; None = never, or it has none."""
    minutes = record.last.minutes if record.last is not None else (0, 0)
    found: list[tuple[float, TestKind]] = []
    kinds: tuple[tuple[TestKind, float, int], ...] = (
        ("long", options.self_test.long, minutes[1]),
        ("short", options.self_test.short, minutes[0]),
    )
    for kind, every, takes in kinds:
        # A long test includes what a short one does.
        begun = [at for name, at in record.tested.items() if name in {kind, "long"}]
        if every and takes:
            found.append((max([record.known, *begun]) + every, kind))
    return min(found, default=None)


def testing_until(record: Record) -> float | None:
    """The POSIX time at which the self-test that runs is over for certain; None = none is known to run.

    One that was begun runs until a check has found it over; one that a check found, whoever began it, takes
    what is left of it.
    """
    last = record.last
    if last is None:
        return None
    begun, kind = max(((at, kind) for kind, at in record.tested.items()), default=(float("-inf"), "long"))
    takes = min(last.minutes[kind == "long"] * 60 * _SLACK, _TEST_MOST)
    if last.at <= begun:
        return begun + takes
    if last.testing is None or _stuck(record.before, last, takes):
        return None
    return last.at + max(takes * min(last.testing, 100) / 100, _TEST_LEAST)


def _stuck(before: Health | None, last: Health, takes: float) -> bool:
    """Whether a self-test has not come on for as long as one of its tenths takes: the drive only says so."""
    return before is not None and before.testing == last.testing and last.at - before.at >= takes / 10


def testing_kind(record: Record) -> str:
    """What to call the self-test that runs."""
    last = record.last.at if record.last is not None else 0.0
    known = [(at, kind) for kind, at in record.tested.items() if last - at < _TEST_MOST]
    return f"{max(known)[1]} self-test" if known else "a self-test that somebody else began"


def _latest(posix: float, minute: int, wall: datetime) -> float:
    """The last time of day ``minute`` up to ``posix``; one that DST skips is as PEP 495 has it."""
    day = datetime.fromtimestamp(posix, wall.tzinfo)
    begin = day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    around = [(begin - timedelta(days=days)).timestamp() for days in (0, 1)]
    return next((each for each in around if each <= posix), around[-1])
