from __future__ import annotations

import pytest
from doctor.server import Server

OPTIONS = "/proc/fs/ext4/sda1/options"


@pytest.mark.parametrize(("commit", "applies"), [("5", False), ("115", False), ("116", True), ("3600", True)])
def test_an_interval_that_is_too_long(server: Server, commit: str, *, applies: bool) -> None:
    server.put(OPTIONS, f"rw\ndelalloc\ncommit={commit}\nmin_batch_time=0\n")
    server.mount("8:1", "/bound", "ext4", "/dev/sda1", root="/srv")
    diagnoses = server.diagnose("ext4_commit")
    assert [each.id for each in diagnoses] == (["ext4_commit:sda1"] if applies else [])
    assert all("mount -o remount,commit=60 /" in each.by_hand for each in diagnoses)


def test_the_interval_of_an_ssd(server: Server) -> None:
    server.put("/proc/fs/ext4/sdb1/options", "commit=600\n")
    assert server.diagnose("ext4_commit") == []
