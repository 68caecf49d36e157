"""Locks, key presses, and network cards that may or may not wake the server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.night import SLEEP, SUSPEND, WARN, Night, reasons
from policy.worlds import T0

from powerd.model import CARDS, LOGIND, Blind, CallOff, Card, Inhibitor, KeyPress, Seen, Snapshot, SourceId


def lock(what: str = "sleep", mode: str = "block", who: str = "backup", why: str = "nightly") -> Inhibitor:
    return Inhibitor(frozenset(what.split(":")), who, why, mode, 0, 7)


def locked(*locks: Inhibitor) -> Night:
    night = Night()
    night.twist = lambda snapshot: replace(snapshot, inhibitors=locks)
    return night


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (lock(), "backup: forbids sleep: nightly"),
        (lock("idle:sleep:shutdown"), "backup: forbids sleep and shutdown and idle: nightly"),
        (lock("idle", why=""), "backup: forbids idle"),
        (lock("shutdown:handle-lid-switch", "block-weak"), "backup: forbids shutdown: nightly"),
        (lock(who=""), "process 7: forbids sleep: nightly"),
    ],
)
def test_who_forbids_a_sleep_is_named(held: Inhibitor, said: str) -> None:
    night = locked(held)
    for at in (0, 540, 600, 6000):
        decision = night.decide(at)
        assert (decision.phase, decision.orders) == ("awake", ())
        assert reasons(decision) == [said]
        assert decision.reasons[0].keeps_awake


@pytest.mark.parametrize("held", [lock(mode="delay"), lock("handle-lid-switch"), lock("handle-power-key")])
def test_other_locks_hold_nothing_up(held: Inhibitor) -> None:
    assert locked(held).decide(0).phase == "idle"


def test_a_lock_in_the_warning_period_cancels_it() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    night.twist = lambda snapshot: replace(snapshot, inhibitors=(lock(),))
    stirred = night.decide(570)
    assert (stirred.phase, reasons(stirred)) == ("awake", ["backup: forbids sleep: nightly"])
    night.twist = lambda snapshot: snapshot
    assert night.decide(600).memory.idle_since == T0 + 600


def without(source: SourceId, snapshot: Snapshot, word: Seen[tuple[str, ...]] | Blind | None) -> Snapshot:
    sources = {name: each for name, each in snapshot.sources.items() if name != source}
    return replace(snapshot, sources=sources if word is None else {**sources, source: word})


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (Blind(T0, "systemd-logind did not answer"), "systemd-logind did not answer"),
        (Seen(T0 - 2101, ()), "has not looked for too long"),
        (None, "has not looked yet"),
    ],
)
def test_a_logind_that_cannot_be_told_keeps_the_server_awake(
    word: Seen[tuple[str, ...]] | Blind | None, said: str
) -> None:
    night = Night()
    night.twist = lambda snapshot: without(LOGIND, snapshot, word)
    decision = night.decide(600)
    assert decision.orders == ()
    assert reasons(decision) == [f"logind: {said}"]
    assert decision.phase == ("starting" if word is None else "awake")


def test_a_standing_source_s_word_holds_for_three_of_its_slow_rounds() -> None:
    night = Night()
    night.twist = lambda snapshot: without(LOGIND, snapshot, Seen(T0, ()))
    assert night.decide(2700).phase != "awake"
    assert reasons(night.decide(2701)) == ["logind: has not looked for too long"]


def test_but_not_over_a_wake_up() -> None:
    night = Night()
    night.decide(0)
    night.twist = lambda snapshot: without(LOGIND, snapshot, Seen(T0, ()))
    night.slept = 60.0
    assert "logind: has not looked since the wake-up" in reasons(night.decide(10))


def test_an_action_that_will_not_work_is_shown() -> None:
    night = Night()
    warning = 'sleep rule 1 will not work: logind answers "na" for suspend'
    night.twist = lambda snapshot: without(LOGIND, snapshot, Seen(T0, (warning,)))
    decision = night.decide(0)
    assert reasons(decision)[-1] == f"logind: {warning}"
    assert not decision.reasons[-1].keeps_awake


# --- key presses ---


def typing(night: Night, at: float) -> None:
    press = KeyPress(T0 + at, "anna on tty1")
    night.twist = lambda snapshot: replace(snapshot, key_press=press)


TYPED = "anna on tty1: a key was pressed, and idleness counts from then"


def test_a_key_press_cancels_the_warning_visibly() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    typing(night, 569)
    stirred = night.decide(570)
    assert (stirred.phase, reasons(stirred)) == ("awake", [TYPED])
    assert stirred.orders == (CallOff(0, "suspend", TYPED),)
    night.done(stirred.orders[0])
    assert stirred.look_again == T0 + 577, "until when it may have been pressed"
    idle = night.decide(577)
    assert idle.phase == "idle"
    assert idle.memory.idle_since == T0 + 577
    assert night.decide(600).orders == ()


def test_one_that_is_heard_of_late_counts_from_when_it_was() -> None:
    night = Night()
    night.decide(0)
    night.decide(540)
    night.done(WARN)
    typing(night, 300)
    stirred = night.decide(570)
    assert (stirred.phase, stirred.orders) == ("idle", (CallOff(0, "suspend", TYPED),))
    assert reasons(stirred) == [TYPED, "sleep rule 1: waits for 10min of idleness"]
    assert stirred.reasons[0].keeps_awake
    assert stirred.plan is not None
    assert stirred.plan.at.mono == T0 + 308 + 600
    assert night.decide(848).orders == (WARN,)
    night.done(WARN)
    last = night.decide(908)
    assert last.orders == (SLEEP,)
    assert reasons(last) == [TYPED, "sleep rule 1: nothing keeps the server awake any more"]
    assert not last.reasons[0].keeps_awake


def test_the_kernel_dates_it_up_to_eight_seconds_early() -> None:
    """Pressed just after the announcement, dated just before: it cancels that all the same."""
    night = Night(SUSPEND.replace('"10min"', '"0s"'))
    night.decide(0)
    night.done(WARN)
    typing(night, -4)
    assert night.decide(10).phase == "warning"
    assert night.decide(60).orders == (WARN,), "the announcement before the key press does not stand"


def test_a_key_press_from_before_is_none() -> None:
    night = Night()
    typing(night, -100)
    night.decide(0)
    assert night.decide(1).memory.idle_since == T0
    assert TYPED not in reasons(night.decide(2))


def test_it_lets_a_rule_act_again() -> None:
    night = Night()
    night.decide(0)
    night.at = T0 + 600
    night.done(SLEEP, observed="would have suspended")
    assert night.decide(600).memory.done == {0}
    typing(night, 700)
    assert night.decide(710).memory.done == frozenset()


def test_keys_and_keeps_that_end_are_both_looked_at_in_time() -> None:
    night = Night()
    typing(night, 0)
    assert night.decide(5).look_again == T0 + 8
    assert night.decide(7.99).look_again == pytest.approx(T0 + 8.09)


# --- network cards ---

MAGIC, ARMED, DEAF = Card("eth0", "pumbg", "d"), Card("eth0", "pumbg", "g"), Card("eth0", "", "")


def carded(text: str, *cards: Card | Blind) -> Night:
    night = Night(SUSPEND + text)
    words = {
        f"eth{n}": Blind(T0, card.why)
        if isinstance(card, Blind)
        else Seen(T0, replace(card, interface=f"eth{n}"))
        for n, card in enumerate(cards)
    }
    night.twist = lambda snapshot: replace(snapshot, cards=words)
    return night


ALONE = "no alarm is asked for and no magic packet is heard, so only its power button wakes the server"


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ((MAGIC,), f"eth0: {ALONE}; set wake.at or wake.timers, or wake.arm_lan = true"),
        ((DEAF,), f"eth0: {ALONE}; set wake.at or wake.timers"),
        ((DEAF, MAGIC), f"eth0, eth1: {ALONE}; set wake.at or wake.timers, or wake.arm_lan = true"),
        ((DEAF, ARMED), None),
        ((ARMED,), None),
        ((), None),
        ((Blind(T0, "no helper"),), "eth0: cannot tell whether it wakes the server: no helper"),
        ((Blind(T0, "no helper"), DEAF), "eth0: cannot tell whether it wakes the server: no helper"),
        ((Blind(T0, "no helper"), ARMED), None),
    ],
)
def test_a_server_that_only_its_button_would_wake_says_so(
    cards: tuple[Card | Blind, ...], said: str | None
) -> None:
    decision = carded("", *cards).decide(0)
    assert reasons(decision)[1:] == ([said] if said else [])
    assert not any(reason.keeps_awake for reason in decision.reasons[1:])
    assert decision.phase == "idle"


@pytest.mark.parametrize("text", ['[wake]\nat = ["06:30"]', "[wake]\narm_lan = true"])
def test_but_not_where_an_alarm_or_an_armed_card_will(text: str) -> None:
    assert not any("button" in reason for reason in reasons(carded(text, MAGIC).decide(0)))


def test_a_server_that_never_sleeps_need_not_be_woken() -> None:
    night = carded("", DEAF)
    night.options = replace(night.options, sleep=())
    assert not any("button" in reason for reason in reasons(night.decide(0)))


CONNECT = "connect one, or switch it off"
ARM = "[wake]\narm_lan = true\n"
FIRMWARE = 'by ethtool it knows "", and no magic packet; look into the firmware setup'


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ((DEAF,), [f"eth0: cannot be armed to wake the server, as wake.arm_lan asks: {FIRMWARE}"]),
        (
            (Blind(T0, "no helper listens"), DEAF),
            [
                "eth0: cannot be armed to wake the server, as wake.arm_lan asks: no helper listens",
                f"eth1: cannot be armed to wake the server, as wake.arm_lan asks: {FIRMWARE}",
            ],
        ),
        (
            (),
            [f"cards: wake.arm_lan asks for it, but no network card leads to a LAN; {CONNECT}"],
        ),
    ],
)
def test_where_arming_is_asked_for_and_impossible_it_stays_up(
    cards: tuple[Card | Blind, ...], said: list[str]
) -> None:
    night = carded(ARM, *cards)
    for at in (0, 540, 600):
        decision = night.decide(at)
        assert decision.orders == ()
        assert reasons(decision) == said
        assert decision.reasons[0].keeps_awake


@pytest.mark.parametrize("cards", [(MAGIC,), (ARMED,), (DEAF, MAGIC), (Blind(T0, "?"), MAGIC)])
def test_one_card_that_can_be_armed_is_enough(cards: tuple[Card | Blind, ...]) -> None:
    assert carded(ARM, *cards).decide(0).phase == "idle"


def test_cards_that_cannot_be_listed_keep_it_awake_where_arming_is_asked_for() -> None:
    for text, phase in (("", "idle"), (ARM, "awake")):
        night = carded(text, MAGIC)
        inner = night.twist
        night.twist = lambda snapshot, inner=inner: without(CARDS, inner(snapshot), Blind(T0, "no netlink"))  # type: ignore[misc] # the default binds it now
        assert night.decide(0).phase == phase
