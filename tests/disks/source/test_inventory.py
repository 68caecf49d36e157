from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.hardware import Hardware, sd_name, sd_number

from powerd.disks.model import Disk, DiskId, Mount
from powerd.disks.source import block_devices, mountinfo
from powerd.disks.source.inventory import Inventory, build_inventory, with_maintenance
from powerd.disks.source.spin_up_causes import SpinUpCauses
from powerd.linux.files import HostFiles

NOBODY = SpinUpCauses()


def taken(hardware: Hardware, wakers: SpinUpCauses = NOBODY) -> Inventory:
    fake_files = HostFiles(hardware.root)
    lines = mountinfo.parse_mountinfo(fake_files.read_text("/proc/self/mountinfo"))
    return build_inventory(asyncio.run(block_devices.read_block_devices(fake_files)), lines, wakers)


def disks_of(hardware: Hardware, wakers: SpinUpCauses = NOBODY) -> dict[str, Disk]:
    """By the kernel's names."""
    return {disk.device: disk for disk in taken(hardware, wakers).disks.values()}


def journal_on(hardware: Hardware, path: str = "/var/log/journal") -> set[str]:
    return {
        name
        for name, disk in disks_of(hardware, SpinUpCauses(journal_directory=path)).items()
        if disk.holds_journal
    }


def swapped_to(hardware: Hardware, *paths: str) -> set[str]:
    found = disks_of(hardware, SpinUpCauses(swap_paths=frozenset(paths)))
    return {name for name, disk in found.items() if disk.swap_in_use}


APM = {"ID_ATA_FEATURE_SET_APM": "1", "ID_ATA_FEATURE_SET_APM_ENABLED": "1"}


def places(disk: Disk) -> set[str]:
    return {mount.mount_point for mount in disk.mounts}


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    return Hardware(tmp_path)


def test_a_disk_is_reported_completely(hardware: Hardware) -> None:
    id_ = hardware.sata(
        0, "WCC1", files={"device/power/control": "auto", "device/power/autosuspend_delay_ms": "5"}
    )
    hardware.partition(0, 1, ID_FS_TYPE="ext4")
    hardware.mount("8:1", "/srv", "ext4", "/dev/sda1", options="rw,noatime")
    assert taken(hardware).disks == {
        id_: Disk(
            DiskId(id_),
            device="sda",
            device_number="8:0",
            model="WDC WD20EFRX-68EUZN0",
            serial="WCC1",
            size=2000398934016,
            transport="ata",
            rotational=True,
            rpm=5400,
            mounts=(Mount("/srv", "ext4", ("rw", "noatime")),),
            runtime_pm=True,
        )
    }


@pytest.mark.parametrize(
    ("control", "delay", "may"),
    [("auto", "0", True), ("auto", "-1", False), ("on", "5000", False), ("auto", "", False)],
)
def test_whether_the_kernel_may_suspend_it(
    hardware: Hardware, control: str, delay: str, *, may: bool
) -> None:
    power = "device/power"
    hardware.sata(0, "WCC1", files={f"{power}/control": control, f"{power}/autosuspend_delay_ms": delay})
    assert disks_of(hardware)["sda"].runtime_pm is may


def test_an_id_stays_when_names_move(tmp_path: Path) -> None:
    found = []
    for action in ((0, 1), (1, 0)):
        hardware = Hardware(tmp_path / str(action[0]))
        ids = {serial: hardware.sata(index, serial) for index, serial in zip(action, "AB", strict=True)}
        assert {disk.serial: disk.id for disk in disks_of(hardware).values()} == ids
        found.append(ids)
    assert found[0] == found[1]


def test_mounts_above_many_layers(hardware: Hardware) -> None:
    for n in range(3):
        hardware.sata(n, f"WCC{n}")
    hardware.md("md0", 0, ["sda", "sdb"])
    hardware.dm(0, ["md0"], "vg0-root", "LVM-x")
    hardware.mount("253:0", "/", "ext4", "/dev/mapper/vg0-root")
    hardware.mount("0:20", "/proc", "proc", "proc")
    found = disks_of(hardware)
    assert {name: places(disk) for name, disk in found.items() if disk.ineligible_reason is None} == {
        "sda": {"/"},
        "sdb": {"/"},
        "sdc": set(),
    }
    assert (found["sda"].group, found["sda"].array, found["sdc"].group) == ("md0", True, None)


def test_btrfs_is_on_all_of_its_disks(hardware: Hardware) -> None:
    """Its device number in the mount table belongs to no device, and the table names one member only."""
    for n in range(2):
        hardware.sata(n, f"WCC{n}")
        part = hardware.partition(n, 1)
        hardware.dm(
            n, [part], f"crypt{n}", "CRYPT-LUKS2-x", ID_FS_TYPE="btrfs", ID_FS_UUID="u", ID_FS_LABEL="ph"
        )
    hardware.mount("0:41", "/srv", "btrfs", "/dev/mapper/crypt0", root="/@srv")
    found = disks_of(hardware)
    assert [places(found[name]) for name in ("sda", "sdb")] == [{"/srv"}, {"/srv"}]
    assert found["sdb"].group == "btrfs:ph"


def test_zfs_is_on_its_pool(hardware: Hardware) -> None:
    for n in range(3):
        hardware.sata(n, f"WCC{n}")
        pool = "tank" if n < 2 else "other"
        hardware.partition(n, 1, ID_FS_TYPE="zfs_member", ID_FS_UUID=f"id-{pool}", ID_FS_LABEL=pool)
    hardware.mount("0:50", "/tank", "zfs", "tank")
    hardware.mount("0:51", "/tank/photos", "zfs", "tank/photos")
    hardware.mount("0:52", "/gone", "zfs", "gone/x")
    found = disks_of(hardware)
    assert [places(found[name]) for name in ("sda", "sdb", "sdc")] == [{"/tank", "/tank/photos"}] * 2 + [
        set()
    ]
    assert [found[name].group for name in ("sda", "sdc")] == ["zfs:tank", None]


def test_bcachefs_names_all_of_its_disks(hardware: Hardware) -> None:
    for n in range(2):
        hardware.sata(n, f"WCC{n}")
    hardware.mount("0:60", "/srv", "bcachefs", "/dev/sda:/dev/sdb")
    assert [places(disk) for disk in disks_of(hardware).values()] == [{"/srv"}, {"/srv"}]


def test_swap_is_shown_as_lsblk_does(hardware: Hardware) -> None:
    hardware.sata(0, "WCC1")
    hardware.partition(0, 2, ID_FS_TYPE="swap")
    assert disks_of(hardware)["sda"].mounts == (Mount("[SWAP]", "swap"),)


def three(hardware: Hardware) -> None:
    """The system on a partition of the first disk, and data on a mirror of the others."""
    for n in range(3):
        hardware.sata(n, f"WCC{n}")
    hardware.partition(0, 1, ID_FS_TYPE="ext4")
    hardware.partition(0, 2, ID_FS_TYPE="swap")
    hardware.md("md0", 0, ["sdb", "sdc"], ID_FS_TYPE="ext4")
    hardware.mount("8:1", "/", "ext4", "/dev/sda1")
    hardware.mount("9:0", "/srv", "ext4", "/dev/md0")


def test_a_disk_holds_the_journal(hardware: Hardware) -> None:
    three(hardware)
    assert journal_on(hardware) == {"sda"}
    assert not any(disk.holds_journal or disk.swap_in_use for disk in disks_of(hardware).values())


def test_all_members_of_an_array_hold_it(hardware: Hardware) -> None:
    three(hardware)
    assert journal_on(hardware, "/srv/log/journal") == {"sdb", "sdc"}


def test_all_members_of_a_group_share_it_even_where_it_lies_on_one(hardware: Hardware) -> None:
    three(hardware)
    hardware.partition(0, 3)
    hardware.sata(3, "WCC3")
    hardware.dm(0, ["sda3", "sdd"], "vg0-data", f"LVM-{'a' * 64}")
    assert journal_on(hardware) == {"sda", "sdd"}


@pytest.mark.parametrize("fs", ["tmpfs", "overlay"])
def test_a_journal_on_no_disk_wakes_none(hardware: Hardware, fs: str) -> None:
    three(hardware)
    hardware.mount("0:50", "/var/log", fs, fs)
    assert journal_on(hardware) == set()


@pytest.mark.parametrize(
    ("paths", "disks"),
    [
        ((), set()),
        (("/dev/sda2",), {"sda"}),
        (("/srv/swap", "/dev/zram0"), {"sdb", "sdc"}),
        (("/swap", "/dev/md0"), {"sda", "sdb", "sdc"}),
        (("/dev/sdq1",), set()),
    ],
)
def test_swap_space_in_use(hardware: Hardware, paths: tuple[str, ...], disks: set[str]) -> None:
    three(hardware)
    hardware.virtual("zram0", "252:0")
    assert swapped_to(hardware, *paths) == disks


def test_what_arrays_do(hardware: Hardware) -> None:
    ids = [hardware.sata(n, f"WCC{n}") for n in range(4)]
    hardware.md("md0", 0, ["sda", "sdb"])
    hardware.md("md1", 1, ["sdc", "sdd"], level="raid0")
    inventory = taken(hardware)
    files = {name: keeper.state_file for name, keeper in inventory.arrays.items()}
    assert files["md0"] == "/sys/devices/virtual/block/md0/md/sync_action"
    for quiet in ("idle", "frozen", None):
        assert not any(disk.busy_reason for disk in with_maintenance(inventory, {"md0": quiet}).values())
    at_work = with_maintenance(inventory, {"md0": "resync", "md1": None})
    assert [at_work[DiskId(id_)].busy_reason for id_ in ids] == ["md0 resync", "md0 resync", None, None]


def test_what_a_btrfs_does_holds_all_of_its_disks(hardware: Hardware) -> None:
    ids = [hardware.sata(n, f"WCC{n}") for n in range(4)]
    for n, (uuid, label) in enumerate([("u1", "photos"), ("u1", "photos"), ("12345678-9", "")]):
        part = hardware.partition(n, 1)
        hardware.dm(n, [part], f"c{n}", "CRYPT-x", ID_FS_TYPE="btrfs", ID_FS_UUID=uuid, ID_FS_LABEL=label)
    hardware.partition(3, 1, ID_FS_TYPE="zfs_member", ID_FS_UUID="u3", ID_FS_LABEL="tank")
    inventory = taken(hardware)
    assert {uuid: keeper.state_file for uuid, keeper in inventory.btrfs.items()} == {
        uuid: f"/sys/fs/btrfs/{uuid}/exclusive_operation" for uuid in ("u1", "12345678-9")
    }
    for rest in ("none", "balance paused", None):
        assert not any(disk.busy_reason for disk in with_maintenance(inventory, {"u1": rest}).values())
    at_work = with_maintenance(inventory, {"u1": "none", "12345678-9": "device remove"}, {"u1", "u3"})
    assert [at_work[DiskId(id_)].busy_reason for id_ in ids] == [
        "btrfs:photos scrub",
        "btrfs:photos scrub",
        "btrfs:12345678 device remove",
        None,
    ]


def test_the_apm_level_that_udev_knows(hardware: Hardware) -> None:
    hardware.sata(0, "WCC1", properties=APM | {"ID_ATA_FEATURE_SET_APM_CURRENT_VALUE": "96"})
    hardware.sata(1, "WCC2")
    assert {name: disk.apm for name, disk in disks_of(hardware).items()} == {"sda": 96, "sdb": None}


def test_an_excluded_disk_without_a_name_goes_by_the_kernels(hardware: Hardware) -> None:
    hardware.virtual("loop0", "7:0")
    hardware.sata(0, "WCC1", rpm=0)
    found = taken(hardware).disks
    assert found[DiskId("loop0")].ineligible_reason
    assert all(disk.group is None for disk in found.values())


def test_a_disk_that_is_used_by_its_partitions_alone(hardware: Hardware) -> None:
    ids = [hardware.sata(n, f"WCC{n}") for n in range(6)]
    for n in (0, 1, 2, 3, 4):
        hardware.partition(n, 1, ID_FS_TYPE="ext4")
    hardware.partition(0, 2)
    hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    hardware.md("md0", 0, ["sdb1", "sdc"])
    hardware.mount("8:48", "/whole", "ext4", "/dev/sdd")
    hardware.mount("8:49", "/part", "ext4", "/dev/sdd1")
    parts = {
        id_: [path.rpartition("/")[2] for path in paths] for id_, paths in taken(hardware).partitions.items()
    }
    assert parts == {ids[0]: ["sda1", "sda2"], ids[1]: ["sdb1"]}, "of the fifth nobody here uses any"


def four(hardware: Hardware) -> None:
    """A usual home server: the system on an SSD, an array of two, and a disk for backups."""
    hardware.sata(0, "SSD", model="Samsung SSD 860", rotational="0", rpm=0)
    hardware.partition(0, 1, ID_FS_TYPE="ext4")
    hardware.mount("8:1", "/", "ext4", "/dev/sda1")
    for n in (1, 2, 3):
        hardware.sata(n, f"WCC{n}")
        hardware.partition(n, 1)
    hardware.md("md0", 0, ["sdb1", "sdc1"])


def many(hardware: Hardware) -> None:
    """200 disks: shelves of ten in a pool of ZFS each."""
    for n in range(200):
        hardware.sata(n, f"WCC{n}")
        pool = f"tank{n // 10}"
        hardware.partition(n, 1, ID_FS_TYPE="zfs_member", ID_FS_UUID=pool, ID_FS_LABEL=pool)
        hardware.partition(n, 9)


@pytest.mark.parametrize(
    ("build", "free", "groups", "biggest"), [(four, 3, 1, 2), (many, 200, 20, 10)], ids=["4", "200"]
)
def test_machines_of_many_sizes(
    hardware: Hardware, build: Callable[[Hardware], None], free: int, groups: int, biggest: int
) -> None:
    build(hardware)
    disks = [disk for disk in taken(hardware).disks.values() if disk.ineligible_reason is None]
    assert len(disks) == free
    assert len({disk.device_number for disk in disks}) == free
    names = [disk.group for disk in disks if disk.group]
    assert len(set(names)) == groups
    assert max(map(names.count, names)) == biggest


def test_names_go_on_after_z() -> None:
    assert [sd_name(n) for n in (0, 25, 26, 701, 702)] == ["sda", "sdz", "sdaa", "sdzz", "sdaaa"]
    assert sd_number(16) == "65:0"
