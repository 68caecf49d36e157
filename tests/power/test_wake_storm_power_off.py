"""What the storm guard knows of wake-ups outlives a power-off."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core.snapshot_strategies import BERLIN

from powerd.core.actions import WakeTime
from powerd.core.codec import decode, encode
from powerd.core.time import Moment
from powerd.power.model import WakeStormState, WakeupCause
from powerd.power.wake_storm import (
    STAY_UP_FIRST,
    STORM_WAKEUPS,
    StoredWakeStorm,
    storm_after_boot,
    storm_at_power_off,
)

EVENING = datetime(2026, 6, 1, 22, tzinfo=BERLIN)


def up(minutes: float, seconds: float = 30.0) -> Moment:
    """Seconds after a boot that began these minutes after the evening."""
    return Moment(seconds, 0.0, EVENING + timedelta(minutes=minutes, seconds=seconds))


def stored(storm: StoredWakeStorm) -> StoredWakeStorm:
    """As the next boot reads it."""
    return decode(StoredWakeStorm, json.loads(json.dumps(encode(storm))))


def off(
    storm: WakeStormState, minutes: float, wake: WakeTime | None = None, boot: str = "a"
) -> StoredWakeStorm:
    """The stored state of a power-off these minutes after the evening began, in a boot that began with it."""
    return stored(storm_at_power_off(storm, wake, boot, up(0, minutes * 60)))


def cycle(storm: WakeStormState, boots: int, every: float = 20.0) -> WakeStormState:
    """Booted so often, with nobody there, and off again ten minutes before the next."""
    for n in range(boots):
        start = up(n * every)
        end = Moment(start.mono + (every - 10) * 60, 0.0, start.wall + timedelta(minutes=every - 10))
        storm = storm_after_boot(
            stored(storm_at_power_off(storm, None, str(n), end)), str(n + 1), up((n + 1) * every)
        )
    return storm


def test_the_first_recorded_boot_is_not_for_nobody() -> None:
    storm = cycle(WakeStormState(), 1)
    assert storm == WakeStormState(last_wakeup_at=30.0, off_for=570.0)


def test_three_boots_for_nobody_are_a_wake_storm() -> None:
    assert cycle(WakeStormState(), 3).stay_up_until is None
    storm = cycle(WakeStormState(), 4)
    assert storm.stay_up_until == 30.0 + STAY_UP_FIRST
    assert [cause for _, cause in storm.unneeded_wakeups] == [WakeupCause.UNKNOWN] * STORM_WAKEUPS
    assert [at for at, _ in storm.unneeded_wakeups] == pytest.approx([30 - 3600, 30 - 2400, 30 - 1200])
    assert cycle(WakeStormState(), 4, every=31.0).stay_up_until is None, "too far apart"


def test_a_second_wake_storm_has_a_longer_backoff() -> None:
    assert cycle(cycle(WakeStormState(), 4), 1).stay_up_for == 2 * STAY_UP_FIRST


def test_somebody_who_was_there_ends_it() -> None:
    storm = replace(cycle(WakeStormState(), 3), needed=True, unneeded_wakeups=())
    assert storm_after_boot(off(storm, 10), "b", up(20)).unneeded_wakeups == ()


@pytest.mark.parametrize(
    ("minutes", "cause"),
    [
        (28, WakeupCause.UNKNOWN),
        (29.5, WakeupCause.ALARM),
        (31, WakeupCause.ALARM),
        (39, WakeupCause.ALARM),
        (41, WakeupCause.UNKNOWN),
    ],
)
def test_a_boot_at_the_time_of_the_alarm_is_due_to_it(minutes: float, cause: WakeupCause) -> None:
    power_off = off(WakeStormState(), 10, WakeTime(up(30, 0.0), "backup.timer"))
    assert storm_after_boot(power_off, "b", up(minutes)).cause is cause


@pytest.mark.parametrize("boot", ["", "a"])
def test_only_another_boot_is_the_end_of_a_power_off(boot: str) -> None:
    assert storm_after_boot(off(WakeStormState(), 10), boot, up(20)) == WakeStormState()


def test_a_clock_that_has_gone_back_proves_nothing() -> None:
    assert storm_after_boot(off(WakeStormState(), 10), "b", up(-60)) == WakeStormState()
