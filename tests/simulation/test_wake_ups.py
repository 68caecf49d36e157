"""The daemon sleeps and is woken by its own alarm and by other events; each night is checked."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from simulation.household import BERLIN, NIGHTLY, SimulationLog, daily, person, simulate, sundays_at_four

from powerd.power.model import Inhibitor, TransitionFacts, WakeupCause
from powerd.simulation.world import Household

SECOND = timedelta(seconds=1)

AWAY = [person("anna", 11, daily(8, 20))]
EARLY = NIGHTLY + b'[wake]\nat = ["06:30"]\ntimers = ["backup.timer"]\n'


def timed(household: Household) -> None:
    household.timer_elapses["backup.timer"] = sundays_at_four
    household.network_wake_at = lambda asleep: asleep + 30 * 3600


def woken(log: SimulationLog) -> list[datetime]:
    return [datetime.fromtimestamp(at, BERLIN) for at in log.household.wakeup_times]


@pytest.mark.long
def test_the_alarm_wakes_it_each_morning() -> None:
    """Over the night in which the clocks change, and the backup is due."""
    log = simulate(AWAY, begin="2026-03-27 12:00", days=4, config=EARLY, prepare=timed)
    found = [f"{at + SECOND:%a %H:%M}" for at in woken(log)]  # an RTC counts whole ones
    assert found == ["Sat 06:28", "Sun 03:58", "Sun 06:28", "Mon 06:28", "Tue 06:28"]
    assert all((at + SECOND).second <= 2 for at in woken(log)), "as near as its seconds are"
    wakings = {status.snapshot.part(TransitionFacts).wake_event for status in log.statuses} - {None}
    assert {waking.cause for waking in wakings if waking} == {WakeupCause.ALARM}
    assert not any("no client was present" in reason for reason in log.reasons())
    assert log.household.rtc.alarm is None, "no alarm is left when the daemon ends"


@pytest.mark.long
def test_warning_suspending_and_awake_follow_each_other() -> None:
    log = simulate(AWAY, begin="2026-06-01 20:00", days=0.6, config=EARLY, prepare=timed)
    phases = [status.decision.phase for status in log.statuses]
    changes = [phase for n, phase in enumerate(phases) if n == 0 or phases[n - 1] != phase]
    at = changes.index("warning")
    assert changes[at - 1 : at + 3] == ["idle", "warning", "going-down", "awake"]
    assert any(reason.startswith("wake: ") and "Tue 06:28" in reason for reason in log.reasons())


def test_a_manual_suspend_gets_the_alarm_too() -> None:
    def suspend(household: Household) -> None:
        household.fall_asleep("by hand")

    people = [person("anna", 11, daily(0, 24))]
    log = simulate(
        people, begin="2026-06-01 21:00", days=0.6, config=EARLY, prepare=timed, events=[(1, suspend)]
    )
    assert [what for _, what in log.household.performed] == ["by hand"]
    assert [f"{at:%a %H:%M}" for at in woken(log)] == ["Tue 06:28"]
    assert any(reason.startswith("sleep: another program") for reason in log.reasons())
    assert log.statuses[-1].decision.phase == "awake"


@pytest.mark.long
def test_without_a_needed_alarm_it_stays_up_and_reports_why() -> None:
    def prepare(household: Household) -> None:
        timed(household)
        household.alarm_error = "rtc0 does not keep the alarm that was set; look into the firmware setup"

    log = simulate(AWAY, begin="2026-06-01 21:00", days=0.3, config=EARLY, prepare=prepare)
    assert log.household.performed == []
    assert any("rtc0 does not keep" in reason for reason in log.reasons())


def test_without_a_required_alarm_it_sleeps_though_none_can_be_set() -> None:
    log = simulate(
        AWAY,
        begin="2026-06-01 21:00",
        days=0.3,
        prepare=lambda household: setattr(household, "alarm_error", "no"),
    )
    assert len(log.household.performed) == 1


@pytest.mark.long
def test_an_earlier_alarm_of_another_program_stays_and_a_later_one_is_restored() -> None:
    for others, wakes in (("05:00", "Tue 05:00"), ("07:30", "Tue 06:28")):
        at = int(datetime.fromisoformat(f"2026-06-02 {others}").replace(tzinfo=BERLIN).timestamp())

        def prepare(household: Household, at: int = at) -> None:
            timed(household)
            household.rtc.alarm = at

        log = simulate(AWAY, begin="2026-06-01 21:00", days=0.41, config=EARLY, prepare=prepare)
        assert f"{woken(log)[0]:%a %H:%M}" == wakes
        assert log.household.rtc.alarm == (at if others > "06:28" else None)


RESTLESS = NIGHTLY.replace(b'"30min"', b'"5min"') + b'[awake]\nafter_resume = "5min"\n'


@pytest.mark.long
def test_a_card_that_wakes_it_at_once_does_not_cause_repeated_sleeps() -> None:
    def prepare(household: Household) -> None:
        household.network_wake_at = lambda asleep: asleep + 60

    log = simulate(AWAY, begin="2026-06-01 21:00", days=0.45, config=RESTLESS, prepare=prepare)
    slept = [at for at, _ in log.household.performed]
    gaps = [b - a for a, b in pairwise(slept)]
    assert all(600 < gap < 1500 for gap in gaps[:3]), (
        "three wake-ups without a client; the fourth makes a storm"
    )
    assert gaps[3] > 3600
    assert max(gaps) > 7200, "the pause after the second storm is longer"
    assert len(slept) <= 12, "without the pauses eight hours have room for forty"
    text = "stays up for 1h: woken 3 times within 1h by the network, and no client was present"
    assert f"sleep rule 1: {text}" in log.reasons()


def test_an_inhibitor_lock_keeps_it_awake_and_is_named() -> None:
    lock = Inhibitor(frozenset({"sleep"}), "backup", "nightly backup", "block", 0, 7)

    def release(household: Household) -> None:
        household.other_locks = ()

    def prepare(household: Household) -> None:
        household.other_locks = (lock,)

    log = simulate(AWAY, begin="2026-06-01 21:00", days=0.3, prepare=prepare, events=[(4, release)])
    assert any(reason.startswith("backup: forbids") for reason in log.reasons())
    (first,) = (datetime.fromtimestamp(at, BERLIN) for at, _ in log.household.performed)
    assert first >= datetime(2026, 6, 2, 1, 30, tzinfo=BERLIN), "idleness counts from the lock's end"


@pytest.mark.long
def test_no_sleep_is_announced_while_a_user_types() -> None:
    """The poll before the announcement sees the last key press, although the source is polled rarely."""
    three = datetime(2026, 6, 2, 3, tzinfo=BERLIN).timestamp()

    def prepare(household: Household) -> None:
        household.is_typing = lambda true: true < three

    log = simulate(AWAY, begin="2026-06-01 21:00", days=0.4, prepare=prepare)
    assert len(log.household.performed) == 1
    (first,) = (datetime.fromtimestamp(at, BERLIN) for at, _ in log.household.performed)
    assert 13 * 60 < first.timestamp() - three < 32 * 60, "seen typing at 02:45 at the earliest"
    assert len(log.household.broadcasts) == 1
