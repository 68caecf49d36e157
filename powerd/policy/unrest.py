"""The storm guard: a server that is woken again and again for nobody stays up for a while, longer each time.

A card that takes any packet for a magic one wakes the server as soon as it sleeps. Each such night costs more
than staying up, and wears the disks; so after a few wake-ups in vain it goes to sleep no more for a while.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.config import format_duration
from powerd.model import Moment, Snapshot, WakeStormState, WakeupCause

STORM_WAKEUPS: Final = 3
"""So many wake-ups in vain ..."""
STORM_INTERVAL: Final = 3600.0
"""... that lie no farther apart, seconds of CLOCK_BOOTTIME, are a storm."""
STAY_UP_FIRST: Final = 3600.0
STAY_UP_MAX: Final = 8 * 3600.0
_CAUSE_TEXT: Final = {
    WakeupCause.NETWORK: " by the network",
    WakeupCause.BUTTON: " by a button",
    WakeupCause.UNKNOWN: " by something unknown",
}


def record_wakeup(state: WakeStormState, now: Moment) -> WakeStormState:
    """The server has slept, and is up again: what became of the wake-up before is known.

    It was in vain if nobody and nothing was there until the server slept again. One by an alarm never is:
    whoever set it wanted the server up.
    """
    woken_at = boottime(now)
    initial = WakeStormState(
        last_wakeup_at=woken_at,
        last_event=state.last_event,
        unneeded_wakeups=state.unneeded_wakeups,
        storm_count=state.storm_count,
    )
    if state.last_wakeup_at is None or state.needed or state.cause is WakeupCause.ALARM:
        return initial
    unneeded_wakeups = (
        *(each for each in state.unneeded_wakeups if state.last_wakeup_at - each[0] <= STORM_INTERVAL),
        (state.last_wakeup_at, state.cause),
    )
    if len(unneeded_wakeups) < STORM_WAKEUPS or woken_at - state.last_wakeup_at > STORM_INTERVAL:
        return replace(initial, unneeded_wakeups=unneeded_wakeups)
    stay_up_for = min(STAY_UP_FIRST * 2.0**state.storm_count, STAY_UP_MAX)
    return replace(
        initial,
        unneeded_wakeups=unneeded_wakeups[-STORM_WAKEUPS:],
        storm_count=min(state.storm_count + 1, STORM_WAKEUPS),
        stay_up_until=woken_at + stay_up_for,
        stay_up_for=stay_up_for,
    )


def record_activity(state: WakeStormState, snapshot: Snapshot, *, needed: bool) -> WakeStormState:
    """What is known by now of the latest wake-up; with somebody there the storm is over."""
    if snapshot.wake_event is not None and snapshot.wake_event != state.last_event:
        state = replace(state, last_event=snapshot.wake_event, cause=snapshot.wake_event.cause)
    if needed:
        state = replace(
            state, needed=True, unneeded_wakeups=(), storm_count=0, stay_up_until=None, stay_up_for=0.0
        )
    return state


def storm_delay(state: WakeStormState, now: Moment) -> tuple[float, str] | None:
    """The CLOCK_MONOTONIC until which the server stays up, and why."""
    if state.stay_up_until is None:
        return None
    causes = {cause for _, cause in state.unneeded_wakeups}
    cause_text = _CAUSE_TEXT[causes.pop()] if len(causes) == 1 else ""
    explanation = f"woken {STORM_WAKEUPS} times within {format_duration(STORM_INTERVAL)}{cause_text}, and nobody was there"
    text = f"stays up for {format_duration(state.stay_up_for)}: {explanation}"
    return now.mono + state.stay_up_until - boottime(now), text


def boottime(now: Moment) -> float:
    """CLOCK_BOOTTIME: it goes on while the server sleeps."""
    return now.mono + now.slept
