"""Which rule acts, when, and after which result, tested with decide()."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from core.snapshot_strategies import T0, moment
from facts import changed, decide
from power.decision_scenario import (
    ABOUT_TO_SUSPEND,
    SLEEP,
    SUSPEND,
    WARN,
    DecisionScenario,
    make_options,
    reasons,
    subjects,
)

from powerd.core.actions import CancelWarning, CompletedAction, Sleep
from powerd.core.snapshot import Memory, Snapshot
from powerd.power.model import SleepMemory, SleepUnconfirmed
from powerd.power.sleep_rules import ANNOUNCEMENT_VALID_FOR, CLOSE_POLL_INTERVAL, SLEEP_FAILED_AFTER


def test_idle_then_announced_then_asleep() -> None:
    scenario = DecisionScenario()
    first = scenario.decide(0)
    assert (first.phase, first.actions) == ("idle", ())
    assert (first.next_decision_at, first.needs_fresh_readings) == (T0 + 530, True), (
        "once closely, shortly before announcing"
    )
    assert first.planned_sleep is not None
    assert first.planned_sleep.at == moment(T0 + 600, 0, scenario.now.wall + timedelta(minutes=10))
    assert [(each.subject, "10min" in each.text) for each in first.reasons] == [("sleep rule 1", True)]
    last = scenario.decide(532)
    assert (last.phase, last.next_decision_at, last.needs_fresh_readings) == ("idle", T0 + 540, False), (
        "it has just looked"
    )
    announced = scenario.decide(540)
    assert (announced.phase, announced.actions, announced.needs_fresh_readings) == ("warning", (WARN,), True)
    scenario.action_completed(WARN)
    waiting = scenario.decide(570)
    assert (waiting.phase, waiting.actions) == ("warning", ())
    assert waiting.next_decision_at == T0 + 580, "the sources are polled at short intervals"
    assert scenario.decide(600).actions == (SLEEP,)


def test_the_warning_period_begins_when_the_announcement_has_been_made() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.at += 15  # wall(1) was slow
    scenario.action_completed(WARN)
    assert scenario.decide(600).actions == ()
    assert scenario.decide(614.9).actions == ()
    assert scenario.decide(615).actions == (SLEEP,)


def test_an_announcement_under_way_is_not_made_twice() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.in_flight = frozenset({WARN})
    decision = scenario.decide(545)
    assert (decision.phase, decision.actions) == ("warning", ())


def test_somebody_who_returns_in_the_warning_cancels_it_and_is_warned_anew() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    scenario.somebody_home = True
    stirred = scenario.decide(590)
    spared = CancelWarning(0, "suspend", "host1: home, answers ping")
    assert (stirred.phase, stirred.actions, stirred.planned_sleep) == ("awake", (spared,), None)
    scenario.action_completed(spared)
    scenario.somebody_home = False
    assert scenario.decide(600).phase == "idle", "idle time begins again"
    assert scenario.decide(1140).actions == (WARN,)
    scenario.action_completed(WARN)
    assert scenario.decide(1200).actions == (SLEEP,)


def test_no_warning_wanted_none_given() -> None:
    scenario = DecisionScenario(SUSPEND.replace('"1min"', '"0s"'))
    assert scenario.decide(0).actions == ()
    last = scenario.decide(600)
    assert (last.actions, last.phase) == ((SLEEP,), "warning")


def test_one_second_of_warning_is_one_too() -> None:
    scenario = DecisionScenario(SUSPEND.replace('"1min"', '"1s"'))
    assert scenario.decide(0).next_decision_at == T0 + 600 - 1 - CLOSE_POLL_INTERVAL
    assert scenario.decide(599).actions == (replace(WARN, seconds=1.0),)


def test_while_it_shuts_down_no_action_is_decided() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.in_flight = frozenset({SLEEP})
    decision = scenario.decide(700)
    assert (decision.phase, decision.actions, decision.planned_sleep) == ("going-down", (), None)
    assert decision.next_decision_at == T0 + 700 + CLOSE_POLL_INTERVAL
    assert reasons(decision) == [f"sleep: {ABOUT_TO_SUSPEND}"]


def test_an_announcement_that_led_to_nothing_in_time_is_made_again() -> None:
    """A window that has moved away, by a clock that was set: nobody remembers last night's announcement."""
    scenario = DecisionScenario(SUSPEND + 'during = ["22:00-22:12"]\n')
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    scenario.at = T0 + 599
    scenario.step = 1800.0
    waiting = scenario.decide()
    off = CancelWarning(0, "suspend", "sleep rule 1: waits for its window: 22:00-22:12")
    assert (waiting.phase, waiting.actions) == ("idle", (off,))
    assert waiting.planned_sleep is not None
    assert waiting.planned_sleep.at.wall.strftime("%a %H:%M") == "Tue 22:00"
    tomorrow = waiting.planned_sleep.at.mono - T0
    scenario.decide(tomorrow - 120)
    assert scenario.decide(tomorrow - 60).actions == (WARN,)
    scenario.action_completed(WARN)
    assert scenario.decide(tomorrow).actions == (SLEEP,)


def test_an_announcement_outlasts_slow_final_polls() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    assert scenario.decide(600 + ANNOUNCEMENT_VALID_FOR).actions == (SLEEP,)
    assert scenario.decide(600 + ANNOUNCEMENT_VALID_FOR + 1).actions == (WARN,)


def test_what_another_rule_failed_at_is_not_why_this_one_acts() -> None:
    scenario = DecisionScenario(
        SUSPEND + '[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\nidle_for = "15min"\n'
    )
    scenario.decide(0)
    scenario.decide(890)
    scenario.action_completed(SLEEP, ok=False, observed="backup (pid 7) blocks it")
    scenario.in_flight = frozenset({Sleep(1, "command", ("/bin/true",))})
    decision = scenario.decide(900)
    assert decision.phase == "going-down"
    assert [reason.split(":")[0] for reason in reasons(decision)] == ["sleep", "sleep rule 1"]
    assert "by sleep rule 2:" in reasons(decision)[0]


def test_a_refused_sleep_is_a_reason_and_backs_off() -> None:
    scenario = DecisionScenario(SUSPEND.replace('"1min"', '"0s"'))
    scenario.decide(0)
    tried = []
    for at in range(600, 6000, 10):
        if scenario.decide(at).actions:
            tried.append(at)
            scenario.action_completed(SLEEP, ok=False, observed="backup (pid 7) blocks it")
            decision = scenario.decide()
            failed_at, text = decision.memory.part(SleepMemory).failed_sleep or (0.0, "")
            assert (failed_at, "backup (pid 7)" in text) == (T0 + tried[0], True)
            assert "backup (pid 7)" in reasons(decision)[0]
            assert decision.reasons[0].blocks_sleep
    assert [b - a for a, b in pairwise(tried)] == [60, 120, 240, 480, 960, 1920]


def test_it_backs_off_an_hour_at_most() -> None:
    scenario = DecisionScenario(SUSPEND.replace('"1min"', '"0s"'))
    scenario.decide(0)
    scenario.memory = changed(scenario.memory, failures={0: (40, T0 + 600)})
    assert scenario.decide(700).next_decision_at == T0 + 600 + 3600


def test_each_attempt_is_announced() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    scenario.decide(600)
    scenario.action_completed(SLEEP, ok=False, observed="refused")
    scenario.decide(601)
    assert scenario.decide(660).actions == (WARN,)


def test_a_blocker_resets_the_failures() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.action_completed(SLEEP, ok=False, observed="refused")
    assert scenario.decide(600).memory.part(SleepMemory).failures
    scenario.somebody_home = True
    decision = scenario.decide(610)
    assert not decision.memory.part(SleepMemory).failures
    assert all("refused" not in reason for reason in reasons(decision))
    scenario.somebody_home = False
    assert all("refused" not in reason for reason in reasons(scenario.decide(620)))


def test_an_accepted_sleep_that_does_not_come_is_a_failure() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.at = T0 + 600
    scenario.action_completed(SLEEP, observed="logind accepted: suspend")
    accepted = scenario.decide()
    assert accepted.memory.part(SleepMemory).completed_rules == {0}
    assert subjects(accepted) == ["sleep rule 1"]
    assert "logind accepted: suspend" in accepted.reasons[0].text
    assert scenario.decide(600 + SLEEP_FAILED_AFTER - 1).memory.part(SleepMemory).completed_rules == {0}
    failed = scenario.decide(600 + SLEEP_FAILED_AFTER)
    assert "did not go to sleep" in reasons(failed)[0]
    assert failed.memory.part(SleepMemory).failures == {0: (1, T0 + 600 + SLEEP_FAILED_AFTER)}


def test_an_accepted_sleep_that_does_not_come_has_failed_although_somebody_came_meanwhile() -> None:
    scenario = DecisionScenario()
    scenario.decide(600)
    scenario.action_completed(SLEEP)
    scenario.decide()
    scenario.somebody_home = True
    assert scenario.decide(700).memory.part(SleepMemory).failed_sleep is None
    at, text = scenario.decide(600 + SLEEP_FAILED_AFTER).memory.part(SleepMemory).failed_sleep or (0.0, "")
    assert at == T0 + 600 + SLEEP_FAILED_AFTER
    assert "did not go to sleep" in text


@pytest.mark.parametrize(
    ("config", "step", "text"),
    [
        ('during = ["21:00-22:30"]', 0, "waits for its window"),
        ('[wake]\nat = ["23:00"]', 0, "stays up for wake.at 23:00"),
        ("", 3600, "the wall clock was set"),
    ],
)
def test_a_long_hook_does_not_let_a_rule_act_when_it_may_not(config: str, step: float, text: str) -> None:
    """Outside its window, or past the event for which the server has to be up: the alarm is over then."""
    scenario = DecisionScenario(SUSPEND.replace('"1min"', '"0s"') + config)
    scenario.decide(0)
    assert SLEEP in scenario.decide(600).actions
    scenario.in_flight = frozenset({SLEEP})
    assert scenario.decide(660).phase == "going-down"
    scenario.step = step
    last = scenario.decide(3300)
    assert last.phase == "idle"
    assert text in reasons(last)[0]
    assert last.reasons[0].blocks_sleep


def test_a_sleep_that_came_is_no_failure() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.at = T0 + 600
    scenario.action_completed(SLEEP)
    scenario.decide()
    scenario.slept = 8 * 3600.0
    scenario.decide(602)
    later = scenario.decide(602 + SLEEP_FAILED_AFTER)
    assert not later.memory.part(SleepMemory).failures
    assert later.memory.resumed_at == T0 + 602


def test_an_answer_that_comes_after_the_wake_up_belongs_to_the_day_before() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.in_flight = frozenset({SLEEP})
    scenario.at = T0 + 600
    scenario.results[Sleep] = CompletedAction(
        SLEEP, T0 + 601, ok=True, message="accepted", started_at=T0 + 600
    )
    scenario.slept = 8 * 3600.0
    scenario.in_flight = frozenset()
    assert scenario.decide(601).memory.part(SleepMemory).completed_rules == frozenset()


def test_a_command_s_end_is_its_own_proof() -> None:
    scenario = DecisionScenario(
        'mode = "enforce"\n[[sleep]]\naction = "command"\ncommand = ["/bin/goodnight"]'
    )
    scenario.decide(0)
    scenario.at = T0 + 600
    scenario.action_completed(Sleep(0, "command", ("/bin/goodnight",)), observed="ran /bin/goodnight")
    scenario.decide()
    decision = scenario.decide(600 + 10 * SLEEP_FAILED_AFTER)
    assert (
        decision.memory.part(SleepMemory).completed_rules,
        decision.memory.part(SleepMemory).failures,
    ) == (frozenset({0}), {})
    assert (decision.phase, decision.planned_sleep) == ("idle", None)


@pytest.mark.parametrize(
    ("old", "new"),
    [("enforce", "observe"), ("vm-1", "vm-2"), ("[[sleep]]", '[[sleep]]\naction = "poweroff"\n[[sleep]]')],
)
def test_a_sleep_is_awaited_although_the_configuration_was_changed_meanwhile(old: str, new: str) -> None:
    """Its alarm is set, and is cleared when the wait is over."""
    config = SUSPEND.replace('"suspend"', '"command"\ncommand = ["/bin/vm-1"]')
    scenario = DecisionScenario(config)
    scenario.decide(600)
    action = Sleep(0, "command", ("/bin/vm-1",))
    scenario.in_flight = frozenset({action})
    scenario.options = make_options(config.replace(old, new))
    scenario.decide(620)
    scenario.in_flight = frozenset()
    scenario.results[Sleep] = CompletedAction(
        action, T0 + 660, ok=True, message="ended", started_at=T0 + 600, answer=SleepUnconfirmed()
    )
    assert scenario.decide(660).memory.part(SleepMemory).awaited_sleep is not None
    completed = scenario.decide(661).memory.part(SleepMemory).completed_rules
    assert completed == ({0} if new == "observe" else set()), "another rule has not been executed"
    assert scenario.decide(660 + SLEEP_FAILED_AFTER).memory.part(SleepMemory).awaited_sleep is None


def test_a_dry_run_never_counts_as_a_failure() -> None:
    scenario = DecisionScenario(SUSPEND.replace("enforce", "observe"))
    scenario.decide(0)
    scenario.at = T0 + 600
    scenario.action_completed(SLEEP, observed="would have suspended")
    scenario.decide()
    assert scenario.decide(600 + 10 * SLEEP_FAILED_AFTER).memory.part(SleepMemory).completed_rules == {0}


def test_a_result_is_counted_once() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.action_completed(SLEEP, ok=False, observed="refused")
    scenario.decide(1)
    assert scenario.decide(2).memory.part(SleepMemory).failures == {0: (1, T0)}


def test_the_result_of_a_changed_rule_proves_nothing_for_the_new_one() -> None:
    for ok in (True, False):
        scenario = DecisionScenario()
        scenario.decide(0)
        scenario.options = make_options(SUSPEND.replace("suspend", "poweroff"))
        scenario.at = T0 + 600
        scenario.action_completed(SLEEP, ok=ok)
        decision = scenario.decide()
        assert (
            decision.memory.part(SleepMemory).completed_rules,
            decision.memory.part(SleepMemory).failures,
        ) == (frozenset(), {})
        assert subjects(decision) == ["sleep rule 1"]
        assert "nothing keeps" in decision.reasons[0].text


def test_a_rule_that_is_no_more_leaves_no_trace() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.options = make_options('mode = "enforce"')
    scenario.action_completed(SLEEP, ok=False, observed="refused")
    (reason,) = scenario.decide(1).reasons
    assert (reason.subject, "[[sleep]]" in reason.text) == ("sleep", True)


TWO = """
mode = "enforce"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
warn = "0s"
[[sleep]]
action = "poweroff"
idle_for = "IDLE"
warn = "0s"
"""


@pytest.mark.parametrize(
    ("idle", "at", "action"),
    [("10min", 600, "suspend"), ("20min", 600, "suspend"), ("5min", 300, "poweroff")],
)
def test_the_first_rule_whose_conditions_all_hold_decides_the_action(
    idle: str, at: float, action: str
) -> None:
    scenario = DecisionScenario(TWO.replace("IDLE", idle))
    scenario.decide(0)
    assert [getattr(disk_action, "sleep_action", None) for disk_action in scenario.decide(at).actions] == [
        action
    ]


def test_a_completed_rule_yields_to_the_next_rule() -> None:
    scenario = DecisionScenario(TWO.replace("IDLE", "20min"))
    scenario.decide(0)
    scenario.at = T0 + 600
    scenario.action_completed(SLEEP)
    scenario.decide()
    assert scenario.decide(800).actions == ()
    scenario.slept = 0.0
    assert [action for action in scenario.decide(1200).actions if isinstance(action, Sleep)] != []


def test_a_snapshot_without_anybody_never_reaches_a_rule() -> None:
    options, now = make_options(SUSPEND.replace('"10min"', '"0s"')), moment()
    assert decide(Snapshot(), Memory.initial(now), options, now).actions == ()
