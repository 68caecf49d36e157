"""The groups of disks: members of one array, pool or volume group."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.disks.source.block_devices import BlockDevice

_VG_UUID: Final = re.compile(r"LVM-([A-Za-z0-9]{32})")
"""Prefix of the dm/uuid of each volume of a volume group (lvm2, lib/activate/dev_manager.c)."""
_VG_NAME: Final = re.compile(r"((?:[^-]|--)+)-(?!-)")
"""Prefix of its dm/name; a hyphen in a name is doubled."""
_SHORT_UUID: Final = 8
_GENERATED_NAME: Final = re.compile(r"\d+")
"""mdadm names /dev/md0 "0"."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Something that may be on several devices.

    Attributes:
        name: ``md0``, ``btrfs:photos``.
        members: names of the devices directly below it.
        rank: of two names for the same disks, the one with the lower rank is used.
        array: a read takes several members.
        btrfs_uuid: the UUID of a btrfs; None = it is not a btrfs.
    """

    name: str
    members: frozenset[str]
    rank: int
    array: bool
    btrfs_uuid: str | None = None


@dataclass(frozen=True, slots=True)
class DiskGroup:
    """The group of a disk: its name, and whether a read takes several members."""

    name: str
    array: bool


class DeviceTopology:
    """The stacking of the block devices."""

    def __init__(self, blocks: Mapping[str, BlockDevice]) -> None:
        self._blocks = blocks
        self._disks_below: dict[str, frozenset[str]] = {}
        self.volumes = tuple(_find_volumes(blocks))

    def disks(self, names: Iterable[str]) -> frozenset[str]:
        """The whole disks below these devices."""
        return frozenset(disk for name in names for disk in self._disks(name, ()))

    def groups(self, disks: Collection[str]) -> dict[str, DiskGroup]:
        """The group of each of ``disks`` that is in one.

        Only ``disks`` join groups: an SSD that caches two pools does not make them one.
        """
        spanning = [(span, self.disks(span.members) & set(disks)) for span in self.volumes]
        spanning = [(span, spanned) for span, spanned in spanning if len(spanned) > 1]
        found: dict[str, DiskGroup] = {}
        for joined in _merge_overlapping(spanned for _, spanned in spanning):
            inside = [(span, spanned) for span, spanned in spanning if spanned <= joined]
            inside.sort(key=lambda each: (-len(each[1]), each[0].rank, each[0].name))
            group = DiskGroup(inside[0][0].name, any(span.array for span, _ in inside))
            found |= dict.fromkeys(joined, group)
        return found

    def _disks(self, name: str, above: tuple[str, ...]) -> frozenset[str]:
        if name in self._disks_below:
            return self._disks_below[name]
        block = self._blocks.get(name)
        if block is None or name in above:  # detached during the scan, or a cycle
            return frozenset()
        below = (block.parent,) if block.parent else block.slaves
        found = frozenset(disk for each in below for disk in self._disks(each, (*above, name)))
        if not block.is_virtual and not block.parent:
            found = frozenset({name})
        self._disks_below[name] = found
        return found


def _find_volumes(blocks: Mapping[str, BlockDevice]) -> Iterator[Volume]:
    """Everything that may be on several disks."""
    filesystems: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    volumes: defaultdict[str, set[str]] = defaultdict(set)
    labels: dict[tuple[str, str], str] = {}
    names: dict[str, str] = {}
    for block in blocks.values():
        kind, uuid = block.udev.get("ID_FS_TYPE"), block.udev.get("ID_FS_UUID")
        if kind in {"bcachefs", "btrfs", "zfs_member"} and uuid:
            filesystems[kind, uuid].add(block.name)
            labels[kind, uuid] = block.udev.get("ID_FS_LABEL") or labels.get((kind, uuid), uuid[:_SHORT_UUID])
        vg = _VG_UUID.match(block.attributes.get("dm/uuid", ""))
        if vg:
            volumes[vg[1]].update(block.slaves)
            names[vg[1]] = vg_name(block.attributes.get("dm/name", "")) or vg[1][:_SHORT_UUID]
        elif block.slaves:
            yield _volume_of(block)
    for (kind, uuid), members in filesystems.items():
        name = f"{kind.removesuffix('_member')}:{labels[kind, uuid]}"
        yield Volume(name, frozenset(members), 0, array=True, btrfs_uuid=uuid if kind == "btrfs" else None)
    for vg_uuid, members in volumes.items():
        yield Volume(names[vg_uuid], frozenset(members), 2, array=False)


def _volume_of(block: BlockDevice) -> Volume:
    """An md array, or another virtual device made of others."""
    if block.name.startswith("md"):
        given = block.udev.get("MD_DEVNAME")
        name = block.name if not given or _GENERATED_NAME.fullmatch(given) else given
        return Volume(name, frozenset(block.slaves), 1, array=block.attributes.get("md/level") != "linear")
    return Volume(block.attributes.get("dm/name") or block.name, frozenset(block.slaves), 3, array=False)


def vg_name(volume: str) -> str:
    """The volume group in a device mapper's name: ``my--vg-root`` is ``root`` of ``my-vg``; "" = no group."""
    found = _VG_NAME.match(volume)
    return found[1].replace("--", "-") if found else ""


def _merge_overlapping(sets: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Unions of the sets that overlap."""
    joined: list[frozenset[str]] = []
    for each in sets:
        disjoint = [other for other in joined if not other & each]
        joined = [*disjoint, each.union(*(other for other in joined if other & each))]
    return joined
