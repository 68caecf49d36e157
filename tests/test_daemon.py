from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from powerd.attribution.service import AttributionService
from powerd.config.load import parse
from powerd.core.actions import Sleep
from powerd.core.decide import SERVICE_FAILED_FOR
from powerd.core.engine import HEARTBEAT
from powerd.core.service import DomainService
from powerd.core.snapshot import SourceId, Status
from powerd.core.storage import Storage
from powerd.core.time import Unavailable
from powerd.daemon import Daemon
from powerd.history.service import HistoryService
from powerd.linux.values import LogindEvent, ProcessResult
from powerd.messages.service import MessageService
from powerd.mqtt.service import MqttService
from powerd.power.model import Inhibitor, KeyPress, SystemdTimer, TransitionFacts, WakeupCause
from powerd.power.service import PowerService
from powerd.presence.model import PresenceFacts, PresenceReport
from powerd.presence.service import PresenceService
from powerd.requests.model import KeepAwakeFacts
from powerd.requests.service import RequestService
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.lan import ANSWERS, mac, neighbour
from powerd.simulation.virtual_loop import run
from powerd.simulation.world import Household
from powerd.smart.service import SmartService

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


class DaemonScenario:
    """A daemon on a fake host."""

    def __init__(self, config: str = NIGHTLY, directory: Path | None = None, boot: int = 0) -> None:
        self.clock = SimulatedClock(step=900.0 * boot)
        self.host = Household(self.clock)
        self.host.set_leases(1, 2)
        self.statuses: list[Status] = []
        self.errors: list[str] = []
        self.daemon = Daemon(
            parse(config.encode(), "test"),
            self.host.ports(),
            self.clock,
            storage=Storage(directory, self.errors.append),
            on_status=self.statuses.append,
            on_error=self.errors.append,
            boot_id=f"boot {boot}" if boot else "",
        )

    @property
    def status(self) -> Status:
        assert self.daemon.status is not None
        return self.daemon.status

    def phase(self) -> str:
        return self.status.decision.phase

    def done(self) -> list[object]:
        return [call[0] for call in self.host.calls]


def run_daemon(
    test: Callable[[DaemonScenario], Awaitable[None]],
    config: str = NIGHTLY,
    directory: Path | None = None,
    boot: int = 0,
) -> None:
    """Run ``test`` while the daemon lives, and stop the daemon after it.

    Each boot begins a quarter of an hour after the one before; 0 = which one it is, is unknown.
    """

    async def main() -> None:
        home = DaemonScenario(config, directory, boot)
        task = asyncio.create_task(home.daemon.run())
        await test(home)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_with_nobody_home_the_sleep_is_announced_and_executed() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(600)
        assert h.done() == []
        await asyncio.sleep(300)
        assert h.done() == ["broadcast", "logind"]
        assert h.host.calls[-1] == ("logind", "suspend")

    run_daemon(test)


def test_a_client_that_returns_during_the_warning_cancels_it_on_the_terminals() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(690)
        assert h.phase() == "warning"
        h.host.replies["10.0.0.2"] = ANSWERS
        await asyncio.sleep(900)
        (kind, warning), (other, cancellation) = h.host.calls
        assert (kind, other) == ("broadcast", "broadcast")
        assert "in 1min" in str(warning)
        assert ": host2: home" in str(cancellation)

    run_daemon(test)


def test_in_observe_mode_it_only_reports_what_it_would_have_done() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(2000)
        assert h.done() == []
        assert any("would have suspended" in reason.text for reason in h.status.decision.reasons)

    run_daemon(test, NIGHTLY.replace("enforce", "observe"))


def test_somebody_home_keeps_it_awake_with_a_reason() -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.replies["10.0.0.2"] = ANSWERS
        await asyncio.sleep(4000)
        assert h.done() == []
        assert [f"{reason.subject}: {reason.text}" for reason in h.status.decision.reasons] == [
            "host2: home, answers ping"
        ]

    run_daemon(test)


def test_a_phase_is_shown_with_its_start() -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.replies["10.0.0.2"] = ANSWERS
        await asyncio.sleep(300)
        assert h.phase() == "awake"
        assert h.status.phase_since.mono == pytest.approx(0, abs=1)
        h.host.replies.clear()
        await asyncio.sleep(400)
        assert h.phase() == "idle"
        assert h.status.phase_since.mono == pytest.approx(420, abs=61)
        assert h.statuses[-1] is h.status

    run_daemon(test)


def test_a_refresh_probes_all_and_is_decided_on_before_it_is_shown() -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.replies["10.0.0.2"] = ANSWERS
        await asyncio.sleep(90)
        h.host.replies["10.0.0.1"] = ANSWERS
        h.host.sweeps.clear()
        await h.daemon.refresher.poll_all_clients()
        assert [sweep.addresses for sweep in h.host.sweeps] == [["10.0.0.2", "10.0.0.1"]]
        assert {
            client_status.state.value
            for client_status in h.status.decision.part(PresenceReport).client_statuses
        } == {"present"}
        assert h.status.now.mono == pytest.approx(90, abs=0.1)

    run_daemon(test)


def test_frequent_or_concurrent_requests_share_a_refresh() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        h.host.sweeps.clear()
        await asyncio.gather(*(h.daemon.refresher.poll_all_clients() for _ in range(100)))
        await asyncio.sleep(4)
        await h.daemon.refresher.poll_all_clients()
        assert len(h.host.sweeps) == 1
        await asyncio.sleep(2)
        await h.daemon.refresher.poll_all_clients()
        assert len(h.host.sweeps) == 2

    run_daemon(test)


def test_a_cancelled_request_cancels_only_its_own_refresh() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        h.host.sweep_duration = 3
        first, second = (asyncio.create_task(h.daemon.refresher.poll_all_clients()) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        await second
        assert asyncio.get_running_loop().time() == pytest.approx(94, abs=0.1)
        assert not isinstance(h.daemon.state.snapshot().sources[SourceId("clients")], Unavailable)

    run_daemon(test)


def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(h: DaemonScenario) -> None:
        h.host.neighbour_table = (neighbour(9),)
        await asyncio.sleep(90)

    async def second(h: DaemonScenario) -> None:
        await asyncio.sleep(1)
        clients = h.daemon.state.snapshot().part(PresenceFacts).clients.values()
        assert mac(9) in [client.mac for client in clients]

    run_daemon(first, directory=tmp_path)
    run_daemon(second, directory=tmp_path)


def test_a_keep_holds_it_up_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(h: DaemonScenario) -> None:
        h.daemon.requests.keep_awake.add(3600, "backup")
        await asyncio.sleep(1800)
        assert h.done() == []
        assert h.status.decision.reasons[0].text.endswith(": backup")

    async def second(h: DaemonScenario) -> None:
        """On the clock of the loop, which starts at 0 as after a reboot."""
        await asyncio.sleep(3590)
        assert h.done() == []
        await asyncio.sleep(20)
        assert h.daemon.state.snapshot().part(KeepAwakeFacts).keep_awake == {}
        await asyncio.sleep(700)
        assert h.done() == ["broadcast", "logind"]

    run_daemon(first, directory=tmp_path)
    run_daemon(second, directory=tmp_path)


def test_it_wakes_whom_it_knows() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        woken = await h.daemon.requests.wake_host("host1")
        assert (woken.label, woken.mac, woken.destinations) == ("host1", mac(1), (("eth0", "10.0.0.255"),))
        assert h.host.calls == [("magic", mac(1), ("10.0.0.255",))]

    run_daemon(test)


def test_when_it_stops_it_notes_when_each_was_last_there(tmp_path: Path) -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.neighbour_table = (neighbour(9),)
        await asyncio.sleep(90)
        h.host.neighbour_table = (neighbour(9, ago=0.0),)
        await asyncio.sleep(3600)

    def seen() -> float:
        return float(json.loads((tmp_path / "learned.json").read_text())["hosts"][mac(9)]["10.0.0.9"])

    run_daemon(test, directory=tmp_path)
    first = seen()
    assert first - 1_780_000_000 == pytest.approx(3600, abs=61), "not only when it was met"


def test_it_stops_before_its_first_poll_and_forgets_nothing(tmp_path: Path) -> None:
    book = {mac(9): {"address": "10.0.0.9", "seen": 1_780_000_000}}
    Storage(tmp_path).save("learned", book)

    async def test(_: DaemonScenario) -> None:
        pass

    run_daemon(test, directory=tmp_path)
    assert Storage(tmp_path).load("learned", dict).value == book


def test_a_failed_write_of_state_is_reported(tmp_path: Path) -> None:
    (tmp_path / "learned.new").mkdir()

    async def test(h: DaemonScenario) -> None:
        h.host.neighbour_table = (neighbour(9),)
        await asyncio.sleep(90)
        assert len(h.errors) == 1
        assert "cannot be written" in h.errors[0]

    run_daemon(test, directory=tmp_path)


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    stored = tmp_path / "learned.json"

    async def test(h: DaemonScenario) -> None:
        h.host.neighbour_table = (neighbour(9),)
        await asyncio.sleep(90)
        stored.unlink()
        await asyncio.sleep(4 * 3600)
        assert not stored.exists()

    run_daemon(test, directory=tmp_path)


def test_a_late_decision_is_a_failure() -> None:
    async def main() -> None:
        home = DaemonScenario()
        assert home.daemon.stall_message()
        task = asyncio.create_task(home.daemon.run())
        await asyncio.sleep(600)
        assert home.daemon.stall_message() is None
        task.cancel()
        await asyncio.sleep(2 * HEARTBEAT - 60)
        assert home.daemon.stall_message() is None
        await asyncio.sleep(130)
        trouble = home.daemon.stall_message()
        assert trouble is not None
        assert re.search(r"decision.* 2\d\d s", trouble)

    run(main())


def test_a_source_that_fails_is_no_end_of_the_daemon() -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.links = None  # type: ignore[assignment] # that is the fault
        await asyncio.sleep(4000)
        assert h.done() == []
        assert "failed inside powerd (powerd.presence." in h.status.decision.reasons[0].text

    run_daemon(test)


@pytest.mark.parametrize(
    "service", [AttributionService, HistoryService, MessageService, MqttService, SmartService]
)
def test_a_service_that_only_informs_ends_nothing(
    service: type[DomainService], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_service: object, *_args: object) -> None:
        raise ZeroDivisionError

    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        for method in ("on_decision", "on_reconfigure", "close"):
            monkeypatch.setattr(service, method, fail)
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(900)
        assert h.done() == ["broadcast", "logind"]
        assert len(h.errors) == 1
        homes.append(h)

    homes: list[DaemonScenario] = []
    run_daemon(test)
    assert homes[0].host.own_locks("delay") == [], "the others were closed"


def test_what_fails_before_a_sleep_does_not_prevent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_args: object) -> None:
        raise ZeroDivisionError

    async def test(h: DaemonScenario) -> None:
        monkeypatch.setattr(MessageService, "flush", fail)
        monkeypatch.setattr(MqttService, "before_sleep", fail)
        await asyncio.sleep(900)
        assert h.done() == ["broadcast", "logind"]
        assert sorted(each.partition(":")[0] for each in h.errors) == ["messages", "mqtt"]

    run_daemon(test)


@pytest.mark.parametrize("service", [PresenceService, PowerService, RequestService])
def test_an_essential_service_that_fails_keeps_the_server_awake_and_is_the_reason(
    service: type[DomainService], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise ZeroDivisionError

    async def test(h: DaemonScenario) -> None:
        monkeypatch.setattr(service, "on_decision", fail)
        await asyncio.sleep(1500)
        assert h.done() == []
        assert any("ZeroDivisionError" in each.text for each in h.status.decision.reasons)
        assert len(h.errors) == 1
        assert len(h.statuses) < 100, "the reason causes no decision after decision"
        monkeypatch.undo()
        await asyncio.sleep(SERVICE_FAILED_FOR + 600 + 200)
        assert h.done() == ["broadcast", "logind"]

    run_daemon(test)


def test_a_service_that_has_not_taken_the_new_options_keeps_the_server_awake_until_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_args: object) -> None:
        raise ZeroDivisionError

    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        monkeypatch.setattr(RequestService, "on_reconfigure", fail)
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(3600)
        assert h.done() == []
        assert h.status.decision.reasons[0].subject == "requests"
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        assert len(h.errors) == 2, "each failed reload is reported"
        monkeypatch.undo()
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(900)
        assert h.done() == ["broadcast", "logind"]

    run_daemon(test)


def test_an_exception_in_what_people_see_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise ZeroDivisionError

    async def test(h: DaemonScenario) -> None:
        monkeypatch.setattr(h.daemon, "_on_status", fail)
        await asyncio.sleep(900)
        assert h.done() == ["broadcast", "logind"]
        assert [each.partition(":")[0] for each in h.errors] == ["ui"]

    run_daemon(test)


def test_new_options_hold_for_polls_and_decisions() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        assert {
            client_status.blocks_sleep
            for client_status in h.status.decision.part(PresenceReport).client_statuses
        } == {True}
        h.host.sweeps.clear()
        h.daemon.reconfigure(parse(b'mode = "observe"\n[clients]\nignore = ["host1"]\nevery = "20s"', "test"))
        await asyncio.sleep(0.1)
        assert [sweep.addresses for sweep in h.host.sweeps] == [["10.0.0.2"]], "at once"
        assert h.status.mode == "observe"
        assert [
            client_status.blocks_sleep
            for client_status in h.status.decision.part(PresenceReport).client_statuses
        ] == [False, True]
        await asyncio.sleep(60)
        assert len(h.host.sweeps) == 4

    run_daemon(test)


def test_hourly_readings_stay_valid_after_a_reload() -> None:
    """Its next round was an hour away; by the new rhythm its last word would be stale until then."""

    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(900)
        assert not any("too long" in reason.text for reason in h.status.decision.reasons)

    run_daemon(test, NIGHTLY.replace('"2min"', '"3h"\nevery = "1h"'))


def blocks(h: DaemonScenario) -> set[str]:
    return {lock.why for lock in h.host.own_locks("block")}


def test_a_keep_is_a_lock_that_everybody_else_sees() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        assert blocks(h) == set()
        h.daemon.requests.keep_awake.add(3600, "backup")
        with h.daemon.requests.keep_awake.hold("rsync"):
            h.daemon.requests.keep_awake.add(3600, "")
            await asyncio.sleep(1)
            assert blocks(h) == {"backup; rsync; powerd keep"}
            assert sorted(lock.what for lock in h.host.own_locks("block")) == ["idle", "shutdown", "sleep"]
        await asyncio.sleep(3700)
        assert blocks(h) == set()

    run_daemon(test)


def test_an_observer_holds_nobody_up() -> None:
    async def test(h: DaemonScenario) -> None:
        h.daemon.requests.keep_awake.add(3600, "backup")
        await asyncio.sleep(90)
        assert blocks(h) == set()
        assert h.host.own_locks("delay") == []
        h.daemon.reconfigure(parse(NIGHTLY.encode(), "test"))
        await asyncio.sleep(1)
        assert blocks(h) == {"backup"}
        assert len(h.host.own_locks("delay")) == 2
        h.daemon.reconfigure(parse(NIGHTLY.replace("enforce", "observe").encode(), "test"))
        assert blocks(h) == set()

    run_daemon(test, NIGHTLY.replace("enforce", "observe"))


def test_no_lock_outlives_the_daemon() -> None:
    homes: list[DaemonScenario] = []

    async def test(h: DaemonScenario) -> None:
        homes.append(h)
        h.daemon.requests.keep_awake.add(3600, "backup")
        await asyncio.sleep(90)
        assert h.host.own_locks("delay")

    run_daemon(test)
    assert blocks(homes[0]) == set()
    assert homes[0].host.own_locks("delay") == []


def test_a_foreign_lock_is_noticed_at_once() -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        h.host.other_locks = (Inhibitor(frozenset({"sleep"}), "backup", "nightly", "block", 0, 7),)
        h.host.emit(LogindEvent("inhibitors"))
        await asyncio.sleep(0.1)
        assert any(reason.text == "forbids sleep: nightly" for reason in h.status.decision.reasons)

    run_daemon(test)


def test_a_sleep_from_its_warning_to_the_wake_up(tmp_path: Path) -> None:
    """A rule's sleep, the alarm for a time in the configuration, the wake-up and its cause; then the next."""

    async def test(h: DaemonScenario) -> None:
        h.host.network_wake_at = lambda asleep: asleep + 20 * 3600
        await asyncio.sleep(900)
        (ahead,) = h.host.alarm_distances
        assert ahead is not None
        woken = next(
            status.now.wall
            for status in h.statuses
            if status.snapshot.part(TransitionFacts).wake_event is not None
        )
        assert f"{woken:%H:%M}" == "06:28"
        waking = h.status.snapshot.part(TransitionFacts).wake_event
        assert waking is not None
        assert waking.cause is WakeupCause.ALARM
        assert h.host.seconds_to_alarm() is None
        assert h.phase() != "going-down"
        assert not (tmp_path / "alarm.json").exists()
        await asyncio.sleep(800)
        assert len(h.host.alarm_distances) == 2

    run_daemon(test, NIGHTLY + '[wake]\nat = ["06:30"]\n', tmp_path)


def test_a_server_that_is_switched_on_again_and_again_for_nobody_stays_up(tmp_path: Path) -> None:
    booted: list[object] = []

    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(1)
        stored = tmp_path / "unrest.json"
        assert not stored.exists(), "a power-off counts once"
        await asyncio.sleep(895)
        booted.append([call[1] for call in h.host.calls if call[0] == "logind"])
        if not h.host.logind_call_times:
            assert any("woken 3 times within" in reason.text for reason in h.status.decision.reasons)

    for n in range(1, 6):
        run_daemon(test, NIGHTLY.replace("suspend", "poweroff"), tmp_path, n)
    assert booted == [*[["poweroff"]] * 4, []]


def test_an_observer_keeps_nothing_of_a_power_off_that_did_not_come(tmp_path: Path) -> None:
    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(899)
        assert any("would have powered off" in reason.text for reason in h.status.decision.reasons)

    run_daemon(test, NIGHTLY.replace("suspend", "poweroff").replace("enforce", "observe"), tmp_path, 1)
    assert not (tmp_path / "unrest.json").exists()


def test_an_alarm_that_a_killed_daemon_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.seconds_to_alarm()
        h.host.rtc.alarm = h.host.rtc.now + 3600
        Storage(tmp_path).save("alarm", {"at": h.host.rtc.alarm, "before": None})
        restarted = Daemon(
            parse(NIGHTLY.encode(), "test"), h.host.ports(), h.clock, storage=Storage(tmp_path)
        )
        task = asyncio.create_task(restarted.run())
        await asyncio.sleep(1)
        assert h.host.seconds_to_alarm() is None
        task.cancel()

    run_daemon(test)


TIMED = NIGHTLY + '[wake]\ntimers = ["backup.timer"]\nbefore = "2min"\n'


def set_timer(h: DaemonScenario, hours: float) -> None:
    """The timer elapses in these hours."""
    elapse = h.clock.true_time() + hours * 3600
    h.host.timer_elapses["backup.timer"] = lambda _: elapse


@pytest.mark.parametrize(("takes", "pause", "phase"), [(0.0, 100, "awake"), (9.0, 715, "warning")])
def test_a_timer_that_was_moved_a_moment_ago_counts_for_a_sleep_of_somebody_else(
    takes: float, pause: float, phase: str
) -> None:
    """Also while the engine waits for clients that are being looked at closely."""

    async def test(h: DaemonScenario) -> None:
        set_timer(h, 5)
        h.host.sweep_duration = takes
        await asyncio.sleep(pause)
        assert h.phase() == phase
        set_timer(h, 3)
        await h.host.sleep()
        assert h.host.alarm_distances == [pytest.approx(3 * 3600 - 120, abs=3)]

    run_daemon(test, TIMED)


def test_timers_that_do_not_answer_hold_up_no_alarm() -> None:
    async def test(h: DaemonScenario) -> None:
        set_timer(h, 5)
        await asyncio.sleep(100)

        async def hang(units: Sequence[str]) -> tuple[SystemdTimer, ...]:
            await asyncio.sleep(3600)
            raise AssertionError(units)

        h.host.list_timers = hang  # type: ignore[method-assign] # systemd is busy
        await h.host.sleep()
        assert h.host.alarm_distances == [pytest.approx(5 * 3600 - 100 - 120, abs=3)]

    run_daemon(test, TIMED)


def test_a_required_alarm_that_cannot_be_set_keeps_it_up_and_is_the_reason() -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.helper_error = "no helper listens on /run/powerd-helper.sock"
        await asyncio.sleep(900)
        assert h.host.logind_call_times == []
        assert any("no helper listens" in reason.text for reason in h.status.decision.reasons)

    run_daemon(test, NIGHTLY + '[wake]\nat = ["06:30"]\n')


def test_somebody_who_comes_home_while_the_hook_runs_is_not_slept_on() -> None:
    async def test(h: DaemonScenario) -> None:
        run_it = h.host.run

        async def slowly(argv: Sequence[str], **rest: Any) -> ProcessResult:  # noqa: ANN401 - as they came
            await asyncio.sleep(10)
            h.host.replies["10.0.0.2"] = ANSWERS
            return await run_it(argv, **rest)

        h.host.run = slowly  # type: ignore[method-assign] # it takes time
        await asyncio.sleep(900)
        assert h.host.logind_call_times == []
        result = h.daemon.state.snapshot().completed_actions[Sleep, None]
        assert "host2: home" in result.message
        h.host.replies.clear()

    run_daemon(test, NIGHTLY + '[hooks]\nbefore_sleep = ["/bin/true"]\n')


@pytest.mark.parametrize("what", ["a key press", "a reload to observe mode"])
def test_somebody_who_was_there_while_the_hook_ran_is_not_slept_on(what: str) -> None:
    """One key press and no further activity, or a person who cancels the sleep."""
    config = NIGHTLY + '[hooks]\nbefore_sleep = ["/bin/true"]\n'

    async def test(h: DaemonScenario) -> None:
        run_it = h.host.run

        async def slowly(argv: Sequence[str], **rest: Any) -> ProcessResult:  # noqa: ANN401 - as they came
            await asyncio.sleep(2)
            if what == "a key press":
                h.host.latest_key_press = KeyPress(asyncio.get_running_loop().time(), "ann on pts/0")
            else:
                h.daemon.reconfigure(parse(config.replace("enforce", "observe").encode(), "test"))
            await asyncio.sleep(20)
            return await run_it(argv, **rest)

        h.host.run = slowly  # type: ignore[method-assign] # it takes time
        await asyncio.sleep(900)
        assert h.host.logind_call_times == []
        result = h.daemon.state.snapshot().completed_actions[Sleep, None]
        assert "idle time has started" in result.message

    run_daemon(test, config)


def test_all_sources_poll_closely_at_the_same_time() -> None:
    """The engine waits for it, and the watchdog for the engine."""

    async def test(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        h.host.sweep_duration = 2.0
        ask = h.host.list_inhibitors

        async def slowly() -> tuple[Inhibitor, ...]:
            await asyncio.sleep(2)
            return await ask()

        h.host.list_inhibitors = slowly  # type: ignore[method-assign] # it takes time
        start = asyncio.get_running_loop().time()
        await h.daemon.refresher.poll_all_sources()
        took = asyncio.get_running_loop().time() - start
        assert 2 <= took < 5 + 1, "two sweeps, and logind beside them"
        polled_at = {name: each.at for name, each in h.daemon.state.snapshot().sources.items()}
        assert {"clients", "logind", "timers", "cards", "disks"} <= polled_at.keys()
        assert min(polled_at.values()) >= start, "an array check that has just begun blocks a sleep"

    run_daemon(test)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (lambda daemon: attrgetter("_pollers")(daemon)["clients"], "run"),
        (lambda daemon: attrgetter("_pollers")(daemon)["logind"], "run"),
        (attrgetter("_engine"), "run"),
        (lambda daemon: attrgetter("_transition")(attrgetter("_services")(daemon)[2]), "run"),
        (attrgetter("requests._inhibitor"), "run"),
    ],
)
@pytest.mark.parametrize("how", [None, asyncio.CancelledError()])
def test_a_daemon_without_a_mind_ends_with_an_error(
    part: Callable[[Any], object], name: str, how: BaseException | None
) -> None:
    """systemd restarts it, because a page that is served without decisions would be out of date."""

    async def end() -> None:
        await asyncio.sleep(100)
        if how is not None:
            raise how

    async def main() -> None:
        home = DaemonScenario()
        setattr(part(home.daemon), name, end)
        await home.daemon.run()

    with pytest.raises(ExceptionGroup) as group:
        run(main())
    (error,) = group.value.exceptions
    assert "powerd has stopped" in str(error)
