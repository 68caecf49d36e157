from __future__ import annotations

import pytest
from disks.source.block_builders import by_name, drive, partition, stacked_device
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.source.block_devices import BlockDevice
from powerd.disks.source.topology import DeviceTopology, DiskGroup, vg_name

VG = "LVM-" + "a" * 32


def grouped(*blocks: BlockDevice, but: str = "") -> dict[str, DiskGroup]:
    """The groups of all drives among ``blocks``, ``but`` for one that is excluded."""
    drives = [
        block.name for block in blocks if not block.is_virtual and not block.parent and block.name != but
    ]
    return DeviceTopology(by_name(*blocks)).groups(drives)


def drives(*names: str) -> list[BlockDevice]:
    return [drive(name) for name in names]


def test_an_array_of_partitions() -> None:
    parts = [partition("sda1", "sda"), partition("sdb1", "sdb")]
    group = DiskGroup("md0", array=True)
    assert grouped(*drives("sda", "sdb", "sdc"), *parts, stacked_device("md0", "sda1", "sdb1")) == {
        "sda": group,
        "sdb": group,
    }


@pytest.mark.parametrize(("given_name", "name"), [("photos", "photos"), ("0", "md127"), ("", "md127")])
def test_an_array_goes_by_the_name_that_it_was_given(given_name: str, name: str) -> None:
    md = stacked_device("md127", "sda", "sdb", MD_DEVNAME=given_name)
    assert grouped(*drives("sda", "sdb"), md)["sda"].name == name


def test_a_linear_array_is_no_array_to_be_woken_as_one() -> None:
    md = stacked_device("md0", "sda", "sdb", files={"md/level": "linear"})
    assert grouped(*drives("sda", "sdb"), md)["sda"] == DiskGroup("md0", array=False)


def test_a_volume_group_is_what_its_volumes_lie_on() -> None:
    """Two volumes, each on a disk of its own: it is the group that joins these."""
    root = stacked_device("dm-0", "sda2", files={"dm/name": "my--vg-root", "dm/uuid": VG + "b" * 32})
    home = stacked_device("dm-1", "sdb1", files={"dm/name": "my--vg-home", "dm/uuid": VG + "c" * 32})
    parts = [partition("sda2", "sda"), partition("sdb1", "sdb")]
    assert grouped(*drives("sda", "sdb"), *parts, root, home) == {
        "sda": DiskGroup("my-vg", array=False),
        "sdb": DiskGroup("my-vg", array=False),
    }


@pytest.mark.parametrize(
    ("labels", "name"), [(("photos", ""), "photos"), (("", "photos"), "photos"), (("", ""), "5c1f8a34")]
)
def test_btrfs_above_dm_crypt_is_one_by_its_uuid(labels: tuple[str, str], name: str) -> None:
    described = {"ID_FS_TYPE": "btrfs", "ID_FS_UUID": "5c1f8a34-0000"}
    crypts = [
        stacked_device(
            f"dm-{n}",
            f"sd{'ab'[n]}1",
            files={"dm/name": f"c{n}", "dm/uuid": "CRYPT-LUKS2-x"},
            ID_FS_LABEL=label,
            **described,
        )
        for n, label in enumerate(labels)
    ]
    parts = [partition("sda1", "sda"), partition("sdb1", "sdb")]
    group = DiskGroup(f"btrfs:{name}", array=True)
    assert grouped(*drives("sda", "sdb"), *parts, *crypts) == {"sda": group, "sdb": group}


@pytest.mark.parametrize("kind", ["bcachefs", "btrfs"])
def test_disks_with_one_filesystem_are_a_group(kind: str) -> None:
    described = {"ID_FS_TYPE": kind, "ID_FS_UUID": "5c1f8a34-0000"}
    disks = [drive(name, extra_properties=described) for name in ("sda", "sdb")]
    other = drive("sdc", ID_FS_TYPE=kind, ID_FS_UUID="77777777-0000")
    group = DiskGroup(f"{kind}:5c1f8a34", array=True)
    assert grouped(*disks, other) == {"sda": group, "sdb": group}


def test_a_pool_of_zfs() -> None:
    described = {"ID_FS_TYPE": "zfs_member", "ID_FS_UUID": "123456", "ID_FS_LABEL": "tank"}
    parts = [
        partition("sda1", "sda", **described),
        partition("sdb1", "sdb", **described),
        partition("sdb9", "sdb"),
    ]
    assert grouped(*drives("sda", "sdb"), *parts)["sdb"] == DiskGroup("zfs:tank", array=True)


def test_a_disk_alone_has_no_group() -> None:
    blocks = [
        *drives("sda"),
        partition("sda1", "sda"),
        partition("sda2", "sda"),
        stacked_device("md0", "sda1", "sda2"),
    ]
    assert grouped(*blocks) == {}


def test_the_name_is_that_of_what_spans_most() -> None:
    md = stacked_device("md0", "sda1", "sdb1")
    vg = stacked_device("dm-0", "md0", "sdc", files={"dm/name": "vg0-root", "dm/uuid": VG})
    parts = [partition("sda1", "sda"), partition("sdb1", "sdb")]
    groups = grouped(*drives("sda", "sdb", "sdc"), *parts, md, vg)
    assert groups == dict.fromkeys(("sda", "sdb", "sdc"), DiskGroup("vg0", array=True))
    alone = stacked_device("dm-0", "md0", files={"dm/name": "vg0-root", "dm/uuid": VG})
    assert grouped(*drives("sda", "sdb"), *parts, md, alone)["sda"].name == "md0"


def test_arrays_that_share_a_disk_are_one_group() -> None:
    parts = [
        partition("sda1", "sda"),
        partition("sda2", "sda"),
        partition("sdb1", "sdb"),
        partition("sdc1", "sdc"),
    ]
    arrays = [stacked_device("md0", "sda1", "sdb1"), stacked_device("md1", "sda2", "sdc1")]
    assert {group.name for group in grouped(*drives("sda", "sdb", "sdc"), *parts, *arrays).values()} == {
        "md0"
    }


def test_an_excluded_disk_joins_nothing() -> None:
    """An SSD that logs for two pools does not make them one."""
    described = [
        {"ID_FS_TYPE": "zfs_member", "ID_FS_UUID": str(n), "ID_FS_LABEL": f"tank{n}"} for n in range(2)
    ]
    parts = [
        *(
            partition(f"sd{letter}1", f"sd{letter}", **described["ab".find(letter) == -1])
            for letter in "abcd"
        ),
        partition("nvme0n1p1", "nvme0n1", **described[0]),
        partition("nvme0n1p2", "nvme0n1", **described[1]),
    ]
    disks = drives("sda", "sdb", "sdc", "sdd", "nvme0n1")
    groups = grouped(*disks, *parts, but="nvme0n1")
    assert {disk: group.name for disk, group in groups.items()} == {
        "sda": "zfs:tank0",
        "sdb": "zfs:tank0",
        "sdc": "zfs:tank1",
        "sdd": "zfs:tank1",
    }


def test_other_devices_of_several_go_by_their_own_name() -> None:
    raid = stacked_device("dm-0", "sda", "sdb", files={"dm/name": "isw_vol", "dm/uuid": "DMRAID-x"})
    assert grouped(*drives("sda", "sdb"), raid)["sda"] == DiskGroup("isw_vol", array=False)
    assert grouped(*drives("sda", "sdb"), stacked_device("bcache0", "sda", "sdb"))["sda"].name == "bcache0"


def test_the_disks_below_a_device() -> None:
    layers = DeviceTopology(
        by_name(
            *drives("sda", "sdb"),
            partition("sda1", "sda"),
            stacked_device("md0", "sda1", "gone"),
            stacked_device("dm-0", "md0"),
        )
    )
    assert layers.disks(["dm-0"]) == {"sda"}
    assert layers.disks(["dm-0", "sdb", "nobody"]) == {"sda", "sdb"}


@pytest.mark.parametrize(
    ("volume", "group"),
    [("vg0-root", "vg0"), ("my--vg-a--b", "my-vg"), ("a---b", "a-"), ("plain", ""), ("", ""), ("-x", "")],
)
def test_the_volume_group_in_a_name(volume: str, group: str) -> None:
    assert vg_name(volume) == group


NAMES = st.sampled_from(["sda", "sdb", "sda1", "sdb1", "md0", "md1", "dm-0", "dm-1", "gone"])


@given(st.dictionaries(st.sampled_from(["md0", "md1", "dm-0", "dm-1"]), st.lists(NAMES, max_size=3)))
def test_any_tangle_of_layers_is_borne(slaves: dict[str, list[str]]) -> None:
    blocks = [*drives("sda", "sdb"), partition("sda1", "sda"), partition("sdb1", "sdb")]
    blocks += [stacked_device(name, *below) for name, below in slaves.items()]
    layers = DeviceTopology(by_name(*blocks))
    assert layers.disks(slaves) <= {"sda", "sdb"}
    groups = layers.groups(["sda", "sdb"])
    assert set(groups) in ({"sda", "sdb"}, set())
