"""When a drive's next check and self-test are due: civil times, which outlive restarts and nights off."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from powerd.config import Smart
from powerd.model import Record

_DAY: Final = 86400.0
_SLACK: Final = 1.25
"""A self-test shares the drive with other work: so many times what the drive says that it takes."""
_TEST_MOST: Final = 3 * _DAY


class Checkup(NamedTuple):
    """POSIX times: from when a check is wanted, and from when even if the drive has to be woken for it."""

    due: float
    must: float


def next_check(record: Record, options: Smart, wall: datetime) -> Checkup | None:
    """The next check of a drive; None = never.

    Args:
        record: what is remembered of it.
        options: see there; ``every`` of a day or more is brought to the ``at`` that is nearest.
        wall: now, whose zone ``at`` is in.
    """
    if not options.every:
        return None
    last = record.last.at if record.last is not None else None
    base = record.known if last is None else min(last, wall.timestamp())  # a clock that was set back
    must = base + max(options.max_defer, options.every)
    if last is None:
        return Checkup(base, must)
    if (over := testing_until(record)) is not None and over > base:
        return Checkup(over, must)  # to read what came of it
    due = base + options.every
    return Checkup(_nearest(due, options.at, wall) if options.every >= _DAY else due, must)


def next_test(record: Record, options: Smart) -> tuple[float, str] | None:
    """The POSIX time of the next self-test of a drive, and its kind; None = never, or it has none."""
    minutes = record.last.minutes if record.last is not None else (0, 0)
    found = []
    for kind, every, takes in (
        ("long", options.self_test.long, minutes[1]),
        ("short", options.self_test.short, minutes[0]),
    ):
        # A long test includes what a short one does.
        begun = [at for name, at in record.tested.items() if name in {kind, "long"}]
        if every and takes:
            found.append((max([record.known, *begun]) + every, kind))
    return min(found, default=None)


def testing_until(record: Record) -> float | None:
    """The POSIX time at which the self-test that was begun last is over for certain; None = none was."""
    if not record.tested or record.last is None:
        return None
    begun, kind = max((at, kind) for kind, at in record.tested.items())
    minutes = record.last.minutes[kind == "long"]
    return begun + min(minutes * 60 * _SLACK, _TEST_MOST)


def _nearest(posix: float, minute: int, wall: datetime) -> float:
    """The time of day ``minute`` that is nearest to ``posix``; one that DST skips is as PEP 495 has it."""
    day = datetime.fromtimestamp(posix, wall.tzinfo)
    begin = day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    around = [(begin + timedelta(days=days)).timestamp() for days in (-1, 0, 1)]
    return min(around, key=lambda each: abs(each - posix))
