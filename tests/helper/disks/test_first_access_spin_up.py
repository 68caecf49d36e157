"""Waking by reading: the kernel's own block devices, past their caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import LoopDevices

from powerd.helper.disks.device import find_disk
from powerd.helper.disks.first_access import spin_up
from powerd.helper.errors import RefusalError


@pytest.mark.lan
def test_every_time_the_device_itself_is_read(tmp_path: Path) -> None:
    with LoopDevices(tmp_path, 1) as loops:
        disk = find_disk(loops.root, loops.ids[0], allow_loops=True)
        open_before = len(list(Path("/proc/self/fd").iterdir()))
        before = loops.read_count(0)
        for _ in range(20):
            spin_up(disk)
        assert loops.read_count(0) == before + 20
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before


@pytest.mark.lan
def test_a_disk_of_no_known_size_is_read_at_its_begin(tmp_path: Path) -> None:
    with LoopDevices(tmp_path, 1) as loops:
        disk = find_disk(loops.root, loops.ids[0], allow_loops=True)
        (tmp_path / "dev").write_text("7:0\n")
        before = loops.read_count(0)
        spin_up(type(disk)(disk.name, disk.node, tmp_path, disk.device_number))
        assert loops.read_count(0) == before + 1


def test_a_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = find_disk(FakeDrives(tmp_path, "sda").root, "ata-SDA")
    with pytest.raises(RefusalError, match="is no longer ata-SDA"):
        spin_up(disk)
    monkeypatch.setattr("powerd.helper.disks.first_access.open_disk", lambda _: os.open("/", os.O_RDONLY))
    with pytest.raises(RefusalError, match="ata-SDA cannot be read: "):
        spin_up(disk)
