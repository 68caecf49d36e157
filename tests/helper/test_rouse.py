"""Waking by reading: the kernel's own block devices, past their caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helper.drives import Drives
from helper.loops import Loops

from powerd.helper.disks import find
from powerd.helper.errors import RefusalError
from powerd.helper.rouse import rouse


@pytest.mark.lan
def test_every_time_the_device_itself_is_read(tmp_path: Path) -> None:
    with Loops(tmp_path, 1) as loops:
        disk = find(loops.root, loops.ids[0], loops=True)
        open_before = len(list(Path("/proc/self/fd").iterdir()))
        before = loops.reads(0)
        for _ in range(20):
            rouse(disk)
        assert loops.reads(0) == before + 20
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before


@pytest.mark.lan
def test_a_disk_of_no_known_size_is_read_at_its_begin(tmp_path: Path) -> None:
    with Loops(tmp_path, 1) as loops:
        disk = find(loops.root, loops.ids[0], loops=True)
        (tmp_path / "dev").write_text("7:0\n")
        before = loops.reads(0)
        rouse(type(disk)(disk.name, disk.node, tmp_path, disk.number))
        assert loops.reads(0) == before + 1


def test_a_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = find(Drives(tmp_path, "sda").root, "ata-SDA")
    with pytest.raises(RefusalError, match="is no longer ata-SDA"):
        rouse(disk)
    monkeypatch.setattr("powerd.helper.rouse.open_disk", lambda _: os.open("/", os.O_RDONLY))
    with pytest.raises(RefusalError, match="ata-SDA cannot be read: "):
        rouse(disk)
