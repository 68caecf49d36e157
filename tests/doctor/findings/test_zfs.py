from __future__ import annotations

import pytest
from doctor.server import Server

PARAMETERS = "/sys/module/zfs/parameters"


@pytest.fixture
def pool(server: Server) -> Server:
    server.sata(2, "WD-2")
    server.partition(2, 1, ID_FS_TYPE="zfs_member", ID_FS_LABEL="tank")
    server.mount("0:40", "/tank", "zfs", "tank", options="rw,noatime,xattr")
    server.put(f"{PARAMETERS}/spa_note_txg_time", "600\n")
    server.put(f"{PARAMETERS}/spa_flush_txg_time", "600\n")
    return server


def test_the_times_are_saved_once_a_day(pool: Server) -> None:
    (diagnosis,) = pool.diagnose("zfs")
    assert diagnosis.disks == ("sdc",)
    assert diagnosis.files[0].text == "options zfs spa_note_txg_time=86400 spa_flush_txg_time=86400\n"
    assert [command.argv[2] for command in diagnosis.commands] == [
        f"echo 86400 >{PARAMETERS}/{name}" for name in ("spa_note_txg_time", "spa_flush_txg_time")
    ]
    assert [command.inverse[2] for command in diagnosis.commands] == [
        f"echo 600 >{PARAMETERS}/{name}" for name in ("spa_note_txg_time", "spa_flush_txg_time")
    ]


def test_they_are_saved_once_a_day_already(pool: Server) -> None:
    pool.put(f"{PARAMETERS}/spa_flush_txg_time", "86400\n")
    assert pool.diagnose("zfs") == []


def test_a_version_that_does_not_save_them(pool: Server) -> None:
    pool.at(f"{PARAMETERS}/spa_flush_txg_time").unlink()
    assert pool.diagnose("zfs") == []


@pytest.mark.parametrize(
    ("options", "applies"),
    [("rw,xattr", True), ("rw,relatime", True), ("rw,noatime", False), ("ro,relatime", False)],
)
def test_times_of_access(pool: Server, options: str, applies: bool) -> None:  # noqa: FBT001 - a parameter
    pool.mount("0:41", "/tank/photos", "zfs", "tank/photos", options=options)
    lines = [each.by_hand for each in pool.diagnose("zfs") if each.id == "zfs:atime"]
    assert lines == ["zfs set atime=off tank/photos"] * applies


def test_no_pool_on_a_hard_disk(server: Server) -> None:
    server.put(f"{PARAMETERS}/spa_flush_txg_time", "600\n")
    assert server.diagnose("zfs") == []
