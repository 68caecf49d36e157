"""Data that no counter shows: for how long it may wait, and that watching finds it, on a real file system."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import LoopDevices, instances, needs_tracefs

from powerd.disks.model import DiskId, PowerMode, PowerStatus, SpinDown
from powerd.helper.disks import requests
from powerd.helper.disks.device import find_disk
from powerd.helper.disks.dirty_data import EXPIRY_SECONDS, quiet_window, stays_idle
from powerd.helper.disks.requests import DiskRequests
from powerd.helper.errors import RefusalError
from powerd.helper.subprocess import Tools

MOUNT: Final = "36 35 {0} / /mnt rw,noatime shared:1 - ext4 /dev/sda1 rw,{1}\n"


@pytest.fixture
def drives(tmp_path: Path) -> FakeDrives:
    """A Debian 12: cgroup v2, and a kernel that counts the root cgroup's data only."""
    drives = FakeDrives(tmp_path, "sda")
    drives.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    drives.write("sys/kernel/debug/bdi/8:0/stats", "b_dirty: 0\n")
    drives.write("sys/block/sda/sda1/partition", "1\n")
    drives.write("sys/block/sda/sda1/dev", "8:1\n")
    return drives


def seconds(drives: FakeDrives) -> float:
    return quiet_window(find_disk(drives.root, "ata-SDA"), drives.root)


def ext4(drives: FakeDrives, journal: str = "412\n") -> None:
    drives.write("sys/fs/ext4/sda1/journal_task", journal)


def test_what_is_counted_needs_no_watching(drives: FakeDrives) -> None:
    ext4(drives)
    assert seconds(drives) > 0
    stats = drives.write("sys/kernel/debug/bdi/8:0/wb_stats", "WbWriteback: 0 kB\n")
    assert seconds(drives) == 0
    stats.unlink()
    (drives.root / "sys/fs/cgroup/cgroup.controllers").unlink()
    assert seconds(drives) == 0


def test_without_debugfs_nothing_is_counted(drives: FakeDrives) -> None:
    ext4(drives)
    drives.write("sys/kernel/debug/bdi/8:0/wb_stats", "")
    (drives.root / "sys/kernel/debug/bdi/8:0/stats").unlink()
    assert seconds(drives) > 0


def test_without_a_file_system_nothing_waits(drives: FakeDrives) -> None:
    assert seconds(drives) == 0


@pytest.mark.parametrize("kind", ["xfs", "f2fs"])
def test_most_file_systems_keep_data_for_half_a_minute(drives: FakeDrives, kind: str) -> None:
    (drives.root / f"sys/fs/{kind}/sda1").mkdir(parents=True)
    assert seconds(drives) == EXPIRY_SECONDS


@pytest.mark.parametrize("kind", ["vfat", "exfat", "ntfs3", "fuseblk"])
def test_devices_unknown_to_sysfs_count_too(drives: FakeDrives, kind: str) -> None:
    line = MOUNT.format("8:1", "errors=remount-ro").replace("ext4", kind)
    drives.write("proc/self/mountinfo", line.replace("8:1", "8:17"))
    assert seconds(drives) == 0, "that is another disk's"
    drives.write("proc/self/mountinfo", line)
    assert seconds(drives) == EXPIRY_SECONDS


def test_btrfs_does_too(drives: FakeDrives) -> None:
    members = drives.root / "sys/fs/btrfs/0d5f3a0a-9f0d-4a71-9b55-1c1c1c1c1c1c/devices"
    (members / "sda1").mkdir(parents=True)
    assert seconds(drives) == EXPIRY_SECONDS


@pytest.mark.parametrize(
    ("number", "options", "result"),
    [
        ("8:1", "errors=remount-ro", 7),
        ("8:1", "commit=30,errors=remount-ro", 32),
        ("8:1", "data=ordered,commit=60", 62),
        ("8:1", "commit=3600", 120),
        ("8:1", "commit=0", 7),
        ("8:1", "nocommit=9", 7),
        ("8:2", "commit=30", 7),
    ],
)
def test_ext4_shows_it_at_its_next_commit(
    drives: FakeDrives, number: str, options: str, result: float
) -> None:
    ext4(drives)
    assert seconds(drives) == 7
    drives.write("proc/self/mountinfo", f"\nodd line\n{MOUNT.format(number, options)}")
    assert seconds(drives) == result


def test_ext4_without_a_journal_has_no_commit(drives: FakeDrives) -> None:
    ext4(drives, "<none>\n")
    assert seconds(drives) == EXPIRY_SECONDS


def test_without_tracefs_the_counters_are_compared(drives: FakeDrives) -> None:
    disk = find_disk(drives.root, "ata-SDA")

    async def main(text: str | None) -> bool:
        watching = asyncio.ensure_future(stays_idle(disk, drives.root, 0.1))
        await asyncio.sleep(0.02)
        if text is not None:
            drives.write("sys/block/sda/stat", text)
        return await watching

    assert asyncio.run(main(None))
    assert not asyncio.run(main("1 0 8 1 1 0 24 1 0 2 2\n"))
    assert asyncio.run(main("5 0 8 1 1 0 24 1 0 2 2\n")), "commands past the file systems move no sectors"


@contextlib.contextmanager
def mounted(loops: LoopDevices, at: Path) -> Iterator[Path]:
    """A real ext4, all of it on its device, with a file that has its blocks already."""
    device = loops.devices[0]
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device], check=True)
    at.mkdir()
    subprocess.run(["mount", device, at], check=True)
    try:
        file = at / "file"
        file.write_bytes(bytes(4096))
        subprocess.run(["sync", "-f", at], check=True)
        yield file
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.mark.process
@needs_tracefs
def test_a_write_that_nothing_counts_yet_is_found(tmp_path: Path) -> None:
    """In place, so that not even ext4 counts it: the event of its beginning, and the commit 5 s later."""
    with LoopDevices(tmp_path, 1) as loops, mounted(loops, tmp_path / "mnt") as file:
        disk = find_disk(loops.root, loops.ids[0], allow_loops=True)

        async def main(when: str) -> bool:
            if when == "before":
                file.write_bytes(b"news")
                await asyncio.sleep(0.1)
            watching = asyncio.ensure_future(stays_idle(disk, Path("/"), 0.5 if when == "never" else 30))
            await asyncio.sleep(0.2)
            if when == "meanwhile":
                file.write_bytes(b"more")
            return await watching

        assert asyncio.run(main("never"))
        assert not asyncio.run(main("meanwhile"))
        subprocess.run(["sync", "-f", file.parent], check=True)
        assert not asyncio.run(main("before"))
    assert instances() == []


@pytest.mark.process
def test_a_disk_is_watched_before_it_is_stopped(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asked once more after that; one that rests already is not even watched."""
    ext4(drives)
    quiet = [False, True]

    async def watch(_disk: object, _root: Path, length: float) -> bool:
        assert length == 7
        return quiet.pop(0)

    monkeypatch.setattr(requests, "stays_idle", watch)

    def stop() -> object:
        async def main() -> object:
            return await DiskRequests(drives.root, Tools([drives.tools])).execute(
                SpinDown(DiskId("ata-SDA"), "ata")
            )

        return asyncio.run(main())

    with pytest.raises(RefusalError, match="written") as caught:
        stop()
    assert caught.value.cause == "busy"
    assert drives.state("sda") == "active"
    assert [line.split()[1] for line in drives.tool_calls()] == ["--verbose", "--json=c"]
    assert stop() == PowerStatus(PowerMode.STANDBY, 7, spin_down_sent=True)
    assert stop() == PowerStatus(PowerMode.STANDBY, 1)
    assert quiet == []


@pytest.mark.process
def test_data_that_ext4_counts_is_not_watched_for(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch
) -> None:
    ext4(drives)
    drives.write("sys/fs/ext4/sda1/delayed_allocation_blocks", "1\n")
    monkeypatch.setattr(requests, "stays_idle", None)
    with pytest.raises(RefusalError, match="data waits"):
        asyncio.run(
            DiskRequests(drives.root, Tools([drives.tools])).execute(SpinDown(DiskId("ata-SDA"), "ata"))
        )
