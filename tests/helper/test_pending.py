"""What a disk must not be stopped in: found where the kernel and the drive tell it, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helper.drives import Drives
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.disks import find
from powerd.helper.pending import hindrance, self_test_hindrance, self_test_runs

CLEAN = """\
BdiWriteback:                0 kB
BdiReclaimable:              4 kB
BdiDirtyThresh:         517864 kB
BdiWriteBandwidth:       15252 kBps
b_dirty:                     {0}
b_io:                        {1}
b_more_io:                   {2}
b_dirty_time:                3
bdi_list:                    1
state:                       1
"""
DATA = "data waits to be written to it; wait for half a minute"


@pytest.fixture
def drives(tmp_path: Path) -> Drives:
    drives = Drives(tmp_path, "sda", "sdb")
    drives.write("sys/block/sda/sda1/partition", "1\n")
    drives.write("sys/kernel/debug/bdi/8:0/stats", CLEAN.format(0, 0, 0))
    return drives


def hold(drives: Drives, part: str, holder: str, number: str) -> None:
    """Build ``holder`` on ``part``."""
    drives.write(f"sys/block/{holder}/dev", f"{number}\n")
    drives.write(f"sys/kernel/debug/bdi/{number}/stats", CLEAN.format(0, 0, 0))
    holders = drives.root / "sys/block" / part / "holders"
    holders.mkdir(parents=True, exist_ok=True)
    (holders / holder).symlink_to(drives.root / "sys/block" / holder)


def why(drives: Drives, name: str = "ata-SDA") -> str | None:
    return hindrance(find(drives.root, name), drives.root)


def test_nothing_pending(drives: Drives) -> None:
    """Page counts that stay behind where nothing is dirty do not count."""
    assert why(drives) is None
    assert why(drives, "ata-SDB") is None


@pytest.mark.parametrize("counts", [(1, 0, 0), (0, 1, 0), (0, 0, 12)])
def test_dirty_data_of_the_disk(drives: Drives, counts: tuple[int, int, int]) -> None:
    drives.write("sys/kernel/debug/bdi/8:0/stats", CLEAN.format(*counts))
    assert why(drives) == DATA
    assert why(drives, "ata-SDB") is None


def test_dirty_data_of_what_is_built_on_a_partition_of_it(drives: Drives) -> None:
    hold(drives, "sda/sda1", "md0", "9:0")
    hold(drives, "md0", "dm-0", "253:0")
    assert why(drives) is None
    drives.write("sys/kernel/debug/bdi/253:0/stats", CLEAN.format(2, 0, 0))
    assert why(drives) == DATA
    assert why(drives, "ata-SDB") is None


def test_dirty_data_of_a_btrfs(drives: Drives) -> None:
    """Its backing device has a name of its own, and its devices are links."""
    btrfs = drives.root / "sys/fs/btrfs/0d5f3a0a-9f0d-4a71-9b55-1c1c1c1c1c1c"
    (btrfs / "devices").mkdir(parents=True)
    (btrfs / "devices/sda1").symlink_to(drives.root / "sys/block/sda/sda1")
    (drives.root / "sys/devices/virtual/bdi/btrfs-1").mkdir(parents=True)
    (btrfs / "bdi").symlink_to(drives.root / "sys/devices/virtual/bdi/btrfs-1")
    stats = drives.write("sys/kernel/debug/bdi/btrfs-1/stats", CLEAN.format(0, 0, 0))
    assert why(drives) is None
    stats.write_text(CLEAN.format(5, 0, 0))
    assert why(drives) == DATA
    assert why(drives, "ata-SDB") is None


def test_what_is_under_way(drives: Drives) -> None:
    drives.write("sys/block/sda/inflight", "       0        2\n")
    assert why(drives) == "it is being read or written; wait until that is done"


@pytest.mark.parametrize("action", ["resync", "check", "repair", "recover", "reshape"])
def test_an_array_under_repair(drives: Drives, action: str) -> None:
    hold(drives, "sda/sda1", "md127", "9:127")
    drives.write("sys/block/md127/md/sync_action", f"{action}\n")
    assert why(drives) == f"md127 is under {action}; wait until it is done"
    for rest in ("idle", "frozen"):
        drives.write("sys/block/md127/md/sync_action", f"{rest}\n")
        assert why(drives) is None


def test_holders_that_hold_each_other_end(drives: Drives) -> None:
    hold(drives, "sda", "dm-0", "253:0")
    hold(drives, "dm-0", "dm-1", "253:1")
    hold(drives, "dm-1", "dm-0", "253:0")
    assert why(drives) is None


@pytest.mark.parametrize(
    ("meminfo", "waits"),
    [
        ("Dirty:                12 kB\nWriteback:             0 kB\nWritebackTmp:     999999 kB\n", False),
        ("Dirty:             60000 kB\nWriteback:          9000 kB\n", True),
        ("", False),
    ],
)
def test_without_debugfs_only_much_dirty_data_counts(tmp_path: Path, meminfo: str, *, waits: bool) -> None:
    drives = Drives(tmp_path, "sda")
    drives.write("proc/meminfo", meminfo)
    assert why(drives) == (DATA if waits else None)


@pytest.mark.parametrize(
    ("value", "runs"),
    [(0xF9, True), (0xF0, True), (0x00, False), (0x19, False), ("249", False), (None, False)],
)
def test_self_tests(value: object, *, runs: bool) -> None:
    report = {"ata_smart_data": {"self_test": {"status": {"value": value, "string": "in progress"}}}}
    assert self_test_runs(json.dumps(report)) is runs


def test_a_recorded_report() -> None:
    """smartctl 7.3 of Debian 12."""
    report = (Path(__file__).parent / "recorded/smartctl-capabilities.json").read_text()
    assert not self_test_runs(report)
    assert self_test_runs(
        report.replace('"self_test":{"status":{"value":0', '"self_test":{"status":{"value":249')
    )


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_what_is_no_report_tells_of_no_self_test(report: str) -> None:
    assert not self_test_runs(report)


def test_a_report_that_is_nested_too_deeply() -> None:
    assert not self_test_runs("[" * 100_000)
    assert "does not say" in (self_test_hindrance("[" * 100_000) or "")


def test_a_report_without_a_word_of_self_tests_is_no_hindrance() -> None:
    """So does a drive report that has no SMART."""
    assert self_test_hindrance('{"smartctl": {"exit_status": 4}}') is None
