"""The way into a sleep and out of it, whoever ordered it, beside a logind that does as the real one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal

import pytest
from bedroom import Held
from transit.rooms import HOOKS, Rooms, live

from powerd.host.values import Alarm, Going, HostError
from powerd.model import Cause, Leaving, Sleep


def hang(r: Rooms) -> asyncio.Event:
    """Have the helper not say which alarm stands, once one does, until the event is set."""
    answers, read = asyncio.Event(), r.machine.read_alarm

    async def late() -> Alarm:
        if r.machine.alarm() is not None:
            await answers.wait()
        return await read()

    r.machine.read_alarm = late  # type: ignore[method-assign] # it hangs
    return answers


def test_somebody_else_s_sleep_finds_alarm_set_and_hook_run() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        await r.machine.sleep()
        assert r.machine.slept == [pytest.approx(3599, abs=2)]
        assert r.machine.ran[0] == ("good night", "sleep")
        assert asyncio.get_running_loop().time() < 3, "not held up for longer than it takes"

    live(test, HOOKS)


def test_leaving_is_told_before_the_lock_goes() -> None:
    seen: list[tuple[Leaving | None, list[Held]]] = []

    async def test(r: Rooms) -> None:
        tell = r.tell

        def note(snapshot: object) -> None:
            seen.append((r.board.snapshot().leaving, r.machine.locks("delay")))
            tell(r.board.snapshot())
            del snapshot

        r.tell = note  # type: ignore[method-assign] # listened to
        await r.machine.sleep()
        leaving, held = next(each for each in seen if each[0] is not None)
        assert leaving is not None
        assert leaving.what == "sleep"
        assert len(held) == 2

    live(test)


def test_a_mind_that_is_busy_holds_up_nobody_s_sleep_for_long() -> None:
    async def test(r: Rooms) -> None:
        r.deaf = True
        await r.machine.sleep()
        assert asyncio.get_running_loop().time() < 1 + 1.5

    live(test)


def test_the_lock_is_taken_again_only_after_logind_has_said_that_the_sleep_is_over() -> None:
    async def test(r: Rooms) -> None:
        assert len(r.machine.locks("delay")) == 2
        r.machine.tell(Going("sleep"))
        await asyncio.sleep(0.5)
        r.clock.slept += 100
        r.board.touch()
        await asyncio.sleep(20)
        assert r.machine.locks("delay") == []
        r.machine.tell(Going("sleep", begins=False))
        await asyncio.sleep(0.1)
        assert len(r.machine.locks("delay")) == 2

    live(test)


def test_a_wake_up_is_told_with_its_cause_and_what_came_of_the_alarm() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        await r.order()
        await asyncio.sleep(1)
        waking = r.board.snapshot().waking
        assert waking is not None
        assert (waking.cause, r.board.snapshot().leaving) == (Cause.ALARM, None)
        assert waking.detail.endswith("; the alarm was for backup.timer")
        r.wanted = r.at(20 * 3600)
        await r.order()
        await asyncio.sleep(1)
        waking = r.board.snapshot().waking
        assert waking is not None
        assert waking.cause is Cause.NETWORK
        assert waking.detail.endswith("; the alarm was for backup.timer, and is taken away")
        assert r.machine.alarm() is None

    live(test)


def test_our_own_sleep_is_prepared_once() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        await r.order()
        await asyncio.sleep(1)
        assert r.machine.rtc.log == ["0", "+3600"], "and it had gone off when it was to be taken away"
        assert r.machine.ran == [("good night", "sleep"), ("good morning", "alarm")]

    live(test, HOOKS)


def test_an_alarm_is_set_anew_when_the_wanted_wake_up_has_moved() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        await r.night.set_out(Sleep(0, "suspend", wake=r.wanted))
        r.wanted = r.at(1800)
        r.board.touch()
        await asyncio.sleep(0.1)
        await r.machine.sleep()
        assert r.machine.slept == [pytest.approx(1800, abs=2)]
        assert [name for name, _ in r.machine.ran].count("good night") == 1

    live(test, HOOKS)


def test_all_is_looked_at_anew_after_a_sleep() -> None:
    async def test(r: Rooms) -> None:
        await r.machine.sleep()
        await asyncio.sleep(0.1)
        assert r.heard == [Going("found"), Going("sleep", begins=False)]
        r.machine.tell(Going("inhibitors"))
        await asyncio.sleep(0.1)
        assert r.heard[2:] == [Going("inhibitors")]

    live(test)


def test_a_sleep_of_which_the_clocks_show_nothing_is_one_too() -> None:
    """The kernel may measure it in whole seconds; then it counts it at least."""

    async def test(r: Rooms) -> None:
        r.machine.nap = True
        for _ in range(2):
            await r.machine.sleep()
            await asyncio.sleep(0.1)
            waking = r.board.snapshot().waking
            assert waking is not None
            assert (waking.cause, waking.clocked) == (Cause.NETWORK, False)
            r.board.woke(replace(waking, at=0.0))
        await r.machine.sleep(fails=True)
        await asyncio.sleep(0.1)
        waking = r.board.snapshot().waking
        assert waking is not None
        assert waking.at == 0.0, "that one was none"

    live(test)


def test_a_sleep_that_fails_is_no_wake_up_but_the_hook_is_undone() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        await r.machine.sleep(fails=True)
        await asyncio.sleep(0.1)
        assert r.board.snapshot().waking is None
        assert r.board.snapshot().leaving is None
        assert r.machine.alarm() is None
        assert r.machine.ran == [("good night", "sleep"), ("good morning", "")]
        assert len(r.machine.locks("delay")) == 2

    live(test, HOOKS)


@pytest.mark.parametrize("begun", [False, True])
def test_a_sleep_of_which_logind_says_nothing_is_seen_by_the_clocks(*, begun: bool) -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        if begun:
            r.machine.tell(Going("sleep"))
            await asyncio.sleep(0.5)
        r.machine.silent = True
        await r.machine.sleep()
        r.board.touch()
        await asyncio.sleep(31 if begun else 1)
        assert r.board.snapshot().waking is not None
        assert r.board.snapshot().leaving is None
        assert Going("sleep", begins=False) in r.heard
        assert len(r.machine.locks("delay")) == 2
        assert r.machine.alarm() is None

    live(test)


@pytest.mark.parametrize("what", ["sleep", "shutdown"])
def test_an_end_that_was_missed_while_d_bus_was_gone_is_not_waited_for_for_ever(
    what: Literal["sleep", "shutdown"],
) -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        r.machine.tell(Going(what))
        await asyncio.sleep(40)
        r.machine.tell(Going("lost"))
        r.machine.tell(Going("found"))
        await asyncio.sleep(20)
        assert r.machine.locks("delay") == [], "it may still come"
        assert r.machine.alarm() is not None
        await asyncio.sleep(11)
        assert r.board.snapshot().leaving is None
        assert r.machine.alarm() is None
        assert len(r.machine.locks("delay")) == 2

    live(test)


def test_a_sleep_that_nobody_noticed_takes_no_alarm_from_the_shutdown_after_it() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        r.clock.slept += 100
        r.machine.tell(Going("shutdown"))
        await asyncio.sleep(40)
        leaving, waking = r.board.snapshot().leaving, r.board.snapshot().waking
        assert leaving is not None
        assert waking is not None
        assert waking.at <= leaving.since
        assert r.machine.locks("delay") == []

    assert live(test).machine.rtc.alarm is not None


def test_a_shutdown_that_begins_before_all_is_cleared_up_keeps_its_alarm() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        await r.night.set_out(Sleep(0, "command", ("true",), wake=r.wanted))
        answers = hang(r)
        r.clock.slept += 100
        r.board.touch()
        await asyncio.sleep(1)
        r.machine.tell(Going("shutdown"))
        await asyncio.sleep(1)
        answers.set()
        await asyncio.sleep(10)
        assert r.board.snapshot().leaving is not None
        assert r.machine.locks("delay") == []

    assert live(test).machine.rtc.alarm is not None


def test_the_alarm_stands_between_the_two_halves_of_a_sleep() -> None:
    """Suspend-then-hibernate is awake for a moment, and logind says nothing of it."""

    async def test(r: Rooms) -> None:
        r.wanted = r.at(8 * 3600)
        r.board.touch()
        await asyncio.sleep(1)
        r.machine.tell(Going("sleep"))
        await asyncio.sleep(1)
        r.clock.slept += 3600
        r.board.touch()
        await asyncio.sleep(5)
        assert r.machine.alarm() == pytest.approx(7 * 3600, abs=10)
        r.clock.slept += 3600
        r.machine.tell(Going("sleep", begins=False))
        await asyncio.sleep(60)
        assert r.machine.alarm() is None
        assert r.heard.count(Going("sleep", begins=False)) == 1

    live(test)


def test_hooks_end_before_logind_goes_on_without_them() -> None:
    async def test(r: Rooms) -> None:
        r.machine.takes = 10.0
        begun = asyncio.get_running_loop().time()
        await r.machine.sleep()
        assert asyncio.get_running_loop().time() - begun < r.machine.delay
        assert any("raise InhibitDelayMaxSec=" in text for text in r.complaints)

    live(test, HOOKS)


def test_what_cannot_be_set_is_complained_of_where_nothing_can_be_done_any_more() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        r.machine.refusal = "no helper listens"
        await r.machine.sleep()
        assert "the sleep begins unprepared, and nobody asked powerd: no helper listens" in r.complaints
        assert r.machine.ran[0] == ("good night", "sleep")

    live(test, HOOKS)


def test_an_observer_touches_nothing_and_tells_all() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        assert r.machine.locks("delay") == []
        r.machine.tell(Going("sleep"))
        await asyncio.sleep(0.1)
        assert r.board.snapshot().leaving is not None
        r.clock.slept += 100
        r.machine.tell(Going("sleep", begins=False))
        await asyncio.sleep(0.1)
        assert r.board.snapshot().waking is not None
        assert r.machine.rtc.log == []
        assert r.machine.ran == []
        r.night.options = replace(r.night.options, mode="enforce")
        r.transit.stand_by()
        await asyncio.sleep(0.1)
        assert len(r.machine.locks("delay")) == 2

    live(test, HOOKS.replace("enforce", "observe"))


def test_no_alarm_stays_when_the_daemon_stops() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        await r.night.set_out(Sleep(0, "command", ("true",), wake=r.wanted))
        assert r.machine.alarm() is not None

    rooms = live(test)
    assert rooms.machine.rtc.alarm is None
    assert rooms.machine.locks("delay") == []
    assert rooms.written[-1] is None


def test_the_alarm_stays_when_the_machine_goes_down_with_the_daemon() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        await r.machine.sleep("shutdown")

    rooms = live(test)
    assert rooms.machine.slept == [pytest.approx(3599, abs=2)]
    assert rooms.machine.rtc.alarm is not None
    assert rooms.written[-1] == {"at": rooms.machine.rtc.alarm, "before": None}


def test_a_shutdown_that_is_called_off_is_over() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        await r.machine.sleep("shutdown")
        r.machine.tell(Going("shutdown", begins=False))
        await asyncio.sleep(0.1)
        assert r.board.snapshot().leaving is None
        assert r.machine.alarm() is None
        assert len(r.machine.locks("delay")) == 2

    live(test)


def test_logind_s_patience_is_guessed_where_it_cannot_be_asked() -> None:
    async def test(r: Rooms) -> None:
        async def blind() -> float:
            raise HostError("no answer")

        r.machine.patience = blind  # type: ignore[method-assign] # it does not say
        r.machine.takes = 10.0
        begun = asyncio.get_running_loop().time()
        await r.machine.sleep()
        assert asyncio.get_running_loop().time() - begun < 5

    live(test, HOOKS)


def test_ten_nights_leave_nothing_behind() -> None:
    async def test(r: Rooms) -> None:
        for _ in range(10):
            r.wanted = r.at(3600)
            await r.order()
            await asyncio.sleep(600)
        assert len(r.machine.slept) == 10
        assert len(r.machine.locks("delay")) == 2
        assert r.machine.alarm() is None

    live(test, HOOKS)


def test_stopping_does_not_wait_for_a_helper_that_hangs() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        await r.night.set_out(Sleep(0, "command", ("true",), wake=r.wanted))

        async def never() -> Alarm:
            await asyncio.sleep(3600)
            raise AssertionError

        r.machine.read_alarm = never  # type: ignore[method-assign] # it hangs

    rooms = live(test)
    assert rooms.complaints == ["an alarm of powerd's may still stand: the helper does not answer"]


def test_a_wake_up_is_told_and_the_lock_taken_before_a_helper_that_hangs_has_answered() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        answers = hang(r)
        await r.machine.sleep()
        await asyncio.sleep(0.1)
        waking = r.board.snapshot().waking
        assert waking is not None
        assert waking.detail.endswith("; the alarm was for backup.timer")
        assert r.board.snapshot().leaving is None
        assert len(r.machine.locks("delay")) == 2
        assert Going("sleep", begins=False) in r.heard
        answers.set()

    assert live(test).written[-1] is None


def test_an_alarm_that_cannot_be_taken_away_is_complained_of() -> None:
    async def test(r: Rooms) -> None:
        r.wanted = r.at(3600)
        r.board.touch()
        await asyncio.sleep(1)
        r.machine.tell(Going("sleep"))
        await asyncio.sleep(1)
        r.machine.refusal = "no helper listens"
        r.machine.tell(Going("sleep", begins=False))
        await asyncio.sleep(1)
        assert r.complaints == ["an alarm of powerd's may still stand: no helper listens"]
        r.machine.refusal = None

    assert live(test).machine.rtc.alarm is None, "but it was, at the end"


def test_a_logind_that_falls_silent_for_good_is_a_fault() -> None:
    async def test(r: Rooms) -> None:
        async def nothing() -> AsyncIterator[Going]:
            return
            yield

        r.machine.goings = nothing  # type: ignore[method-assign] # it ends
        with pytest.raises(ExceptionGroup) as group:
            await r.transit.live()
        assert "must never do" in str(group.value.exceptions[0])

    live(test)
