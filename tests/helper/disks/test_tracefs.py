"""The private tracefs instance in the real kernel: recorded and filtered events, and its removal."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import INSTANCES, LoopDevices, instances, needs_tracefs

from powerd.helper.disks.device import DiskDevice, find_disk
from powerd.helper.disks.tracefs import (
    Trace,
    TracefsUnavailableError,
    remove_stale,
    request_filter,
    requested_disks,
)

pytestmark = pytest.mark.process

ROOT: Final = Path("/")
DEAD: Final = 1 << 22  # one more than the greatest number of a process (proc(5), pid_max)


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopDevices]:
    with LoopDevices(tmp_path_factory.mktemp("loops"), 3) as loops:
        yield loops


def disks(loops: LoopDevices) -> list[DiskDevice]:
    return [find_disk(loops.root, name, allow_loops=True) for name in loops.ids]


def requested_by(trace: Trace, seconds: float) -> set[tuple[int, int]]:
    """The numbers of the disks that requests went to, as soon as there are any."""
    return requested_disks(asyncio.run(trace.wait(seconds, bool)))


@needs_tracefs
def test_an_access_is_reported_and_nothing_else(loops: LoopDevices) -> None:
    first, second, _ = disks(loops)
    with Trace(ROOT, request_filter([first.device_number, second.device_number])) as trace:
        subprocess.run(["hdparm", "-C", loops.devices[0]], capture_output=True, check=False)
        loops.read_block(2)
        assert requested_by(trace, 0.2) == set()
        loops.read_block(1, at=4096)
        assert requested_by(trace, 20) == {second.device_number}
        loops.read_block(0)
        loops.read_block(1)
        assert requested_by(trace, 20) == {first.device_number, second.device_number}
        assert requested_by(trace, 0.2) == set()


@needs_tracefs
def test_what_does_not_fit_is_waited_past(loops: LoopDevices) -> None:
    first, second, _ = disks(loops)

    async def main(trace: Trace) -> bytes:
        waiting = asyncio.ensure_future(
            trace.wait(None, lambda answer: second.device_number in requested_disks(answer))
        )
        await asyncio.to_thread(loops.read_block, 0)
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
        await asyncio.to_thread(loops.read_block, 1)
        return await asyncio.wait_for(waiting, 20)

    with Trace(ROOT, request_filter([first.device_number, second.device_number])) as trace:
        assert requested_disks(asyncio.run(main(trace))) == {second.device_number}


def partition(device: Path) -> None:
    """Write a table in the manner of DOS: one partition of Linux's, 4 MiB from the beginning, 1 MiB long."""
    entry = struct.pack("<4xB3xII", 0x83, 8192, 2048)
    with device.open("r+b") as disk:
        disk.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")


@needs_tracefs
def test_a_write_to_a_partition_of_a_disk_is_the_disk_s(loops: LoopDevices) -> None:
    """Events carry the whole disk's number, which is what the filter knows."""
    (disk, *_) = disks(loops)
    partition(Path(loops.devices[0]))
    subprocess.run(["partx", "--add", loops.devices[0]], check=True)
    number = (Path("/sys/block") / disk.node.name / f"{disk.node.name}p1" / "dev").read_text().strip()
    major, _, minor = number.partition(":")
    node = disk.node.parent / "part"
    os.mknod(node, 0o060600, os.makedev(int(major), int(minor)))
    try:
        with Trace(ROOT, request_filter([disk.device_number])) as trace:
            subprocess.run(
                ["dd", "if=/dev/zero", f"of={node}", "bs=4k", "count=1", "oflag=direct"],
                check=True,
                capture_output=True,
            )
            assert requested_by(trace, 20) == {disk.device_number}
    finally:
        node.unlink()
        subprocess.run(["partx", "--delete", loops.devices[0]], check=True)


@needs_tracefs
def test_a_hundred_disks_fit_into_a_filter() -> None:
    with Trace(ROOT, request_filter((8, 16 * number) for number in range(100))):
        assert len(instances()) == 1
    assert instances() == []


@needs_tracefs
def test_several_at_once_and_none_is_left(loops: LoopDevices) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    first, second, _ = disks(loops)
    with (
        Trace(ROOT, request_filter([first.device_number])) as one,
        Trace(ROOT, request_filter([second.device_number])) as two,
    ):
        assert len(instances()) == 2
        loops.read_block(0)
        assert requested_by(one, 20) == {first.device_number}
        assert requested_by(two, 0.2) == set()
    assert instances() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@needs_tracefs
def test_what_a_killed_helper_left_is_removed(loops: LoopDevices) -> None:
    stale, alive, foreign = (
        INSTANCES / name for name in (f"powerd-guard-{DEAD}-0", "powerd-guard-1-0", "powerd-guard-x-0")
    )
    for path in (stale, alive, foreign):
        path.mkdir()
    try:
        with Trace(ROOT, request_filter(disk.device_number for disk in disks(loops))):
            assert not stale.exists()
            assert alive.exists()
            assert foreign.exists()
    finally:
        alive.rmdir()
        foreign.rmdir()


@needs_tracefs
def test_a_kernel_that_takes_no_filter_is_no_trace() -> None:
    with (
        pytest.raises(TracefsUnavailableError, match="tracefs"),
        Trace(ROOT, request_filter([])),
    ):
        pass
    assert instances() == []


def test_missing_tracefs_is_reported(tmp_path: Path) -> None:
    drives = FakeDrives(tmp_path, "sda")
    trace = Trace(drives.root, request_filter([(8, 0)]))
    with (
        pytest.raises(TracefsUnavailableError, match="not mounted on /sys/kernel/tra"),
        trace,
    ):
        pass


def test_what_is_odd_stays(tmp_path: Path) -> None:
    for name in (f"powerd-guard-{1 << 70}-1", "powerd-guard-1-1", "other-1-1"):
        (tmp_path / name).mkdir()
    remove_stale(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / f"powerd-guard-{DEAD}-1").mkdir()
    remove_stale(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
