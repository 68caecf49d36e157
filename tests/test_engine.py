from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from scripted import LoopClock

from powerd.board import Board, Facts
from powerd.config import Options, parse
from powerd.engine import HEARTBEAT, Engine, Limbs
from powerd.model import (
    LOGIND,
    TIMERS,
    Blind,
    Client,
    ClientId,
    Decision,
    Done,
    How,
    Order,
    Outcome,
    Seen,
    Sighting,
    Sleep,
    Snapshot,
    SourceId,
    Timer,
    Warn,
)
from powerd.policy.wake import FARTHEST
from powerd.rehearse.loop import run

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
SLEEP, WARN = Sleep(0, "suspend"), Warn(0, "suspend", 60.0)


class Scene:
    """An engine with scripted limbs, and everything that it said and did, with the loop's time.

    Attributes:
        home: what a look finds; None = it cannot see.
        takes: seconds that a look takes.
        obeying: what becomes of each order.
    """

    def __init__(self, config: str = CONFIG) -> None:
        self.board = Board()
        self.clock = LoopClock()
        self.home: bool | None = False
        self.takes = 0.0
        self.obeying: Callable[[object], Awaitable[Done]] = self._obeyed
        self.modes: list[str] = []
        self.told: list[tuple[float, Decision]] = []
        self.did: list[tuple[float, str]] = []
        self.engine = Engine(
            self.board, self.clock, self.options(config), Limbs(self.look, self._obey, self._tell)
        )
        self._silent_since = -9999.0

    @staticmethod
    def options(config: str) -> Options:
        return parse(config.encode(), "test")

    @property
    def now(self) -> float:
        return round(asyncio.get_running_loop().time(), 1)

    @property
    def phase(self) -> str:
        return self.told[-1][1].phase

    def acts(self, kind: str) -> list[float]:
        return [at for at, what in self.did if what == kind]

    async def look(self) -> None:
        self.did.append((self.now, "look"))
        await asyncio.sleep(self.takes)
        self.post()

    def post(self) -> None:
        """The facts, as a look would find them now."""
        now = self.clock.now().mono
        if self.home is None:
            self.board.post(CLIENTS, Facts(Blind(now, "eth0: no carrier")))
            return
        self.board.post(LOGIND, Facts(Seen(now, ())))
        if self.home:
            self._silent_since = now
            sighting = Sighting(heard=now, how=How.ICMP)
        else:
            sighting = Sighting(silent_since=self._silent_since)
        self.board.post(CLIENTS, Facts(Seen(now, ()), {WHO.id: WHO}, {WHO.id: Seen(now, sighting)}))

    async def rounds(self) -> None:
        """A source's rhythm."""
        while True:
            self.post()
            await asyncio.sleep(60)

    async def _obey(self, order: object, mode: str) -> Done:
        self.modes.append(mode)
        self.did.append((self.now, type(order).__name__))
        return await self.obeying(order)

    async def _obeyed(self, order: object) -> Done:
        return Done(True, f"did {type(order).__name__}")

    def _tell(self, _: Snapshot, decision: Decision) -> None:
        self.told.append((self.now, decision))


def play(test: Callable[[Scene], Awaitable[None]], config: str = CONFIG) -> None:
    """Run ``test`` beside a living engine and a source that looks every minute."""

    async def main() -> None:
        scene = Scene(config)
        async with asyncio.TaskGroup() as tasks:
            life = [tasks.create_task(scene.rounds()), tasks.create_task(scene.engine.live())]
            await test(scene)
            for task in life:
                task.cancel()

    run(main())


def test_announced_looked_at_afresh_and_only_then_done() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(700)
        (warned,), (slept,) = s.acts("Warn"), s.acts("Sleep")
        assert warned == pytest.approx(542, abs=3)
        assert slept == pytest.approx(warned + 60, abs=3)
        last_look = max(at for at in s.acts("look") if at <= slept)
        assert last_look == slept, "nothing is between the last look and the act"

    play(test)


def test_while_a_sleep_is_near_everything_is_looked_at_closely() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(525)
        assert s.acts("look") == [], "not before, and not at a heartbeat"
        await asyncio.sleep(11)
        assert s.acts("look") == [530], "shortly before the announcement"
        await asyncio.sleep(60)
        assert 5 <= len(s.acts("look")) <= 8

    play(test)


def test_a_look_that_was_begun_when_the_time_had_come_is_the_last() -> None:
    """Two in a row would have the server act as late again as one look takes."""

    async def test(s: Scene) -> None:
        s.takes = 5.5
        await asyncio.sleep(700)
        (warned,), (slept,) = s.acts("Warn"), s.acts("Sleep")
        assert slept == pytest.approx(warned + 60 + 5.5, abs=0.2)
        last = [at for at in s.acts("look") if at <= slept][-1]
        assert last == pytest.approx(warned + 60, abs=0.2), "begun when the warning was over"

    play(test)


def test_a_look_begun_while_it_was_too_early_is_not_the_last() -> None:
    """The warning ends in the middle of a slow look: who came while it was under way would be missed."""

    async def test(s: Scene) -> None:
        s.takes = 25.0
        await asyncio.sleep(600)
        begun = s.acts("look")[-1]
        (warned,) = s.acts("Warn")
        assert begun < warned + 60 < begun + 25
        await asyncio.sleep(100)
        (slept,) = s.acts("Sleep")
        looks = [at for at in s.acts("look") if at < slept]
        assert looks[-1] == pytest.approx(begun + 25, abs=0.2), "one more, begun after the warning's end"
        assert slept == pytest.approx(begun + 50, abs=0.2)

    play(test)


def test_a_look_that_was_meant_for_another_rule_is_not_the_last() -> None:
    """What was planned when the look began is not what follows from it."""

    async def test(s: Scene) -> None:
        look = s.look

        async def reloaded() -> None:
            await look()
            if s.acts("Warn") and s.now >= s.acts("Warn")[0] + 60:
                s.engine.options = s.options(CONFIG.replace("suspend", "poweroff").replace('"1min"', '"0s"'))

        s.engine._limbs = Limbs(reloaded, s._obey, s._tell)  # noqa: SLF001 - the one look that differs
        await asyncio.sleep(700)
        (slept,) = s.acts("Sleep")
        assert s.acts("look").count(slept) == 2

    play(test)


@pytest.mark.parametrize("warn", ["0s", "1min"])
def test_what_is_obeyed_is_the_order_as_decided_last(warn: str) -> None:
    """Its alarm is reckoned from the moment of the act."""

    async def test(s: Scene) -> None:
        s.takes = 5.5
        orders: list[Sleep] = []

        async def note(order: object) -> Done:
            if isinstance(order, Sleep):
                orders.append(order)
            return Done(True, "done")

        s.obeying = note
        timer = Timer("backup.timer", mono=99 * 86_400.0)  # farther than an alarm reaches from any moment
        s.board.post(TIMERS, Facts(Seen(0.0, ()), timers=(timer,)))
        await asyncio.sleep(690)
        (order,), (slept,) = orders, s.acts("Sleep")
        assert order.wake is not None
        assert order.wake.at.mono == pytest.approx(slept + FARTHEST, abs=0.2)

    play(test, CONFIG.replace('"1min"', f'"{warn}"') + '[wake]\ntimers = ["backup.timer"]\n')


def test_a_heartbeat_is_no_time_to_look_closely() -> None:
    """With rounds of five minutes the engine decides by itself in between."""

    async def main() -> None:
        scene = Scene(CONFIG.replace('"1s"', '"1s"\nevery = "5min"'))
        scene.post()
        life = asyncio.create_task(scene.engine.live())
        await asyncio.sleep(525)
        assert len(scene.told) > 7
        assert scene.acts("look") == []
        life.cancel()

    run(main())


def test_who_is_found_by_the_last_look_stops_it() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(595)
        s.home = True
        await asyncio.sleep(100)
        assert s.acts("Sleep") == []
        assert s.phase == "awake"
        assert s.told[-1][1].reasons[0].subject == "anna"

    play(test)


def test_a_last_look_that_cannot_see_stops_it() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(580)
        s.home = None
        await asyncio.sleep(200)
        assert s.acts("Sleep") == []
        assert s.told[-1][1].reasons[0].text == "eth0: no carrier"

    play(test)


def test_without_a_warning_too_the_last_look_decides() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(605)
        s.home = True
        await asyncio.sleep(10)
        assert s.acts("look") == [610], "no round has looked since"
        assert s.acts("Sleep") == []

    play(test, CONFIG.replace('"1min"', '"0s"').replace('"10min"', '"610s"'))


def test_a_machine_that_slept_during_the_last_look_does_not_go_to_sleep_by_it() -> None:
    async def test(s: Scene) -> None:
        look = s.look

        async def sleepy() -> None:
            await look()
            s.clock.slept += 3600

        s.engine._limbs = Limbs(sleepy, s._obey, s._tell)  # noqa: SLF001 - the one look that differs
        await asyncio.sleep(700)
        assert s.acts("Sleep") == []

    play(test, CONFIG.replace('"1min"', '"0s"'))


def test_who_returns_in_the_warning_cancels_it() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(560)
        assert s.phase == "warning"
        s.home = True
        await asyncio.sleep(12)
        assert s.phase == "awake", "seen at the next close look, not at the next round"
        s.home = False
        await asyncio.sleep(500)
        assert s.acts("Sleep") == []

    play(test)


def test_an_order_is_obeyed_in_the_mode_in_which_it_was_given() -> None:
    """A reload to "enforce" in the very turn of the loop in which an order begins makes no act of it."""

    async def test(s: Scene) -> None:
        begin = s.board.begin

        def reload_then(order: Order) -> None:
            begin(order)
            s.engine.reconfigure(s.options(CONFIG.replace("observe", "enforce")))

        s.engine.reconfigure(s.options(CONFIG.replace("enforce", "observe")))
        s.board.begin = reload_then  # type: ignore[method-assign] # the worst moment for a reload
        await asyncio.sleep(800)
        assert s.modes[0] == "observe"

    play(test)


def test_the_announcement_s_outcome_starts_the_warning_period() -> None:
    async def test(s: Scene) -> None:
        async def slow(order: object) -> Done:
            await asyncio.sleep(30 if isinstance(order, Warn) else 0)
            return Done(True, "done")

        s.obeying = slow
        await asyncio.sleep(800)
        (warned,), (slept,) = s.acts("Warn"), s.acts("Sleep")
        assert slept >= warned + 30 + 60

    play(test)


def test_what_an_order_raises_becomes_its_outcome() -> None:
    async def test(s: Scene) -> None:
        async def broken(order: object) -> Done:
            if isinstance(order, Sleep):
                raise ZeroDivisionError("division by zero")
            return Done(True, "announced")

        s.obeying = broken
        await asyncio.sleep(606)
        outcome = s.board.snapshot().outcomes[Sleep]
        assert not outcome.ok
        assert outcome.observed == "it failed inside powerd: ZeroDivisionError: division by zero"
        assert outcome.begun <= outcome.at
        assert s.board.snapshot().in_flight == frozenset()
        texts = [reason.text for reason in s.told[-1][1].reasons]
        assert any("could not suspend: it failed inside powerd" in text for text in texts)
        await asyncio.sleep(30)
        assert len(s.acts("Sleep")) == 1, "no tight loop"

    play(test)


def test_an_order_that_is_broken_off_from_within_is_not_in_flight_for_ever() -> None:
    async def test(s: Scene) -> None:
        async def broken(order: object) -> Done:
            if isinstance(order, Sleep):
                raise asyncio.CancelledError
            return Done(True, "announced")

        s.obeying = broken
        await asyncio.sleep(606)
        assert s.board.snapshot().in_flight == frozenset()
        assert s.board.snapshot().outcomes[Sleep].observed == "it was broken off"

    play(test)


def test_it_says_that_it_is_going_down_before_it_does() -> None:
    async def test(s: Scene) -> None:
        phases: list[str] = []

        async def note(order: object) -> Done:
            phases.append(s.phase)
            assert order in s.board.snapshot().in_flight
            return Done(True, "done")

        s.obeying = note
        await asyncio.sleep(700)
        assert phases == ["warning", "going-down"]

    play(test)


def test_a_command_that_takes_long_does_not_stop_the_decisions() -> None:
    """The service manager's watchdog ends a daemon that has decided nothing for 180 s."""

    async def test(s: Scene) -> None:
        async def hour(order: object) -> Done:
            await asyncio.sleep(3600 if isinstance(order, Sleep) else 0)
            return Done(True, "done")

        s.obeying = hour
        await asyncio.sleep(3000)
        times = [*(at for at, _ in s.told), s.now]
        assert max(b - a for a, b in pairwise(times)) <= HEARTBEAT + 1
        assert s.phase == "going-down"
        assert len(s.acts("Sleep")) == 1

    play(test)


def test_a_quiet_house_is_decided_on_at_least_every_heartbeat() -> None:
    async def main() -> None:
        scene = Scene("")
        life = asyncio.create_task(scene.engine.live())
        await asyncio.sleep(10 * HEARTBEAT + 1)
        assert [at for at, _ in scene.told] == [n * HEARTBEAT for n in range(11)]
        assert scene.acts("look") == [], "a heartbeat is no reason to ask anybody"
        life.cancel()

    run(main())


def test_a_changed_fact_is_decided_on_at_once() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(10)
        s.home = True
        s.post()
        await asyncio.sleep(0.01)
        assert s.told[-1][0] == 10
        assert s.phase == "awake"

    play(test)


def test_each_decision_is_told_once_and_with_its_snapshot() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(1)
        told: list[tuple[Snapshot, Decision]] = []
        s.engine._limbs = Limbs(s.look, s._obey, lambda *about: told.append(about))  # noqa: SLF001 - to see what is told with it
        await asyncio.sleep(130)
        assert len(told) == 2, "one per round"
        for snapshot, decision in told:
            assert snapshot.sources[CLIENTS].at == pytest.approx(decision.memory.last.mono, abs=0.01)

    play(test)


def test_a_decision_that_cannot_be_made_ends_it() -> None:
    """The brain may not fail: systemd starts it again, and until then nothing is put to sleep."""

    async def main() -> None:
        scene = Scene()
        scene.board.post(CLIENTS, Facts(Seen(0.0, ()), {WHO.id: None}, {}))  # type: ignore[dict-item] # that is the fault
        with pytest.raises(AttributeError):
            await scene.engine.live()

    run(main())


def test_when_it_ends_what_it_had_begun_ends() -> None:
    async def main() -> None:
        scene = Scene()
        ended = asyncio.Event()

        async def for_ever(_: object) -> Done:
            try:
                await asyncio.sleep(10_000)
            finally:
                ended.set()
            return Done(True, "")

        scene.obeying = for_ever
        tasks = [asyncio.create_task(scene.engine.live()), asyncio.create_task(scene.rounds())]
        await asyncio.sleep(560)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert ended.is_set()

    run(main())


def test_a_new_configuration_is_decided_by_at_once() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(10.0)
        s.engine.reconfigure(s.options('mode = "enforce"'))
        await asyncio.sleep(0.01)
        assert s.told[-1][0] == 10.0
        assert s.told[-1][1].plan is None

    play(test)


def test_from_observe_to_enforce_nobody_is_put_to_sleep_unannounced() -> None:
    """What was announced while observing, nobody has read; and whoever edits the configuration is there."""

    async def test(s: Scene) -> None:
        await asyncio.sleep(900)
        assert len(s.acts("Sleep")) == 1
        s.engine.reconfigure(s.options(CONFIG))
        await asyncio.sleep(530)
        assert len(s.acts("Sleep")) == 1
        assert len(s.acts("Warn")) == 1
        await asyncio.sleep(100)
        assert len(s.acts("Warn")) == 2
        assert len(s.acts("Sleep")) == 2
        assert s.acts("Sleep")[1] >= s.acts("Warn")[1] + 60

    play(test, CONFIG.replace("enforce", "observe"))


def test_a_new_configuration_forgets_failures() -> None:
    async def test(s: Scene) -> None:
        async def refuse(order: object) -> Done:
            return Done(isinstance(order, Warn), "refused")

        s.obeying = refuse
        await asyncio.sleep(620)
        assert s.told[-1][1].memory.failures
        s.engine.reconfigure(s.options(CONFIG))
        await asyncio.sleep(1)
        assert not s.told[-1][1].memory.failures

    play(test)


def test_no_rule_can_spin_it() -> None:
    """An order whose outcome never comes, and facts that change with every look."""

    async def test(s: Scene) -> None:
        await asyncio.sleep(3600)
        assert len(s.told) < 3600

    play(test, CONFIG.replace('"10min"', '"0s"').replace('"1min"', '"0s"'))


def test_outcomes_are_facts_on_the_board() -> None:
    async def test(s: Scene) -> None:
        await asyncio.sleep(700)
        outcomes = s.board.snapshot().outcomes
        assert outcomes[Warn].order == WARN
        assert outcomes[Sleep].order == SLEEP
        assert isinstance(outcomes[Sleep], Outcome)
        assert outcomes[Sleep].observed == "did Sleep"

    play(test)
