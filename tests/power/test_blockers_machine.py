"""Locks, key presses, and network cards that may or may not wake the server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0
from facts import changed
from power.decision_scenario import SLEEP, SUSPEND, WARN, DecisionScenario, reasons, subjects

from powerd.core.actions import CancelWarning
from powerd.core.snapshot import Snapshot, SourceId
from powerd.core.time import Reading, Unavailable
from powerd.power.model import LOGIND, NETWORK_CARDS, Inhibitor, KeyPress, NetworkCard, SleepMemory


def lock(what: str = "sleep", mode: str = "block", who: str = "backup", why: str = "nightly") -> Inhibitor:
    return Inhibitor(frozenset(what.split(":")), who, why, mode, 0, 7)


def locked(*locks: Inhibitor) -> DecisionScenario:
    scenario = DecisionScenario()
    scenario.edit_snapshot = lambda snapshot: changed(snapshot, inhibitors=locks)
    return scenario


@pytest.mark.parametrize(
    ("held", "text"),
    [
        (lock(), "backup: forbids sleep: nightly"),
        (lock("idle:sleep:shutdown"), "backup: forbids sleep and shutdown and idle: nightly"),
        (lock("idle", why=""), "backup: forbids idle"),
        (lock("shutdown:handle-lid-switch", "block-weak"), "backup: forbids shutdown: nightly"),
        (lock(who=""), "process 7: forbids sleep: nightly"),
    ],
)
def test_who_forbids_a_sleep_is_named(held: Inhibitor, text: str) -> None:
    scenario = locked(held)
    for at in (0, 540, 600, 6000):
        decision = scenario.decide(at)
        assert (decision.phase, decision.actions) == ("awake", ())
        assert reasons(decision) == [text]
        assert decision.reasons[0].blocks_sleep


@pytest.mark.parametrize("held", [lock(mode="delay"), lock("handle-lid-switch"), lock("handle-power-key")])
def test_other_locks_hold_nothing_up(held: Inhibitor) -> None:
    assert locked(held).decide(0).phase == "idle"


def test_a_lock_in_the_warning_period_cancels_it() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    scenario.edit_snapshot = lambda snapshot: changed(snapshot, inhibitors=(lock(),))
    stirred = scenario.decide(570)
    assert (stirred.phase, reasons(stirred)) == ("awake", ["backup: forbids sleep: nightly"])
    scenario.edit_snapshot = lambda snapshot: snapshot
    assert scenario.decide(600).memory.part(SleepMemory).idle_since == T0 + 600


def without(
    source: SourceId, snapshot: Snapshot, reading: Reading[tuple[str, ...]] | Unavailable | None
) -> Snapshot:
    sources = {name: each for name, each in snapshot.sources.items() if name != source}
    return replace(snapshot, sources=sources if reading is None else {**sources, source: reading})


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Unavailable(T0, "systemd-logind did not answer"), "systemd-logind did not answer"),
        (Reading(T0 - 2101, ()), "has not been polled for too long"),
        (None, "has not been polled yet"),
    ],
)
def test_an_unavailable_logind_keeps_the_server_awake(
    reading: Reading[tuple[str, ...]] | Unavailable | None, text: str
) -> None:
    scenario = DecisionScenario()
    scenario.edit_snapshot = lambda snapshot: without(LOGIND, snapshot, reading)
    decision = scenario.decide(600)
    assert decision.actions == ()
    assert reasons(decision) == [f"logind: {text}"]
    assert decision.phase == ("starting" if reading is None else "awake")


def test_a_reading_holds_for_three_slow_poll_intervals() -> None:
    scenario = DecisionScenario()
    scenario.edit_snapshot = lambda snapshot: without(LOGIND, snapshot, Reading(T0, ()))
    assert scenario.decide(2700).phase != "awake"
    assert subjects(scenario.decide(2701)) == ["logind"]


def test_but_not_over_a_wake_up() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.edit_snapshot = lambda snapshot: without(LOGIND, snapshot, Reading(T0, ()))
    scenario.slept = 60.0
    assert "logind" in subjects(scenario.decide(10))


def test_an_action_that_will_not_work_is_shown() -> None:
    scenario = DecisionScenario()
    warning = 'sleep rule 1 will not work: logind answers "na" for suspend'
    scenario.edit_snapshot = lambda snapshot: without(LOGIND, snapshot, Reading(T0, (warning,)))
    decision = scenario.decide(0)
    assert reasons(decision)[-1] == f"logind: {warning}"
    assert not decision.reasons[-1].blocks_sleep


# --- key presses ---


def typing(scenario: DecisionScenario, at: float) -> None:
    press = KeyPress(T0 + at, "anna on tty1")
    scenario.edit_snapshot = lambda snapshot: changed(snapshot, key_press=press)


TYPED = "anna on tty1: a key was pressed; idle time counts from then"


def test_a_key_press_cancels_the_warning_visibly() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    typing(scenario, 569)
    stirred = scenario.decide(570)
    assert (stirred.phase, reasons(stirred)) == ("awake", [TYPED])
    assert stirred.actions == (CancelWarning(0, "suspend", TYPED),)
    scenario.action_completed(stirred.actions[0])
    assert stirred.next_decision_at == T0 + 577, "until when it may have been pressed"
    idle = scenario.decide(577)
    assert idle.phase == "idle"
    assert idle.memory.part(SleepMemory).idle_since == T0 + 577
    assert scenario.decide(600).actions == ()


def test_a_late_event_counts_from_its_own_time() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    typing(scenario, 300)
    stirred = scenario.decide(570)
    assert (stirred.phase, stirred.actions) == ("idle", (CancelWarning(0, "suspend", TYPED),))
    assert reasons(stirred)[0] == TYPED
    assert "10min" in reasons(stirred)[1]
    assert stirred.reasons[0].blocks_sleep
    assert stirred.planned_sleep is not None
    assert stirred.planned_sleep.at.mono == T0 + 308 + 600
    assert scenario.decide(848).actions == (WARN,)
    scenario.action_completed(WARN)
    last = scenario.decide(908)
    assert last.actions == (SLEEP,)
    assert reasons(last)[0] == TYPED
    assert subjects(last)[1:] == ["sleep rule 1"]
    assert not last.reasons[0].blocks_sleep


def test_the_kernel_dates_it_up_to_eight_seconds_early() -> None:
    """A key press just after the announcement, dated just before it, cancels it too."""
    scenario = DecisionScenario(SUSPEND.replace('"10min"', '"0s"'))
    scenario.decide(0)
    scenario.action_completed(WARN)
    typing(scenario, -4)
    assert scenario.decide(10).phase == "warning"
    assert scenario.decide(60).actions == (WARN,), "the announcement before the key press does not stand"


def test_a_key_press_from_before_is_none() -> None:
    scenario = DecisionScenario()
    typing(scenario, -100)
    scenario.decide(0)
    assert scenario.decide(1).memory.part(SleepMemory).idle_since == T0
    assert TYPED not in reasons(scenario.decide(2))


def test_it_lets_a_rule_act_again() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.at = T0 + 600
    scenario.action_completed(SLEEP, observed="would have suspended")
    assert scenario.decide(600).memory.part(SleepMemory).completed_rules == {0}
    typing(scenario, 700)
    assert scenario.decide(710).memory.part(SleepMemory).completed_rules == frozenset()


def test_key_presses_and_keeps_that_end_both_schedule_the_next_decision() -> None:
    scenario = DecisionScenario()
    typing(scenario, 0)
    assert scenario.decide(5).next_decision_at == T0 + 8
    assert scenario.decide(7.99).next_decision_at == pytest.approx(T0 + 8.09)


# --- network cards ---

MAGIC, ARMED, DEAF = (
    NetworkCard("eth0", "pumbg", "d"),
    NetworkCard("eth0", "pumbg", "g"),
    NetworkCard("eth0", "", ""),
)


def carded(text: str, *cards: NetworkCard | Unavailable) -> DecisionScenario:
    scenario = DecisionScenario(SUSPEND + text)
    words = {
        f"eth{n}": Unavailable(T0, card.reason)
        if isinstance(card, Unavailable)
        else Reading(T0, replace(card, interface=f"eth{n}"))
        for n, card in enumerate(cards)
    }
    scenario.edit_snapshot = lambda snapshot: changed(snapshot, network_cards=words)
    return scenario


ALONE = (
    "no alarm is requested and no network card is enabled for magic packets, so only the power "
    "button wakes the server"
)


@pytest.mark.parametrize(
    ("cards", "text"),
    [
        ((MAGIC,), f"eth0: {ALONE}; set wake.at or wake.timers, or wake.arm_lan = true"),
        ((DEAF,), f"eth0: {ALONE}; set wake.at or wake.timers"),
        ((DEAF, MAGIC), f"eth0, eth1: {ALONE}; set wake.at or wake.timers, or wake.arm_lan = true"),
        ((DEAF, ARMED), None),
        ((ARMED,), None),
        ((), None),
        ((Unavailable(T0, "no helper"),), "eth0: unknown whether it wakes the server: no helper"),
        ((Unavailable(T0, "no helper"), DEAF), "eth0: unknown whether it wakes the server: no helper"),
        ((Unavailable(T0, "no helper"), ARMED), None),
    ],
)
def test_a_server_that_only_its_button_would_wake_is_a_warning(
    cards: tuple[NetworkCard | Unavailable, ...], text: str | None
) -> None:
    decision = carded("", *cards).decide(0)
    assert reasons(decision)[1:] == ([text] if text else [])
    assert not any(reason.blocks_sleep for reason in decision.reasons[1:])
    assert decision.phase == "idle"


@pytest.mark.parametrize("text", ['[wake]\nat = ["06:30"]', "[wake]\narm_lan = true"])
def test_but_not_where_an_alarm_or_an_armed_card_will(text: str) -> None:
    assert not any("button" in reason for reason in reasons(carded(text, MAGIC).decide(0)))


def test_a_server_that_never_sleeps_need_not_be_woken() -> None:
    scenario = carded("", DEAF)
    scenario.options = replace(scenario.options, sleep=())
    assert not any("button" in reason for reason in reasons(scenario.decide(0)))


ARM = "[wake]\narm_lan = true\n"


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ((DEAF,), [("eth0", "firmware")]),
        ((Unavailable(T0, "no helper listens"), DEAF), [("eth0", "no helper listens"), ("eth1", "firmware")]),
        ((), [("cards", "no network card")]),
    ],
)
def test_where_arming_is_asked_for_and_impossible_it_stays_up(
    cards: tuple[NetworkCard | Unavailable, ...], expected: list[tuple[str, str]]
) -> None:
    scenario = carded(ARM, *cards)
    for at in (0, 540, 600):
        decision = scenario.decide(at)
        assert decision.actions == ()
        for reason, (subject, cause) in zip(decision.reasons, expected, strict=True):
            assert reason.subject == subject
            assert "wake.arm_lan" in reason.text
            assert cause in reason.text
            assert reason.blocks_sleep


@pytest.mark.parametrize("cards", [(MAGIC,), (ARMED,), (DEAF, MAGIC), (Unavailable(T0, "?"), MAGIC)])
def test_one_card_that_can_be_armed_is_enough(cards: tuple[NetworkCard | Unavailable, ...]) -> None:
    assert carded(ARM, *cards).decide(0).phase == "idle"


def test_cards_that_cannot_be_listed_keep_it_awake_where_arming_is_asked_for() -> None:
    for text, phase in (("", "idle"), (ARM, "awake")):
        scenario = carded(text, MAGIC)
        inner = scenario.edit_snapshot
        scenario.edit_snapshot = lambda snapshot, inner=inner: without(
            NETWORK_CARDS, inner(snapshot), Unavailable(T0, "no netlink")
        )  # type: ignore[misc] # the default binds it now
        assert scenario.decide(0).phase == phase
