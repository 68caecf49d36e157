"""Which rule acts, when, and after what; decide() is asked, for that is what the house relies on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from policy.night import GOING, SLEEP, SUSPEND, WARN, Night, configured, reasons
from policy.worlds import T0, moment

from powerd.model import CallOff, Memory, Outcome, Sleep, Snapshot
from powerd.policy import decide
from powerd.policy.sleep import CLOSE_LOOK, STANDS, VAIN_AFTER


def test_idle_then_announced_then_asleep() -> None:
    night = Night()
    first = night.decide(0)
    assert (first.phase, first.orders) == ("idle", ())
    assert (first.look_again, first.closely) == (T0 + 530, True), "once closely, shortly before announcing"
    assert first.plan is not None
    assert first.plan.at == moment(T0 + 600, 0, night.now.wall + timedelta(minutes=10))
    assert reasons(first) == ["sleep rule 1: waits for 10min of idleness"]
    last = night.decide(532)
    assert (last.phase, last.look_again, last.closely) == ("idle", T0 + 540, False), "it has just looked"
    announced = night.decide(540)
    assert (announced.phase, announced.orders, announced.closely) == ("warning", (WARN,), True)
    night.done(WARN)
    waiting = night.decide(570)
    assert (waiting.phase, waiting.orders) == ("warning", ())
    assert waiting.look_again == T0 + 580, "the house is looked at closely"
    assert night.decide(600).orders == (SLEEP,)


def test_the_warning_period_begins_when_the_announcement_has_been_made() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.at += 15  # wall(1) was slow
    night.done(WARN)
    assert night.decide(600).orders == ()
    assert night.decide(614.9).orders == ()
    assert night.decide(615).orders == (SLEEP,)


def test_an_announcement_under_way_is_not_made_twice() -> None:
    night = Night()
    night.decide(0)
    night.in_flight = frozenset({WARN})
    decision = night.decide(545)
    assert (decision.phase, decision.orders) == ("warning", ())


def test_somebody_who_returns_in_the_warning_cancels_it_and_is_warned_anew() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    night.somebody = True
    stirred = night.decide(590)
    spared = CallOff(0, "suspend", "host1: home, answers ping")
    assert (stirred.phase, stirred.orders, stirred.plan) == ("awake", (spared,), None)
    night.done(spared)
    night.somebody = False
    assert night.decide(600).phase == "idle", "idleness begins anew"
    assert night.decide(1140).orders == (WARN,)
    night.done(WARN)
    assert night.decide(1200).orders == (SLEEP,)


def test_no_warning_wanted_none_given() -> None:
    night = Night(SUSPEND.replace('"1min"', '"0s"'))
    assert night.decide(0).orders == ()
    last = night.decide(600)
    assert (last.orders, last.phase) == ((SLEEP,), "warning")


def test_while_it_goes_down_nothing_is_ordered() -> None:
    night = Night()
    night.decide(0)
    night.in_flight = frozenset({SLEEP})
    decision = night.decide(700)
    assert (decision.phase, decision.orders, decision.plan) == ("going-down", (), None)
    assert decision.look_again == T0 + 700 + CLOSE_LOOK
    assert reasons(decision) == [f"sleep: {GOING}"]


def test_an_announcement_that_led_to_nothing_in_time_is_made_again() -> None:
    """A window that has moved away, by a clock that was set: nobody remembers last night's announcement."""
    night = Night(SUSPEND + 'during = ["22:00-22:12"]\n')
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    night.at = T0 + 599
    night.step = 1800.0
    waiting = night.decide()
    off = CallOff(0, "suspend", "sleep rule 1: waits for its window: 22:00-22:12")
    assert (waiting.phase, waiting.orders) == ("idle", (off,))
    assert waiting.plan is not None
    assert waiting.plan.at.wall.strftime("%a %H:%M") == "Tue 22:00"
    tomorrow = waiting.plan.at.mono - T0
    night.decide(tomorrow - 120)
    assert night.decide(tomorrow - 60).orders == (WARN,)
    night.done(WARN)
    assert night.decide(tomorrow).orders == (SLEEP,)


def test_an_announcement_outlasts_slow_final_looks() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    assert night.decide(600 + STANDS).orders == (SLEEP,)
    assert night.decide(600 + STANDS + 1).orders == (WARN,)


def test_what_another_rule_failed_at_is_not_why_this_one_acts() -> None:
    night = Night(SUSPEND + '[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\nidle_for = "15min"\n')
    night.decide(0)
    night.decide(890)
    night.done(SLEEP, ok=False, observed="backup (pid 7) blocks it")
    night.in_flight = frozenset({Sleep(1, "command", ("/bin/true",))})
    decision = night.decide(900)
    assert decision.phase == "going-down"
    assert [reason.split(":")[0] for reason in reasons(decision)] == ["sleep", "sleep rule 1"]
    assert reasons(decision)[0].startswith("sleep: about to run the sleep command by sleep rule 2")


def test_a_refused_sleep_is_a_reason_and_backs_off() -> None:
    night = Night(SUSPEND.replace('"1min"', '"0s"'))
    night.decide(0)
    tried = []
    for at in range(600, 6000, 10):
        if night.decide(at).orders:
            tried.append(at)
            night.done(SLEEP, ok=False, observed="backup (pid 7) blocks it")
            decision = night.decide()
            assert reasons(decision)[0] == "sleep rule 1: could not suspend: backup (pid 7) blocks it"
            assert decision.reasons[0].keeps_awake
    assert [b - a for a, b in pairwise(tried)] == [60, 120, 240, 480, 960, 1920]


def test_it_backs_off_an_hour_at_most() -> None:
    night = Night(SUSPEND.replace('"1min"', '"0s"'))
    night.decide(0)
    night.memory = replace(night.memory, failures={0: (40, T0 + 600)})
    assert night.decide(700).look_again == T0 + 600 + 3600


def test_each_attempt_is_announced() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    night.decide(600)
    night.done(SLEEP, ok=False, observed="refused")
    night.decide(601)
    assert night.decide(660).orders == (WARN,)


def test_who_stirs_wipes_failures_away() -> None:
    night = Night()
    night.decide(0)
    night.done(SLEEP, ok=False, observed="refused")
    assert night.decide(600).memory.failures
    night.somebody = True
    decision = night.decide(610)
    assert not decision.memory.failures
    assert all("refused" not in reason for reason in reasons(decision))


def test_an_accepted_sleep_that_does_not_come_is_a_failure() -> None:
    night = Night()
    night.decide(0)
    night.at = T0 + 600
    night.done(SLEEP, observed="logind accepted: suspend")
    accepted = night.decide()
    assert accepted.memory.done == {0}
    assert reasons(accepted) == [
        "sleep rule 1: logind accepted: suspend; it will act again after something has stirred"
    ]
    assert night.decide(600 + VAIN_AFTER - 1).memory.done == {0}
    vain = night.decide(600 + VAIN_AFTER)
    assert (
        reasons(vain)[0]
        == "sleep rule 1: could not suspend: was accepted, but the server did not go to sleep"
    )
    assert vain.memory.failures == {0: (1, T0 + 600 + VAIN_AFTER)}


def test_a_sleep_that_came_is_no_failure() -> None:
    night = Night()
    night.decide(0)
    night.at = T0 + 600
    night.done(SLEEP)
    night.decide()
    night.slept = 8 * 3600.0
    night.decide(602)
    later = night.decide(602 + VAIN_AFTER)
    assert not later.memory.failures
    assert later.memory.resumed == T0 + 602


def test_an_answer_that_comes_after_the_wake_up_belongs_to_the_day_before() -> None:
    night = Night()
    night.decide(0)
    night.in_flight = frozenset({SLEEP})
    night.at = T0 + 600
    night.outcomes[Sleep] = Outcome(SLEEP, T0 + 601, ok=True, observed="accepted", begun=T0 + 600)
    night.slept = 8 * 3600.0
    night.in_flight = frozenset()
    assert night.decide(601).memory.done == frozenset()


def test_a_command_s_end_is_its_own_proof() -> None:
    night = Night('mode = "enforce"\n[[sleep]]\naction = "command"\ncommand = ["/bin/goodnight"]')
    night.decide(0)
    night.at = T0 + 600
    night.done(Sleep(0, "command", ("/bin/goodnight",)), observed="ran /bin/goodnight")
    night.decide()
    decision = night.decide(600 + 10 * VAIN_AFTER)
    assert (decision.memory.done, decision.memory.failures) == (frozenset({0}), {})
    assert (decision.phase, decision.plan) == ("idle", None)


def test_what_was_only_observed_is_never_in_vain() -> None:
    night = Night(SUSPEND.replace("enforce", "observe"))
    night.decide(0)
    night.at = T0 + 600
    night.done(SLEEP, observed="would have suspended")
    night.decide()
    assert night.decide(600 + 10 * VAIN_AFTER).memory.done == {0}


def test_an_outcome_is_counted_once() -> None:
    night = Night()
    night.decide(0)
    night.done(SLEEP, ok=False, observed="refused")
    night.decide(1)
    assert night.decide(2).memory.failures == {0: (1, T0)}


def test_the_outcome_of_a_rule_that_has_been_changed_since_says_nothing_of_the_new_one() -> None:
    for ok in (True, False):
        night = Night()
        night.decide(0)
        night.options = configured(SUSPEND.replace("suspend", "poweroff"))
        night.at = T0 + 600
        night.done(SLEEP, ok=ok)
        decision = night.decide()
        assert (decision.memory.done, decision.memory.failures) == (frozenset(), {})
        assert reasons(decision) == ["sleep rule 1: nothing keeps the server awake any more"]


def test_a_rule_that_is_no_more_leaves_no_trace() -> None:
    night = Night()
    night.decide(0)
    night.options = configured('mode = "enforce"')
    night.done(SLEEP, ok=False, observed="refused")
    assert reasons(night.decide(1)) == ["sleep: no [[sleep]] rule is configured, so the server never sleeps"]


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
def test_the_first_rule_whose_conditions_all_hold_gives_the_order(idle: str, at: float, action: str) -> None:
    night = Night(TWO.replace("IDLE", idle))
    night.decide(0)
    assert [getattr(order, "action", None) for order in night.decide(at).orders] == [action]


def test_what_has_been_done_gives_way_to_the_next_rule() -> None:
    night = Night(TWO.replace("IDLE", "20min"))
    night.decide(0)
    night.at = T0 + 600
    night.done(SLEEP)
    night.decide()
    assert night.decide(800).orders == ()
    night.slept = 0.0
    assert [order for order in night.decide(1200).orders if isinstance(order, Sleep)] != []


def test_a_snapshot_without_anybody_never_reaches_a_rule() -> None:
    options, now = configured(SUSPEND.replace('"10min"', '"0s"')), moment()
    assert decide(Snapshot(), Memory.newborn(now), options, now).orders == ()
