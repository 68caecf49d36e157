"""Powerd's own alarm, set on an RTC that answers as the kernel's does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from fakes.storage import MemoryStorage

from powerd.core.actions import WakeTime
from powerd.core.time import Moment
from powerd.helper.protocol.messages import MIN_AHEAD, AlarmResponse
from powerd.linux.values import HostError
from powerd.power.rtc_alarm import MIN_ALARM_DELAY, RtcAlarm
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.machine import SimulatedMachine
from powerd.simulation.virtual_loop import run


class AlarmFixture:
    """An alarm, and the clock beside it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.machine = SimulatedMachine(self.clock)
        self.storage = MemoryStorage()
        self.alarm = RtcAlarm(self.machine, self.clock, self.storage)

    @property
    def written(self) -> list[Any]:
        """What was stored."""
        return self.storage.written

    def wake_time(self, seconds: float) -> WakeTime:
        now = self.clock.now()
        return WakeTime(
            Moment(now.mono + seconds, now.slept, now.wall + timedelta(seconds=seconds)), "backup.timer"
        )

    def set_foreign_alarm(self, seconds: int) -> int:
        """Set an alarm of another program, and return its time."""
        self.machine.seconds_to_alarm()
        self.machine.rtc.alarm = self.machine.rtc.now + seconds
        return self.machine.rtc.alarm

    def restarted(self) -> AlarmFixture:
        """The same machine after a restart of the daemon."""
        successor = AlarmFixture()
        successor.clock, successor.machine = self.clock, self.machine
        successor.storage = MemoryStorage({"alarm": self.written[-1]})
        successor.alarm = RtcAlarm(self.machine, self.clock, successor.storage)
        return successor


def run_alarm(test: Callable[[AlarmFixture], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(AlarmFixture())

    run(main())


def test_the_least_is_the_helper_s() -> None:
    assert MIN_ALARM_DELAY == MIN_AHEAD


def test_set_and_taken_away() -> None:
    async def test(b: AlarmFixture) -> None:
        wake = b.wake_time(3600)
        assert not b.alarm.is_set_for(wake)
        assert b.alarm.is_set_for(None)
        await b.alarm.set(wake)
        assert b.machine.seconds_to_alarm() == 3600
        assert b.alarm.is_set_for(wake)
        assert not b.alarm.is_set_for(None)
        assert not b.alarm.is_set_for(b.wake_time(1800))
        assert b.written[-1:] == [{"at": b.machine.rtc.alarm, "before": None, "asked": []}]
        await b.alarm.clear()
        assert b.machine.seconds_to_alarm() is None
        assert b.written[-1] is None
        assert b.alarm.is_set_for(None)

    run_alarm(test)


@pytest.mark.parametrize("seconds", [20, -30])
def test_what_has_come_near_since_it_was_decided_is_not_missed(seconds: float) -> None:
    async def test(b: AlarmFixture) -> None:
        await b.alarm.set(b.wake_time(seconds))
        assert b.machine.seconds_to_alarm() == MIN_ALARM_DELAY

    run_alarm(test)


def test_no_wanted_alarm_clears_the_set_alarm() -> None:
    async def test(b: AlarmFixture) -> None:
        await b.alarm.set(b.wake_time(3600))
        await b.alarm.set(None)
        assert b.machine.seconds_to_alarm() is None

    run_alarm(test)


def test_an_earlier_foreign_alarm_suffices_and_stays() -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(600)
        await b.alarm.set(b.wake_time(3600))
        assert b.machine.rtc.alarm == theirs
        assert b.written[-1] is None
        b.clock.slept += 601
        assert b.alarm.is_due
        await b.alarm.clear()

    run_alarm(test)


def test_a_later_alarm_of_others_is_given_back() -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(7200)
        await b.alarm.set(b.wake_time(3600))
        await b.alarm.set(b.wake_time(1800))
        assert b.written[-1] == {"at": b.machine.rtc.alarm, "before": theirs, "asked": []}
        assert b.machine.seconds_to_alarm() == 1800
        await b.alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)


def test_it_is_given_back_after_powerd_s_own_has_gone_off_and_been_set_again() -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(72_000)
        await b.alarm.set(b.wake_time(3600))
        b.clock.slept += 3700
        await b.alarm.set(b.wake_time(3600))
        await b.alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)


def test_one_that_is_over_or_set_anew_by_its_owner_is_not_given_back() -> None:
    async def test(b: AlarmFixture) -> None:
        b.set_foreign_alarm(7200)
        await b.alarm.set(b.wake_time(3600))
        b.clock.slept += 7190
        await b.alarm.clear()
        assert b.machine.seconds_to_alarm() is None
        b.set_foreign_alarm(7200)
        await b.alarm.set(b.wake_time(3600))
        b.clock.slept += 3700
        theirs = b.set_foreign_alarm(600)
        await b.alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)


def test_what_a_former_life_has_set_is_taken_away() -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(7200)
        await b.alarm.set(b.wake_time(3600))
        successor = b.restarted()
        await successor.alarm.clear()
        assert b.machine.rtc.alarm == theirs
        assert successor.written == [None]

    run_alarm(test)


def test_what_has_become_somebody_else_s_is_left_alone() -> None:
    async def test(b: AlarmFixture) -> None:
        await b.alarm.set(b.wake_time(3600))
        theirs = b.set_foreign_alarm(5000)
        await b.restarted().alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)


def test_where_it_cannot_be_asked_it_is_tried_again() -> None:
    async def test(b: AlarmFixture) -> None:
        await b.alarm.set(b.wake_time(3600))
        b.machine.helper_error = "no helper listens"
        with pytest.raises(HostError, match="no helper"):
            await b.alarm.clear()
        b.machine.helper_error = None
        await b.alarm.clear()
        assert b.machine.seconds_to_alarm() is None

    run_alarm(test)


def halfway(b: AlarmFixture) -> bool:
    return b.alarm.is_intermediate


def test_an_rtc_limited_to_a_day_wakes_the_server_in_between() -> None:
    async def test(b: AlarmFixture) -> None:
        b.machine.rtc.max_ahead = 86_400
        await b.alarm.set(b.wake_time(3 * 86_400))
        assert b.machine.seconds_to_alarm() == 86_400 - 300
        assert halfway(b)
        assert b.alarm.wake_time is not None
        await b.alarm.set(b.wake_time(80_000))
        assert b.machine.seconds_to_alarm() == 80_000
        assert not halfway(b)
        b.machine.helper_error = "rtc0 has no battery"
        for seconds in (80_000, 300_000):
            with pytest.raises(HostError, match="battery"):
                await b.alarm.set(b.wake_time(seconds))
            assert not halfway(b)

    run_alarm(test)


def test_a_cancelled_setting_leaves_no_stray_alarm() -> None:
    async def test(b: AlarmFixture) -> None:
        ask = b.machine.set_alarm

        async def slowly(in_seconds: int, replaces: int | None) -> AlarmResponse:
            await asyncio.sleep(1)
            return await ask(in_seconds, replaces)

        b.machine.set_alarm = slowly  # type: ignore[method-assign] # it takes time
        setting = asyncio.create_task(b.alarm.set(b.wake_time(3600)))
        await asyncio.sleep(0.5)
        setting.cancel()
        await b.alarm.clear()
        assert setting.cancelled()
        assert b.machine.seconds_to_alarm() is None
        assert b.written[-1] is None
        b.machine.helper_error = "no helper"
        setting = asyncio.create_task(b.alarm.set(b.wake_time(3600)))
        await asyncio.sleep(0.5)
        setting.cancel()
        await b.alarm.clear()

    run_alarm(test)


def lost(b: AlarmFixture, *, late: float = 0.0) -> None:
    """The next time the helper sets an alarm as it is asked, and no answer comes."""
    ask = b.machine.set_alarm

    async def no_answer(in_seconds: int, replaces: int | None) -> AlarmResponse:
        b.machine.set_alarm = ask  # type: ignore[method-assign] # it answers again
        await asyncio.sleep(late)
        await ask(in_seconds, replaces)
        raise HostError("the helper did not answer")

    b.machine.set_alarm = no_answer  # type: ignore[method-assign] # its answer is lost


@pytest.mark.parametrize("late", [0.0, 20.0])
@pytest.mark.parametrize("restarted", [False, True])
def test_an_alarm_whose_answer_was_lost_is_taken_away(*, late: float, restarted: bool) -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(7200)
        lost(b, late=late)
        with pytest.raises(HostError, match="did not answer"):
            await b.alarm.set(b.wake_time(3600))
        assert b.machine.seconds_to_alarm() == 3600
        await (b.restarted() if restarted else b).alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)


def test_one_whose_answer_was_lost_is_replaced_by_the_next() -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(7200)
        await b.alarm.set(b.wake_time(5000))
        lost(b)
        with pytest.raises(HostError, match="did not answer"):
            await b.alarm.set(b.wake_time(1800))
        await b.alarm.set(b.wake_time(3600))
        assert b.machine.seconds_to_alarm() == 3600
        assert b.written[-1] == {"at": b.machine.rtc.alarm, "before": theirs, "asked": []}
        await b.alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)


def test_the_previous_alarm_stays_owned_if_the_next_fails() -> None:
    async def test(b: AlarmFixture) -> None:
        await b.alarm.set(b.wake_time(5000))

        async def nothing(in_seconds: int, replaces: int | None) -> AlarmResponse:
            raise HostError(f"no helper listens: {in_seconds}, {replaces}")

        b.machine.set_alarm = nothing  # type: ignore[method-assign] # it is gone
        with pytest.raises(HostError, match="no helper"):
            await b.alarm.set(b.wake_time(1800))
        await b.restarted().alarm.clear()
        assert b.machine.seconds_to_alarm() is None

    run_alarm(test)


@pytest.mark.parametrize("seconds", [1000, 3600, 3615, 5000])
def test_an_alarm_of_others_is_not_taken_for_one_whose_answer_was_lost(seconds: int) -> None:
    async def test(b: AlarmFixture) -> None:
        theirs = b.set_foreign_alarm(seconds)
        lost(b)
        with pytest.raises(HostError, match="did not answer"):
            await b.alarm.set(b.wake_time(3600))
        b.machine.rtc.alarm = theirs  # set again, or never replaced
        await b.restarted().alarm.clear() if b.written else await b.alarm.clear()
        assert b.machine.rtc.alarm == theirs

    run_alarm(test)
