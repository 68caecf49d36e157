"""Assembles the inventory: every whole disk with its mounts, its group and its use by the system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.disks.maintenance import running_maintenance
from powerd.disks.model import Disk, DiskId, Mount
from powerd.disks.source import identity
from powerd.disks.source.block_devices import BlockDevice, parse_int
from powerd.disks.source.mountinfo import HeldMount, MountEntry, devices_holding, mount_holders, swap_devices
from powerd.disks.source.spin_up_causes import SpinUpCauses
from powerd.disks.source.topology import DeviceTopology, DiskGroup

SWAP_MOUNT_POINT: Final = "[SWAP]"
"""The mount point of swap space, as in lsblk(8); Disk.swap_in_use says whether it is in use."""
_SYS_FS_BTRFS: Final = "/sys/fs/btrfs"
_NO_SPIN_UP_CAUSES: Final = SpinUpCauses()


@dataclass(frozen=True, slots=True)
class MaintainedArray:
    """An md array with redundancy or a btrfs, which may run maintenance on its disks.

    Attributes:
        name: ``md0``, ``btrfs:photos``.
        state_file: names the running maintenance, see maintenance.py; that of a btrfs exists while it is
        mounted. disks: those below it.
    """

    name: str
    state_file: str
    disks: frozenset[DiskId]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The disks at one moment.

    Attributes:
        disks: by id.
        blocks: the block device of each disk.
        arrays: the md arrays, by the kernel's name.
        btrfs: the btrfs filesystems, mounted or not, by UUID.
        partitions: of each disk that is used only through partitions, their sysfs directories.
    """

    disks: Mapping[DiskId, Disk] = field(default_factory=lambda: MappingProxyType({}))
    blocks: Mapping[DiskId, BlockDevice] = field(default_factory=lambda: MappingProxyType({}))
    arrays: Mapping[str, MaintainedArray] = field(default_factory=lambda: MappingProxyType({}))
    btrfs: Mapping[str, MaintainedArray] = field(default_factory=lambda: MappingProxyType({}))
    partitions: Mapping[DiskId, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


def build_inventory(
    blocks: Mapping[str, BlockDevice],
    mount_entries: Iterable[MountEntry],
    spin_up_causes: SpinUpCauses = _NO_SPIN_UP_CAUSES,
) -> Inventory:
    """The inventory from block devices, mounts, the journal and swap space."""
    whole_disks = {block.name: block for block in blocks.values() if block.parent is None}
    ids = identity.assign_ids(disk for disk in whole_disks.values() if not disk.is_virtual)
    topology = DeviceTopology(blocks)
    ineligible = {name: identity.ineligible_reason(disk, ids.get(name)) for name, disk in whole_disks.items()}
    groups = topology.groups([name for name in whole_disks if ineligible[name] is None])
    held_mounts = mount_holders(blocks, mount_entries)
    mounts = _mounts_by_disk(blocks, topology, held_mounts)
    journal_disks = _with_group_members(
        topology.disks(devices_holding(spin_up_causes.journal_directory, held_mounts)), groups
    )
    swap_disks = _with_group_members(
        topology.disks(swap_devices(blocks, spin_up_causes.swap_paths, held_mounts)), groups
    )
    id_by_name = {name: ids.get(name) or DiskId(name) for name in whole_disks}
    disks: dict[DiskId, Disk] = {}
    for name, block in whole_disks.items():
        group = groups.get(name)
        disk = _make_disk(block, id_by_name[name], ineligible[name])
        disks[disk.id] = replace(
            disk,
            mounts=tuple(dict.fromkeys(mounts[name])),
            group=group.name if group else None,
            array=group is not None and group.array,
            holds_journal=name in journal_disks,
            swap_in_use=name in swap_disks,
        )
    return Inventory(
        MappingProxyType(disks),
        MappingProxyType({id_by_name[name]: block for name, block in whole_disks.items()}),
        arrays=MappingProxyType(_md_arrays(whole_disks, topology, id_by_name)),
        btrfs=MappingProxyType(_btrfs_filesystems(topology, id_by_name)),
        partitions=MappingProxyType(
            {
                id_by_name[name]: parts
                for name, parts in _used_partitions(blocks, held_mounts)
                if name in id_by_name
            }
        ),
    )


def with_maintenance(
    inventory: Inventory, operations: Mapping[str, str | None], scrubbed: Collection[str] = ()
) -> Mapping[DiskId, Disk]:
    """The disks with the running maintenance of their md arrays and btrfs filesystems.

    Args:
        inventory: of the disks.
        operations: by array or UUID, the content of its state file; None = there is none (no redundancy).
        scrubbed: UUIDs of the btrfs filesystems with a running scrub.
    """
    busy_reasons: dict[DiskId, str] = {}
    for key, array in {**inventory.arrays, **inventory.btrfs}.items():
        operation = running_maintenance(operations.get(key), scrub_running=key in scrubbed)
        if operation is not None:
            busy_reasons |= dict.fromkeys(array.disks, f"{array.name} {operation}")
    return {id_: replace(disk, busy_reason=busy_reasons.get(id_)) for id_, disk in inventory.disks.items()}


def _disk_ids(
    topology: DeviceTopology, names: Iterable[str], id_by_name: Mapping[str, DiskId]
) -> frozenset[DiskId]:
    """The ids of the disks below these devices."""
    return frozenset(id_by_name[disk] for disk in topology.disks(names))


def _make_disk(block: BlockDevice, id_: DiskId, ineligible_reason: str | None) -> Disk:
    delay = parse_int(block.attributes.get("device/power/autosuspend_delay_ms"))
    return Disk(
        id_,
        device=block.name,
        device_number=block.device_number,
        model=identity.find_model(block),
        serial=identity.find_serial(block),
        size=block.size,
        transport=identity.find_transport(block),
        rotational=identity.find_rotational(block),
        rpm=identity.find_rpm(block),
        removable=block.attributes.get("removable") == "1",
        ineligible_reason=ineligible_reason,
        runtime_pm=block.attributes.get("device/power/control") == "auto"
        and delay is not None
        and delay >= 0,
        apm=identity.find_apm(block),
    )


def _md_arrays(
    whole_disks: Mapping[str, BlockDevice], topology: DeviceTopology, id_by_name: Mapping[str, DiskId]
) -> dict[str, MaintainedArray]:
    return {
        name: MaintainedArray(
            name, f"{block.path}/md/sync_action", _disk_ids(topology, block.slaves, id_by_name)
        )
        for name, block in whole_disks.items()
        if name.startswith("md") and block.slaves
    }


def _btrfs_filesystems(
    topology: DeviceTopology, id_by_name: Mapping[str, DiskId]
) -> dict[str, MaintainedArray]:
    return {
        volume.btrfs_uuid: MaintainedArray(
            volume.name,
            f"{_SYS_FS_BTRFS}/{volume.btrfs_uuid}/exclusive_operation",
            _disk_ids(topology, volume.members, id_by_name),
        )
        for volume in topology.volumes
        if volume.btrfs_uuid is not None
    }


def _used_partitions(
    blocks: Mapping[str, BlockDevice], held_mounts: Iterable[HeldMount]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The partitions of each disk of which at least one is in use here, and the whole disk is not.

    A disk without a used partition may be passed to a virtual machine, which bypasses its partitions.
    """
    used = {slave for block in blocks.values() for slave in block.slaves}
    used.update(name for _, members in held_mounts for name in members)
    parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for block in blocks.values():
        if block.parent is not None:
            parts[block.parent][block.name] = block.path
    for disk, paths in parts.items():
        if disk not in used and used & paths.keys():
            yield disk, tuple(paths.values())


def _mounts_by_disk(
    blocks: Mapping[str, BlockDevice], topology: DeviceTopology, held_mounts: Iterable[HeldMount]
) -> Mapping[str, list[Mount]]:
    """The mounts of each whole disk, by its name."""
    found: defaultdict[str, list[Mount]] = defaultdict(list)
    for line, members in held_mounts:
        for disk in topology.disks(members):
            found[disk].append(Mount(line.mount_point, line.fs_type, line.options))
    for disk in topology.disks(
        name for name, block in blocks.items() if block.udev.get("ID_FS_TYPE") == "swap"
    ):
        found[disk].append(Mount(SWAP_MOUNT_POINT, "swap"))
    return found


def _with_group_members(names: frozenset[str], groups: Mapping[str, DiskGroup]) -> frozenset[str]:
    """These disks and all members of their groups."""
    group_names = {groups[name].name for name in names if name in groups}
    return names.union(name for name, group in groups.items() if group.name in group_names)
