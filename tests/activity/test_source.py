"""All checks are polled side by side; a failing or hanging one holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace

import pytest
from fakes.checks import BELOW, WORKS, FakeCheck, activity_options, check_ports

from powerd.activity.check import NotApplicableError
from powerd.activity.model import ActivityFacts, CheckResult, CheckState
from powerd.activity.source import ActivitySource
from powerd.config.options import ClientOptions, Options
from powerd.core.poller import MIN_POLL_TIMEOUT, PollDepth, poll_timeout
from powerd.core.time import Reading
from powerd.linux.values import HostError
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import run

ROUTINE, BEFORE_SLEEP = PollDepth.ROUTINE, PollDepth.BEFORE_SLEEP


class SourceScenario:
    """A source with these checks."""

    def __init__(self, *checks: FakeCheck, every: float = 60.0, **on_error: str) -> None:
        self.kinds = {check.name: check.kind() for check in checks}
        self.options = Options(
            clients=ClientOptions(every=every), activity=activity_options(list(self.kinds), **on_error)
        )
        ports = check_ports(clock=SimulatedClock())
        self.source = ActivitySource(ports, lambda: self.options, self.kinds.__getitem__)

    async def poll(self, depth: PollDepth = ROUTINE) -> dict[str, CheckResult]:
        result = await self.source.poll(depth)
        assert isinstance(result.status, Reading)
        return {str(key): each for key, each in result.part(ActivityFacts).results.items()}


def run_scenario(test: Callable[[SourceScenario], Coroutine[None, None, None]], *checks: FakeCheck) -> None:
    async def main() -> None:
        await test(SourceScenario(*checks))

    run(main())


def raising(error: BaseException) -> Callable[[], Awaitable[tuple[()]]]:
    async def script() -> tuple[()]:
        raise error

    return script


async def never() -> tuple[()]:
    await asyncio.Event().wait()
    return ()


async def stubborn() -> tuple[()]:
    """Ignores its cancellation, as a check with a careless ``except`` does."""
    for _ in range(3):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            continue
    return ()


def test_all_checks_are_polled_in_every_round() -> None:
    async def test(scenario: SourceScenario) -> None:
        for _ in range(2):
            results = await scenario.poll()
            assert [each.activities for each in results.values()] == [(WORKS,), (BELOW,), ()]
            assert {each.state for each in results.values()} == {CheckState.MEASURED}
            assert [each.keeps_awake for each in results.values()] == [True, False, False]

    run_scenario(test, FakeCheck("a", (WORKS,)), FakeCheck("b", (BELOW,)), FakeCheck("c"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HostError("no answer from the server"), "no answer from the server"),
        (ValueError("a bug"), "ValueError: a bug"),
        (TimeoutError(), "TimeoutError"),
        (asyncio.CancelledError(), "interrupted"),
    ],
)
def test_a_failing_check_fails_alone(error: BaseException, text: str) -> None:
    async def test(scenario: SourceScenario) -> None:
        results = await scenario.poll()
        assert results["a"].state is CheckState.FAILED
        assert text in results["a"].reason
        assert results["b"].activities == (WORKS,)

    run_scenario(test, FakeCheck("a", script=raising(error)), FakeCheck("b", (WORKS,)))


def test_an_interface_that_is_missing_and_one_that_disappears() -> None:
    async def test(scenario: SourceScenario) -> None:
        check = FakeCheck("a", script=raising(NotApplicableError("no PSI")))
        scenario = SourceScenario(check)
        assert (await scenario.poll())["a"].state is CheckState.NOT_APPLICABLE
        check.script = None
        assert (await scenario.poll())["a"].state is CheckState.NOT_APPLICABLE, (
            "looked for before a sleep only"
        )
        assert (await scenario.poll(BEFORE_SLEEP))["a"].state is CheckState.MEASURED
        check.script = raising(NotApplicableError("no PSI"))
        assert (await scenario.poll())["a"].state is CheckState.FAILED

    run_scenario(test)


@pytest.mark.parametrize("every", [5.0, 60.0, 3600.0])
@pytest.mark.parametrize("script", [never, stubborn])
def test_a_round_with_a_hanging_check_ends_on_time(
    every: float, script: Callable[[], Awaitable[tuple[()]]]
) -> None:
    async def test() -> None:
        scenario = SourceScenario(FakeCheck("a", script=script), FakeCheck("b", (WORKS,)), every=every)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            results = await scenario.poll()
            assert results["a"].state is CheckState.FAILED
            assert results["a"].reason.startswith("no answer within")
            assert results["b"].activities == (WORKS,)
        assert loop.time() < poll_timeout(every), "also if a poll waits for another"
        assert loop.time() < max(every, MIN_POLL_TIMEOUT)

    run(test())


def test_a_check_that_is_slow_only_once_recovers() -> None:
    async def test(scenario: SourceScenario) -> None:
        check = FakeCheck("a", (WORKS,), script=never)
        scenario = SourceScenario(check)
        assert (await scenario.poll())["a"].state is CheckState.FAILED
        check.script = None
        await asyncio.sleep(0)
        assert (await scenario.poll())["a"].activities == (WORKS,)

    run_scenario(test)


def test_a_cancelled_poll_ends_its_checks() -> None:
    async def test() -> None:
        scenario = SourceScenario(FakeCheck("a", script=never))
        task = asyncio.ensure_future(scenario.poll())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    run(test())


def test_a_check_for_the_time_before_a_sleep() -> None:
    """It is polled in every round only while it keeps the server awake."""

    async def test() -> None:
        check = FakeCheck("a", near_sleep_only=True)
        scenario = SourceScenario(check)
        assert (await scenario.poll())["a"].state is CheckState.DEFERRED
        assert (await scenario.poll(BEFORE_SLEEP))["a"].state is CheckState.MEASURED
        for _ in range(2):
            await scenario.poll()
            await asyncio.sleep(3600)
        assert check.polls == [BEFORE_SLEEP]
        check.activities = (WORKS,)
        await scenario.poll(BEFORE_SLEEP)
        for _ in range(2):
            assert (await scenario.poll())["a"].keeps_awake
        check.activities = ()
        for _ in range(3):
            assert not (await scenario.poll())["a"].keeps_awake
        assert check.polls == [BEFORE_SLEEP] * 2 + [ROUTINE] * 3

    run(test())


@pytest.mark.parametrize("script", [raising(HostError("refused")), raising(ValueError("a bug")), never])
def test_a_check_for_the_time_before_a_sleep_that_fails_is_polled_at_growing_intervals(
    script: Callable[[], Awaitable[tuple[()]]],
) -> None:
    """A server may log each attempt, on a disk that the attempt wakes."""

    async def test() -> None:
        check = FakeCheck("a", script=script, near_sleep_only=True)
        scenario = SourceScenario(check)
        await scenario.poll(BEFORE_SLEEP)
        hours: list[int] = []
        for _ in range(2):
            before = len(check.polls)
            for _ in range(60):
                await asyncio.sleep(60)
                assert (await scenario.poll())["a"].state is CheckState.FAILED
            hours.append(len(check.polls) - before)
        assert hours[0] == 7
        assert 3 <= hours[1] <= 4
        for _ in range(2):
            await asyncio.sleep(1)  # a cancelled poll ends
            await scenario.poll(BEFORE_SLEEP)
        assert check.polls[-2:] == [BEFORE_SLEEP] * 2, "a full poll does not wait"
        await asyncio.sleep(1)
        check.script = None
        assert (await scenario.poll(BEFORE_SLEEP))["a"].state is CheckState.MEASURED
        check.script = script
        await scenario.poll(BEFORE_SLEEP)
        before = len(check.polls)
        await asyncio.sleep(60)
        await scenario.poll()
        assert len(check.polls) == before + 1, "the first failure is looked at in the next round"

    run(test())


def test_a_check_of_every_round_that_fails_is_polled_in_every_round() -> None:
    async def test() -> None:
        check = FakeCheck("a", script=raising(HostError("refused")))
        scenario = SourceScenario(check)
        for _ in range(5):
            await scenario.poll()
        assert len(check.polls) == 5

    run(test())


def test_an_ignored_failure_waits_for_the_next_time_before_a_sleep() -> None:
    async def test() -> None:
        check = FakeCheck("a", script=raising(HostError("refused")), near_sleep_only=True)
        scenario = SourceScenario(check, on_error="ignore")
        await scenario.poll(BEFORE_SLEEP)
        await scenario.poll()
        assert check.polls == [BEFORE_SLEEP]

    run(test())


def test_a_reload_retains_checks_whose_options_are_the_same() -> None:
    async def test() -> None:
        first, second = FakeCheck("a"), FakeCheck("b")
        scenario = SourceScenario(first, second)
        await scenario.poll()
        changed = activity_options(["a", "b"], b="ignore")
        scenario.options = replace(scenario.options, activity=changed)
        await scenario.poll()
        assert (first.instances, second.instances) == (1, 2)
        scenario.options = replace(scenario.options, activity=activity_options(["a"]))
        assert list(await scenario.poll()) == ["a"]

    run(test())


@pytest.mark.parametrize("script", [raising(HostError("refused")), raising(asyncio.CancelledError()), never])
def test_a_failure_does_not_forget_when_to_wake_up(script: Callable[[], Awaitable[tuple[()]]]) -> None:
    """It keeps nothing awake that may have ended since."""

    async def test() -> None:
        meeting = replace(WORKS, wake_at=7200.0)
        check = FakeCheck("a", (meeting, WORKS, BELOW), near_sleep_only=True)
        scenario = SourceScenario(check)
        await scenario.poll(BEFORE_SLEEP)
        check.script = script
        for _ in range(2):
            result = (await scenario.poll(BEFORE_SLEEP))["a"]
            assert result.state is CheckState.FAILED
            assert result.activities == (replace(meeting, keeps_awake=False),)
            await asyncio.sleep(0)
        check.script, check.activities = None, ()
        assert (await scenario.poll(BEFORE_SLEEP))["a"].activities == ()

    run(test())
