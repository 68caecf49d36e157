"""Which disks a watched directory is on, and which directories may be looked up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import pytest
from fakes.unused_ports import UnusedPorts

from powerd.attribution.model import FileAccess, FileReading
from powerd.attribution.source_directories import read_directories
from powerd.disks.model import Disk, DiskId, Mount

SDA, SDB, SDC = DiskId("ata-A"), DiskId("ata-B"), DiskId("ata-C")
POOL: Final = (Mount("/srv", "btrfs"), Mount("/srv/photos", "btrfs"))
DISKS: Final = {
    SDA: Disk(SDA, "sda", "8:0", mounts=(Mount("/", "ext4"), Mount("/var", "ext4"))),
    SDB: Disk(SDB, "sdb", "8:16", mounts=POOL),
    SDC: Disk(SDC, "sdc", "8:32", mounts=POOL),
}


class Directories(UnusedPorts):
    """A port on which each directory and one file in it have been read."""

    def __init__(self) -> None:
        self.may_look_up: set[str] = set()

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        self.may_look_up = set(may_look_up)
        paths = [path for each in directories for path in (each, f"{each.rstrip('/')}/file")]
        return FileReading(tuple(FileAccess(0, path, "read") for path in paths))


@pytest.mark.parametrize(
    ("directory", "device", "disks"),
    [
        ("/", "8:0", (SDA,)),
        ("/etc", "8:0", (SDA,)),
        ("/var/log", "8:0", (SDA,)),
        ("/various", "8:0", (SDA,)),
        ("/srv", "8:16 8:32", (SDB, SDC)),
        ("/srv/photos/2026", "8:16 8:32", (SDB, SDC)),
        ("/srvother", "8:0", (SDA,)),
    ],
)
def test_a_directory_is_on_the_disks_of_its_file_system(
    directory: str, device: str, disks: tuple[DiskId, ...]
) -> None:
    port = Directories()
    reading = read_directories(port, (directory,), DISKS, ())
    assert {access.device for access in reading.accesses} == {device}
    assert reading.devices == {device: disks}
    assert port.may_look_up == {directory}


@pytest.mark.parametrize(
    ("standby", "expected"),
    [
        ((), {"/srv/photos", "/var/log"}),
        ((SDB,), {"/var/log"}),
        ((SDA,), {"/srv/photos"}),
        ((SDA, SDC), set()),
    ],
)
def test_nothing_is_looked_up_on_a_disk_in_standby(standby: tuple[DiskId, ...], expected: set[str]) -> None:
    port = Directories()
    read_directories(port, ("/srv/photos", "/var/log"), DISKS, standby)
    assert port.may_look_up == expected


def test_a_directory_on_no_disk_is_watched_all_the_same() -> None:
    """On tmpfs, or on a disk that powerd does not know."""
    port = Directories()
    reading = read_directories(port, ("/run",), {SDB: DISKS[SDB]}, (SDB,))
    assert port.may_look_up == {"/run"}
    assert {access.device for access in reading.accesses} == {""}
    assert reading.devices == {}
