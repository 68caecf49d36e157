"""A daemon that is killed leaves no RTC alarm behind, whenever it is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from fakes.storage import MemoryStorage

from powerd.core.actions import WakeTime
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.linux.values import HostError
from powerd.power import clear_alarm
from powerd.power.clear_alarm import clear_left_alarm
from powerd.power.rtc_alarm import AlarmOwnership, RtcAlarm
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.machine import SimulatedMachine
from powerd.simulation.rtc import SimulatedRtc
from powerd.simulation.virtual_loop import run


async def runs_on() -> str:
    return ""


async def goes_down() -> str:
    return "shutdown"


async def unknown() -> str:
    raise HostError("systemd-logind is not running here")


class FileRtc(SimulatedRtc):
    """An RTC whose alarm outlives the process, in a file; calls ``step`` before and after each access."""

    def __init__(self, path: Path, step: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._path, self._step = path, step
        text = path.read_text() if path.exists() else ""
        self.alarm = int(text) if text else None

    def read(self, attribute: str) -> str:
        self._step()
        return super().read(attribute)

    def write(self, attribute: str, text: str) -> None:
        self._step()
        super().write(attribute, text)
        self._path.write_text("" if self.alarm is None else str(self.alarm))
        self._step()


class KilledStorage(Storage):
    """Calls ``step`` before and after each write."""

    def __init__(self, directory: Path, step: Callable[[], None]) -> None:
        super().__init__(directory)
        self._step = step

    def save(self, *args: object, **options: object) -> str | None:
        self._step()
        problem = super().save(*args, **options)  # type: ignore[arg-type] # the arguments of the caller
        self._step()
        return problem


def sets_and_clears(machine: SimulatedMachine, clock: SimulatedClock, storage: Storage) -> None:
    """A daemon that sets its alarm twice and clears it."""

    async def main() -> None:
        alarm = RtcAlarm(machine, clock, storage)
        for seconds in (3600.0, 1800.0):
            now = clock.now()
            wall = now.wall + timedelta(seconds=seconds)
            await alarm.set(WakeTime(Moment(now.mono + seconds, now.slept, wall), "backup.timer"))
        await alarm.clear()

    run(main())


def killed_at(step_number: int, directory: Path) -> bool:
    """Run a daemon in a process of its own that SIGKILL ends at this step; returns whether it got there."""
    pid = os.fork()
    if pid == 0:
        steps = count(1)

        def step() -> None:
            if next(steps) == step_number:
                os.kill(os.getpid(), signal.SIGKILL)

        clock = SimulatedClock()
        machine = SimulatedMachine(clock, rtc=FileRtc(directory / "wakealarm", step))
        sets_and_clears(machine, clock, KilledStorage(directory, step))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.process
@pytest.mark.parametrize("foreign", [None, 7200, 600])
def test_a_daemon_that_is_killed_at_any_step_leaves_no_alarm_and_takes_none_away(
    tmp_path: Path, foreign: int | None
) -> None:
    for number in count(1):
        directory = tmp_path / str(number)
        directory.mkdir()
        clock = SimulatedClock()
        theirs = None if foreign is None else int(clock.started_at) + foreign
        (directory / "wakealarm").write_text("" if theirs is None else str(theirs))
        killed = killed_at(number, directory)
        machine = SimulatedMachine(clock, rtc=FileRtc(directory / "wakealarm"))
        storage = Storage(directory, pytest.fail)
        run(clear_left_alarm(machine, clock, storage, runs_on))
        assert machine.rtc.alarm == theirs, f"killed at step {number}"
        assert storage.load("alarm", AlarmOwnership).value is None
        if not killed:
            break
    assert number > 10


def left_alarm() -> tuple[SimulatedMachine, MemoryStorage, int]:
    """A machine with an alarm of a killed daemon, what that has stored, and the time of the alarm."""
    machine = SimulatedMachine(SimulatedClock())
    at = machine.rtc.alarm = int(machine.clock.started_at) + 3600
    return machine, MemoryStorage({"alarm": {"at": at, "before": None, "asked": []}}), at


def test_an_alarm_that_a_shutdown_in_progress_needs_stays() -> None:
    machine, storage, at = left_alarm()
    run(clear_left_alarm(machine, machine.clock, storage, goes_down))
    assert machine.rtc.alarm == at
    assert storage.written == []


def test_an_alarm_that_a_sleep_in_progress_needs_is_cleared_after_it() -> None:
    """powerd is stopped for good right after a wake-up, while logind still reports the sleep."""
    machine, storage, at = left_alarm()
    kinds = ["", "sleep", "sleep"]

    async def transition() -> str:
        assert machine.rtc.alarm == at
        return kinds.pop()

    run(clear_left_alarm(machine, machine.clock, storage, transition))
    assert machine.rtc.alarm is None


def test_if_nobody_knows_whether_a_shutdown_is_in_progress_the_alarm_stays() -> None:
    machine, storage, at = left_alarm()
    with pytest.raises(HostError):
        run(clear_left_alarm(machine, machine.clock, storage, unknown))
    assert machine.rtc.alarm == at


def test_an_alarm_of_others_stays() -> None:
    machine, storage, _ = left_alarm()
    machine.rtc.alarm = theirs = int(machine.clock.started_at) + 5000
    run(clear_left_alarm(machine, machine.clock, storage, runs_on))
    assert machine.rtc.alarm == theirs


def test_without_an_alarm_nobody_is_asked() -> None:
    machine = SimulatedMachine(SimulatedClock())
    run(clear_left_alarm(machine, machine.clock, MemoryStorage(), unknown))


@pytest.mark.process
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert clear_alarm.main() == 0, "no alarm is stored"
    Storage(tmp_path).save("alarm", {"at": 1_780_000_000, "before": None})
    assert clear_alarm.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("<4>")
    assert "RTC alarm" in line
