from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from bedroom import Bedroom
from scripted import Hands, LoopClock
from sources.village import ANSWERS, Village, mac, neighbour

from powerd.config import parse
from powerd.daemon import Daemon
from powerd.engine import HEARTBEAT
from powerd.host.values import Completed, Going
from powerd.model import Blind, Cause, Inhibitor, KeyPress, Sleep, SourceId, Status, Timer
from powerd.rehearse.loop import run
from powerd.store import Store

NIGHTLY = """
mode = "enforce"
[clients]
absent_after = "2min"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
warn = "1min"
"""


class Place(Village, Bedroom):
    """A village, and a server there that can sleep."""

    def __init__(self, clock: LoopClock) -> None:
        Village.__init__(self)
        Bedroom.__init__(self, clock)
        self.leases(1, 2)


class Grip(Hands):
    """Hands that reach logind and the RTC, too."""

    def __init__(self, machine: Bedroom) -> None:
        super().__init__()
        self.inhibit = machine.inhibit
        self.set_alarm = machine.set_alarm
        self.clear_alarm = machine.clear_alarm
        self.arm_card = machine.arm_card
        self._machine = machine

    async def logind(self, action: str) -> None:
        await super().logind(action)
        await self._machine.logind(action)


class Home:
    """A daemon in a village."""

    def __init__(self, config: str = NIGHTLY, directory: Path | None = None, boot: int = 0) -> None:
        self.clock = LoopClock(step=900.0 * boot)
        self.village = Place(self.clock)
        self.hands = Grip(self.village)
        self.heard: list[Status] = []
        self.complaints: list[str] = []
        self.daemon = Daemon(
            parse(config.encode(), "test"),
            self.village,
            self.hands,
            self.clock,
            store=Store(directory) if directory else None,
            hear=self.heard.append,
            complain=self.complaints.append,
            boot=f"boot {boot}" if boot else "",
        )

    @property
    def status(self) -> Status:
        assert self.daemon.status is not None
        return self.daemon.status

    def phase(self) -> str:
        return self.status.decision.phase

    def done(self) -> list[object]:
        return [call[0] for call in self.hands.calls]


def live(
    test: Callable[[Home], Awaitable[None]],
    config: str = NIGHTLY,
    directory: Path | None = None,
    boot: int = 0,
) -> None:
    """Run ``test`` while the daemon lives, and stop the daemon after it.

    Each boot begins a quarter of an hour after the one before; 0 = which one it is, is unknown.
    """

    async def main() -> None:
        home = Home(config, directory, boot)
        life = asyncio.create_task(home.daemon.live())
        await test(home)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)

    run(main())


def test_an_empty_house_is_announced_and_put_to_sleep() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(600)
        assert h.done() == []
        await asyncio.sleep(300)
        assert h.done() == ["broadcast", "logind"]
        assert h.hands.calls[-1] == ("logind", "suspend")

    live(test)


def test_whoever_comes_home_in_the_warning_calls_it_off_where_it_was_read() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(690)
        assert h.phase() == "warning"
        h.village.answers["10.0.0.2"] = ANSWERS
        await asyncio.sleep(900)
        assert h.hands.calls == [
            ("broadcast", "this server goes to sleep in 1min unless somebody needs it (`powerd why`)"),
            ("broadcast", "called off, this server does not go to sleep now: host2: home, answers ping"),
        ]

    live(test)


def test_in_observe_mode_it_only_says_what_it_would_have_done() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(2000)
        assert h.done() == []
        assert any("would have suspended" in reason.text for reason in h.status.decision.reasons)

    live(test, NIGHTLY.replace("enforce", "observe"))


def test_somebody_home_keeps_it_awake_with_a_reason() -> None:
    async def test(h: Home) -> None:
        h.village.answers["10.0.0.2"] = ANSWERS
        await asyncio.sleep(4000)
        assert h.done() == []
        assert [f"{reason.subject}: {reason.text}" for reason in h.status.decision.reasons] == [
            "host2: home, answers ping"
        ]

    live(test)


def test_whoever_is_shown_a_phase_is_told_since_when() -> None:
    async def test(h: Home) -> None:
        h.village.answers["10.0.0.2"] = ANSWERS
        await asyncio.sleep(300)
        assert h.phase() == "awake"
        assert h.status.since.mono == pytest.approx(0, abs=1)
        h.village.answers.clear()
        await asyncio.sleep(400)
        assert h.phase() == "idle"
        assert h.status.since.mono == pytest.approx(420, abs=61)
        assert h.heard[-1] is h.status

    live(test)


def test_a_person_s_look_asks_everybody_and_is_decided_on_before_it_is_shown() -> None:
    async def test(h: Home) -> None:
        h.village.answers["10.0.0.2"] = ANSWERS
        await asyncio.sleep(90)
        h.village.answers["10.0.0.1"] = ANSWERS
        h.village.sweeps.clear()
        await h.daemon.looks.at_all()
        assert [sweep.addresses for sweep in h.village.sweeps] == [["10.0.0.2", "10.0.0.1"]]
        assert {verdict.state.value for verdict in h.status.decision.verdicts} == {"present"}
        assert h.status.now.mono == pytest.approx(90, abs=0.1)

    live(test)


def test_people_who_look_often_or_together_share_a_look() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        h.village.sweeps.clear()
        await asyncio.gather(*(h.daemon.looks.at_all() for _ in range(100)))
        await asyncio.sleep(4)
        await h.daemon.looks.at_all()
        assert len(h.village.sweeps) == 1
        await asyncio.sleep(2)
        await h.daemon.looks.at_all()
        assert len(h.village.sweeps) == 2

    live(test)


def test_a_person_who_goes_away_takes_the_look_along_but_not_the_others() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        h.village.takes = 3
        first, second = (asyncio.create_task(h.daemon.looks.at_all()) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        await second
        assert asyncio.get_running_loop().time() == pytest.approx(94, abs=0.1)
        assert not isinstance(h.daemon.board.snapshot().sources[SourceId("clients")], Blind)

    live(test)


def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(h: Home) -> None:
        h.village.table = (neighbour(9),)
        await asyncio.sleep(90)

    async def second(h: Home) -> None:
        await asyncio.sleep(1)
        assert mac(9) in h.daemon.board.snapshot().known

    live(first, directory=tmp_path)
    live(second, directory=tmp_path)


def test_a_keep_holds_it_up_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(h: Home) -> None:
        h.daemon.keeps.add(3600, "backup")
        await asyncio.sleep(1800)
        assert h.done() == []
        assert h.status.decision.reasons[0].text.endswith(": backup")

    async def second(h: Home) -> None:
        """On the loop's clock, which begins anew as after a reboot."""
        await asyncio.sleep(3590)
        assert h.done() == []
        await asyncio.sleep(20)
        assert h.daemon.board.snapshot().keeps == {}
        await asyncio.sleep(700)
        assert h.done() == ["broadcast", "logind"]

    live(first, directory=tmp_path)
    live(second, directory=tmp_path)


def test_it_wakes_whom_it_knows() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        woken = await h.daemon.wishes.wake("host1")
        assert (woken.label, woken.mac, woken.sent) == ("host1", mac(1), (("eth0", "10.0.0.255"),))
        assert h.hands.calls == [("magic", mac(1), ("10.0.0.255",))]

    live(test)


def test_when_it_stops_it_notes_when_each_was_last_there(tmp_path: Path) -> None:
    async def test(h: Home) -> None:
        h.village.table = (neighbour(9),)
        await asyncio.sleep(90)
        h.village.table = (neighbour(9, ago=0.0),)
        await asyncio.sleep(3600)

    def seen() -> float:
        return float(json.loads((tmp_path / "learned.json").read_text())[mac(9)]["seen"])

    live(test, directory=tmp_path)
    first = seen()
    assert first - 1_780_000_000 == pytest.approx(3600, abs=61), "not only when it was met"


def test_it_stops_before_its_first_look_and_forgets_nothing(tmp_path: Path) -> None:
    book = {mac(9): {"address": "10.0.0.9", "seen": 1_780_000_000}}
    Store(tmp_path).save("learned", book)

    async def test(_: Home) -> None:
        pass

    live(test, directory=tmp_path)
    assert Store(tmp_path).load("learned") == book


def test_what_cannot_be_kept_is_complained_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def test(h: Home) -> None:
        h.village.table = (neighbour(9),)
        await asyncio.sleep(90)
        assert len(h.complaints) == 1
        assert "cannot be written" in h.complaints[0]

    live(test, directory=tmp_path / "file")


def test_a_quiet_house_writes_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "learned.json"

    async def test(h: Home) -> None:
        h.village.table = (neighbour(9),)
        await asyncio.sleep(90)
        kept.unlink()
        await asyncio.sleep(4 * 3600)
        assert not kept.exists()

    live(test, directory=tmp_path)


def test_trouble_is_having_decided_nothing_for_long() -> None:
    async def main() -> None:
        home = Home()
        assert home.daemon.trouble() == "no decision has been made yet"
        life = asyncio.create_task(home.daemon.live())
        await asyncio.sleep(600)
        assert home.daemon.trouble() is None
        life.cancel()
        await asyncio.sleep(2 * HEARTBEAT - 60)
        assert home.daemon.trouble() is None
        await asyncio.sleep(130)
        trouble = home.daemon.trouble()
        assert trouble is not None
        assert trouble.startswith("no decision has been made for 2")

    run(main())


def test_a_source_that_fails_is_no_end_of_the_daemon() -> None:
    async def test(h: Home) -> None:
        h.village.place = None  # type: ignore[assignment] # that is the fault
        await asyncio.sleep(4000)
        assert h.done() == []
        assert "failed inside powerd (powerd.sources." in h.status.decision.reasons[0].text

    live(test)


def test_new_options_hold_for_what_is_looked_at_and_what_is_decided() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        assert {verdict.keeps_awake for verdict in h.status.decision.verdicts} == {True}
        h.village.sweeps.clear()
        h.daemon.reconfigure(parse(b'mode = "observe"\n[clients]\nignore = ["host1"]\nevery = "20s"', "test"))
        await asyncio.sleep(0.1)
        assert [sweep.addresses for sweep in h.village.sweeps] == [["10.0.0.2"]], "at once"
        assert h.status.mode == "observe"
        assert [verdict.keeps_awake for verdict in h.status.decision.verdicts] == [False, True]
        await asyncio.sleep(60)
        assert len(h.village.sweeps) == 4

    live(test)


def test_a_server_that_has_looked_hourly_does_not_distrust_itself_after_a_reload() -> None:
    """Its next round was an hour away; by the new rhythm its last word would be stale until then."""

    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(900)
        assert not any("too long" in reason.text for reason in h.status.decision.reasons)

    live(test, NIGHTLY.replace('"2min"', '"3h"\nevery = "1h"'))


def blocks(h: Home) -> set[str]:
    return {lock.why for lock in h.village.locks("block")}


def test_a_keep_is_a_lock_that_everybody_else_sees() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        assert blocks(h) == set()
        h.daemon.keeps.add(3600, "backup")
        with h.daemon.keeps.hold("rsync"):
            h.daemon.keeps.add(3600, "")
            await asyncio.sleep(1)
            assert blocks(h) == {"backup; rsync; powerd keep"}
            assert sorted(lock.what for lock in h.village.locks("block")) == ["idle", "shutdown", "sleep"]
        await asyncio.sleep(3700)
        assert blocks(h) == set()

    live(test)


def test_an_observer_holds_nobody_up() -> None:
    async def test(h: Home) -> None:
        h.daemon.keeps.add(3600, "backup")
        await asyncio.sleep(90)
        assert blocks(h) == set()
        assert h.village.locks("delay") == []
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(1)
        assert blocks(h) == {"backup"}
        assert len(h.village.locks("delay")) == 2
        h.daemon.reconfigure(parse(NIGHTLY.replace("enforce", "observe").encode(), "test"))
        assert blocks(h) == set()

    live(test, NIGHTLY.replace("enforce", "observe"))


def test_no_lock_outlives_the_daemon() -> None:
    homes: list[Home] = []

    async def test(h: Home) -> None:
        homes.append(h)
        h.daemon.keeps.add(3600, "backup")
        await asyncio.sleep(90)
        assert h.village.locks("delay")

    live(test)
    assert blocks(homes[0]) == set()
    assert homes[0].village.locks("delay") == []


def test_a_lock_of_somebody_else_is_heard_of_at_once() -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        h.village.others = (Inhibitor(frozenset({"sleep"}), "backup", "nightly", "block", 0, 7),)
        h.village.tell(Going("inhibitors"))
        await asyncio.sleep(0.1)
        assert any(reason.text == "forbids sleep: nightly" for reason in h.status.decision.reasons)

    live(test)


def test_a_night_from_its_warning_to_the_morning(tmp_path: Path) -> None:
    """A rule's sleep, the alarm for a time in the configuration, the wake-up and its cause; then the next."""

    async def test(h: Home) -> None:
        h.village.night = 20 * 3600.0
        await asyncio.sleep(900)
        (ahead,) = h.village.slept
        assert ahead is not None
        woken = next(status.now.wall for status in h.heard if status.snapshot.waking is not None)
        assert f"{woken:%H:%M}" == "06:28"
        waking = h.status.snapshot.waking
        assert waking is not None
        assert waking.cause is Cause.ALARM
        assert h.village.alarm() is None
        assert h.phase() != "going-down"
        assert json.loads((tmp_path / "alarm.json").read_text()) is None
        await asyncio.sleep(800)
        assert len(h.village.slept) == 2

    live(test, NIGHTLY + '[wake]\nat = ["06:30"]\n', tmp_path)


def test_a_server_that_is_switched_on_again_and_again_for_nobody_stays_up(tmp_path: Path) -> None:
    booted: list[object] = []

    async def test(h: Home) -> None:
        await asyncio.sleep(1)
        kept = tmp_path / "unrest.json"
        assert not booted or json.loads(kept.read_text()) is None, "a power-off counts once"
        await asyncio.sleep(895)
        booted.append(h.village.orders)
        if not h.village.orders:
            assert any(
                "stays up for 1h: woken 3 times within 1h by something unknown" in reason.text
                for reason in h.status.decision.reasons
            )

    for n in range(1, 6):
        live(test, NIGHTLY.replace("suspend", "poweroff"), tmp_path, n)
    assert booted == [*[["poweroff"]] * 4, []]


def test_an_observer_keeps_nothing_of_a_power_off_that_did_not_come(tmp_path: Path) -> None:
    async def test(h: Home) -> None:
        await asyncio.sleep(899)
        assert any("would have powered off" in reason.text for reason in h.status.decision.reasons)

    live(test, NIGHTLY.replace("suspend", "poweroff").replace("enforce", "observe"), tmp_path, 1)
    assert not (tmp_path / "unrest.json").exists()


def test_an_alarm_that_a_killed_daemon_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    async def test(h: Home) -> None:
        h.village.alarm()
        h.village.rtc.alarm = h.village.rtc.now + 3600
        Store(tmp_path).save("alarm", {"at": h.village.rtc.alarm, "before": None})
        heir = Daemon(parse(NIGHTLY.encode(), "test"), h.village, h.hands, h.clock, store=Store(tmp_path))
        life = asyncio.create_task(heir.live())
        await asyncio.sleep(1)
        assert h.village.alarm() is None
        life.cancel()

    live(test)


TIMED = NIGHTLY + '[wake]\ntimers = ["backup.timer"]\nbefore = "2min"\n'


def backup(h: Home, hours: float) -> Timer:
    """The timer, moved to so many hours from now."""
    return Timer("backup.timer", wall=h.clock.now().wall.timestamp() + hours * 3600)


@pytest.mark.parametrize(("takes", "pause", "phase"), [(0.0, 100, "awake"), (9.0, 715, "warning")])
def test_a_timer_that_was_moved_a_moment_ago_counts_for_a_sleep_of_somebody_else(
    takes: float, pause: float, phase: str
) -> None:
    """Also while the engine waits for clients that are being looked at closely."""

    async def test(h: Home) -> None:
        h.village.elapses["backup.timer"] = backup(h, 5)
        h.village.takes = takes
        await asyncio.sleep(pause)
        assert h.phase() == phase
        h.village.elapses["backup.timer"] = backup(h, 3)
        await h.village.sleep()
        assert h.village.slept == [pytest.approx(3 * 3600 - 120, abs=3)]

    live(test, TIMED)


def test_timers_that_do_not_answer_hold_up_no_alarm() -> None:
    async def test(h: Home) -> None:
        h.village.elapses["backup.timer"] = backup(h, 5)
        await asyncio.sleep(100)

        async def hang(units: Sequence[str]) -> tuple[Timer, ...]:
            await asyncio.sleep(3600)
            raise AssertionError(units)

        h.village.timers = hang  # type: ignore[method-assign] # systemd is busy
        await h.village.sleep()
        assert h.village.slept == [pytest.approx(5 * 3600 - 100 - 120, abs=3)]

    live(test, TIMED)


def test_a_required_alarm_that_cannot_be_set_keeps_it_up_and_is_the_reason() -> None:
    async def test(h: Home) -> None:
        h.village.refusal = "no helper listens on /run/powerd-helper.sock"
        await asyncio.sleep(900)
        assert h.village.orders == []
        assert any("no helper listens" in reason.text for reason in h.status.decision.reasons)

    live(test, NIGHTLY + '[wake]\nat = ["06:30"]\n')


def test_somebody_who_comes_home_while_the_hook_runs_is_not_slept_on() -> None:
    async def test(h: Home) -> None:
        run_it = h.hands.run

        async def slowly(argv: Sequence[str], **rest: Any) -> Completed:  # noqa: ANN401 - as they came
            await asyncio.sleep(10)
            h.village.answers["10.0.0.2"] = ANSWERS
            return await run_it(argv, **rest)

        h.hands.run = slowly  # type: ignore[method-assign] # it takes time
        await asyncio.sleep(900)
        assert h.village.orders == []
        outcome = h.daemon.board.snapshot().outcomes[Sleep]
        assert "called off at the last moment: host2: home" in outcome.observed
        h.village.answers.clear()

    live(test, NIGHTLY + '[hooks]\nbefore_sleep = ["/bin/true"]\n')


@pytest.mark.parametrize("what", ["a key press", "a reload to observe mode"])
def test_somebody_who_was_there_while_the_hook_ran_is_not_slept_on(what: str) -> None:
    """One key, and seconds later nothing stirs any more; or a person who has changed their mind."""
    config = NIGHTLY + '[hooks]\nbefore_sleep = ["/bin/true"]\n'

    async def test(h: Home) -> None:
        run_it = h.hands.run

        async def slowly(argv: Sequence[str], **rest: Any) -> Completed:  # noqa: ANN401 - as they came
            await asyncio.sleep(2)
            if what == "a key press":
                h.village.pressed = KeyPress(asyncio.get_running_loop().time(), "ann on pts/0")
            else:
                h.daemon.reconfigure(parse(config.replace("enforce", "observe").encode(), "test"))
            await asyncio.sleep(20)
            return await run_it(argv, **rest)

        h.hands.run = slowly  # type: ignore[method-assign] # it takes time
        await asyncio.sleep(900)
        assert h.village.orders == []
        outcome = h.daemon.board.snapshot().outcomes[Sleep]
        assert "called off at the last moment: idleness has begun anew" in outcome.observed

    live(test, config)


def test_all_sources_look_closely_at_the_same_time() -> None:
    """The engine waits for it, and the watchdog for the engine."""

    async def test(h: Home) -> None:
        await asyncio.sleep(90)
        h.village.takes = 2.0
        ask = h.village.inhibitors

        async def slowly() -> tuple[Inhibitor, ...]:
            await asyncio.sleep(2)
            return await ask()

        h.village.inhibitors = slowly  # type: ignore[method-assign] # it takes time
        begun = asyncio.get_running_loop().time()
        await h.daemon.looks.closely()
        took = asyncio.get_running_loop().time() - begun
        assert 2 <= took < 5 + 1, "two sweeps, and logind beside them"

    live(test)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (lambda daemon: attrgetter("_watches")(daemon)["clients"], "run"),
        (lambda daemon: attrgetter("_watches")(daemon)["logind"], "run"),
        (attrgetter("_engine"), "live"),
        (attrgetter("_transit"), "live"),
        (attrgetter("_block"), "live"),
    ],
)
@pytest.mark.parametrize("how", [None, asyncio.CancelledError()])
def test_a_daemon_without_a_mind_ends_with_an_error(
    part: Callable[[Any], object], name: str, how: BaseException | None
) -> None:
    """systemd starts it anew; a page that is served while nobody decides would be a lie."""

    async def end() -> None:
        await asyncio.sleep(100)
        if how is not None:
            raise how

    async def main() -> None:
        home = Home()
        setattr(part(home.daemon), name, end)
        await home.daemon.live()

    with pytest.raises(ExceptionGroup) as group:
        run(main())
    (error,) = group.value.exceptions
    assert "must never do" in str(error)
