"""The members of an array spin down together, and one access spins all of them up at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from rig.wait import until
from vm.drives import Drive, Drives, together
from vm.drives_data import CHUNK, array, mounted, read
from vm.drives_watch import EVERY, config, disks, states
from vm.server import STALL, Server
from vm.service import Powerd

pytestmark = pytest.mark.vm

AFTER: Final = 15
SPIN_UP: Final = 12.0
"""Seconds, of which half suffices for the delays of a slow machine."""


class DriveBays(NamedTuple):
    """Two arrays of two."""

    left: Drive
    right: Drive
    even: Drive
    odd: Drive


@pytest.fixture(scope="module")
def drive_set(drives: Drives) -> DriveBays:
    return DriveBays(*drives.plug_in(**{name: {"spin_up": SPIN_UP} for name in DriveBays._fields}))


@pytest.fixture
def mirror(server: Server, drive_set: DriveBays) -> Iterator[str]:
    """A file on a mirror."""
    with (
        array(server, 1, drive_set.left, drive_set.right) as device,
        mounted(server, device, "/mnt/mirror") as film,
    ):
        yield film


@pytest.fixture
def stripes(server: Server, drive_set: DriveBays) -> Iterator[str]:
    """The device of a striped array; neighbouring chunks are on different members."""
    with array(server, 0, drive_set.even, drive_set.odd) as device:
        yield device


def guards(server: Server) -> int:
    """The number of tracefs instances by which the helper awaits the first access to a group."""
    names = server.run("ls", "/sys/kernel/tracing/instances").split()
    return sum(name.startswith("powerd-guard-") for name in names)


def maintained(powerd: Powerd) -> list[str]:
    """The subjects that keep the server awake by the check "storage"."""
    rows = powerd.status().get("activity", [])
    return [row["subject"] for row in rows if row["check"] == "storage" and row["keeps_awake"]]


def test_sleeps_and_wakes_as_one(
    server: Server, powerd: Powerd, drive_set: DriveBays, mirror: str, stripes: str
) -> None:
    """Reading from both members of a stripe takes little more than one spin-up: both start at once."""
    server.run("modprobe", "nfsd")
    powerd.start(config(AFTER) + "\n[activity.nfs]\n")
    asleep = ["standby"] * len(drive_set)
    until(
        lambda: states(server, *drive_set) == asleep,
        "both arrays are in standby",
        within=AFTER + 240,
        every=0.5,
    )
    groups = [disks(server)[drive.id]["group"] for drive in drive_set]
    assert groups[0] == groups[1] != groups[2] == groups[3]
    for members in (drive_set[:2], drive_set[2:]):
        first, second = (drive.log("spun down: standby-immediate")[-1].at for drive in members)
        assert abs(first - second) <= EVERY + STALL
    until(lambda: guards(server) == 2, "both are guarded")
    before = [drive.state().starts for drive in drive_set]

    assert SPIN_UP <= read(server, stripes, 1 << 20, (1 << 20) + CHUNK) < 1.5 * SPIN_UP
    assert [drive.state().starts - was for drive, was in zip(drive_set, before, strict=True)] == [0, 0, 1, 1]
    assert together(drive_set.even, drive_set.odd)
    assert SPIN_UP <= read(server, mirror) < 1.5 * SPIN_UP
    until(
        lambda: [drive.state().starts - was for drive, was in zip(drive_set, before, strict=True)] == [1] * 4,
        "the other half of the mirror has spun up too",
    )
    assert together(drive_set.left, drive_set.right)

    directory = f"/sys/block/{Path(server.run('readlink', '-f', '/dev/md/tank1')).name}/md"
    server.run("sh", "-c", f"echo 1000 > {directory}/sync_speed_max; echo check > {directory}/sync_action")
    until(
        lambda: maintained(powerd) == [directory.split("/")[3]], "a check of the mirror is work in progress"
    )
    server.run("sh", "-c", f"echo idle > {directory}/sync_action")
    until(lambda: maintained(powerd) == [], "its end is noticed")
    (nfs,) = (row for row in powerd.status()["activity"] if row["check"] == "nfs")
    assert nfs["state"] == "measured", nfs["text"]
