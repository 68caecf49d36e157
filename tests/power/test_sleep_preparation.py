"""What is done for a sleep and undone after it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

import pytest
from power.transition_scenario import ENFORCE, HOOKS, TransitionScenario, run_scenario

from powerd.core.actions import ActionResult, Sleep
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult
from powerd.core.time import Reading, Unavailable
from powerd.linux.ports import Alarm
from powerd.linux.values import HostError, LogindEvent, ProcessResult
from powerd.power.actuator import execute_sleep
from powerd.power.model import NetworkCard, NetworkCardFacts, SleepCancelled


def suspend(r: TransitionScenario, seconds: float = 3600) -> Sleep:
    r.wanted = r.wake_time(seconds)
    return Sleep(0, "suspend", wake_time=r.wanted)


async def execute(r: TransitionScenario, action: Sleep | None = None) -> ActionResult:
    """As the actuator does."""
    return await execute_sleep(action or suspend(r), r.machine, r.machine, r.preparation)


def test_without_its_alarm_the_server_does_not_go_and_nothing_is_left() -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.rtc.drops_alarm = True
        with pytest.raises(HostError, match="shows none"):
            await execute(r)
        assert r.hook_runs == []
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test, HOOKS)


def test_messages_that_are_being_sent_come_before_the_hook_and_the_sleep() -> None:
    async def test(r: TransitionScenario) -> None:
        r.flush_seconds = 2.0
        loop = asyncio.get_running_loop()
        start = loop.time()
        await r.preparation.prepare_action(suspend(r))
        assert loop.time() - start == pytest.approx(2, abs=0.1)
        await r.preparation.prepare_announced("sleep")
        assert loop.time() - start == pytest.approx(4, abs=0.1)

    run_scenario(test)


def test_a_refusal_of_logind_s_takes_all_back() -> None:
    async def test(r: TransitionScenario) -> None:
        await r.preparation.prepare_action(suspend(r))
        await r.preparation.cancel()
        await asyncio.sleep(0.1)
        assert r.machine.seconds_to_alarm() is None
        assert r.hook_runs == [("good night", "sleep"), ("good morning", "")]

    run_scenario(test, HOOKS)


@pytest.mark.parametrize("later", [1, 700])
def test_what_was_prepared_stays_where_somebody_else_s_sleep_comes_first(later: float) -> None:
    """logind refuses powerd's sleep, and the server sleeps; a backup may run before (system-sleep)."""

    async def test(r: TransitionScenario) -> None:
        action = suspend(r)
        await r.preparation.prepare_action(action)
        r.machine.emit(LogindEvent("sleep"))
        await asyncio.sleep(later)
        await r.preparation.cancel()
        assert isinstance((await execute(r, action)).answer, SleepCancelled)
        assert r.machine.seconds_to_alarm() == pytest.approx(3600 - later, abs=2)
        assert r.hook_runs == [("good night", "sleep")]
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(1)
        assert r.machine.seconds_to_alarm() is None
        assert (await execute(r)).ok

    run_scenario(test, HOOKS)


def test_each_action_is_a_preparation_of_its_own() -> None:
    async def test(r: TransitionScenario) -> None:
        for _ in range(2):
            await r.preparation.prepare_action(suspend(r))
            await r.preparation.cancel()
            await asyncio.sleep(0.1)
        assert [name for name, _ in r.hook_runs] == ["good night", "good morning"] * 2

    run_scenario(test, HOOKS)


@pytest.mark.parametrize(
    ("action", "what"), [("hibernate", "sleep"), ("poweroff", "shutdown"), ("command", "command")]
)
def test_the_hook_gets_the_coming_action(action: str, what: str) -> None:
    async def test(r: TransitionScenario) -> None:
        await r.preparation.prepare_action(Sleep(0, action))  # type: ignore[arg-type] # one of them
        assert r.hook_runs == [("good night", what)]

    run_scenario(test, HOOKS)


def test_somebody_who_comes_while_the_hook_runs_calls_it_off() -> None:
    async def test(r: TransitionScenario) -> None:
        r.returned_client = "tv: is home"
        with pytest.raises(HostError, match=r"tv: is home"):
            await r.preparation.prepare_action(suspend(r))
        await asyncio.sleep(0.1)
        assert r.machine.seconds_to_alarm() is None
        assert r.hook_runs[-1] == ("good morning", "")

    run_scenario(test, HOOKS)


def test_where_nothing_takes_time_nobody_is_asked_again() -> None:
    async def test(r: TransitionScenario) -> None:
        r.returned_client = "tv: is home"
        await r.preparation.prepare_action(suspend(r))

    run_scenario(test)


def test_somebody_who_comes_while_the_helper_is_slow_calls_it_off() -> None:
    async def test(r: TransitionScenario) -> None:
        quick = r.machine.set_alarm

        async def slow(in_seconds: int, replaces: int | None) -> Alarm:
            await asyncio.sleep(15)
            return await quick(in_seconds, replaces)

        r.machine.set_alarm = slow  # type: ignore[method-assign] # a small computer that is busy
        r.returned_client = "tv: is home"
        with pytest.raises(HostError, match=r"tv: is home"):
            await r.preparation.prepare_action(suspend(r))
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test)


def test_events_of_logind_are_handled_while_a_hook_runs() -> None:
    """A lock that is taken then; the hook may take an hour."""

    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = 19.0
        own = asyncio.ensure_future(execute(r))
        await r.machine.sleep(fails=True)
        r.machine.emit(LogindEvent("inhibitors"))
        await asyncio.sleep(1)
        assert r.events[-1] == LogindEvent("inhibitors")
        await own

    run_scenario(test, HOOKS)


@pytest.mark.parametrize("action", ["suspend", "command"])
@pytest.mark.parametrize("fails", [True, False])
def test_another_program_s_sleep_during_the_hook_ends_the_preparation(action: str, *, fails: bool) -> None:
    """Its end takes the alarm back and runs the other hook: without both, this server would not wake up."""

    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = 15.0
        r.wanted = r.wake_time(3600)
        own = asyncio.ensure_future(execute(r, replace(suspend(r), sleep_action=action, command=("/x",))))  # type: ignore[arg-type] # one of them
        await asyncio.sleep(2)
        await r.machine.sleep(fails=fails)
        result = await own
        assert isinstance(result.answer, SleepCancelled)
        await asyncio.sleep(20)
        assert len(r.machine.performed) == 3, "the hooks, and the other program's sleep"
        assert [name for name, _ in r.hook_runs] == ["good night", "good morning"]
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test, HOOKS)


def test_the_second_of_two_sleeps_during_the_hook_keeps_its_alarm() -> None:
    """The hook ends while logind still waits for other programs."""

    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = 15.0
        own = asyncio.ensure_future(execute(r))
        await asyncio.sleep(2)
        await r.machine.sleep(fails=True)
        await asyncio.sleep(11.2 - (asyncio.get_running_loop().time() - 1))
        r.machine.emit(LogindEvent("sleep"))
        await asyncio.sleep(4.5)
        assert isinstance((await own).answer, SleepCancelled)
        assert r.machine.seconds_to_alarm() == pytest.approx(3584, abs=3)
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(60)
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test, HOOKS)


def test_two_announcements_that_arrive_together_leave_the_alarm_of_the_second() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        for start in (True, False, True):
            r.machine.emit(LogindEvent("sleep", start=start))
        await asyncio.sleep(3)
        assert r.machine.seconds_to_alarm() == pytest.approx(3597, abs=3)

    run_scenario(test)


@pytest.mark.parametrize(("hook_has_run", "hook_takes"), [(5, 1200), (600, 1200), (600, 602)])
def test_another_program_s_sleep_during_the_hook_has_the_present_wake_time(
    hook_has_run: float, hook_takes: float
) -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = hook_takes
        own = asyncio.ensure_future(execute(r))
        await asyncio.sleep(hook_has_run)
        r.wanted = r.wake_time(1800)
        await r.machine.sleep()
        assert r.machine.alarm_distances == [pytest.approx(1796, abs=3)]
        await own
        await asyncio.sleep(1300)
        assert [name for name, _ in r.hook_runs] == ["good night", "good morning"]

    run_scenario(test, HOOKS.replace("20s", "1h"))


@pytest.mark.parametrize("action", ["suspend", "command"])
@pytest.mark.parametrize(("earlier", "theirs"), [(None, None), (None, 7200), (1800, None), (1800, 7200)])
def test_an_alarm_that_the_hook_replaces_is_set_again(
    action: Literal["suspend", "command"], earlier: int | None, theirs: int | None
) -> None:
    """An older script of the user's with rtcwake(8), which may have set an earlier alarm before."""

    async def test(r: TransitionScenario) -> None:
        r.machine.rtc.alarm = None if earlier is None else int(r.clock.true_time()) + earlier
        r.machine.command_duration = 10.0
        sleep = replace(suspend(r), sleep_action=action, command=("/x",))
        own = asyncio.ensure_future(r.preparation.prepare_action(sleep))
        await asyncio.sleep(5)
        r.machine.rtc.alarm = None if theirs is None else int(r.clock.true_time()) + theirs
        await own
        assert r.machine.seconds_to_alarm() == pytest.approx(3590, abs=2)

    run_scenario(test, HOOKS)


@pytest.mark.parametrize("action", ["suspend", "command"])
def test_a_wake_time_that_moves_during_the_hook_moves_the_alarm(
    action: Literal["suspend", "command"],
) -> None:
    """A timer that somebody has changed, or a new event of a calendar."""

    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = 10.0
        own = asyncio.ensure_future(
            r.preparation.prepare_action(replace(suspend(r), sleep_action=action, command=("/x",)))
        )
        await asyncio.sleep(5)
        r.wanted = r.wake_time(1800)
        await own
        assert r.machine.seconds_to_alarm() == pytest.approx(1795, abs=2)

    run_scenario(test, HOOKS)


def test_another_program_s_sleep_that_is_announced_during_the_last_check_comes_first() -> None:
    """With its hook run and its alarm set; the server wakes up, and nothing of this request is left."""

    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.flush_seconds = 1.0
        own = asyncio.ensure_future(execute(r))
        await asyncio.sleep(0.5)
        await r.machine.sleep()
        result = await own
        assert isinstance(result.answer, SleepCancelled)
        assert r.machine.alarm_distances == [pytest.approx(3598, abs=3)]
        assert r.machine.logind_call_times == []
        await asyncio.sleep(1)
        assert [name for name, _ in r.hook_runs] == ["good night", "good morning"]

    run_scenario(test, HOOKS)


def test_logind_is_asked_whether_it_can_before_the_last_check() -> None:
    """polkit may have to be started for the answer: a keep meanwhile would come too late."""

    async def test(r: TransitionScenario) -> None:
        async def slow(action: str) -> None:
            del action
            await asyncio.sleep(2)
            r.keep_reason = "keep: kept awake until 23:00"

        r.machine.check_sleep = slow  # type: ignore[method-assign] # it takes time
        result = await execute(r)
        assert result.message.endswith("kept awake until 23:00")
        assert r.machine.logind_call_times == []
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test)


@pytest.mark.parametrize("where", ["check_sleep", "request_sleep", "set_alarm"])
def test_a_defect_of_powerd_leaves_nothing_behind(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_args: object) -> None:
        raise ZeroDivisionError

    async def test(r: TransitionScenario) -> None:
        monkeypatch.setattr(r.machine, where, fail)
        with pytest.raises(ZeroDivisionError):
            await execute(r)
        await asyncio.sleep(0.1)
        assert r.machine.seconds_to_alarm() is None
        assert [name for name, _ in r.hook_runs] in ([], ["good night", "good morning"])
        monkeypatch.undo()
        assert (await execute(r)).ok

    run_scenario(test, HOOKS)


@pytest.mark.parametrize(("own", "other"), [(70, None), (3600, 70)])
def test_no_sleep_begins_after_its_alarm(own: float, other: int | None) -> None:
    """Of powerd, or an earlier one of another program, because of which powerd's is not set."""

    async def test(r: TransitionScenario) -> None:
        r.machine.rtc.alarm = None if other is None else int(r.clock.true_time()) + other
        r.flush_seconds = 100.0
        result = await execute(r, suspend(r, own))
        assert isinstance(result.answer, SleepCancelled)
        assert r.machine.logind_call_times == []
        r.flush_seconds, r.wanted = 0.0, r.wake_time(3600)
        assert (await execute(r)).ok
        await asyncio.sleep(1)
        assert r.machine.alarm_distances == [pytest.approx(3600, abs=3)]

    run_scenario(test)


def test_an_announced_sleep_after_the_alarm_of_another_program_gets_one_of_powerd() -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.rtc.alarm = int(r.clock.true_time()) + 70
        r.wanted = r.wake_time(3600)
        await r.preparation.prepare_action(Sleep(0, "suspend", wake_time=r.wanted))
        await asyncio.sleep(100)
        await r.machine.sleep()
        assert r.machine.alarm_distances == [pytest.approx(3500, abs=3)]

    run_scenario(test)


def test_a_hook_is_undone_although_observe_mode_came_meanwhile() -> None:
    async def test(r: TransitionScenario) -> None:
        await r.preparation.prepare_action(suspend(r))
        r.options = replace(r.options, mode="observe")
        await r.preparation.cancel()
        await asyncio.sleep(0.1)
        assert r.hook_runs[-1] == ("good morning", "")

    run_scenario(test, HOOKS)


def test_a_hook_that_takes_long_runs_once() -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = 1200
        await r.start_sleep()
        await asyncio.sleep(30)
        assert [name for name, _ in r.hook_runs] == ["good night", "good morning"]

    run_scenario(test, HOOKS.replace("20s", "1h"))


def test_a_sleep_long_after_it_was_prepared_is_another_one() -> None:
    """A command that did not lead to a sleep, and hours later somebody suspends by hand."""

    async def test(r: TransitionScenario) -> None:
        await r.preparation.prepare_action(Sleep(0, "command", ("/bin/true",)))
        await asyncio.sleep(4000)
        await r.machine.sleep()
        assert [name for name, _ in r.hook_runs].count("good night") == 2

    run_scenario(test, HOOKS)


@pytest.mark.parametrize(
    ("end", "takes", "text"),
    [
        (
            ProcessResult(3, "", "no such pool\n"),
            0,
            "hooks.before_sleep: /bin/good ended with status 3: no such pool",
        ),
        (
            ProcessResult(0, "", ""),
            60,
            "hooks.before_sleep: /bin/good was still running after 20 s and was ended",
        ),
    ],
)
def test_a_hook_that_fails_is_reported_and_never_fatal(end: ProcessResult, takes: float, text: str) -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.command_result, r.machine.command_duration = end, takes
        await r.preparation.prepare_action(suspend(r))
        assert r.errors == [text]

    run_scenario(test, HOOKS)


ARM = ENFORCE + "[wake]\narm_lan = true\n"


def cards(r: TransitionScenario) -> None:
    r.machine.cards = {
        "eth0": NetworkCard("eth0", "pumbg", ""),
        "eth1": NetworkCard("eth1", "pumbg", "g"),
        "eth2": NetworkCard("eth2", "p", ""),
    }
    seen = {name: Reading(1.0, card) for name, card in r.machine.cards.items()}
    r.state.publish(
        SourceId("cards"),
        PollResult(Reading(1.0, ()), (NetworkCardFacts({**seen, "eth3": Unavailable(1.0, "no answer")}),)),
    )


def test_cards_that_can_be_are_armed_where_that_is_asked_for() -> None:
    async def test(r: TransitionScenario) -> None:
        cards(r)
        await r.preparation.prepare_action(Sleep(0, "suspend"))
        assert [card.armed for card in r.machine.cards.values()] == ["g", "g", ""]

    run_scenario(test, ARM)


@pytest.mark.parametrize("ours", [True, False])
def test_a_card_that_was_armed_at_its_poll_is_armed_again(*, ours: bool) -> None:
    """A driver, a network manager or ethtool has cleared it since."""

    async def test(r: TransitionScenario) -> None:
        cards(r)
        r.machine.cards["eth1"] = NetworkCard("eth1", "pumbg", "")
        if ours:
            await r.preparation.prepare_action(Sleep(0, "suspend"))
        else:
            await r.machine.sleep()
        assert r.machine.cards["eth1"].armed == "g"

    run_scenario(test, ARM)


def test_a_failing_wake_source_does_not_skip_the_others() -> None:
    async def test(r: TransitionScenario) -> None:
        cards(r)
        r.wanted = r.wake_time(3600)
        r.machine.rtc.drops_alarm = True
        arm = r.machine.arm_card

        async def refuse(interface: str) -> NetworkCard:
            if interface == "eth0":
                raise HostError("eth0 does not answer")
            return await arm(interface)

        r.machine.arm_card = refuse  # type: ignore[method-assign] # one cannot
        r.machine.cards["eth1"] = NetworkCard("eth1", "pumbg", "")
        await r.machine.sleep()
        assert r.machine.cards["eth1"].armed == "g"
        unprepared = [text for text in r.errors if "the sleep begins without full preparation" in text]
        assert len(unprepared) == 2
        assert any("eth0 does not answer" in text for text in unprepared)
        assert any("shows none" in text for text in unprepared)
        r.machine.rtc.drops_alarm = False

    run_scenario(test, ARM)


def test_a_card_that_cannot_be_armed_keeps_the_server_up_and_takes_the_alarm_back() -> None:
    async def test(r: TransitionScenario) -> None:
        cards(r)
        arm = r.machine.arm_card

        async def refuse(interface: str) -> NetworkCard:
            await arm(interface)
            raise HostError(f"{interface}: its driver has no support")

        r.machine.arm_card = refuse  # type: ignore[method-assign] # it cannot
        with pytest.raises(HostError, match="no support"):
            await execute(r)
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test, ARM)


def test_no_card_is_touched_unasked() -> None:
    async def test(r: TransitionScenario) -> None:
        cards(r)
        await r.preparation.prepare_action(Sleep(0, "suspend"))
        assert r.machine.cards["eth0"].armed == ""

    run_scenario(test)
