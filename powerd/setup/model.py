"""What a person answers in ``powerd setup``, and how the answers are written."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from powerd.config.options import parse_notify_url
from powerd.config.values import (
    TimeWindow,
    WeeklyTime,
    parse_display_name,
    parse_duration,
    parse_weekly_time,
    parse_window,
)
from powerd.core.dataclass import dataclass

NightAction = Literal["suspend", "poweroff"]
_NONE: Final = frozenset({"none", "no", "-"})
_RANGE: Final = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")
_SHORTEST_SPIN_DOWN: Final = 600.0


class Pattern(NamedTuple):
    """A pattern of the configuration, and a comment on what it matches."""

    pattern: str
    comment: str


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers.

    Attributes:
        ignore: clients that never count, by MAC or address.
        names: names for clients; the comment is the name.
        action: what happens at night; None = nothing.
        during: when.
        idle_for: seconds.
        wake_at: when the server is up again.
        spin_down: disks that may spin down, by id; None = the default of powerd applies.
        spin_down_after: seconds.
        notify: Apprise URLs.
        enforce: act, instead of observing.
    """

    ignore: tuple[Pattern, ...] = ()
    names: tuple[Pattern, ...] = ()
    action: NightAction | None = None
    during: tuple[TimeWindow, ...] = ()
    idle_for: float = 1800.0
    wake_at: tuple[WeeklyTime, ...] = ()
    spin_down: tuple[Pattern, ...] | None = None
    spin_down_after: float = 1200.0
    notify: tuple[str, ...] = ()
    enforce: bool = False


def parse_numbers(text: str, count: int) -> tuple[int, ...]:
    """Parse ``1,3-5``, ``all`` or ``none`` to numbers from 1 to ``count``, in order.

    Raises:
        ValueError: the text has another form; one sentence.
    """
    if text.lower() in _NONE:
        return ()
    if text.lower() == "all":
        return tuple(range(1, count + 1))
    found: set[int] = set()
    for part in filter(None, re.split(r"[,\s]+", text)):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= count:
            raise ValueError(f'"{part}" is not a number from 1 to {count}')
        found |= set(range(first, last + 1))
    return tuple(sorted(found))


def parse_name(text: str, count: int) -> tuple[int, str] | None:
    """Parse ``3 living room TV``; None = ``none``.

    Raises:
        ValueError: it has another form; one sentence.
    """
    if text.lower() in _NONE:
        return None
    number, _, name = text.partition(" ")
    (chosen,) = parse_numbers(number, count)[:1] or (0,)
    if not chosen or not number.isdecimal():
        raise ValueError('write the number and the name, like 3 living room TV, or "none"')
    return chosen, parse_display_name(name)


def parse_windows(text: str) -> tuple[TimeWindow, ...]:
    """Parse one or more windows, separated by semicolons."""
    return tuple(parse_window(part) for part in _parts(text))


def parse_times(text: str) -> tuple[WeeklyTime, ...]:
    """Parse times of day, separated by semicolons, or ``none``."""
    return () if text.lower() in _NONE else tuple(parse_weekly_time(part) for part in _parts(text))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def parse_spin_down(text: str) -> float:
    """Parse the idle time before a spin-down."""
    seconds = parse_duration(text)
    if seconds < _SHORTEST_SPIN_DOWN:
        raise ValueError("the starts would take more energy than such pauses save; write 10min or more")
    return seconds


def parse_urls(text: str) -> tuple[str, ...]:
    """Parse URLs of Apprise, separated by spaces, or ``none``."""
    return () if text.lower() in _NONE else tuple(map(parse_notify_url, text.split()))


def parse_yes(text: str) -> bool:
    """Parse ``y`` or ``n``."""
    if text.lower() not in {"y", "yes", "n", "no"}:
        raise ValueError("answer y or n")
    return text.lower().startswith("y")
