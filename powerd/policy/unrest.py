"""The storm guard: a server that is woken again and again for nobody stays up for a while, longer each time.

A card that takes any packet for a magic one wakes the server as soon as it sleeps. Each such night costs more
than staying up, and wears the disks; so after a few wake-ups in vain it goes to sleep no more for a while.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.config import show_duration
from powerd.model import Cause, Moment, Snapshot, Unrest

MANY: Final = 3
"""So many wake-ups in vain ..."""
WITHIN: Final = 3600.0
"""... that lie no farther apart, seconds of CLOCK_BOOTTIME, are a storm."""
PAUSE_FIRST: Final = 3600.0
PAUSE_MOST: Final = 8 * 3600.0
_BY: Final = {
    Cause.NETWORK: " by the network",
    Cause.BUTTON: " by a button",
    Cause.UNKNOWN: " by something unknown",
}


def woken(unrest: Unrest, now: Moment) -> Unrest:
    """The server has slept, and is up again: what became of the wake-up before is known.

    It was in vain if nobody and nothing was there until the server slept again. One by an alarm never is:
    whoever set it wanted the server up.
    """
    up = boottime(now)
    fresh = Unrest(woke=up, told=unrest.told, empty=unrest.empty, storms=unrest.storms)
    if unrest.woke is None or unrest.needed or unrest.cause is Cause.ALARM:
        return fresh
    empty = (*(each for each in unrest.empty if unrest.woke - each[0] <= WITHIN), (unrest.woke, unrest.cause))
    if len(empty) < MANY or up - unrest.woke > WITHIN:
        return replace(fresh, empty=empty)
    pause = min(PAUSE_FIRST * 2.0**unrest.storms, PAUSE_MOST)
    return replace(
        fresh, empty=empty[-MANY:], storms=min(unrest.storms + 1, MANY), until=up + pause, pause=pause
    )


def noted(unrest: Unrest, snapshot: Snapshot, *, needed: bool) -> Unrest:
    """What is known by now of the latest wake-up; with somebody there the storm is over."""
    if snapshot.waking is not None and snapshot.waking != unrest.told:
        unrest = replace(unrest, told=snapshot.waking, cause=snapshot.waking.cause)
    if needed:
        unrest = replace(unrest, needed=True, empty=(), storms=0, until=None, pause=0.0)
    return unrest


def pause(unrest: Unrest, now: Moment) -> tuple[float, str] | None:
    """The CLOCK_MONOTONIC until which the server stays up, and why."""
    if unrest.until is None:
        return None
    causes = {cause for _, cause in unrest.empty}
    by = _BY[causes.pop()] if len(causes) == 1 else ""
    woken_up = f"woken {MANY} times within {show_duration(WITHIN)}{by}, and nobody was there"
    text = f"stays up for {show_duration(unrest.pause)}: {woken_up}"
    return now.mono + unrest.until - boottime(now), text


def boottime(now: Moment) -> float:
    """CLOCK_BOOTTIME: it goes on while the server sleeps."""
    return now.mono + now.slept
