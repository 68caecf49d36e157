"""The real tools see the simulated drives of the virtual server as SATA hard disks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
from rig.wait import stays, until
from vm.drives import PLAIN, Drive, Drives
from vm.drives_data import CHUNK, array, mounted, read
from vm.server import STALL, Server

pytestmark = pytest.mark.vm

SPIN_UP: Final = 2.5
"""Seconds that each drive takes."""


class DriveBays(NamedTuple):
    """Three drives that differ."""

    good: Drive
    stubborn: Drive
    ailing: Drive


@pytest.fixture(scope="module")
def drive_set(drives: Drives) -> DriveBays:
    common = {"spin_up": SPIN_UP}
    return DriveBays(
        *drives.plug_in(
            good=common,
            stubborn=common | {"heeds_timer": False, "apm": False},
            ailing=common | {"smart_fails": True, "reallocated": 17},
        )
    )


def test_tools_see_sata_disks(server: Server, drive_set: DriveBays) -> None:
    entries = server.run("hdparm", "-I", drive_set.good.path)
    assert "WDC WD20EFRX-68EUZN0" in entries
    assert "Nominal Media Rotation Rate: 5400" in entries
    assert "Checksum: correct" in entries
    udev = server.run("udevadm", "info", "--query=property", drive_set.good.path).splitlines()
    assert {"ID_ATA=1", "ID_ATA_ROTATION_RATE_RPM=5400", "ID_SERIAL_SHORT=WD-GOOD"} <= set(udev)
    for device in (drive_set.good.path, PLAIN):
        name = server.run("udevadm", "info", "--query=name", device)
        assert server.run("cat", f"/sys/block/{name}/queue/rotational") == "1"
    server.run("hdparm", "-y", PLAIN)
    assert "active/idle" in server.run("hdparm", "-C", PLAIN)


def test_standby_timer_and_apm(server: Server, drive_set: DriveBays) -> None:
    """A drive spins down when its standby timer expires; one that ignores its timer spins on."""
    for drive in (drive_set.good, drive_set.stubborn):
        server.run("hdparm", "-S", "1", drive.path)
    (set_at,) = (event.at for event in drive_set.good.log("idle timer=1"))
    until(drive_set.good.rests, "the timer has run out", every=0.3)
    down = drive_set.good.log("spun down: timer")[-1]
    assert 5 <= down.at - set_at <= 6 + STALL
    assert drive_set.good.powers() == "standby"
    assert drive_set.stubborn.log("idle timer=1")
    assert drive_set.stubborn.powers() == "active/idle"

    server.run("hdparm", "-B", "127", drive_set.good.path)
    assert drive_set.good.state().apm == 127
    assert drive_set.good.powers() == "standby"  # that needs no platters
    assert "not supported" in server.run("hdparm", "-B", drive_set.stubborn.path)
    server.run("hdparm", "-S", "0", drive_set.good.path)
    assert drive_set.good.log("spun up")[-1].what == "spun up: idle"  # setting a timer does


def smart(server: Server, drive: Drive) -> dict[str, Any]:
    """The output of ``smartctl -n standby`` for the drive."""
    output: dict[str, Any] = json.loads(
        server.run("smartctl", "-n", "standby", "--json", "-H", "-A", drive.path, check=False)
    )
    return output


def test_smart_and_standby(server: Server, drive_set: DriveBays) -> None:
    """``smartctl -n standby`` reads from a spinning drive only; SMART counts each spin-up."""
    output = smart(server, drive_set.ailing)
    assert output["smart_status"]["passed"] is False
    table = {line["name"]: line["raw"]["value"] for line in output["ata_smart_attributes"]["table"]}
    assert table["Reallocated_Sector_Ct"] == 17
    before = drive_set.good.state()
    assert smart(server, drive_set.good)["smart_status"]["passed"] is True
    server.run("hdparm", "-y", drive_set.good.path)
    refused = smart(server, drive_set.good)
    assert refused["smartctl"]["exit_status"] == 2
    assert "smart_status" not in refused
    assert drive_set.good.rests()
    assert read(server, drive_set.good.path, 1 << 20) >= SPIN_UP
    after = drive_set.good.state()
    assert (after.power, after.starts, after.smart_reads) == (
        "active",
        before.starts + 1,
        before.smart_reads + 1,
    )


@pytest.fixture
def stripes(server: Server, drive_set: DriveBays) -> Iterator[str]:
    with array(server, 0, drive_set.good, drive_set.stubborn) as device:
        yield device


def test_striped_array_wakes_one_drive_after_the_other(
    server: Server, drive_set: DriveBays, stripes: str
) -> None:
    """Without powerd, a reader waits for the spin-up of each member in turn."""
    members = (drive_set.good, drive_set.stubborn)
    server.run("hdparm", "-y", *(drive.path for drive in members))
    assert all(drive.rests() for drive in members)
    before = [drive.state().starts for drive in members]
    assert read(server, stripes, 1 << 20, (1 << 20) + CHUNK) >= 2 * SPIN_UP
    assert [drive.state().starts for drive in members] == [starts + 1 for starts in before]
    begins = sorted(drive.log("spins up")[-1].at for drive in members)
    ends = sorted(drive.log("spun up")[-1].at for drive in members)
    assert begins[1] >= ends[0]


def test_parity_array_with_files(server: Server, drive_set: DriveBays) -> None:
    """Reading a file spins up only the members that hold it."""
    with array(server, 5, *drive_set) as device, mounted(server, device, "/mnt/tank") as film:
        until(lambda: server.run("sh", "-c", "cat /sys/block/md*/md/array_state") == "clean", "md is at rest")
        server.run("hdparm", "-y", *(drive.path for drive in drive_set))
        assert all(drive.rests() for drive in drive_set)
        assert read(server, film) >= SPIN_UP
        assert sum(not drive.rests() for drive in drive_set) == 1


def test_drive_that_hangs(server: Server, drive_set: DriveBays) -> None:
    """The tool is blocked in the kernel and ignores every signal; the other drives are not affected."""
    drive_set.good.hang()
    server.run("systemd-run", "--quiet", "--collect", "--unit=asking", "hdparm", "-C", drive_set.good.path)
    pid = server.run("systemctl", "show", "--value", "--property=MainPID", "asking")
    until(lambda: server.run("ps", "-o", "state=", "--pid", pid) == "D", "hdparm waits for the drive")
    server.run("kill", "-KILL", pid)
    assert drive_set.stubborn.powers() == "active/idle"
    stays(lambda: server.run("ps", "-o", "state=", "--pid", pid) == "D", "no signal ends it", seconds=2)
    drive_set.good.recover()
    until(lambda: not server.run("ps", "-o", "state=", "--pid", pid, check=False), "hdparm has ended")
    assert drive_set.good.powers() == "active/idle"
