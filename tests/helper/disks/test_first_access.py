"""Waiting for the first access: by the trace of the real kernel, or by the counters in sysfs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import LoopDevices, instances, needs_tracefs
from rig.wait import until

from powerd.helper.disks.device import DiskDevice, find_disk
from powerd.helper.disks.first_access import wait_for_first_access

pytestmark = pytest.mark.process

QUIET = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"


@needs_tracefs
def test_the_kernel_reports_the_disk_accessed_first(tmp_path: Path) -> None:
    with LoopDevices(tmp_path, 3) as loops:
        disks = [find_disk(loops.root, name, allow_loops=True) for name in loops.ids]

        async def main() -> DiskDevice:
            waiting = asyncio.ensure_future(wait_for_first_access(disks[:2], Path("/")))
            await asyncio.to_thread(until, instances, "it is guarded")
            await asyncio.to_thread(loops.read_block, 2)
            done, _ = await asyncio.wait({waiting}, timeout=0.2)
            assert not done
            await asyncio.to_thread(loops.read_block, 1)
            return await asyncio.wait_for(waiting, 20)

        assert asyncio.run(main()) == disks[1]
        assert instances() == []


@needs_tracefs
def test_a_guard_that_is_called_off_leaves_nothing(tmp_path: Path) -> None:
    with LoopDevices(tmp_path, 2) as loops:
        disks = [find_disk(loops.root, name, allow_loops=True) for name in loops.ids]

        async def main() -> None:
            waiting = asyncio.ensure_future(wait_for_first_access(disks, Path("/")))
            await asyncio.to_thread(until, instances, "it is guarded")
            assert len(instances()) == 1
            waiting.cancel()
            await asyncio.wait({waiting})

        asyncio.run(main())
        assert instances() == []


@needs_tracefs
def test_who_is_being_read_already_is_touched(tmp_path: Path) -> None:
    """Between the last look and the guard somebody began, and the spindle still starts."""
    drives = FakeDrives(tmp_path, "sda", "sdb")
    (drives.root / "sys/kernel").mkdir()
    (drives.root / "sys/kernel/tracing").symlink_to("/sys/kernel/tracing")
    drives.write("sys/block/sdb/inflight", "1 0\n")
    disks = [find_disk(drives.root, name) for name in ("ata-SDA", "ata-SDB")]
    assert asyncio.run(wait_for_first_access(disks, drives.root)) == disks[1]


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ([("stat", "0 0 8 0 0 0 0 0 0 0 0\n")], True),
        ([("stat", "0 0 0 0 0 0 8 0 0 0 0\n")], True),
        ([("stat", "1 0 0 5 0 0 0 0 0 0 0\n")], False),  # a command past the file systems, before Linux 5.18
        ([("inflight", "1 0\n")], True),
        ([("inflight", "1 0\n"), ("inflight", "0 0\n")], False),
        ([("stat", "\n")], True),
    ],
)
def test_without_tracefs_sysfs_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[tuple[str, str]], *, touched: bool
) -> None:
    drives = FakeDrives(tmp_path, "sda", "sdb")
    for name in ("sda", "sdb"):
        drives.write(f"sys/block/{name}/stat", QUIET)
    disks = [find_disk(drives.root, name) for name in ("ata-SDA", "ata-SDB")]

    async def main() -> DiskDevice | None:
        waiting = asyncio.ensure_future(wait_for_first_access(disks, drives.root, interval=0.1))
        await asyncio.sleep(0.05)
        for attribute, text in changes:
            drives.write(f"sys/block/sdb/{attribute}", text)
            await asyncio.sleep(0.1)
        done, _ = await asyncio.wait({waiting}, timeout=20 if touched else 0.4)
        waiting.cancel()
        return waiting.result() if done else None

    assert asyncio.run(main()) == (disks[1] if touched else None)
    assert "not mounted on /sys/kernel/tracing" in capsys.readouterr().err
