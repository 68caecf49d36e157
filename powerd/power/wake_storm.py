"""The wake storm: after repeated unneeded wake-ups the server stays awake for a while, longer each time.

A card that takes any packet for a magic packet wakes the server as soon as it sleeps. Such sleeps cost more
than staying awake, and wear the disks.

The state over a power-off is a document that the next boot reads: such a card also starts a server that is
off. CLOCK_BOOTTIME restarts with each boot, so the document has civil times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from powerd.config.values import format_duration
from powerd.core.actions import WakeTime
from powerd.core.codec import span
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment
from powerd.power.model import TransitionFacts, WakeStormState, WakeupCause

STORM_WAKEUPS: Final = 3
"""Unneeded wake-ups ..."""
STORM_INTERVAL: Final = 3600.0
"""... at most this far apart, seconds of CLOCK_BOOTTIME, are a wake storm."""
STAY_UP_FIRST: Final = 3600.0
STAY_UP_MAX: Final = 8 * 3600.0
_CAUSE_TEXT: Final = {
    WakeupCause.NETWORK: " by the network",
    WakeupCause.BUTTON: " by a button",
    WakeupCause.UNKNOWN: " by an unknown cause",
}


def record_wakeup(state: WakeStormState, now: Moment) -> WakeStormState:
    """The state after a new wake-up, which completes the record of the previous one.

    The previous wake-up was unneeded if no blocker existed until the server slept again. A wake-up by an
    alarm is always needed.
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
    """The state with the cause of the latest wake-up; a blocker ends the storm."""
    event = snapshot.part(TransitionFacts).wake_event
    if event is not None and event != state.last_event:
        state = replace(state, last_event=event, cause=event.cause)
    if needed:
        state = replace(state, needed=True, unneeded_wakeups=(), storm_count=0, stay_up_until=None)
    return state


def storm_delay(state: WakeStormState, now: Moment) -> tuple[float, str] | None:
    """The CLOCK_MONOTONIC until which the server stays awake, and the reason."""
    if state.stay_up_until is None:
        return None
    causes = {cause for _, cause in state.unneeded_wakeups}
    cause_text = _CAUSE_TEXT[causes.pop()] if len(causes) == 1 else ""
    explanation = (
        f"woken {STORM_WAKEUPS} times within {format_duration(STORM_INTERVAL)}{cause_text}, "
        "and no client was present"
    )
    text = f"stays up for {format_duration(state.stay_up_for)}: {explanation}"
    return now.mono + state.stay_up_until - boottime(now), text


def boottime(now: Moment) -> float:
    """CLOCK_BOOTTIME, which advances during sleep."""
    return now.mono + now.slept


_BOOT_BEFORE_ALARM: Final = 60.0
_BOOT_AFTER_ALARM: Final = 600.0
"""Seconds before and after an alarm within which a boot counts as caused by it; firmware takes time."""


@dataclass(frozen=True, slots=True)
class StoredWakeStorm:
    """The state over a power-off of powerd's own; times are POSIX seconds.

    Attributes:
        boot: the id of the boot that ended.
        off: when the server was powered off.
        alarm: when the alarm starts the server; None = no alarm.
        woke, needed, cause, empty, storms: the fields ``last_wakeup_at``, ``needed``, ``cause``,
            ``unneeded_wakeups`` and ``storm_count`` of WakeStormState.
    """

    boot: str
    off: float
    alarm: float | None = None
    woke: float | None = None
    needed: bool = False
    cause: WakeupCause = WakeupCause.UNKNOWN
    empty: tuple[tuple[float, WakeupCause], ...] = ()
    storms: Annotated[int, span(0, STORM_WAKEUPS)] = 0


def storm_at_power_off(
    state: WakeStormState, wake_time: WakeTime | None, boot: str, now: Moment
) -> StoredWakeStorm:
    """What the next boot must know.

    Args:
        state: of the boot that ends.
        wake_time: the alarm's; None = no alarm.
        boot: the id of that boot.
        now: the present time.
    """
    epoch = _epoch(now)
    return StoredWakeStorm(
        boot,
        off=now.wall.timestamp(),
        alarm=None if wake_time is None else wake_time.at.wall.timestamp(),
        woke=None if state.last_wakeup_at is None else state.last_wakeup_at + epoch,
        needed=state.needed,
        cause=state.cause,
        empty=tuple((at + epoch, cause) for at, cause in state.unneeded_wakeups),
        storms=state.storm_count,
    )


def storm_after_boot(stored: StoredWakeStorm | None, boot: str, now: Moment) -> WakeStormState:
    """The state after the boot that ends powerd's latest power-off.

    Empty without a stored state, for a state of this boot, and if the wall clock has gone back, as on a board
    without a battery.

    Args:
        stored: by the previous boot.
        boot: the id of this boot; "" = unknown.
        now: the present time.
    """
    if stored is None or boot in {"", stored.boot} or stored.off > now.wall.timestamp():
        return WakeStormState()
    epoch = _epoch(now)
    previous = WakeStormState(
        # on this boot's CLOCK_BOOTTIME, where the times of the previous boot are negative
        last_wakeup_at=None if stored.woke is None else stored.woke - epoch,
        cause=stored.cause,
        needed=stored.needed,
        unneeded_wakeups=tuple((at - epoch, cause) for at, cause in stored.empty),
        storm_count=stored.storms,
    )
    cause = WakeupCause.ALARM if is_boot_by_alarm(stored.alarm, epoch) else WakeupCause.UNKNOWN
    return replace(record_wakeup(previous, now), cause=cause, off_for=max(0.0, epoch - stored.off))


def is_boot_by_alarm(alarm: float | None, booted_at: float) -> bool:
    """Whether an RTC alarm, set before the server was off, is the cause of a boot; POSIX times."""
    return alarm is not None and alarm - _BOOT_BEFORE_ALARM <= booted_at <= alarm + _BOOT_AFTER_ALARM


def _epoch(now: Moment) -> float:
    """POSIX time at which CLOCK_BOOTTIME was 0."""
    return now.wall.timestamp() - boottime(now)
