"""One order of bounds: a helper in which everything takes as long as it may keeps what it promises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Final, TypeVar

import pytest
from helper.drives import Drives

from powerd.helper import bay, rouse, scsi
from powerd.helper.bay import Bay
from powerd.helper.disks import Disk
from powerd.helper.done import Done
from powerd.helper.errors import RefusalError
from powerd.helper.lane import Lane
from powerd.helper.messages import bounds
from powerd.helper.protocol import (
    REQUESTS,
    CheckHealth,
    DiskRequest,
    Guard,
    ReadAlarm,
    ReadDrive,
    ReadPower,
    SetApm,
    SetTimer,
    StandBy,
    StartTest,
    within,
)
from powerd.helper.tool import Extra, Runner, Tools
from powerd.model import Power, Trouble
from powerd.rehearse.loop import run

SDA: Final = "ata-SDA"
SPINS: Final = Done(0, " drive state is:  active/idle\n", "")
WELL: Final = Done(0, "", "")
UNREACHED: Final = Done(2, "{}", "")
_T = TypeVar("_T")


class Slow(Runner):
    """Tools that answer just in time, but for the ``late``th, which has to be killed.

    What smartctl prints is of no use, so that it is tried in every way that there is.
    """

    def __init__(self, tools: Path, late: int) -> None:
        super().__init__(Tools([tools]))
        self.runs = 0
        self._late = late

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        await asyncio.sleep(bounds.PLACE)
        yield

    async def run(self, argv: Sequence[str], seconds: float, lane: Lane, extra: Extra | None = None) -> Done:
        del lane, extra
        self.runs += 1
        await asyncio.sleep(seconds)
        if self.runs == self._late:
            await asyncio.sleep(2 * bounds.GRACE)
            raise RefusalError("late", Trouble.HUNG)
        if argv[0] == "smartctl":
            return UNREACHED
        return SPINS if "-C" in argv else WELL


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is waited for comes just before it is given up."""
    turn = Lane.turn

    @contextlib.asynccontextmanager
    async def waited(self: Lane, what: str) -> AsyncIterator[None]:
        await asyncio.sleep(bounds.TURN)
        async with turn(self, what):
            yield

    async def in_thread(_: Lane, work: Callable[[], _T], seconds: float) -> _T:
        await asyncio.sleep(seconds)
        return work()

    async def quiet(_disk: object, _root: Path, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return True

    monkeypatch.setattr(Lane, "turn", waited)
    monkeypatch.setattr(Lane, "in_thread", in_thread)
    monkeypatch.setattr(bay, "window", lambda *_: bounds.WINDOW)
    monkeypatch.setattr(bay, "stays_quiet", quiet)
    monkeypatch.setattr(scsi, "read_power", lambda _: Power.ACTIVE)
    monkeypatch.setattr(scsi, "tests_itself", lambda _: False)
    monkeypatch.setattr(scsi, "stand_by", lambda _: None)
    monkeypatch.setattr(rouse, "rouse", lambda _: None)


def attached(drives: Drives, how: str) -> None:
    """Let sda be a disk of that kind."""
    if how == "sas":
        drives.write("sys/block/sda/device/vendor", "SEAGATE\n")
    elif how == "usb":
        drives.behind_usb("sda")


def took(drives: Drives, request: DiskRequest, late: int) -> tuple[float, bool]:
    """Seconds until it was answered, and whether there was a ``late``th tool to be killed."""

    async def main() -> tuple[float, bool]:
        runner = Slow(drives.tools, late)
        with contextlib.suppress(RefusalError):
            await Bay(drives.root, runner=runner).serve(request)
        return asyncio.get_running_loop().time(), runner.runs >= late

    return run(main())


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("how", ["ata", "sas", "usb"])
@pytest.mark.parametrize(
    "request_",
    [
        ReadPower(SDA),
        StandBy(SDA, "ata"),
        StandBy(SDA, "scsi"),
        SetTimer(SDA, 120),
        SetApm(SDA, 128, spin_down=False),
        ReadDrive(SDA),
        CheckHealth(SDA, wake=False, kind="usbjmicron"),
        CheckHealth(SDA, wake=True, kind="usbjmicron"),
        StartTest(SDA, "short", ""),
    ],
    ids=lambda request: request.word,
)
def test_no_request_takes_longer_than_is_promised(tmp_path: Path, request_: DiskRequest, how: str) -> None:
    drives = Drives(tmp_path, "sda", "sdb")
    attached(drives, how)
    killed = takewhile(lambda row: row[1], (took(drives, request_, late) for late in count(1)))
    times = [took(drives, request_, 0)[0], *(seconds for seconds, _ in killed)]
    promised = within(request_)
    assert promised is not None
    assert max(times) <= promised + 0.01
    if how == "usb" and not isinstance(request_, CheckHealth):
        assert max(times) > 0.8 * promised, "it promises no more than it needs"


@pytest.mark.usefixtures("slow")
def test_a_group_wakes_within_a_turn_and_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, however many they are."""

    async def first_access(disks: Sequence[Disk], _: Path) -> Disk:
        return disks[0]

    monkeypatch.setattr(bay, "first_access", first_access)
    drives = Drives(tmp_path, "sda", "sdb", "sdc")
    seconds, _ = took(drives, Guard((SDA, "ata-SDB", "ata-SDC")), 0)
    assert seconds == pytest.approx(bounds.TURN + bounds.MOVING)


def test_every_request_is_promised_something() -> None:
    promised = {word: bounds._WITHIN[kind] for word, kind in REQUESTS.items()}  # noqa: SLF001 - the whole table
    assert [word for word, seconds in promised.items() if seconds is None] == ["guard"]
    assert within(ReadAlarm()) == 2 * bounds.DEADLINE


def test_a_drive_may_take_its_time_to_start_before_it_answers() -> None:
    """30 s by hdparm(8); and the kernel ends a command of its own before anybody calls its disk hung."""
    assert min(bounds.MOVING, bounds.CHECK) > 30
    assert bounds.QUICK < bounds.MOVING < bounds.MOVING + bounds.SPARE
