"""One order of bounds: a helper in which everything takes as long as it may keeps what it promises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Final, TypeVar

import pytest
from helper.fake_drives import FakeDrives

from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    FailureCause,
    PowerMode,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.disks import first_access as first_access_module
from powerd.helper.disks import requests, sg_io
from powerd.helper.disks.device import DiskDevice
from powerd.helper.disks.requests import DiskRequests
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol import deadlines
from powerd.helper.protocol.messages import REQUESTS, AwaitFirstAccess, DiskRequest, ReadAlarm, deadline_of
from powerd.helper.subprocess import CompletedTool, ToolOptions, ToolRunner, Tools
from powerd.simulation.virtual_loop import run
from powerd.smart.actions import CheckHealth, StartTest

SDA: Final = DiskId("ata-SDA")
SPINS: Final = CompletedTool(0, " drive state is:  active/idle\n", "")
WELL: Final = CompletedTool(0, "", "")
UNREACHED: Final = CompletedTool(2, "{}", "")
_T = TypeVar("_T")


class Slow(ToolRunner):
    """Tools that answer just in time, but for the ``late``th, which has to be killed.

    What smartctl prints is of no use, so that it is tried in every way that there is.
    """

    def __init__(self, tools: Path, late: int) -> None:
        super().__init__(Tools([tools]))
        self.runs = 0
        self._late = late

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        await asyncio.sleep(deadlines.SLOT_TIMEOUT)
        yield

    async def run(
        self, argv: Sequence[str], seconds: float, executor: SerialExecutor, extra: ToolOptions | None = None
    ) -> CompletedTool:
        del executor, extra
        self.runs += 1
        await asyncio.sleep(seconds)
        if self.runs == self._late:
            await asyncio.sleep(2 * deadlines.KILL_GRACE)
            raise RefusalError("late", FailureCause.UNRESPONSIVE)
        if argv[0] == "smartctl":
            return UNREACHED
        return SPINS if "-C" in argv else WELL


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is waited for comes just before it is given up."""
    turn = SerialExecutor.reserve

    @contextlib.asynccontextmanager
    async def waited(self: SerialExecutor, what: str) -> AsyncIterator[None]:
        await asyncio.sleep(deadlines.QUEUE_TIMEOUT)
        async with turn(self, what):
            yield

    async def in_thread(_: SerialExecutor, work: Callable[[], _T], seconds: float) -> _T:
        await asyncio.sleep(seconds)
        return work()

    async def quiet(_disk: object, _root: Path, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return True

    monkeypatch.setattr(SerialExecutor, "reserve", waited)
    monkeypatch.setattr(SerialExecutor, "run_in_thread", in_thread)
    monkeypatch.setattr(requests, "quiet_window", lambda *_: deadlines.MAX_QUIET_WINDOW)
    monkeypatch.setattr(requests, "stays_idle", quiet)
    monkeypatch.setattr(sg_io, "read_power", lambda _: PowerMode.ACTIVE)
    monkeypatch.setattr(sg_io, "self_test_in_progress", lambda _: False)
    monkeypatch.setattr(sg_io, "spin_down", lambda _: None)
    monkeypatch.setattr(first_access_module, "spin_up", lambda _: None)


def attached(drives: FakeDrives, how: str) -> None:
    """Let sda be a disk of that kind."""
    if how == "sas":
        drives.write("sys/block/sda/device/vendor", "SEAGATE\n")
    elif how == "usb":
        drives.behind_usb("sda")


def took(drives: FakeDrives, request: DiskRequest, late: int) -> tuple[float, bool]:
    """Seconds until it was answered, and whether there was a ``late``th tool to be killed."""

    async def main() -> tuple[float, bool]:
        runner = Slow(drives.tools, late)
        with contextlib.suppress(RefusalError):
            await DiskRequests(drives.root, runner=runner).execute(request)
        return asyncio.get_running_loop().time(), runner.runs >= late

    return run(main())


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("how", ["ata", "sas", "usb"])
@pytest.mark.parametrize(
    "request_",
    [
        CheckPowerMode(SDA),
        SpinDown(SDA, "ata"),
        SpinDown(SDA, "scsi"),
        SetStandbyTimer(SDA, 120),
        SetApmLevel(SDA, 128),
        ReadPowerFeatures(SDA),
        CheckHealth(SDA, may_wake=False, device_type="usbjmicron"),
        CheckHealth(SDA, may_wake=True, device_type="usbjmicron"),
        StartTest(SDA, "short", ""),
    ],
    ids=lambda request: type(request).__name__,
)
def test_no_request_takes_longer_than_is_promised(tmp_path: Path, request_: DiskRequest, how: str) -> None:
    drives = FakeDrives(tmp_path, "sda", "sdb")
    attached(drives, how)
    killed = takewhile(lambda row: row[1], (took(drives, request_, late) for late in count(1)))
    times = [took(drives, request_, 0)[0], *(seconds for seconds, _ in killed)]
    promised = deadline_of(request_)
    assert promised is not None
    assert max(times) <= promised + 0.01
    if how == "usb" and not isinstance(request_, CheckHealth):
        assert max(times) > 0.8 * promised, "it promises no more than it needs"


@pytest.mark.usefixtures("slow")
def test_a_group_wakes_within_a_turn_and_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, however many they are."""

    async def first_access(disks: Sequence[DiskDevice], _: Path) -> DiskDevice:
        return disks[0]

    monkeypatch.setattr(requests, "wait_for_first_access", first_access)
    drives = FakeDrives(tmp_path, "sda", "sdb", "sdc")
    seconds, _ = took(drives, AwaitFirstAccess((SDA, DiskId("ata-SDB"), DiskId("ata-SDC"))), 0)
    assert seconds == pytest.approx(deadlines.QUEUE_TIMEOUT + deadlines.MOTOR_COMMAND)


def test_every_request_is_promised_something() -> None:
    unlimited = [name for name, kind in REQUESTS.items() if kind.deadline is None]
    assert unlimited == ["await-first-access"]
    assert deadline_of(ReadAlarm()) == 2 * deadlines.DEVICE_DEADLINE


def test_a_drive_may_take_its_time_to_start_before_it_answers() -> None:
    """30 s by hdparm(8); and the kernel ends a command of its own before anybody calls its disk hung."""
    assert min(deadlines.MOTOR_COMMAND, deadlines.SMARTCTL_RUN) > 30
    assert (
        deadlines.QUICK_COMMAND < deadlines.MOTOR_COMMAND < deadlines.MOTOR_COMMAND + deadlines.THREAD_MARGIN
    )
