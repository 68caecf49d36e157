from __future__ import annotations

import pytest
from disks.source.block_builders import by_name, drive, partition, record, stacked_device
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.source.block_devices import BlockDevice
from powerd.disks.source.mountinfo import (
    HeldMount,
    MountEntry,
    devices_holding,
    mount_holders,
    parse_mountinfo,
    swap_devices,
)


def row(number: str, root: str, where: str, fs: str = "ext4", source: str = "/dev/sda1") -> str:
    return f"36 35 {number} {root} {where} rw,noatime master:1 shared:7 - {fs} {source} rw,errors=continue"


def places(*rows: str) -> list[str]:
    return [line.mount_point for line in parse_mountinfo("\n".join(rows))]


def test_a_line_is_read() -> None:
    assert parse_mountinfo(row("8:1", "/", "/srv/my\\040films") + "\n") == (
        MountEntry("8:1", "/", "/srv/my films", ("rw", "noatime"), "ext4", "/dev/sda1"),
    )


def test_letters_beyond_ascii_come_as_bytes() -> None:
    assert places(row("8:1", "/", "/caf\\303\\251\\134x")) == ["/café\\x"]
    assert places(row("8:1", "/", "/bad\\777")) == ["/bad\ufffd"]


def test_a_line_without_optional_fields_is_read() -> None:
    assert places("22 27 0:21 / /proc rw - proc proc rw") == ["/proc"]


def test_what_is_covered_is_not_shown() -> None:
    lines = parse_mountinfo(
        "\n".join((row("8:1", "/", "/srv"), row("8:17", "/", "/srv", source="/dev/sdb1")))
    )
    assert [line.source for line in lines] == ["/dev/sdb1"]


def test_what_systemd_mounts_onto_itself_is_not_shown() -> None:
    root, state = row("8:1", "/", "/"), row("8:1", "/var/lib/powerd", "/var/lib/powerd")
    assert places(root, state) == ["/"]
    assert places(row("0:41", "/@", "/"), row("0:41", "/@/var/lib/powerd", "/var/lib/powerd")) == ["/"]
    assert places(row("8:1", "/", "/home"), row("8:1", "/alice", "/home/alice")) == ["/home"]


def test_other_pieces_of_a_filesystem_are_shown() -> None:
    rows = (row("0:41", "/@", "/"), row("0:41", "/@home", "/home"), row("0:41", "/", "/mnt/top"))
    assert places(*rows) == ["/", "/home", "/mnt/top"]
    assert places(row("8:1", "/", "/"), row("8:1", "/srv/films", "/exports")) == ["/", "/exports"]
    assert places(row("8:1", "/", "/srv"), row("8:2", "/x", "/srv/x")) == ["/srv", "/srv/x"]
    assert places(row("8:1", "/", "/srv/x")) == ["/srv/x"], "there is nothing above it"


def test_what_systemd_hides_from_a_service_is_shown_all_the_same() -> None:
    home = row("8:17", "/", "/home", source="/dev/sdb1")
    hidden = row("0:23", "/systemd/inaccessible/dir", "/home", fs="tmpfs", source="tmpfs")
    private = row("8:1", "/tmp/systemd-private-1f-powerd.service-x/tmp", "/tmp")  # noqa: S108 - a line, no file
    assert places(row("8:1", "/", "/"), home, hidden, private) == ["/", "/home"]


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    parse_mountinfo(text)


@given(st.lists(st.tuples(*[st.text(st.characters(exclude_characters=" \n"), min_size=1)] * 6)))
def test_any_field_is_borne(rows: list[tuple[str, ...]]) -> None:
    text = "\n".join(f"1 2 {a} {b} {c} {d} - {e} {f}" for a, b, c, d, e, f in rows)
    shown = [line.mount_point for line in parse_mountinfo(text)]
    assert len(shown) == len(set(shown)) <= len(rows)
    assert parse_mountinfo(None) == ()


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
