from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from powerd.core.poller import MAX_BACKOFF, PollDepth, Poller, poll_timeout
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult, StateStore
from powerd.core.time import Reading, Unavailable
from powerd.linux.values import HostError
from powerd.presence.registry import ClientRegistry
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import run

NO_CARRIER = "eth0: no carrier; check the cable"
Look = Callable[[PollDepth], Awaitable[None]]


class FakeSource:
    """A source whose looks are scripted; it notes when each began, and that none overlaps another."""

    name = SourceId("sensor")

    def __init__(self, poll_interval: float = 60.0) -> None:
        self.poll_interval = poll_interval
        self.began: list[float] = []
        self.extents: list[PollDepth] = []
        self.script: Look | None = None
        self._looking = False

    async def poll(self, depth: PollDepth) -> PollResult:
        assert not self._looking, "two looks at once"
        self._looking = True
        now = asyncio.get_running_loop().time()
        self.began.append(round(now, 1))
        self.extents.append(depth)
        try:
            if self.script is not None:
                await self.script(depth)
        finally:
            self._looking = False
        return PollResult(Reading(asyncio.get_running_loop().time(), ()))


class PollerScenario:
    """A sensor, watched, and the board that its facts are posted on."""

    def __init__(self, every: float = 60.0) -> None:
        self.sensor = FakeSource(every)
        self.store = StateStore()
        self.watch = Poller(self.sensor, self.store, SimulatedClock())

    @property
    def reading(self) -> Reading[tuple[str, ...]] | Unavailable:
        return self.store.snapshot().sources[self.sensor.name]

    @property
    def why(self) -> str:
        assert isinstance(self.reading, Unavailable)
        return self.reading.reason

    async def live(self, seconds: float) -> None:
        """Run the watch for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.watch.run()


def run_scenario(test: Callable[[PollerScenario], Awaitable[None]], every: float = 60.0) -> None:
    async def main() -> None:
        await test(PollerScenario(every))

    run(main())


async def raise_host_error(_: PollDepth) -> None:
    raise HostError(NO_CARRIER)


async def raise_bug(_: PollDepth) -> None:
    raise KeyError("10.0.0.9")


async def hang(_: PollDepth) -> None:
    await asyncio.sleep(10_000)


def test_the_rhythm_does_not_drift() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = lambda _: asyncio.sleep(7)
        await s.live(250)
        assert s.sensor.began == [0, 60, 120, 180, 240]
        assert set(s.sensor.extents) == {PollDepth.ROUTINE}

    run_scenario(test)


def test_a_beat_that_was_missed_is_dropped_not_made_up_for() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = lambda _: asyncio.sleep(13 if len(s.sensor.began) == 1 else 1)
        await s.live(30)
        assert s.sensor.began == [0, 13, 18, 23, 28]

    run_scenario(test, every=5)


@pytest.mark.parametrize(("every", "longest"), [(5, 15), (15, 15), (60, 60), (3600, 90)])
def test_the_deadline_of_a_poll(every: float, longest: float) -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = hang
        await s.watch.poll(PollDepth.ROUTINE)
        assert asyncio.get_running_loop().time() == pytest.approx(longest, abs=0.1)
        assert isinstance(s.reading, Unavailable)
        assert f" {longest:g} s" in s.why

    assert poll_timeout(every) == longest
    run_scenario(test, every)


def test_a_machine_error_is_unavailable_with_its_text_and_retried_at_the_usual_interval() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = raise_host_error
        await s.live(190)
        assert s.why == NO_CARRIER
        assert s.sensor.began == [0, 60, 120, 180]

    run_scenario(test)


def test_a_bug_is_unavailable_too_and_named_with_its_place() -> None:
    async def test(s: PollerScenario) -> None:
        async def bug(_: PollDepth) -> None:
            await ClientRegistry(None, None, {}, lambda *_: None).poll(None, None, (), None, near_sleep=False)  # type: ignore[arg-type] # that is the bug

        s.sensor.script = bug
        await s.watch.poll(PollDepth.ROUTINE)
        assert s.why.startswith("failed inside powerd (powerd.presence.registry:")
        assert "AttributeError: 'NoneType'" in s.why
        s.sensor.script = raise_bug
        await s.watch.poll(PollDepth.ROUTINE)
        assert s.why.endswith("KeyError: '10.0.0.9'")

    run_scenario(test)


def test_a_poll_cancelled_from_within_is_unavailable_and_the_poller_goes_on() -> None:
    """A task group takes a cancelled task for one that was meant to end, and says nothing."""

    async def broken(_: PollDepth) -> None:
        raise asyncio.CancelledError

    async def test(s: PollerScenario) -> None:
        s.sensor.script = broken
        await s.live(130)
        assert s.why == "interrupted"
        assert s.sensor.began == [0, 60, 120]

    run_scenario(test)


def test_a_bug_is_met_ever_less_often_and_recovery_ends_that() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = raise_bug
        await s.live(2600)
        gaps = [b - a for a, b in pairwise(s.sensor.began)]
        assert gaps == [60, 120, 240, 480, MAX_BACKOFF]
        s.sensor.script, s.sensor.began = None, []
        await s.live(130)
        assert [b - a for a, b in pairwise(s.sensor.began)] == [60, 60]
        assert isinstance(s.reading, Reading)

    run_scenario(test)


def test_a_request_during_a_poll_gets_its_own_poll() -> None:
    """Facts from before the question do not answer it."""

    async def test(s: PollerScenario) -> None:
        s.sensor.script = lambda _: asyncio.sleep(3)
        task = asyncio.create_task(s.watch.run())
        await asyncio.sleep(1)
        await s.watch.poll(PollDepth.BEFORE_SLEEP)
        assert s.sensor.began == [0, 3]
        assert s.sensor.extents == [PollDepth.ROUTINE, PollDepth.BEFORE_SLEEP]
        assert s.reading.at == pytest.approx(6, abs=0.1)
        task.cancel()

    run_scenario(test)


def test_waiting_for_another_poll_is_bounded_too() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = hang
        polls = [asyncio.create_task(s.watch.poll(PollDepth.FULL)) for _ in range(3)]
        await asyncio.gather(*polls)
        assert asyncio.get_running_loop().time() == pytest.approx(60, abs=0.1)
        assert " 60 s" in s.why

    run_scenario(test)


def test_an_abandoned_poll_does_not_block_the_next() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = hang
        poll = asyncio.create_task(s.watch.poll(PollDepth.FULL))
        await asyncio.sleep(1)
        poll.cancel()
        s.sensor.script = None
        await s.watch.poll(PollDepth.ROUTINE)
        assert isinstance(s.reading, Reading)

    run_scenario(test)


def test_a_new_rhythm_holds_at_once_when_rescheduled() -> None:
    async def test(s: PollerScenario) -> None:
        task = asyncio.create_task(s.live(200))
        await asyncio.sleep(100)
        s.sensor.poll_interval = 30
        s.watch.reschedule()
        await task
        assert s.sensor.began == [0, 100, 130, 160, 190]

    run_scenario(test, every=3600)


def test_rescheduled_during_a_poll_it_polls_once_more() -> None:
    async def test(s: PollerScenario) -> None:
        s.sensor.script = lambda _: asyncio.sleep(5)
        task = asyncio.create_task(s.live(50))
        await asyncio.sleep(2)
        s.watch.reschedule()
        s.watch.reschedule()
        await task
        assert s.sensor.began == [0, 5]

    run_scenario(test)


def test_two_cannot_watch_one_source() -> None:
    async def test(s: PollerScenario) -> None:
        with pytest.raises(RuntimeError, match=r"two writers .*sensor"):
            Poller(s.sensor, s.store, SimulatedClock())

    run_scenario(test)


def test_an_extra_poll_does_not_move_the_schedule() -> None:
    async def test(s: PollerScenario) -> None:
        asyncio.get_running_loop().call_at(75, s.watch.poll_soon)
        asyncio.get_running_loop().call_at(130, s.watch.reschedule)
        await s.live(200)
        assert s.sensor.began == [0, 60, 75, 120, 130, 190]

    run_scenario(test)
