"""Which block devices hold what is mounted, and where a path lies. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from powerd.sources.disks.blocks import BlockDevice
from powerd.sources.disks.mounts import MountEntry

HeldMount: TypeAlias = tuple[MountEntry, frozenset[str]]
"""A mount, and the names of the devices directly below it; those of tmpfs, overlay or a network are none."""


def mount_holders(blocks: Mapping[str, BlockDevice], mounts: Iterable[MountEntry]) -> list[HeldMount]:
    """What is mounted, each with the devices that hold it."""
    by_number = {block.device_number: block.name for block in blocks.values() if block.device_number}
    by_path = dict(_device_paths(blocks))
    spans = _multi_device_filesystems(blocks)
    return [(line, _mount_members(line, by_number, by_path, spans)) for line in mounts]


def devices_holding(path: str | None, held_mounts: Iterable[HeldMount]) -> frozenset[str]:
    """The devices of the filesystem that ``path`` lies on, the one mounted deepest; None is nowhere."""
    depth, found = 0, frozenset[str]()
    for line, members in held_mounts:
        where = f"{line.mount_point.rstrip('/')}/"
        if path is not None and f"{path}/".startswith(where) and len(where) > depth:
            depth, found = len(where), members
    return found


def swap_devices(
    blocks: Mapping[str, BlockDevice], paths: Collection[str], held_mounts: Collection[HeldMount]
) -> Iterator[str]:
    """The devices that are swapped to, or that hold a file that is."""
    by_path = dict(_device_paths(blocks)) if paths else {}
    for path in paths:
        if path in by_path:
            yield by_path[path]
        elif not path.startswith("/dev/"):
            yield from devices_holding(path, held_mounts)


def _mount_members(
    mount: MountEntry,
    by_number: Mapping[str, str],
    by_path: Mapping[str, str],
    spans: Mapping[str, frozenset[str]],
) -> frozenset[str]:
    """The devices that hold a mounted filesystem."""
    if mount.fs_type == "zfs":
        return spans.get(f"zfs:{mount.source.partition('/')[0]}", frozenset())
    # bcachefs names all of its devices: /dev/sda:/dev/sdb
    names = {
        by_path[path] for path in mount.source.replace(":/dev/", "\n/dev/").split("\n") if path in by_path
    }
    if mount.device_number in by_number:
        names.add(by_number[mount.device_number])
    return frozenset(names).union(*(spans.get(name, frozenset()) for name in names))


def _multi_device_filesystems(blocks: Mapping[str, BlockDevice]) -> Mapping[str, frozenset[str]]:
    """Devices of each filesystem that may have several: of btrfs by each of them, of ZFS by its pool."""
    btrfs: defaultdict[str, set[str]] = defaultdict(set)
    pools: defaultdict[str, set[str]] = defaultdict(set)
    for block in blocks.values():
        kind, uuid = block.udev.get("ID_FS_TYPE"), block.udev.get("ID_FS_UUID")
        if kind == "btrfs" and uuid:
            btrfs[uuid].add(block.name)
        elif kind == "zfs_member":
            pools[f"zfs:{block.udev.get('ID_FS_LABEL')}"].add(block.name)
    spans = {pool: frozenset(members) for pool, members in pools.items()}
    return spans | {name: frozenset(members) for members in btrfs.values() for name in members}


def _device_paths(blocks: Mapping[str, BlockDevice]) -> Iterator[tuple[str, str]]:
    """Each path below /dev of each device, with its name."""
    for block in blocks.values():
        yield from ((f"/dev/{link}", block.name) for link in block.udev.links)
        yield f"/dev/{block.name.replace('!', '/')}", block.name
        if volume := block.attributes.get("dm/name"):
            yield f"/dev/mapper/{volume}", block.name
