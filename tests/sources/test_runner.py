from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from scripted import LoopClock

from powerd.board import Board, Facts
from powerd.host.values import HostError
from powerd.model import Blind, Seen, SourceId
from powerd.rehearse.loop import run
from powerd.sources.known import Known
from powerd.sources.runner import BACK_OFF_MOST, Extent, Watch, longest_look

Look = Callable[[Extent], Awaitable[None]]


class Sensor:
    """A source whose looks are scripted; it notes when each began, and that none overlaps another."""

    name = SourceId("sensor")

    def __init__(self, every: float = 60.0) -> None:
        self.every = every
        self.began: list[float] = []
        self.extents: list[Extent] = []
        self.script: Look | None = None
        self._looking = False

    async def look(self, extent: Extent) -> Facts:
        assert not self._looking, "two looks at once"
        self._looking = True
        now = asyncio.get_running_loop().time()
        self.began.append(round(now, 1))
        self.extents.append(extent)
        try:
            if self.script is not None:
                await self.script(extent)
        finally:
            self._looking = False
        return Facts(Seen(asyncio.get_running_loop().time(), ()))


class Scene:
    """A sensor, watched, and the board that its facts are posted on."""

    def __init__(self, every: float = 60.0) -> None:
        self.sensor = Sensor(every)
        self.board = Board()
        self.watch = Watch(self.sensor, self.board, LoopClock())

    @property
    def word(self) -> Seen[tuple[str, ...]] | Blind:
        return self.board.snapshot().sources[self.sensor.name]

    @property
    def why(self) -> str:
        assert isinstance(self.word, Blind)
        return self.word.why

    async def live(self, seconds: float) -> None:
        """Run the watch for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.watch.run()


def play(test: Callable[[Scene], Awaitable[None]], every: float = 60.0) -> None:
    async def main() -> None:
        await test(Scene(every))

    run(main())


async def raise_host_error(_: Extent) -> None:
    raise HostError("eth0: no carrier; check the cable")


async def raise_bug(_: Extent) -> None:
    raise KeyError("10.0.0.9")


async def hang(_: Extent) -> None:
    await asyncio.sleep(10_000)


def test_the_rhythm_does_not_drift() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = lambda _: asyncio.sleep(7)
        await s.live(250)
        assert s.sensor.began == [0, 60, 120, 180, 240]
        assert set(s.sensor.extents) == {Extent.ROUND}

    play(test)


def test_a_beat_that_was_missed_is_dropped_not_made_up_for() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = lambda _: asyncio.sleep(13 if len(s.sensor.began) == 1 else 1)
        await s.live(30)
        assert s.sensor.began == [0, 13, 18, 23, 28]

    play(test, every=5)


@pytest.mark.parametrize(("every", "longest"), [(5, 15), (15, 15), (60, 60), (3600, 90)])
def test_how_long_a_look_may_take(every: float, longest: float) -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = hang
        await s.watch.look(Extent.ROUND)
        assert asyncio.get_running_loop().time() == pytest.approx(longest, abs=0.1)
        assert s.word == Blind(s.word.at, f"no answer within {longest:g} s")

    assert longest_look(every) == longest
    play(test, every)


def test_a_refusal_of_the_machine_is_blind_in_its_words_and_asked_again_at_the_usual_pace() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = raise_host_error
        await s.live(190)
        assert s.why == "eth0: no carrier; check the cable"
        assert s.sensor.began == [0, 60, 120, 180]

    play(test)


def test_a_bug_is_blind_too_and_named_with_its_place() -> None:
    async def test(s: Scene) -> None:
        async def bug(_: Extent) -> None:
            await Known(None, {}, lambda _: None).look(None, None, (), 0, closely=False)  # type: ignore[arg-type] # that is the bug

        s.sensor.script = bug
        await s.watch.look(Extent.ROUND)
        assert s.why.startswith("failed inside powerd (powerd.sources.known:")
        assert "AttributeError: 'NoneType' object has no attribute" in s.why
        s.sensor.script = raise_bug
        await s.watch.look(Extent.ROUND)
        assert s.why.endswith("KeyError: '10.0.0.9'")

    play(test)


def test_a_look_that_is_broken_off_from_within_is_blind_and_the_watch_goes_on() -> None:
    """A task group takes a cancelled task for one that was meant to end, and says nothing."""

    async def broken(_: Extent) -> None:
        raise asyncio.CancelledError

    async def test(s: Scene) -> None:
        s.sensor.script = broken
        await s.live(130)
        assert s.why == "broken off"
        assert s.sensor.began == [0, 60, 120]

    play(test)


def test_a_bug_is_met_ever_less_often_and_recovery_ends_that() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = raise_bug
        await s.live(2600)
        gaps = [b - a for a, b in pairwise(s.sensor.began)]
        assert gaps == [60, 120, 240, 480, BACK_OFF_MOST]
        s.sensor.script, s.sensor.began = None, []
        await s.live(130)
        assert [b - a for a, b in pairwise(s.sensor.began)] == [60, 60]
        assert isinstance(s.word, Seen)

    play(test)


def test_whoever_comes_during_a_look_has_one_of_their_own() -> None:
    """Facts from before the question do not answer it."""

    async def test(s: Scene) -> None:
        s.sensor.script = lambda _: asyncio.sleep(3)
        life = asyncio.create_task(s.watch.run())
        await asyncio.sleep(1)
        await s.watch.look(Extent.CLOSE)
        assert s.sensor.began == [0, 3]
        assert s.sensor.extents == [Extent.ROUND, Extent.CLOSE]
        assert s.word.at == pytest.approx(6, abs=0.1)
        life.cancel()

    play(test)


def test_waiting_for_another_s_look_is_bounded_too() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = hang
        looks = [asyncio.create_task(s.watch.look(Extent.ALL)) for _ in range(3)]
        await asyncio.gather(*looks)
        assert asyncio.get_running_loop().time() == pytest.approx(60, abs=0.1)
        assert s.why == "no answer within 60 s"

    play(test)


def test_a_look_that_is_given_up_leaves_the_way_free() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = hang
        look = asyncio.create_task(s.watch.look(Extent.ALL))
        await asyncio.sleep(1)
        look.cancel()
        s.sensor.script = None
        await s.watch.look(Extent.ROUND)
        assert isinstance(s.word, Seen)

    play(test)


def test_a_new_rhythm_holds_at_once_when_hurried() -> None:
    async def test(s: Scene) -> None:
        life = asyncio.create_task(s.live(200))
        await asyncio.sleep(100)
        s.sensor.every = 30
        s.watch.hurry()
        await life
        assert s.sensor.began == [0, 100, 130, 160, 190]

    play(test, every=3600)


def test_hurried_during_a_look_it_looks_once_more() -> None:
    async def test(s: Scene) -> None:
        s.sensor.script = lambda _: asyncio.sleep(5)
        life = asyncio.create_task(s.live(50))
        await asyncio.sleep(2)
        s.watch.hurry()
        s.watch.hurry()
        await life
        assert s.sensor.began == [0, 5]

    play(test)


def test_two_cannot_watch_one_source() -> None:
    async def test(s: Scene) -> None:
        with pytest.raises(RuntimeError, match="two writers for the facts of sensor"):
            Watch(s.sensor, s.board, LoopClock())

    play(test)


def test_a_look_out_of_turn_moves_no_beat() -> None:
    async def test(s: Scene) -> None:
        asyncio.get_running_loop().call_at(75, s.watch.glance)
        asyncio.get_running_loop().call_at(130, s.watch.hurry)
        await s.live(200)
        assert s.sensor.began == [0, 60, 75, 120, 130, 190]

    play(test)
