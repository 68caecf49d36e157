"""The storm guard over a power-off: what it knows of wake-ups, as a document that the next boot reads.

A card that takes any packet for a magic one starts a server that is off, as it wakes one that sleeps, and
each such boot is a wake-up in vain. CLOCK_BOOTTIME begins anew with each, so the document has civil times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.model import Moment, WakeStormState, WakeTime, WakeupCause
from powerd.policy.unrest import STORM_WAKEUPS, boottime, record_wakeup

_BOOT_BEFORE_ALARM: Final = 60.0
_BOOT_AFTER_ALARM: Final = 600.0
"""Seconds before and after an alarm within which a boot is due to it: firmware takes its time."""


def storm_to_document(state: WakeStormState, wake_time: WakeTime | None, boot: str, now: Moment) -> object:
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
        "alarm": None if wake_time is None else wake_time.at.wall.timestamp(),
        "woke": None if state.last_wakeup_at is None else state.last_wakeup_at + epoch,
        "needed": state.needed,
        "cause": state.cause,
        "empty": [[at + epoch, cause] for at, cause in state.unneeded_wakeups],
        "storms": state.storm_count,
    }


def storm_from_document(document: object, boot: str, now: Moment) -> WakeStormState:
    """What the storm guard knows in a new boot, which ends the latest power-off of powerd's.

    Nothing, where the document is none of ours or of this very boot, or where the clock has gone back since,
    as that of a board without a battery does.

    Args:
        document: what was kept.
        boot: which boot this is; "" = unknown.
        now: the present moment.
    """
    match document:
        case {
            "boot": str(previous_boot),
            "off": float(powered_off_at),
            "alarm": None | float() as alarm_at,
            **rest,
        }:
            epoch = _epoch(now)
            if boot not in {"", previous_boot} and powered_off_at <= now.wall.timestamp():
                state = record_wakeup(_previous_state(rest, epoch), now)
                alarm_due = (
                    alarm_at is not None
                    and alarm_at - _BOOT_BEFORE_ALARM <= epoch <= alarm_at + _BOOT_AFTER_ALARM
                )
                return replace(state, cause=WakeupCause.ALARM if alarm_due else WakeupCause.UNKNOWN)
    return WakeStormState()


def _previous_state(data: dict[object, object], epoch: float) -> WakeStormState:
    """The Unrest of the boot before, by the CLOCK_BOOTTIME of this one, where its moments are negative."""
    match data:
        case {
            "woke": None | float() as last_wakeup_at,
            "needed": bool(needed),
            "cause": str(cause),
            "empty": [*rows],
            "storms": int(storm_count),
        } if cause in set(WakeupCause):
            return WakeStormState(
                last_wakeup_at=None if last_wakeup_at is None else last_wakeup_at - epoch,
                cause=WakeupCause(cause),
                needed=needed,
                unneeded_wakeups=tuple(each for row in rows for each in _parse_wakeup(row, epoch)),
                storm_count=min(max(storm_count, 0), STORM_WAKEUPS),
            )
    return WakeStormState()


def _parse_wakeup(row: object, epoch: float) -> list[tuple[float, WakeupCause]]:
    match row:
        case [float(at), str(cause)] if cause in set(WakeupCause):
            return [(at - epoch, WakeupCause(cause))]
    return []


def _epoch(now: Moment) -> float:
    """POSIX time at which CLOCK_BOOTTIME was 0."""
    return now.wall.timestamp() - boottime(now)
