"""The storm guard over a power-off: what it knows of wake-ups, as a document that the next boot reads.

A card that takes any packet for a magic one starts a server that is off, as it wakes one that sleeps, and
each such boot is a wake-up in vain. CLOCK_BOOTTIME begins anew with each, so the document has civil times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.model import Cause, Moment, Unrest, Wake
from powerd.policy.unrest import MANY, boottime, woken

_EARLY: Final = 60.0
_STARTS: Final = 600.0
"""Seconds before and after an alarm within which a boot is due to it: firmware takes its time."""


def document(unrest: Unrest, wake: Wake | None, boot: str, now: Moment) -> object:
    """What revive() reads.

    Args:
        unrest: of the boot that ends.
        wake: what the alarm was set for; None = for nothing.
        boot: which boot that is.
        now: the present moment.
    """
    epoch = _epoch(now)
    return {
        "boot": boot,
        "off": now.wall.timestamp(),
        "alarm": None if wake is None else wake.at.wall.timestamp(),
        "woke": None if unrest.woke is None else unrest.woke + epoch,
        "needed": unrest.needed,
        "cause": unrest.cause,
        "empty": [[at + epoch, cause] for at, cause in unrest.empty],
        "storms": unrest.storms,
    }


def revive(document: object, boot: str, now: Moment) -> Unrest:
    """What the storm guard knows in a new boot, which ends the latest power-off of powerd's.

    Nothing, where the document is none of ours or of this very boot, or where the clock has gone back since,
    as that of a board without a battery does.

    Args:
        document: what was kept.
        boot: which boot this is; "" = unknown.
        now: the present moment.
    """
    match document:
        case {"boot": str(ended), "off": float(off), "alarm": None | float() as alarm, **rest}:
            epoch = _epoch(now)
            if boot not in {"", ended} and off <= now.wall.timestamp():
                unrest = woken(_before(rest, epoch), now)
                due = alarm is not None and alarm - _EARLY <= epoch <= alarm + _STARTS
                return replace(unrest, cause=Cause.ALARM if due else Cause.UNKNOWN)
    return Unrest()


def _before(data: dict[object, object], epoch: float) -> Unrest:
    """The Unrest of the boot before, by the CLOCK_BOOTTIME of this one, where its moments are negative."""
    match data:
        case {
            "woke": None | float() as woke,
            "needed": bool(needed),
            "cause": str(cause),
            "empty": [*rows],
            "storms": int(storms),
        } if cause in set(Cause):
            return Unrest(
                woke=None if woke is None else woke - epoch,
                cause=Cause(cause),
                needed=needed,
                empty=tuple(each for row in rows for each in _empty(row, epoch)),
                storms=min(max(storms, 0), MANY),
            )
    return Unrest()


def _empty(row: object, epoch: float) -> list[tuple[float, Cause]]:
    match row:
        case [float(at), str(cause)] if cause in set(Cause):
            return [(at - epoch, Cause(cause))]
    return []


def _epoch(now: Moment) -> float:
    """POSIX time at which CLOCK_BOOTTIME was 0."""
    return now.wall.timestamp() - boottime(now)
