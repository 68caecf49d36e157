"""All disks at once: a dying one hangs only itself, and groups wake as one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import LoopDevices, instances, needs_tracefs
from rig.wait import until

from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    GroupSpinUp,
    PowerMode,
    PowerStatus,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.disks import drive, requests
from powerd.helper.disks import first_access as first_access_module
from powerd.helper.disks.device import DiskDevice
from powerd.helper.disks.requests import DiskRequests
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import AwaitFirstAccess
from powerd.helper.subprocess import ToolRunner, Tools

pytestmark = pytest.mark.process


@pytest.fixture
def drives(tmp_path: Path) -> Iterator[FakeDrives]:
    drives = FakeDrives(tmp_path, "sda", "sdb", "sdc")
    yield drives
    for pid in drives.tools.glob("*.pid"):
        until(lambda pid=pid: not Path(f"/proc/{pid.read_text().strip()}").exists(), "no tool is left")  # type: ignore[misc] # a default binds the file


def disk_requests(drives: FakeDrives) -> DiskRequests:
    return DiskRequests(drives.root, runner=ToolRunner(Tools([drives.tools]), grace=0.1))


def test_a_hanging_disk_hangs_only_itself(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "MOTOR_COMMAND", 5.0)
    drives.set_state("sdb", "active", "hang")

    async def main() -> None:
        disks = disk_requests(drives)
        hanging = asyncio.ensure_future(disks.execute(CheckPowerMode(DiskId("ata-SDB"))))
        well = [
            await disks.execute(CheckPowerMode(name))
            for name in (DiskId("ata-SDA"), DiskId("ata-SDC"), DiskId("ata-SDA"))
        ]
        assert [type(answer) for answer in well] == [PowerStatus] * 3
        busy = [disks.busy]
        with pytest.raises(RefusalError, match=r"hdparm --verbose -C .*sdb .* 5 s"):
            await hanging
        assert [*busy, disks.busy] == [True, False]
        drives.set_state("sdb", "standby")
        assert await disks.execute(CheckPowerMode(DiskId("ata-SDB"))) == PowerStatus(PowerMode.STANDBY, 1)

    asyncio.run(main())


def test_two_requests_at_one_disk_take_turns(drives: FakeDrives) -> None:
    """By whichever of its names it is asked for: STANDBY is one turn with all that belongs to it."""
    (drives.root / "dev/disk/by-id/wwn-0x5000").symlink_to("../../sda")

    async def main() -> None:
        disks = disk_requests(drives)
        answers = await asyncio.gather(
            disks.execute(SpinDown(DiskId("ata-SDA"), "ata")),
            disks.execute(CheckPowerMode(DiskId("wwn-0x5000"))),
        )
        assert [answer.mode for answer in answers if isinstance(answer, PowerStatus)] == [
            "standby",
            "standby",
        ]

    asyncio.run(main())
    assert [line.split()[1] for line in drives.tool_calls()] == ["--verbose", "--json=c", "-y", "--verbose"]


def test_a_request_that_waits_too_long_for_its_turn_is_refused(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "QUEUE_TIMEOUT", 0.2)
    monkeypatch.setattr(drive, "MOTOR_COMMAND", 1.0)
    drives.set_state("sda", "active", "hang")

    async def main() -> None:
        disks = disk_requests(drives)
        first = asyncio.ensure_future(disks.execute(CheckPowerMode(DiskId("ata-SDA"))))
        await asyncio.sleep(0.05)
        with pytest.raises(RefusalError) as caught:
            await disks.execute(SetStandbyTimer(DiskId("ata-SDA"), 120))
        assert (caught.value.cause, caught.value.commands) == ("busy", 0)
        assert "another request (check-power-mode)" in str(caught.value)
        with pytest.raises(RefusalError, match="and was ended"):
            await first

    asyncio.run(main())


def test_the_number_of_executors_is_bounded(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_EXECUTORS", 2)
    monkeypatch.setattr(drive, "MOTOR_COMMAND", 4.0)
    for name in ("sda", "sdb"):
        drives.set_state(name, "active", "hang")

    async def main() -> None:
        disks = disk_requests(drives)
        hanging = [
            asyncio.ensure_future(disks.execute(CheckPowerMode(name)))
            for name in (DiskId("ata-SDA"), DiskId("ata-SDB"))
        ]
        await asyncio.sleep(0.1)
        with pytest.raises(RefusalError, match="2 disks"):
            await disks.execute(CheckPowerMode(DiskId("ata-SDC")))
        await asyncio.gather(*hanging, return_exceptions=True)
        assert isinstance(await disks.execute(CheckPowerMode(DiskId("ata-SDC"))), PowerStatus)

    asyncio.run(main())


def test_a_group_without_one_of_its_disks_is_not_guarded(drives: FakeDrives) -> None:
    with pytest.raises(RefusalError, match="ata-NONE"):
        asyncio.run(disk_requests(drives).execute(AwaitFirstAccess((DiskId("ata-SDA"), DiskId("ata-NONE")))))


def test_disks_that_cannot_be_spun_up_are_named(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is gone by then, and one whose device is none."""

    async def first_access(disks: Sequence[DiskDevice], _: Path) -> DiskDevice:
        (drives.root / "dev/disk/by-id/ata-SDC").unlink()
        return disks[0]

    monkeypatch.setattr(requests, "wait_for_first_access", first_access)
    names = (DiskId("ata-SDA"), DiskId("ata-SDB"), DiskId("ata-SDC"))
    answer = asyncio.run(disk_requests(drives).execute(AwaitFirstAccess(names)))
    assert isinstance(answer, GroupSpinUp)
    assert (answer.first_disk, answer.other_disks, answer.failed_disks) == (names[0], (), names[1:])
    assert 0 <= answer.duration < 60, "a difference of two times, and not the time since the boot"
    reported = capsys.readouterr().err
    assert "no longer ata-SDB" in reported
    assert "no disk ata-SDC" in reported


def test_spindles_that_start_are_waited_for_though_nobody_asks_any_more(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look falls into their spin-up: the group is guarded no longer, and its members are asked things."""
    started, reading = threading.Event(), threading.Event()

    async def first_access(disks: Sequence[DiskDevice], _: Path) -> DiskDevice:
        return disks[0]

    def slowly(_: DiskDevice) -> None:
        reading.set()
        assert started.wait(20)

    monkeypatch.setattr(requests, "wait_for_first_access", first_access)
    monkeypatch.setattr(first_access_module, "spin_up", slowly)

    async def main() -> object:
        disks = disk_requests(drives)
        guarding = asyncio.ensure_future(
            disks.execute(AwaitFirstAccess((DiskId("ata-SDA"), DiskId("ata-SDB"))))
        )
        await asyncio.to_thread(reading.wait, 20)
        guarding.cancel()
        await asyncio.wait({guarding})
        asking = asyncio.ensure_future(disks.execute(CheckPowerMode(DiskId("ata-SDB"))))
        await asyncio.wait({asking}, timeout=0.2)
        assert not asking.done(), "its turn comes after the read"
        started.set()
        return await asking

    assert asyncio.run(main()) == PowerStatus(PowerMode.ACTIVE, 1)


@needs_tracefs
def test_an_access_to_one_spins_up_all_others(tmp_path: Path) -> None:
    """One disk of the group has been removed; the others spin up nevertheless."""
    with LoopDevices(tmp_path, 4) as loops:
        before = [loops.read_count(place) for place in range(4)]

        async def main() -> object:
            guarding = asyncio.ensure_future(
                DiskRequests(loops.root, allow_loops=True).execute(
                    AwaitFirstAccess(tuple(map(DiskId, loops.ids)))
                )
            )
            await asyncio.to_thread(until, instances, "it is guarded")
            (loops.root / "dev/disk/by-id" / loops.ids[3]).unlink()
            await asyncio.to_thread(loops.read_block, 1)
            return await asyncio.wait_for(guarding, 20)

        answer = asyncio.run(main())
        assert isinstance(answer, GroupSpinUp)
        assert answer.first_disk == loops.ids[1]
        assert (answer.other_disks, answer.failed_disks) == ((loops.ids[0], loops.ids[2]), (loops.ids[3],))
        assert [loops.read_count(place) - count for place, count in enumerate(before)] == [1, 1, 1, 0]
