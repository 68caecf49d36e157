"""What is done for a sleep and undone after it."""

from __future__ import annotations

import asyncio

import pytest
from transit.rooms import ENFORCE, HOOKS, Rooms, live

from powerd.board import Facts
from powerd.host.values import Alarm, Completed, HostError
from powerd.model import Blind, Card, Seen, Sleep, SourceId


def suspend(r: Rooms, seconds: float = 3600) -> Sleep:
    return Sleep(0, "suspend", wake=r.at(seconds))


def test_without_its_alarm_the_server_does_not_go_and_nothing_is_left() -> None:
    async def test(r: Rooms) -> None:
        r.machine.rtc.deaf = True
        with pytest.raises(HostError, match="then shows none"):
            await r.night.set_out(suspend(r))
        assert r.machine.ran == []
        assert r.machine.alarm() is None

    live(test, HOOKS)


def test_a_refusal_of_logind_s_takes_all_back() -> None:
    async def test(r: Rooms) -> None:
        await r.night.set_out(suspend(r))
        await r.night.turn_back()
        await asyncio.sleep(0.1)
        assert r.machine.alarm() is None
        assert r.machine.ran == [("good night", "sleep"), ("good morning", "")]

    live(test, HOOKS)


def test_what_was_prepared_stays_where_somebody_else_s_sleep_comes_first() -> None:
    """logind refuses ours then, and the server goes all the same."""

    async def test(r: Rooms) -> None:
        order = suspend(r)
        await r.night.set_out(order)
        await r.night.prepare("sleep", order.wake)
        await r.night.turn_back()
        assert r.machine.alarm() == pytest.approx(3600, abs=2)
        with pytest.raises(HostError, match="is on its way into a sleep already"):
            await r.night.set_out(order)
        assert r.machine.alarm() == pytest.approx(3600, abs=2)
        assert r.machine.ran == [("good night", "sleep")]
        await r.night.end("alarm")
        assert r.machine.alarm() is None
        await r.night.set_out(order)

    live(test, HOOKS)


def test_each_order_is_a_night_of_its_own() -> None:
    async def test(r: Rooms) -> None:
        for _ in range(2):
            await r.night.set_out(suspend(r))
            await r.night.turn_back()
            await asyncio.sleep(0.1)
        assert [name for name, _ in r.machine.ran] == ["good night", "good morning"] * 2

    live(test, HOOKS)


@pytest.mark.parametrize(
    ("action", "what"), [("hibernate", "sleep"), ("poweroff", "shutdown"), ("command", "command")]
)
def test_the_hook_is_told_what_is_coming(action: str, what: str) -> None:
    async def test(r: Rooms) -> None:
        await r.night.set_out(Sleep(0, action))  # type: ignore[arg-type] # one of them
        assert r.machine.ran == [("good night", what)]

    live(test, HOOKS)


def test_somebody_who_comes_while_the_hook_runs_calls_it_off() -> None:
    async def test(r: Rooms) -> None:
        r.back = "tv: is home"
        with pytest.raises(HostError, match="called off at the last moment: tv: is home"):
            await r.night.set_out(suspend(r))
        await asyncio.sleep(0.1)
        assert r.machine.alarm() is None
        assert r.machine.ran[-1] == ("good morning", "")

    live(test, HOOKS)


def test_where_nothing_takes_time_nobody_is_asked_again() -> None:
    async def test(r: Rooms) -> None:
        r.back = "tv: is home"
        await r.night.set_out(suspend(r))

    live(test)


def test_somebody_who_comes_while_the_helper_is_slow_calls_it_off() -> None:
    async def test(r: Rooms) -> None:
        quick = r.machine.set_alarm

        async def slow(in_seconds: int, replaces: int | None) -> Alarm:
            await asyncio.sleep(15)
            return await quick(in_seconds, replaces)

        r.machine.set_alarm = slow  # type: ignore[method-assign] # a small computer that is busy
        r.back = "tv: is home"
        with pytest.raises(HostError, match="called off at the last moment: tv: is home"):
            await r.night.set_out(suspend(r))
        assert r.machine.alarm() is None

    live(test)


def test_a_hook_that_takes_long_runs_once() -> None:
    async def test(r: Rooms) -> None:
        r.machine.takes = 1200
        await r.order()
        await asyncio.sleep(30)
        assert [name for name, _ in r.machine.ran] == ["good night", "good morning"]

    live(test, HOOKS.replace("20s", "1h"))


def test_a_sleep_long_after_it_was_prepared_is_another_one() -> None:
    """A command that did not lead to a sleep, and hours later somebody suspends by hand."""

    async def test(r: Rooms) -> None:
        await r.night.set_out(Sleep(0, "command", ("/bin/true",)))
        await asyncio.sleep(4000)
        await r.machine.sleep()
        assert [name for name, _ in r.machine.ran].count("good night") == 2

    live(test, HOOKS)


@pytest.mark.parametrize(
    ("end", "takes", "text"),
    [
        (
            Completed(3, "", "no such pool\n"),
            0,
            "hooks.before_sleep: /bin/good ended with status 3: no such pool",
        ),
        (
            Completed(0, "", ""),
            60,
            "hooks.before_sleep: /bin/good was still running after 20 s and was ended",
        ),
    ],
)
def test_a_hook_that_fails_is_reported_and_never_fatal(end: Completed, takes: float, text: str) -> None:
    async def test(r: Rooms) -> None:
        r.machine.end, r.machine.takes = end, takes
        await r.night.set_out(suspend(r))
        assert r.complaints == [text]

    live(test, HOOKS)


ARM = ENFORCE + "[wake]\narm_lan = true\n"


def cards(r: Rooms) -> None:
    r.machine.cards = {
        "eth0": Card("eth0", "pumbg", ""),
        "eth1": Card("eth1", "pumbg", "g"),
        "eth2": Card("eth2", "p", ""),
    }
    seen = {name: Seen(1.0, card) for name, card in r.machine.cards.items()}
    r.board.post(SourceId("cards"), Facts(Seen(1.0, ()), cards={**seen, "eth3": Blind(1.0, "no answer")}))


def test_cards_that_can_be_are_armed_where_that_is_asked_for() -> None:
    async def test(r: Rooms) -> None:
        cards(r)
        await r.night.set_out(Sleep(0, "suspend"))
        assert [card.armed for card in r.machine.cards.values()] == ["g", "g", ""]

    live(test, ARM)


@pytest.mark.parametrize("ours", [True, False])
def test_a_card_that_was_armed_when_it_was_looked_at_is_armed_again(*, ours: bool) -> None:
    """A driver, a network manager or ethtool has cleared it since."""

    async def test(r: Rooms) -> None:
        cards(r)
        r.machine.cards["eth1"] = Card("eth1", "pumbg", "")
        if ours:
            await r.night.set_out(Sleep(0, "suspend"))
        else:
            await r.machine.sleep()
        assert r.machine.cards["eth1"].armed == "g"

    live(test, ARM)


def test_of_several_ways_to_wake_up_one_that_fails_does_not_skip_the_others() -> None:
    async def test(r: Rooms) -> None:
        cards(r)
        r.wanted = r.at(3600)
        r.machine.rtc.deaf = True
        arm = r.machine.arm_card

        async def refuse(interface: str) -> Card:
            if interface == "eth0":
                raise HostError("eth0 does not answer")
            return await arm(interface)

        r.machine.arm_card = refuse  # type: ignore[method-assign] # one cannot
        r.machine.cards["eth1"] = Card("eth1", "pumbg", "")
        await r.machine.sleep()
        assert r.machine.cards["eth1"].armed == "g"
        unprepared = [text for text in r.complaints if "the sleep begins unprepared" in text]
        assert len(unprepared) == 2
        assert any("eth0 does not answer" in text for text in unprepared)
        assert any("then shows none" in text for text in unprepared)
        r.machine.rtc.deaf = False

    live(test, ARM)


def test_a_card_that_cannot_be_armed_keeps_the_server_up_and_takes_the_alarm_back() -> None:
    async def test(r: Rooms) -> None:
        cards(r)
        arm = r.machine.arm_card

        async def refuse(interface: str) -> Card:
            await arm(interface)
            raise HostError(f"{interface}: its driver has no support")

        r.machine.arm_card = refuse  # type: ignore[method-assign] # it cannot
        with pytest.raises(HostError, match="no support"):
            await r.night.set_out(suspend(r))
        assert r.machine.alarm() is None

    live(test, ARM)


def test_no_card_is_touched_unasked() -> None:
    async def test(r: Rooms) -> None:
        cards(r)
        await r.night.set_out(Sleep(0, "suspend"))
        assert r.machine.cards["eth0"].armed == ""

    live(test)
