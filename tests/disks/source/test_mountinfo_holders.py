from __future__ import annotations

import pytest
from disks.source.block_builders import by_name, drive, partition, record, stacked_device

from powerd.disks.source.block_devices import BlockDevice
from powerd.disks.source.mountinfo import HeldMount, MountEntry, devices_holding, mount_holders, swap_devices


def held(**where: str) -> list[HeldMount]:
    """Mounts by the one device that holds each; "" = none does."""
    lines = {name: MountEntry("8:1", "/", place, ("rw",), "ext4", "") for name, place in where.items()}
    return [(line, frozenset({name} - {"none"})) for name, line in lines.items()]


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("/var/log/journal", "sdb1"),
        ("/var/log", "sdb1"),
        ("/var/logs/journal", "sda1"),
        ("/", "sda1"),
        ("/run/x", None),
    ],
)
def test_the_deepest_mount_holds_a_path(path: str, device: str | None) -> None:
    mounts = held(sda1="/", sdb1="/var/log", none="/run")
    assert devices_holding(path, mounts) == ({device} if device else set())
    assert devices_holding(path, mounts[::-1]) == devices_holding(path, mounts)


def test_what_is_nowhere_is_held_by_nothing() -> None:
    assert devices_holding(None, held(sda1="/")) == set()
    assert devices_holding("/var/log/journal", []) == set()


def blocks() -> dict[str, BlockDevice]:
    volume = stacked_device("dm-1", "sda3", files={"dm/name": "vg0-swap"})
    return by_name(drive("sda"), partition("sda2", "sda"), drive("sdb"), volume, stacked_device("zram0"))


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("/dev/sda2", "sda2"),
        ("/dev/dm-1", "dm-1"),
        ("/dev/mapper/vg0-swap", "dm-1"),
        ("/dev/zram0", "zram0"),
        ("/dev/gone", None),
        ("/srv/swap", "sdb"),
        ("/swap", "sda1"),
    ],
)
def test_what_is_swapped_to(path: str, device: str | None) -> None:
    mounts = held(sda1="/", sdb="/srv")
    assert set(swap_devices(blocks(), {path}, mounts)) == ({device} if device else set())


@pytest.mark.parametrize("kind", ["bcachefs", "btrfs"])
def test_each_device_of_a_filesystem_holds_what_is_mounted(kind: str) -> None:
    members = by_name(
        *(BlockDevice(f"sd{x}", f"/sys/{x}", {}, record(ID_FS_TYPE=kind, ID_FS_UUID="u")) for x in "ab")
    )
    line = MountEntry("0:41", "/", "/srv", (), kind, "/dev/sdb")
    tmpfs = MountEntry("0:42", "/", "/tmp", (), "tmpfs", "tmpfs")  # noqa: S108 - a line, no file
    assert mount_holders(members, [line, tmpfs]) == [(line, frozenset({"sda", "sdb"})), (tmpfs, frozenset())]
