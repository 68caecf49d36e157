"""Maintenance of arrays, filesystems and volumes keeps the server awake while it runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from rig.hardware import Hardware
from rig.wait import until

from powerd.activity.checks.storage import Options, StorageCheck, parse_progress
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.disks.maintenance import UNIX_SOCKETS_FILE
from powerd.linux.files import HostFiles

UUID = "5f7ac6a5-2d5b-4bb2-a5d2-3a0d5b8d9a11"
BTRFS = f"/sys/fs/btrfs/{UUID}"
SCRUB = f"00000000e4f71913: 00000002 00000000 00010000 0001 01 1923570 /var/lib/btrfs/scrub.progress.{UUID}"


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    hardware = Hardware(tmp_path)
    hardware.sata(0, "WCC0")
    hardware.sata(1, "WCC1")
    return hardware


def poll(hardware: Hardware) -> tuple[Activity, ...]:
    ports = replace(RecordingPorts().ports(), files=HostFiles(hardware.root))
    return asyncio.run(StorageCheck(Options(), check_ports(ports)).poll(PollDepth.ROUTINE))


@pytest.mark.parametrize("operation", ["resync", "recover", "check", "repair", "reshape"])
def test_md(hardware: Hardware, operation: str) -> None:
    hardware.md("md127", 127, ("sda", "sdb"))
    assert poll(hardware) == ()
    hardware.sysfs("md127", "md/sync_action", operation)
    hardware.sysfs("md127", "md/sync_completed", "1024 / 4096")
    (activity,) = poll(hardware)
    assert (activity.subject, activity.keeps_awake, activity.value) == ("md127", True, 25.0)
    assert operation in activity.text
    hardware.sysfs("md127", "md/sync_completed", "delayed")
    assert poll(hardware) == (replace(activity, value=None),)
    for idle in ("idle", "frozen"):
        hardware.sysfs("md127", "md/sync_action", idle)
        assert poll(hardware) == ()


def test_an_array_without_redundancy_has_no_maintenance(hardware: Hardware) -> None:
    hardware.md("md0", 0, ("sda", "sdb"), level="raid0")
    hardware.at("/sys/block/md0/md/sync_action").unlink(missing_ok=True)
    assert poll(hardware) == ()


@pytest.mark.parametrize("operation", ["balance", "device replace", "device add", "resize", "scrub"])
def test_btrfs(hardware: Hardware, operation: str) -> None:
    hardware.put(f"{BTRFS}/exclusive_operation", "none\n")
    hardware.put(f"{BTRFS}/label", "photos\n")
    hardware.put("/sys/fs/btrfs/features/raid1c34", "0\n")
    hardware.put(UNIX_SOCKETS_FILE, "")
    assert poll(hardware) == ()
    if operation == "scrub":
        hardware.put(UNIX_SOCKETS_FILE, f"Num RefCount\n{SCRUB}\n")
    else:
        hardware.put(f"{BTRFS}/exclusive_operation", f"{operation}\n")
    (activity,) = poll(hardware)
    assert (activity.subject, activity.keeps_awake) == ("btrfs:photos", True)
    assert operation in activity.text
    hardware.put(f"{BTRFS}/label", "\n")
    assert poll(hardware)[0].subject == "btrfs:5f7ac6a5"


def test_pvmove(hardware: Hardware) -> None:
    hardware.virtual("dm-0", "253:0", ("sda1",))
    hardware.sysfs("dm-0", "dm/name", "vg--a-pvmove--films")
    assert poll(hardware) == ()
    hardware.virtual("dm-1", "253:1", ("sda1", "sdb1"))
    hardware.sysfs("dm-1", "dm/name", "vg--a-pvmove0")
    (activity,) = poll(hardware)
    assert (activity.subject, activity.keeps_awake) == ("vg-a", True)
    hardware.unplug("dm-1")
    assert poll(hardware) == ()


@pytest.mark.parametrize(
    ("text", "done"),
    [("1024 / 4096", 25.0), ("0 / 8", 0.0), ("none", None), ("delayed", None), ("3 / 0", None), (None, None)],
)
def test_progress(text: str | None, done: float | None) -> None:
    assert parse_progress(text) == done


def test_a_machine_without_block_devices(tmp_path: Path) -> None:
    assert poll(Hardware(tmp_path)) == ()


@pytest.fixture
def real_btrfs(tmp_path: Path) -> Iterator[Path]:
    """A mounted btrfs on a loop device, with 32 MiB of data, which is scrubbed at 1 MiB/s."""
    image, mount_point = tmp_path / "image", tmp_path / "mnt"
    mount_point.mkdir()
    with image.open("wb") as file:
        file.truncate(256 << 20)
    label = f"test{os.getpid()}"
    subprocess.run(["mkfs.btrfs", "-q", "-L", label, image], check=True, capture_output=True)
    done = subprocess.run(["mount", "-o", "loop", image, mount_point], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no btrfs on a loop device here: {done.stderr.decode().strip()}")
    try:
        (mount_point / "photos").write_bytes(os.urandom(32 << 20))
        subprocess.run(["sync", "--file-system", mount_point], check=True)
        (sysfs,) = (
            each.parent for each in Path("/sys/fs/btrfs").glob("*/label") if each.read_text().strip() == label
        )
        (sysfs / "devinfo/1/scrub_speed_max").write_text(str(1 << 20))
        yield mount_point
    finally:
        # the cancelled scrub may hold the mount for a moment longer
        subprocess.run(["umount", "--lazy", mount_point], check=True)


@pytest.mark.process
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None, reason="needs root and btrfs-progs"
)
def test_a_real_scrub(real_btrfs: Path) -> None:
    subject = f"btrfs:test{os.getpid()}"

    def found() -> list[Activity]:
        ports = replace(RecordingPorts().ports(), files=HostFiles())
        activities = asyncio.run(StorageCheck(Options(), check_ports(ports)).poll(PollDepth.ROUTINE))
        return [each for each in activities if each.subject == subject]

    assert found() == []
    # it goes on in the background, and would keep a pipe open
    subprocess.run(["btrfs", "scrub", "start", real_btrfs], check=True, stdout=subprocess.DEVNULL)
    (activity,) = until(found, "the scrub runs", within=20)
    assert activity.keeps_awake
    assert "scrub" in activity.text
    cancel = ["btrfs", "scrub", "cancel", str(real_btrfs)]
    # it fails before the kernel has started the scrub
    until(lambda: subprocess.run(cancel, capture_output=True, check=False).returncode == 0, "it is cancelled")
    until(lambda: not found(), "the scrub has ended")
