"""Telling whoever has read an announcement that nothing comes of it.

Who reads "powers off in 1min" on a terminal and sees no more of it has to guess, and may have begun to save
and to leave. Said once, of an announcement that was made and still stands.
"""

from __future__ import annotations

from powerd.model import CallOff, Memory, Moment, Order, Outcome, Sleep, Snapshot, Warn
from powerd.policy.sleep import STANDS
from powerd.policy.why import Why


def called_off(snapshot: Snapshot, memory: Memory, whys: tuple[Why, ...], now: Moment) -> tuple[Order, ...]:
    """The order to say so, in a phase that is no warning; () = nothing is to be said, or it has been.

    Args:
        snapshot: knows what was announced, and what came of it.
        memory: knows of a resume, before which no announcement counts.
        whys: what keeps the server awake, or what it waits for, weightiest first.
        now: the present moment.
    """
    told = snapshot.outcomes.get(Warn)
    if (
        told is None
        or not isinstance(told.order, Warn)
        or not _stands(told, told.order, snapshot, memory, now)
    ):
        return ()
    because = next((f"{why.subject}: {why.text}" for why in whys if why.keeps_awake), "")
    return (CallOff(told.order.rule, told.order.action, because),)


def _stands(told: Outcome, order: Warn, snapshot: Snapshot, memory: Memory, now: Moment) -> bool:
    """Whether people still expect what was announced: not long ago, not done since, and not called off."""
    if not told.ok or now.mono - told.at > order.within + STANDS:
        return False
    if any(isinstance(each, Sleep | CallOff) for each in snapshot.in_flight):
        return False
    slept, spared = snapshot.outcomes.get(Sleep), snapshot.outcomes.get(CallOff)
    done = slept is not None and slept.ok and slept.begun >= told.at
    said = spared is not None and spared.at >= told.at
    return not (done or said or (memory.resumed is not None and memory.resumed >= told.at))
