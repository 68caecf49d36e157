"""The server on its way down, by powerd's order or by somebody else's."""

from __future__ import annotations

from typing import Final

from powerd.model import Leaving, Memory, Moment, Sleep, Snapshot
from powerd.policy.sleep import about_to
from powerd.policy.why import Why

BELIEVED: Final = 600.0
"""A way down that has led nowhere after so many seconds is believed in no longer; logind waits for 5 s, or
InhibitDelayMaxSec= (logind.conf(5))."""
_AT_ONCE: Final = 60.0
"""An order that was accepted no longer ago, seconds, is what brings the server down."""
_OTHERS: Final = {
    "sleep": "somebody else puts the server to sleep",
    "shutdown": "somebody else shuts the server down",
}


def departure(snapshot: Snapshot, memory: Memory, now: Moment) -> Why | None:
    """Who has put the server on its way down; None = it is not on it.

    Args:
        snapshot: ``leaving`` is logind's word.
        memory: knows of a resume, which ends whatever way down began before.
        now: the present moment.
    """
    leaving = snapshot.leaving
    if leaving is None or now.mono - leaving.since > BELIEVED:
        return None
    if memory.resumed is not None and leaving.since < memory.resumed:
        return None
    order = _ordered(snapshot, memory, leaving)
    if order is not None:
        return Why("sleep", about_to(order, memory.idle_since, now))
    return Why("sleep", _OTHERS.get(leaving.what, _OTHERS["shutdown"]))


def _ordered(snapshot: Snapshot, memory: Memory, leaving: Leaving) -> Sleep | None:
    """The order of powerd's that has led to this: one under way, or accepted just now."""
    going = next((order for order in snapshot.in_flight if isinstance(order, Sleep)), None)
    last = snapshot.outcomes.get(Sleep)
    if going is not None or last is None or not isinstance(last.order, Sleep) or not last.ok:
        return going
    old = memory.resumed is not None and last.begun < memory.resumed
    soon = last.begun <= leaving.since <= last.at + _AT_ONCE
    return last.order if soon and not old else None
