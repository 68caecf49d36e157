from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from facts import DOMAINS, idle_activity

from powerd.activity.model import ACTIVITY
from powerd.config.load import parse
from powerd.core.actions import Action, ActionResult, CompletedAction, Sleep, WarnUsers
from powerd.core.engine import HEARTBEAT, Engine, EngineHooks, RunningActions
from powerd.core.snapshot import Decision, Snapshot, SourceId
from powerd.core.state import PollResult, StateStore
from powerd.core.time import Reading, Unavailable
from powerd.power.model import LOGIND, TIMERS, SleepMemory, SystemdTimer, TimerFacts
from powerd.power.wake_schedule import MAX_ALARM_DELAY
from powerd.presence.model import Client, ClientId, EvidenceKind, Observation, PresenceFacts
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import run

CLIENTS = SourceId("clients")
WHO = Client(ClientId("10.0.0.9"), ("10.0.0.9",), name="anna")
CONFIG = """
mode = "enforce"
[clients]
absent_after = "1s"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
warn = "1min"
"""
SLEEP, WARN = Sleep(0, "suspend"), WarnUsers(0, "suspend", 60.0)


class EngineScenario:
    """An engine with scripted limbs, and everything that it said and did, with the loop's time.

    Attributes:
        home: what a look finds; None = it cannot see.
        takes: seconds that a look takes.
        obeying: what becomes of each order.
    """

    def __init__(self, config: str = CONFIG) -> None:
        self.store = StateStore()
        self.clock = SimulatedClock()
        self.home: bool | None = False
        self.takes = 0.0
        self.executing: Callable[[object], Awaitable[ActionResult]] = self._executed
        self.modes: list[str] = []
        self.decisions: list[tuple[float, Decision]] = []
        self.did: list[tuple[float, str]] = []
        self.options = parse(config.encode(), "test")
        self.engine = Engine(
            self.store,
            self.clock,
            lambda: self.options,
            EngineHooks(self.refresh, self._execute, self._on_decision),
            DOMAINS,
        )
        self._silent_since = -9999.0

    def reconfigure(self, config: str) -> None:
        self.options = parse(config.encode(), "test")
        self.engine.reconfigure()

    @property
    def now(self) -> float:
        return round(asyncio.get_running_loop().time(), 1)

    @property
    def phase(self) -> str:
        return self.decisions[-1][1].phase

    def acts(self, kind: str) -> list[float]:
        return [at for at, what in self.did if what == kind]

    async def refresh(self) -> None:
        self.did.append((self.now, "look"))
        await asyncio.sleep(self.takes)
        self.publish()

    def publish(self) -> None:
        """The facts, as a look would find them now."""
        now = self.clock.now().mono
        if self.home is None:
            self.store.publish(CLIENTS, PollResult(Unavailable(now, "eth0: no carrier")))
            return
        self.store.publish(LOGIND, PollResult(Reading(now, ())))
        self.store.publish(ACTIVITY, PollResult(Reading(now, ()), (idle_activity(now),)))
        if self.home:
            self._silent_since = now
            observation = Observation(last_seen=now, evidence=EvidenceKind.ICMP)
        else:
            observation = Observation(silent_since=self._silent_since)
        self.store.publish(
            CLIENTS,
            PollResult(
                Reading(now, ()), (PresenceFacts({WHO.id: WHO}, {WHO.id: Reading(now, observation)}),)
            ),
        )

    async def rounds(self) -> None:
        """A source's rhythm."""
        while True:
            self.publish()
            await asyncio.sleep(60)

    async def _execute(self, action: object, mode: str) -> ActionResult:
        self.modes.append(mode)
        self.did.append((self.now, type(action).__name__))
        return await self.executing(action)

    async def _executed(self, action: object) -> ActionResult:
        return ActionResult(True, f"did {type(action).__name__}")

    def _on_decision(self, _: Snapshot, decision: Decision) -> None:
        self.decisions.append((self.now, decision))


def run_scenario(test: Callable[[EngineScenario], Awaitable[None]], config: str = CONFIG) -> None:
    """Run ``test`` beside a living engine and a source that looks every minute."""

    async def main() -> None:
        scene = EngineScenario(config)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(scene.rounds()), tasks.create_task(scene.engine.run())]
            await test(scene)
            for task in running:
                task.cancel()

    run(main())


def test_announced_polled_again_and_only_then_executed() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(700)
        (warned,), (slept,) = s.acts("WarnUsers"), s.acts("Sleep")
        assert warned == pytest.approx(542, abs=3)
        assert slept == pytest.approx(warned + 60, abs=3)
        last_look = max(at for at in s.acts("look") if at <= slept)
        assert last_look == slept, "nothing is between the last look and the act"

    run_scenario(test)


def test_while_a_sleep_is_near_all_is_polled_closely() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(525)
        assert s.acts("look") == [], "not before, and not at a heartbeat"
        await asyncio.sleep(11)
        assert s.acts("look") == [530], "shortly before the announcement"
        await asyncio.sleep(60)
        assert 5 <= len(s.acts("look")) <= 8

    run_scenario(test)


def test_a_poll_started_when_the_time_has_come_is_the_last() -> None:
    """Two in a row would have the server act as late again as one look takes."""

    async def test(s: EngineScenario) -> None:
        s.takes = 5.5
        await asyncio.sleep(700)
        (warned,), (slept,) = s.acts("WarnUsers"), s.acts("Sleep")
        assert slept == pytest.approx(warned + 60 + 5.5, abs=0.2)
        last = [at for at in s.acts("look") if at <= slept][-1]
        assert last == pytest.approx(warned + 60, abs=0.2), "begun when the warning was over"

    run_scenario(test)


def test_a_poll_started_too_early_is_not_the_last() -> None:
    """The warning ends in the middle of a slow look: who came while it was under way would be missed."""

    async def test(s: EngineScenario) -> None:
        s.takes = 25.0
        await asyncio.sleep(600)
        start = s.acts("look")[-1]
        (warned,) = s.acts("WarnUsers")
        assert start < warned + 60 < start + 25
        await asyncio.sleep(100)
        (slept,) = s.acts("Sleep")
        polls = [at for at in s.acts("look") if at < slept]
        assert polls[-1] == pytest.approx(start + 25, abs=0.2), "one more, begun after the warning's end"
        assert slept == pytest.approx(start + 50, abs=0.2)

    run_scenario(test)


def test_a_poll_for_another_rule_is_not_the_last() -> None:
    """What was planned when the look began is not what follows from it."""

    async def test(s: EngineScenario) -> None:
        poll = s.refresh

        async def reloaded() -> None:
            await poll()
            if s.acts("WarnUsers") and s.now >= s.acts("WarnUsers")[0] + 60:
                s.options = parse(
                    CONFIG.replace("suspend", "poweroff").replace('"1min"', '"0s"').encode(), "test"
                )

        s.engine._hooks = EngineHooks(reloaded, s._execute, s._on_decision)  # noqa: SLF001 - the one look that differs
        await asyncio.sleep(700)
        (slept,) = s.acts("Sleep")
        assert s.acts("look").count(slept) == 2

    run_scenario(test)


@pytest.mark.parametrize("warn", ["0s", "1min"])
def test_the_last_decided_action_is_executed(warn: str) -> None:
    """Its alarm is reckoned from the moment of the act."""

    async def test(s: EngineScenario) -> None:
        s.takes = 5.5
        actions: list[Sleep] = []

        async def note(action: object) -> ActionResult:
            if isinstance(action, Sleep):
                actions.append(action)
            return ActionResult(True, "done")

        s.executing = note
        timer = SystemdTimer(
            "backup.timer", mono=99 * 86_400.0
        )  # farther than an alarm reaches from any moment
        s.store.publish(TIMERS, PollResult(Reading(0.0, ()), (TimerFacts((timer,)),)))
        await asyncio.sleep(690)
        (action,), (slept,) = actions, s.acts("Sleep")
        assert action.wake_time is not None
        assert action.wake_time.at.mono == pytest.approx(slept + MAX_ALARM_DELAY, abs=0.2)

    run_scenario(test, CONFIG.replace('"1min"', f'"{warn}"') + '[wake]\ntimers = ["backup.timer"]\n')


def test_a_heartbeat_causes_no_close_poll() -> None:
    """With rounds of five minutes the engine decides by itself in between."""

    async def main() -> None:
        scene = EngineScenario(CONFIG.replace('"1s"', '"1s"\nevery = "5min"'))
        scene.publish()
        running = asyncio.create_task(scene.engine.run())
        await asyncio.sleep(525)
        assert len(scene.decisions) > 7
        assert scene.acts("look") == []
        running.cancel()

    run(main())


def test_a_client_found_by_the_last_poll_stops_it() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(595)
        s.home = True
        await asyncio.sleep(100)
        assert s.acts("Sleep") == []
        assert s.phase == "awake"
        assert s.decisions[-1][1].reasons[0].subject == "anna"

    run_scenario(test)


def test_a_failed_last_poll_stops_it() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(580)
        s.home = None
        await asyncio.sleep(200)
        assert s.acts("Sleep") == []
        assert s.decisions[-1][1].reasons[0].text == "eth0: no carrier"

    run_scenario(test)


def test_without_a_warning_too_the_last_poll_decides() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(605)
        s.home = True
        await asyncio.sleep(10)
        assert s.acts("look") == [610], "no round has polled since"
        assert s.acts("Sleep") == []

    run_scenario(test, CONFIG.replace('"1min"', '"0s"').replace('"10min"', '"610s"'))


def test_a_sleep_during_the_last_poll_invalidates_it() -> None:
    async def test(s: EngineScenario) -> None:
        poll = s.refresh

        async def sleepy() -> None:
            await poll()
            s.clock.slept += 3600

        s.engine._hooks = EngineHooks(sleepy, s._execute, s._on_decision)  # noqa: SLF001 - the one look that differs
        await asyncio.sleep(700)
        assert s.acts("Sleep") == []

    run_scenario(test, CONFIG.replace('"1min"', '"0s"'))


def test_who_returns_in_the_warning_cancels_it() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(560)
        assert s.phase == "warning"
        s.home = True
        await asyncio.sleep(12)
        assert s.phase == "awake", "seen at the next close look, not at the next round"
        s.home = False
        await asyncio.sleep(500)
        assert s.acts("Sleep") == []

    run_scenario(test)


def test_an_action_is_executed_in_the_mode_of_its_decision() -> None:
    """A reload to "enforce" in the very turn of the loop in which an order begins makes no act of it."""

    async def test(s: EngineScenario) -> None:
        begin = s.store.action_started

        def reload_then(action: Action) -> None:
            begin(action)
            s.reconfigure(CONFIG.replace("observe", "enforce"))

        s.reconfigure(CONFIG.replace("enforce", "observe"))
        s.store.action_started = reload_then  # type: ignore[method-assign] # the worst moment for a reload
        await asyncio.sleep(800)
        assert s.modes[0] == "observe"

    run_scenario(test)


def test_the_announcement_s_result_starts_the_warning_period() -> None:
    async def test(s: EngineScenario) -> None:
        async def slow(action: object) -> ActionResult:
            await asyncio.sleep(30 if isinstance(action, WarnUsers) else 0)
            return ActionResult(True, "done")

        s.executing = slow
        await asyncio.sleep(800)
        (warned,), (slept,) = s.acts("WarnUsers"), s.acts("Sleep")
        assert slept >= warned + 30 + 60

    run_scenario(test)


def test_an_exception_of_an_action_becomes_its_result() -> None:
    async def test(s: EngineScenario) -> None:
        async def broken(action: object) -> ActionResult:
            if isinstance(action, Sleep):
                raise ZeroDivisionError("division by zero")
            return ActionResult(True, "announced")

        s.executing = broken
        await asyncio.sleep(606)
        result = s.store.snapshot().completed_actions[Sleep, None]
        assert not result.ok
        assert "ZeroDivisionError: division by zero" in result.message
        assert result.started_at <= result.ended_at
        assert s.store.snapshot().running_actions == frozenset()
        texts = [reason.text for reason in s.decisions[-1][1].reasons]
        assert any("could not suspend" in text for text in texts)
        await asyncio.sleep(30)
        assert len(s.acts("Sleep")) == 1, "no tight loop"

    run_scenario(test)


def test_an_action_cancelled_from_within_does_not_stay_in_flight() -> None:
    async def test(s: EngineScenario) -> None:
        async def broken(action: object) -> ActionResult:
            if isinstance(action, Sleep):
                raise asyncio.CancelledError
            return ActionResult(True, "announced")

        s.executing = broken
        await asyncio.sleep(606)
        assert s.store.snapshot().running_actions == frozenset()
        result = s.store.snapshot().completed_actions[Sleep, None]
        assert (result.ok, result.message) == (False, "it was interrupted")

    run_scenario(test)


def test_the_end_waits_for_the_actions() -> None:
    async def test() -> list[Action]:
        ended: list[Action] = []

        async def execute(action: Action, _: str) -> ActionResult:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(1)
                ended.append(action)
            return ActionResult(True, "done")

        actions = RunningActions(StateStore(), SimulatedClock(), execute)
        actions.start(WARN, "enforce")
        await asyncio.sleep(1)
        await actions.close()
        return ended

    assert run(test()) == [WARN]


def test_it_publishes_the_sleep_before_it_executes_it() -> None:
    async def test(s: EngineScenario) -> None:
        phases: list[str] = []

        async def note(action: object) -> ActionResult:
            phases.append(s.phase)
            assert action in s.store.snapshot().running_actions
            return ActionResult(True, "done")

        s.executing = note
        await asyncio.sleep(700)
        assert phases == ["warning", "going-down"]

    run_scenario(test)


def test_a_command_that_takes_long_does_not_stop_the_decisions() -> None:
    """The service manager's watchdog ends a daemon that has decided nothing for 180 s."""

    async def test(s: EngineScenario) -> None:
        async def hour(action: object) -> ActionResult:
            await asyncio.sleep(3600 if isinstance(action, Sleep) else 0)
            return ActionResult(True, "done")

        s.executing = hour
        await asyncio.sleep(3000)
        times = [*(at for at, _ in s.decisions), s.now]
        assert max(b - a for a, b in pairwise(times)) <= HEARTBEAT + 1
        assert s.phase == "going-down"
        assert len(s.acts("Sleep")) == 1

    run_scenario(test)


def test_without_events_a_decision_is_made_every_heartbeat() -> None:
    async def main() -> None:
        scene = EngineScenario("")
        running = asyncio.create_task(scene.engine.run())
        await asyncio.sleep(10 * HEARTBEAT + 1)
        assert [at for at, _ in scene.decisions] == [n * HEARTBEAT for n in range(11)]
        assert scene.acts("look") == [], "a heartbeat is not a reason to ask anybody"
        running.cancel()

    run(main())


def test_a_changed_fact_is_decided_on_at_once() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(10)
        s.home = True
        s.publish()
        await asyncio.sleep(0.01)
        assert s.decisions[-1][0] == 10
        assert s.phase == "awake"

    run_scenario(test)


def test_each_decision_is_published_once_and_with_its_snapshot() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(1)
        report: list[tuple[Snapshot, Decision]] = []
        s.engine._hooks = EngineHooks(s.refresh, s._execute, lambda *about: report.append(about))  # noqa: SLF001 - to see what is published with it
        await asyncio.sleep(130)
        assert len(report) == 2, "one per round"
        for snapshot, decision in report:
            assert snapshot.sources[CLIENTS].at == pytest.approx(
                decision.memory.last_decision_at.mono, abs=0.01
            )

    run_scenario(test)


def test_a_domain_that_raises_keeps_the_server_awake_and_the_engine_running() -> None:
    async def test(s: EngineScenario) -> None:
        faulty: Any = {WHO.id: None}
        await asyncio.sleep(1)
        s.store.publish(CLIENTS, PollResult(Reading(0.0, ()), (PresenceFacts(faulty, {}),)))
        await asyncio.sleep(1)
        decision = s.decisions[-1][1]
        assert decision.phase in {"starting", "awake"}
        reason = next(each for each in decision.reasons if each.subject == "presence")
        assert reason.blocks_sleep
        assert "AttributeError" in reason.text

    run_scenario(test)


def test_its_running_actions_end_with_it() -> None:
    async def main() -> None:
        scene = EngineScenario()
        ended = asyncio.Event()

        async def for_ever(_: object) -> ActionResult:
            try:
                await asyncio.sleep(10_000)
            finally:
                ended.set()
            return ActionResult(True, "")

        scene.executing = for_ever
        tasks = [asyncio.create_task(scene.engine.run()), asyncio.create_task(scene.rounds())]
        await asyncio.sleep(560)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert ended.is_set()

    run(main())


def test_a_new_configuration_is_decided_by_at_once() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(10.0)
        s.reconfigure('mode = "enforce"')
        await asyncio.sleep(0.01)
        assert s.decisions[-1][0] == 10.0
        assert s.decisions[-1][1].planned_sleep is None

    run_scenario(test)


def test_from_observe_to_enforce_nobody_is_put_to_sleep_unannounced() -> None:
    """Observe mode announces nothing, and the user who edits the configuration is present."""

    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(900)
        assert len(s.acts("Sleep")) == 1
        s.reconfigure(CONFIG)
        await asyncio.sleep(530)
        assert len(s.acts("Sleep")) == 1
        assert len(s.acts("WarnUsers")) == 1
        await asyncio.sleep(100)
        assert len(s.acts("WarnUsers")) == 2
        assert len(s.acts("Sleep")) == 2
        assert s.acts("Sleep")[1] >= s.acts("WarnUsers")[1] + 60

    run_scenario(test, CONFIG.replace("enforce", "observe"))


def test_a_new_configuration_forgets_failures() -> None:
    async def test(s: EngineScenario) -> None:
        async def refuse(action: object) -> ActionResult:
            return ActionResult(isinstance(action, WarnUsers), "refused")

        s.executing = refuse
        await asyncio.sleep(620)
        assert s.decisions[-1][1].memory.part(SleepMemory).failures
        s.reconfigure(CONFIG)
        await asyncio.sleep(1)
        assert not s.decisions[-1][1].memory.part(SleepMemory).failures

    run_scenario(test)


def test_no_rule_can_spin_it() -> None:
    """An order whose outcome never comes, and facts that change with every look."""

    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(3600)
        assert len(s.decisions) < 3600

    run_scenario(test, CONFIG.replace('"10min"', '"0s"').replace('"1min"', '"0s"'))


def test_results_are_facts_in_the_state_store() -> None:
    async def test(s: EngineScenario) -> None:
        await asyncio.sleep(700)
        results = s.store.snapshot().completed_actions
        assert results[WarnUsers, None].action == WARN
        assert results[Sleep, None].action == SLEEP
        assert isinstance(results[Sleep, None], CompletedAction)
        assert results[Sleep, None].message == "did Sleep"

    run_scenario(test)
