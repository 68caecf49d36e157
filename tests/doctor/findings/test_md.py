from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def mirror(server: Server) -> Server:
    """The hard disk sda and the SSD sdb."""
    server.put("/sys/block/md0/md/level", "raid1\n")
    for member in ("sda1", "sdb1"):
        server.put(f"/sys/block/md0/md/dev-{member}/state", "in_sync\n")
    return server


def test_a_mirror_of_an_ssd_and_a_hard_disk(mirror: Server) -> None:
    (diagnosis,) = mirror.diagnose("md")
    assert diagnosis.id == "md:md0"
    assert diagnosis.disks == ("sda",)
    (command,) = diagnosis.commands
    assert command.argv == ("sh", "-c", "echo writemostly >/sys/block/md0/md/dev-sda1/state")
    assert command.inverse == ("sh", "-c", "echo -writemostly >/sys/block/md0/md/dev-sda1/state")


def test_a_hard_disk_that_is_marked(mirror: Server) -> None:
    mirror.put("/sys/block/md0/md/dev-sda1/state", "in_sync,write_mostly\n")
    assert mirror.diagnose("md") == []


@pytest.mark.parametrize("level", ["raid0", "raid5", "raid10"])
def test_other_levels(mirror: Server, level: str) -> None:
    mirror.put("/sys/block/md0/md/level", f"{level}\n")
    assert mirror.diagnose("md") == []


def test_a_mirror_of_hard_disks(mirror: Server) -> None:
    mirror.sata(2, "WD-2")
    mirror.partition(2, 1)
    mirror.at("/sys/block/md0/md/dev-sdb1").rename(mirror.at("/sys/block/md0/md/dev-sdc1"))
    assert mirror.diagnose("md") == []


def test_a_name_with_a_character_of_the_shell(mirror: Server) -> None:
    mirror.at("/sys/block/md0").rename(mirror.at("/sys/block/md_a;reboot"))
    assert mirror.diagnose("md") == []
