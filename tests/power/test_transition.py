"""The transition into a sleep and out of it, requested by any program, with a realistic logind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from power.transition_scenario import BOOT, HOOKS, TransitionScenario, run_scenario

from powerd.core.actions import Sleep
from powerd.linux.dbus import NotRunningError
from powerd.linux.ports import Alarm
from powerd.linux.values import HostError, LogindEvent, ProcessResult
from powerd.power.model import ShutdownInProgress, TransitionFacts, WakeupCause
from powerd.simulation.clock import BEGIN
from powerd.simulation.machine import HeldLock, SimulatedMachine
from powerd.simulation.virtual_loop import run


def hang(r: TransitionScenario) -> asyncio.Event:
    """Have the helper not say which alarm stands, once one does, until the event is set."""
    answers, read = asyncio.Event(), r.machine.read_alarm

    async def late() -> Alarm:
        if r.machine.seconds_to_alarm() is not None:
            await answers.wait()
        return await read()

    r.machine.read_alarm = late  # type: ignore[method-assign] # it hangs
    return answers


def test_somebody_else_s_sleep_finds_alarm_set_and_hook_run() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        await r.machine.sleep()
        assert r.machine.alarm_distances == [pytest.approx(3599, abs=2)]
        assert r.hook_runs[0] == ("good night", "sleep")
        assert asyncio.get_running_loop().time() < 3, "not held up for longer than it takes"

    run_scenario(test, HOOKS)


def test_leaving_is_published_before_the_lock_is_released() -> None:
    seen: list[tuple[ShutdownInProgress | None, list[HeldLock]]] = []

    async def test(r: TransitionScenario) -> None:
        publish = r.publish

        def note(snapshot: object) -> None:
            seen.append((r.state.snapshot().part(TransitionFacts).shutdown, r.machine.own_locks("delay")))
            publish(r.state.snapshot())
            del snapshot

        r.publish = note  # type: ignore[method-assign] # listened to
        await r.machine.sleep()
        leaving, held = next(each for each in seen if each[0] is not None)
        assert leaving is not None
        assert leaving.kind == "sleep"
        assert len(held) == 2

    run_scenario(test)


def test_a_mind_that_is_busy_holds_up_nobody_s_sleep_for_long() -> None:
    async def test(r: TransitionScenario) -> None:
        r.decisions_paused = True
        await r.machine.sleep()
        assert asyncio.get_running_loop().time() < 1 + 1.5

    run_scenario(test)


def test_the_lock_is_taken_again_only_after_logind_signals_the_resume() -> None:
    async def test(r: TransitionScenario) -> None:
        assert len(r.machine.own_locks("delay")) == 2
        r.machine.emit(LogindEvent("sleep"))
        await asyncio.sleep(0.5)
        r.clock.slept += 100
        r.state.request_decision()
        await asyncio.sleep(20)
        assert r.machine.own_locks("delay") == []
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(0.1)
        assert len(r.machine.own_locks("delay")) == 2

    run_scenario(test)


def test_a_wake_up_is_published_with_its_cause_and_the_alarm_result() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.start_sleep()
        await asyncio.sleep(1)
        waking = r.state.snapshot().part(TransitionFacts).wake_event
        assert waking is not None
        assert (waking.cause, r.state.snapshot().part(TransitionFacts).shutdown) == (WakeupCause.ALARM, None)
        assert waking.detail.endswith("backup.timer")
        r.wanted = r.wake_time(20 * 3600)
        await r.start_sleep()
        await asyncio.sleep(1)
        waking = r.state.snapshot().part(TransitionFacts).wake_event
        assert waking is not None
        assert waking.cause is WakeupCause.NETWORK
        assert re.search(r"backup\.timer.* cleared$", waking.detail)
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test)


def test_our_own_sleep_is_prepared_once() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.start_sleep()
        await asyncio.sleep(1)
        assert r.machine.rtc.log == ["0", "+3600"], "and it had elapsed before it was cleared"
        assert r.hook_runs == [("good night", "sleep"), ("good morning", "alarm")]

    run_scenario(test, HOOKS)


def test_an_alarm_is_set_anew_when_the_wanted_wake_up_has_moved() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.preparation.prepare_action(Sleep(0, "suspend", wake_time=r.wanted))
        r.wanted = r.wake_time(1800)
        r.state.request_decision()
        await asyncio.sleep(0.1)
        await r.machine.sleep()
        assert r.machine.alarm_distances == [pytest.approx(1800, abs=2)]
        assert [name for name, _ in r.hook_runs].count("good night") == 1

    run_scenario(test, HOOKS)


def test_all_sources_are_polled_again_after_a_sleep() -> None:
    async def test(r: TransitionScenario) -> None:
        await r.machine.sleep()
        await asyncio.sleep(0.1)
        assert r.events == [LogindEvent("found"), LogindEvent("sleep", start=False)]
        r.machine.emit(LogindEvent("inhibitors"))
        await asyncio.sleep(0.1)
        assert r.events[2:] == [LogindEvent("inhibitors")]

    run_scenario(test)


def test_a_sleep_of_which_the_clocks_show_nothing_is_one_too() -> None:
    """The kernel may measure it in whole seconds; then it counts it at least."""

    async def test(r: TransitionScenario) -> None:
        r.machine.zero_length_sleep = True
        for _ in range(2):
            await r.machine.sleep()
            await asyncio.sleep(0.1)
            waking = r.state.snapshot().part(TransitionFacts).wake_event
            assert waking is not None
            assert (waking.cause, waking.clock_advanced) == (WakeupCause.NETWORK, False)
            r.state.put(TransitionFacts(wake_event=replace(waking, at=0.0)))
        await r.machine.sleep(fails=True)
        await asyncio.sleep(0.1)
        waking = r.state.snapshot().part(TransitionFacts).wake_event
        assert waking is not None
        assert waking.at == 0.0, "that one was none"

    run_scenario(test)


def test_a_sleep_that_fails_is_no_wake_up_but_the_hook_is_undone() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        await r.machine.sleep(fails=True)
        await asyncio.sleep(0.1)
        assert r.state.snapshot().part(TransitionFacts).wake_event is None
        assert r.state.snapshot().part(TransitionFacts).shutdown is None
        assert r.machine.seconds_to_alarm() is None
        assert r.hook_runs == [("good night", "sleep"), ("good morning", "")]
        assert len(r.machine.own_locks("delay")) == 2

    run_scenario(test, HOOKS)


@pytest.mark.parametrize("started_at", [False, True])
def test_a_sleep_without_signals_is_detected_by_the_clocks(*, started_at: bool) -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        if started_at:
            r.machine.emit(LogindEvent("sleep"))
            await asyncio.sleep(0.5)
        r.machine.suppress_events = True
        await r.machine.sleep()
        r.state.request_decision()
        await asyncio.sleep(31 if started_at else 1)
        assert r.state.snapshot().part(TransitionFacts).wake_event is not None
        assert r.state.snapshot().part(TransitionFacts).shutdown is None
        assert LogindEvent("sleep", start=False) in r.events
        assert len(r.machine.own_locks("delay")) == 2
        assert r.machine.seconds_to_alarm() is None
        hooks = ["good night", "good morning"] if started_at else ["good morning"]
        assert [name for name, _ in r.hook_runs] == hooks, "devices may need what follows a wake-up"

    run_scenario(test, HOOKS)


@pytest.mark.parametrize("what", ["sleep", "shutdown"])
def test_an_end_that_was_missed_while_d_bus_was_gone_is_not_waited_for_for_ever(
    what: Literal["sleep", "shutdown"],
) -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        r.machine.emit(LogindEvent(what))
        await asyncio.sleep(40)
        r.machine.announced = ""
        r.machine.emit(LogindEvent("lost"))
        r.machine.emit(LogindEvent("found"))
        await asyncio.sleep(20)
        assert r.machine.own_locks("delay") == [], "it may still come"
        assert r.machine.seconds_to_alarm() is not None
        await asyncio.sleep(11)
        assert r.state.snapshot().part(TransitionFacts).shutdown is None
        assert r.machine.seconds_to_alarm() is None
        assert len(r.machine.own_locks("delay")) == 2

    run_scenario(test)


def test_a_sleep_that_logind_has_forgotten_keeps_its_alarm_until_it_is_over() -> None:
    """logind is restarted while a hook of systemd-suspend.service takes long: no signal follows."""

    async def test(r: TransitionScenario) -> None:
        await begin_sleep(r)
        r.machine.emit(LogindEvent("lost"))
        r.machine.emit(LogindEvent("found"))
        await asyncio.sleep(90)
        assert r.machine.seconds_to_alarm() is not None
        assert r.state.snapshot().part(TransitionFacts).not_slept_at is None
        r.clock.slept += 100
        r.machine.announced = ""
        r.state.request_decision()
        await asyncio.sleep(31)
        assert r.state.snapshot().part(TransitionFacts).wake_event is not None
        assert r.state.snapshot().part(TransitionFacts).not_slept_at is None
        assert r.machine.seconds_to_alarm() is None
        assert len(r.machine.own_locks("delay")) == 2

    run_scenario(test)


@pytest.mark.parametrize("replies", [True, False])
def test_a_failed_sleep_that_logind_has_forgotten_is_over_after_some_time(*, replies: bool) -> None:
    """logind is restarted, and the sleep fails: neither a signal nor the clocks show the end."""

    async def fail() -> str:
        raise HostError("systemd-logind gave no answer")

    async def test(r: TransitionScenario) -> None:
        await begin_sleep(r)
        await asyncio.sleep(1500)
        assert r.machine.seconds_to_alarm() is not None, "a backup in system-sleep"
        r.machine.announced, ask = "", r.machine.transition_in_progress
        if not replies:
            r.machine.transition_in_progress = fail  # type: ignore[method-assign] # D-Bus hangs
            await asyncio.sleep(200)
            assert r.machine.seconds_to_alarm() is not None
            r.machine.transition_in_progress = ask  # type: ignore[method-assign] # no longer
        await asyncio.sleep(100)
        assert r.state.snapshot().part(TransitionFacts).shutdown is None
        assert r.state.snapshot().part(TransitionFacts).not_slept_at is not None
        assert r.machine.seconds_to_alarm() is None
        assert len(r.machine.own_locks("delay")) == 2
        await r.start_sleep()
        await asyncio.sleep(1)
        assert len(r.machine.alarm_distances) == 1

    run_scenario(test)


def test_a_hibernation_that_takes_long_to_begin_after_the_suspend_keeps_its_alarm() -> None:
    async def test(r: TransitionScenario) -> None:
        await begin_sleep(r)
        r.clock.slept += 1000
        r.state.request_decision()
        await asyncio.sleep(40)
        assert r.machine.seconds_to_alarm() is not None

    run_scenario(test)


def test_a_sleep_right_after_the_start_finds_its_alarm_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The previous process has left an alarm, and logind is slow to say whether a sleep needs it."""

    async def slow(machine: SimulatedMachine) -> str:
        await asyncio.sleep(4)
        return machine.announced

    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.machine.sleep()
        assert r.machine.alarm_distances == [pytest.approx(3600, abs=2)]

    monkeypatch.setattr(SimulatedMachine, "transition_in_progress", slow)
    alarm = int(BEGIN) + 1800
    run_scenario(test, document={"at": alarm, "before": None, "asked": []}, alarm=alarm)


@pytest.mark.parametrize("announced", [False, True])
def test_stopping_waits_for_the_hook_after_a_wake_up(*, announced: bool) -> None:
    ended: list[str] = []

    async def test(r: TransitionScenario) -> None:
        run = r.machine.run

        async def note(argv: Sequence[str], **more: Any) -> ProcessResult:  # noqa: ANN401 - of any port
            result = await run(argv, **more)
            ended.append(argv[1])
            return result

        r.machine.run = note  # type: ignore[method-assign] # listened to
        await r.machine.sleep()
        r.machine.command_duration = 15.0
        await asyncio.sleep(1)
        assert r.hook_runs[-1] == ("good morning", "network")
        r.machine.announced = "sleep" if announced else ""

    run_scenario(test, HOOKS)
    assert ended == ["night", "morning"]


def test_the_hook_after_a_wake_up_runs_although_powerd_is_stopped_while_the_alarm_is_cleared() -> None:
    """The helper is started for it, which takes a second on a small computer."""

    async def test(r: TransitionScenario) -> None:
        await begin_sleep(r)
        hang(r)
        r.clock.slept += 100
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(0.2)

    assert [name for name, _ in run_scenario(test, HOOKS).hook_runs] == ["good night", "good morning"]


def test_a_sleep_that_nobody_noticed_takes_no_alarm_from_the_shutdown_after_it() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        r.clock.slept += 100
        r.machine.emit(LogindEvent("shutdown"))
        await asyncio.sleep(40)
        leaving, waking = (
            r.state.snapshot().part(TransitionFacts).shutdown,
            r.state.snapshot().part(TransitionFacts).wake_event,
        )
        assert leaving is not None
        assert waking is not None
        assert waking.at <= leaving.since
        assert r.machine.own_locks("delay") == []

    assert run_scenario(test).machine.rtc.alarm is not None


def test_a_shutdown_that_begins_before_all_is_cleared_up_keeps_its_alarm() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.preparation.prepare_action(Sleep(0, "command", ("true",), wake_time=r.wanted))
        answers = hang(r)
        r.clock.slept += 100
        r.state.request_decision()
        await asyncio.sleep(1)
        r.machine.emit(LogindEvent("shutdown"))
        await asyncio.sleep(1)
        answers.set()
        await asyncio.sleep(10)
        assert r.state.snapshot().part(TransitionFacts).shutdown is not None
        assert r.machine.own_locks("delay") == []

    assert run_scenario(test).machine.rtc.alarm is not None


def test_the_alarm_is_set_between_the_two_halves_of_a_sleep() -> None:
    """Suspend-then-hibernate is awake for a moment, and logind says nothing of it."""

    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(8 * 3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        r.machine.emit(LogindEvent("sleep"))
        await asyncio.sleep(1)
        r.clock.slept += 3600
        r.state.request_decision()
        await asyncio.sleep(5)
        assert r.machine.seconds_to_alarm() == pytest.approx(7 * 3600, abs=10)
        r.clock.slept += 3600
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(60)
        assert r.machine.seconds_to_alarm() is None
        assert r.events.count(LogindEvent("sleep", start=False)) == 1

    run_scenario(test)


def test_hooks_end_before_logind_goes_on_without_them() -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = 10.0
        started_at = asyncio.get_running_loop().time()
        await r.machine.sleep()
        assert asyncio.get_running_loop().time() - started_at < r.machine.max_inhibit_delay
        assert any("raise InhibitDelayMaxSec=" in text for text in r.errors)

    run_scenario(test, HOOKS)


def test_a_sleep_does_not_wait_for_the_hook_of_an_earlier_wake_up() -> None:
    async def test(r: TransitionScenario) -> None:
        await r.machine.sleep()
        r.machine.command_duration = 1200.0
        await asyncio.sleep(1)
        assert r.hook_runs == [("good morning", "network")]
        await r.start_sleep()
        await asyncio.sleep(1)
        assert len(r.machine.alarm_distances) == 2
        assert r.errors == []

    run_scenario(test, HOOKS.replace("20s", "1h").replace("before_sleep", "alert"))


@pytest.mark.parametrize("step", [3600, -3600])
def test_an_alarm_is_set_again_if_the_clock_of_the_alarm_was_set_meanwhile(step: int) -> None:
    """The kernel writes the synchronised time to the RTC every 11 minutes; the hook may take an hour."""

    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(7200)
        await r.preparation.prepare_action(Sleep(0, "suspend", wake_time=r.wanted))
        r.clock.started_at += step
        await r.machine.sleep()
        assert r.machine.alarm_distances == [pytest.approx(7200, abs=2)]

    run_scenario(test)


def test_a_failed_setting_is_reported_when_the_sleep_is_inevitable() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        r.machine.helper_error = "no helper listens"
        await r.machine.sleep()
        assert any(error.endswith(": no helper listens") for error in r.errors)
        assert r.hook_runs[0] == ("good night", "sleep")

    run_scenario(test, HOOKS)


def test_observe_mode_changes_nothing_and_reports_all() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        assert r.machine.own_locks("delay") == []
        r.machine.emit(LogindEvent("sleep"))
        await asyncio.sleep(0.1)
        assert r.state.snapshot().part(TransitionFacts).shutdown is not None
        r.clock.slept += 100
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(0.1)
        assert r.state.snapshot().part(TransitionFacts).wake_event is not None
        assert r.machine.rtc.log == []
        assert r.hook_runs == []
        r.options = replace(r.options, mode="enforce")
        r.transition.update_inhibitor()
        await asyncio.sleep(0.1)
        assert len(r.machine.own_locks("delay")) == 2

    run_scenario(test, HOOKS.replace("enforce", "observe"))


def test_no_alarm_stays_when_the_daemon_stops() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.preparation.prepare_action(Sleep(0, "command", ("true",), wake_time=r.wanted))
        assert r.machine.seconds_to_alarm() is not None

    scenario = run_scenario(test)
    assert scenario.machine.rtc.alarm is None
    assert scenario.machine.own_locks("delay") == []
    assert scenario.storage.written[-1] is None


@pytest.mark.parametrize(("hook_takes", "stopped_after"), [(0.0, 5), (15.0, 5), (1200.0, 600)])
def test_a_hook_is_undone_when_the_daemon_stops_before_the_sleep(
    hook_takes: float, stopped_after: float
) -> None:
    async def test(r: TransitionScenario) -> None:
        r.machine.command_duration = hook_takes
        action = asyncio.ensure_future(r.preparation.prepare_action(Sleep(0, "suspend")))
        await asyncio.sleep(stopped_after)
        action.cancel()

    assert run_scenario(test, HOOKS.replace("20s", "1h")).hook_runs == [
        ("good night", "sleep"),
        ("good morning", ""),
    ]


def test_the_alarm_stays_when_the_machine_goes_down_with_the_daemon() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        await r.machine.sleep("poweroff")

    scenario = run_scenario(test)
    assert scenario.machine.alarm_distances == [pytest.approx(3599, abs=2)]
    assert scenario.machine.rtc.alarm is not None
    assert scenario.storage.written[-1] == {"at": scenario.machine.rtc.alarm, "before": None, "asked": []}


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (HostError("systemd-logind gave no answer"), True),
        (TimeoutError(), True),
        (NotRunningError("systemd-logind is not running here"), False),
    ],
)
def test_the_alarm_stays_if_a_sleep_may_be_in_progress(
    error: Exception, monkeypatch: pytest.MonkeyPatch, *, stays: bool
) -> None:
    """D-Bus has ended, so logind may have announced one; the next process clears the alarm."""

    async def test(r: TransitionScenario) -> None:
        async def fail() -> str:
            raise error

        await r.preparation.prepare_action(Sleep(0, "suspend", wake_time=r.wake_time(3600)))
        monkeypatch.setattr(r.machine, "transition_in_progress", fail)

    scenario = run_scenario(test)
    assert (scenario.machine.rtc.alarm is not None) is stays
    assert (scenario.storage.written[-1] is not None) is stays
    assert len(scenario.errors) == stays


async def begin_sleep(r: TransitionScenario) -> None:
    """Another program's sleep is announced, and prepared with an alarm."""
    r.wanted = r.wake_time(3600)
    r.state.request_decision()
    await asyncio.sleep(1)
    r.machine.emit(LogindEvent("sleep"))
    await asyncio.sleep(1)


@pytest.mark.parametrize("ended", [False, True])
def test_the_alarm_of_a_sleep_in_progress_outlives_a_restart_of_powerd(*, ended: bool) -> None:
    """An upgrade at that moment: the next process starts before the sleep, and clears the alarm after it."""

    async def restarted(r: TransitionScenario) -> None:
        assert (r.machine.seconds_to_alarm() is None) is ended
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(1)
        assert r.machine.seconds_to_alarm() is None

    first = run_scenario(begin_sleep)
    alarm = first.machine.rtc.alarm
    assert alarm is not None
    document: dict[str, object] = {"at": alarm, "before": None, "asked": []}  # all that is left after a kill
    run_scenario(restarted, document=document, announced="" if ended else "sleep", alarm=alarm)


def restart_during_a_sleep(
    then: Callable[[TransitionScenario], Awaitable[None]],
    *,
    config: str = HOOKS,
    seconds: float = 1.0,
    slept: float | None = None,
    boot: str = BOOT,
) -> TransitionScenario:
    """Stop powerd during a sleep, and start another that runs ``then``; returns the second.

    ``seconds``: from the stop to the start; ``slept``: the sleep is over by then, and took so long.
    """
    scenarios: list[TransitionScenario] = []

    async def main() -> None:
        first = TransitionScenario(HOOKS)
        async with first.running():
            await begin_sleep(first)
        assert first.hook_runs == [("good night", "sleep")]
        if slept is not None:
            first.machine.wake_up(slept)
        await asyncio.sleep(seconds)
        second = TransitionScenario(config, predecessor=first, boot=boot)
        scenarios.append(second)
        async with second.running():
            await then(second)

    run(main())
    return scenarios[0]


@pytest.mark.parametrize(("slept", "cause"), [(100.0, "network"), (0.0, "")])
@pytest.mark.parametrize("config", [HOOKS, HOOKS.replace("enforce", "observe")])
def test_the_hook_after_a_sleep_runs_once_although_powerd_has_missed_the_wake_up(
    slept: float, cause: str, config: str
) -> None:
    """A restart waits for the end of the sleep, because the RTC alarm must not be cleared before."""

    async def test(r: TransitionScenario) -> None:
        assert r.hook_runs == [("good night", "sleep"), ("good morning", cause)]
        facts = r.state.snapshot().part(TransitionFacts)
        assert (facts.wake_event.slept if facts.wake_event else 0.0, facts.shutdown) == (slept, None)
        assert r.machine.seconds_to_alarm() is None
        await asyncio.sleep(700)
        third = TransitionScenario(config, predecessor=r)
        async with third.running():
            await asyncio.sleep(700)
        assert len(third.hook_runs) == 2

    assert len(restart_during_a_sleep(test, config=config, slept=slept).hook_runs) == 2


@pytest.mark.parametrize("slept", [100.0, 0.0])
def test_the_hook_after_a_sleep_runs_once_if_powerd_is_restarted_before_it(slept: float) -> None:
    async def test(r: TransitionScenario) -> None:
        await asyncio.sleep(100)
        assert len(r.hook_runs) == 1, "the sleep may need what the hook undoes"
        assert r.machine.seconds_to_alarm() is not None
        assert r.machine.own_locks("delay") == []
        r.machine.wake_up(slept)
        await asyncio.sleep(1)
        assert r.hook_runs[1:] == [("good morning", "network" if slept else "")]
        assert len(r.machine.own_locks("delay")) == 2
        await asyncio.sleep(700)

    assert len(restart_during_a_sleep(test).hook_runs) == 2


def test_the_hook_after_a_sleep_runs_if_powerd_is_restarted_twice() -> None:
    async def main() -> None:
        first = TransitionScenario(HOOKS)
        async with first.running():
            await begin_sleep(first)
        second = TransitionScenario(HOOKS, predecessor=first)
        async with second.running():
            await asyncio.sleep(1)
        first.machine.wake_up(100.0)
        third = TransitionScenario(HOOKS, predecessor=second)
        async with third.running():
            assert third.hook_runs == [("good night", "sleep"), ("good morning", "network")]

    run(main())


def test_the_hook_after_a_sleep_does_not_run_between_its_two_halves() -> None:
    """powerd is restarted while suspend-then-hibernate is awake for a moment."""

    async def test(r: TransitionScenario) -> None:
        r.clock.slept += 3600
        r.state.request_decision()
        await asyncio.sleep(60)
        assert len(r.hook_runs) == 1
        r.machine.wake_up(3600)
        await asyncio.sleep(1)
        assert r.hook_runs[1:] == [("good morning", "network")]

    assert len(restart_during_a_sleep(test).hook_runs) == 2


@pytest.mark.parametrize(("seconds", "boot"), [(1.0, "another"), (1.0, ""), (3600.0, BOOT)])
def test_a_start_after_a_boot_or_much_later_runs_no_hook(seconds: float, boot: str) -> None:
    """Units that start at a boot undo nothing; who stops powerd for long does it by hand."""

    async def test(r: TransitionScenario) -> None:
        await asyncio.sleep(100)
        assert r.state.snapshot().part(TransitionFacts) == TransitionFacts()

    scenario = restart_during_a_sleep(test, seconds=seconds, slept=100.0, boot=boot)
    assert scenario.hook_runs == [("good night", "sleep")]


@pytest.mark.parametrize("over", [False, True])
def test_the_alarm_of_a_sleep_is_cleared_on_exit_once_logind_says_that_it_is_over(*, over: bool) -> None:
    """powerd is stopped before it has received the event of the end."""

    async def test(r: TransitionScenario) -> None:
        await begin_sleep(r)
        r.machine.announced = "" if over else "sleep"

    assert (run_scenario(test).machine.rtc.alarm is None) is over


def test_a_shutdown_that_is_called_off_is_over() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        await r.machine.sleep("poweroff")
        r.machine.emit(LogindEvent("shutdown", start=False))
        await asyncio.sleep(0.1)
        assert r.state.snapshot().part(TransitionFacts).shutdown is None
        assert r.machine.seconds_to_alarm() is None
        assert len(r.machine.own_locks("delay")) == 2

    run_scenario(test)


def test_the_inhibit_delay_has_a_default_if_it_cannot_be_read() -> None:
    async def test(r: TransitionScenario) -> None:
        async def unavailable() -> float:
            raise HostError("no answer")

        r.machine.inhibit_delay = unavailable  # type: ignore[method-assign] # it does not say
        r.machine.command_duration = 10.0
        started_at = asyncio.get_running_loop().time()
        await r.machine.sleep()
        assert asyncio.get_running_loop().time() - started_at < 5

    run_scenario(test, HOOKS)


def test_ten_sleeps_leave_nothing_behind() -> None:
    async def test(r: TransitionScenario) -> None:
        for _ in range(10):
            r.wanted = r.wake_time(3600)
            await r.start_sleep()
            await asyncio.sleep(600)
        assert len(r.machine.alarm_distances) == 10
        assert len(r.machine.own_locks("delay")) == 2
        assert r.machine.seconds_to_alarm() is None

    run_scenario(test, HOOKS)


def test_stopping_does_not_wait_for_a_helper_that_hangs() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        await r.preparation.prepare_action(Sleep(0, "command", ("true",), wake_time=r.wanted))

        async def never() -> Alarm:
            await asyncio.sleep(3600)
            raise AssertionError

        r.machine.read_alarm = never  # type: ignore[method-assign] # it hangs

    scenario = run_scenario(test)
    (error,) = scenario.errors
    assert "RTC alarm" in error


def test_a_wake_up_is_published_and_the_lock_taken_before_a_hanging_helper_answers() -> None:
    async def test(r: TransitionScenario) -> None:
        r.wanted = r.wake_time(3600)
        r.state.request_decision()
        await asyncio.sleep(1)
        answers = hang(r)
        await r.machine.sleep()
        await asyncio.sleep(0.1)
        waking = r.state.snapshot().part(TransitionFacts).wake_event
        assert waking is not None
        assert waking.detail.endswith("backup.timer")
        assert r.state.snapshot().part(TransitionFacts).shutdown is None
        assert len(r.machine.own_locks("delay")) == 2
        assert LogindEvent("sleep", start=False) in r.events
        answers.set()

    assert run_scenario(test).storage.written[-1] is None


def test_an_alarm_that_cannot_be_cleared_is_reported() -> None:
    async def test(r: TransitionScenario) -> None:
        await begin_sleep(r)
        r.machine.helper_error = "no helper listens"
        r.machine.emit(LogindEvent("sleep", start=False))
        await asyncio.sleep(1)
        (error,) = r.errors
        assert error.endswith(": no helper listens")
        r.machine.helper_error = None

    assert run_scenario(test).machine.rtc.alarm is None, "but it was, at the end"


def test_a_logind_that_falls_silent_for_good_is_a_fault() -> None:
    async def test(r: TransitionScenario) -> None:
        async def nothing() -> AsyncIterator[LogindEvent]:
            return
            yield

        r.machine.events = nothing  # type: ignore[method-assign] # it ends
        with pytest.raises(ExceptionGroup) as group:
            await r.transition.run()
        assert "powerd has stopped" in str(group.value.exceptions[0])

    run_scenario(test)
