"""Puts together what was read: every whole disk, with what is mounted on it and whom it belongs to. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from powerd.model import Disk, DiskId, Mount
from powerd.model.upkeep import under_way
from powerd.sources.disks import identity
from powerd.sources.disks.blocks import Block, as_int
from powerd.sources.disks.groups import Group, Layers
from powerd.sources.disks.holders import Held, held_by, holding, swapped_to
from powerd.sources.disks.mounts import Line
from powerd.sources.disks.wakers import Wakers

SWAP: Final = "[SWAP]"
"""Where swap space is "mounted", in lsblk(8)'s words; in use or not, which Disk.swapping says."""
_BTRFS: Final = "/sys/fs/btrfs"
_NO_WAKERS: Final = Wakers()


@dataclass(frozen=True, slots=True)
class Keeper:
    """What may do its disks some upkeep: an md array that has redundancy, or a btrfs.

    Attributes:
        name: as people know it: ``md0``, ``btrfs:photos``.
        file: says what it does, see model.upkeep; that of a btrfs is there while it is mounted.
        disks: those below it.
    """

    name: str
    file: str
    disks: frozenset[DiskId]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The disks at one moment.

    Attributes:
        disks: by id.
        blocks: what each was read from.
        arrays: those of md, by the kernel's name.
        btrfs: file systems, mounted or not, by UUID.
        parts: directories of the partitions of each disk that is used by them alone.
    """

    disks: Mapping[DiskId, Disk] = field(default_factory=lambda: MappingProxyType({}))
    blocks: Mapping[DiskId, Block] = field(default_factory=lambda: MappingProxyType({}))
    arrays: Mapping[str, Keeper] = field(default_factory=lambda: MappingProxyType({}))
    btrfs: Mapping[str, Keeper] = field(default_factory=lambda: MappingProxyType({}))
    parts: Mapping[DiskId, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


def assemble(blocks: Mapping[str, Block], lines: Iterable[Line], wakers: Wakers = _NO_WAKERS) -> Inventory:
    """The inventory of what was read of block devices, mounts, the journal and swap space."""
    whole = {block.name: block for block in blocks.values() if block.parent is None}
    ids = identity.identify(disk for disk in whole.values() if not disk.virtual)
    layers = Layers(blocks)
    why = {name: identity.excluded(disk, ids.get(name)) for name, disk in whole.items()}
    groups = layers.groups([name for name in whole if why[name] is None])
    held = held_by(blocks, lines)
    mounts = _mounts(blocks, layers, held)
    journal = _whole(layers.disks(holding(wakers.journal, held)), groups)
    swapping = _whole(layers.disks(swapped_to(blocks, wakers.swaps, held)), groups)
    known = {name: ids.get(name) or DiskId(name) for name in whole}
    disks: dict[DiskId, Disk] = {}
    for name, block in whole.items():
        group = groups.get(name)
        disk = _disk(block, known[name], why[name])
        disks[disk.id] = replace(
            disk,
            mounts=tuple(dict.fromkeys(mounts[name])),
            group=group.name if group else None,
            array=group is not None and group.array,
            journal=name in journal,
            swapping=name in swapping,
        )
    return Inventory(
        MappingProxyType(disks),
        MappingProxyType({known[name]: block for name, block in whole.items()}),
        arrays=MappingProxyType(_arrays(whole, layers, known)),
        btrfs=MappingProxyType(_btrfs(layers, known)),
        parts=MappingProxyType({known[name]: parts for name, parts in _parts(blocks, held) if name in known}),
    )


def busy(
    inventory: Inventory, words: Mapping[str, str | None], scrubs: Collection[str] = ()
) -> Mapping[DiskId, Disk]:
    """The disks, with what their md arrays and btrfs file systems do.

    Args:
        inventory: see there.
        words: by array or UUID, the content of its file; None = it has none, as a level without redundancy.
        scrubs: UUIDs of btrfs file systems that are being scrubbed.
    """
    at_work: dict[DiskId, str] = {}
    for key, keeper in {**inventory.arrays, **inventory.btrfs}.items():
        doing = under_way(words.get(key), scrub=key in scrubs)
        if doing is not None:
            at_work |= dict.fromkeys(keeper.disks, f"{keeper.name} {doing}")
    return {id_: replace(disk, busy=at_work.get(id_)) for id_, disk in inventory.disks.items()}


def _ids(layers: Layers, names: Iterable[str], known: Mapping[str, DiskId]) -> frozenset[DiskId]:
    """The disks below all of these devices."""
    return frozenset(known[disk] for disk in layers.disks(names))


def _disk(block: Block, id_: DiskId, why: str | None) -> Disk:
    delay = as_int(block.attributes.get("device/power/autosuspend_delay_ms"))
    return Disk(
        id_,
        device=block.name,
        number=block.number,
        model=identity.model(block),
        serial=identity.serial(block),
        size=block.size,
        transport=identity.transport(block),
        rotational=identity.rotational(block),
        rpm=identity.rpm(block),
        removable=block.attributes.get("removable") == "1",
        excluded=why,
        runtime_pm=block.attributes.get("device/power/control") == "auto"
        and delay is not None
        and delay >= 0,
        apm=identity.apm(block),
    )


def _arrays(whole: Mapping[str, Block], layers: Layers, known: Mapping[str, DiskId]) -> dict[str, Keeper]:
    return {
        name: Keeper(name, f"{block.path}/md/sync_action", _ids(layers, block.slaves, known))
        for name, block in whole.items()
        if name.startswith("md") and block.slaves
    }


def _btrfs(layers: Layers, known: Mapping[str, DiskId]) -> dict[str, Keeper]:
    return {
        span.btrfs: Keeper(
            span.name, f"{_BTRFS}/{span.btrfs}/exclusive_operation", _ids(layers, span.members, known)
        )
        for span in layers.spans
        if span.btrfs is not None
    }


def _parts(blocks: Mapping[str, Block], held: Iterable[Held]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each disk's partitions where at least one is in use here, and the disk as a whole is not.

    Where none is, the whole disk may be a virtual machine's, which reads it past its partitions.
    """
    used = {slave for block in blocks.values() for slave in block.slaves}
    used.update(name for _, members in held for name in members)
    parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for block in blocks.values():
        if block.parent is not None:
            parts[block.parent][block.name] = block.path
    for disk, paths in parts.items():
        if disk not in used and used & paths.keys():
            yield disk, tuple(paths.values())


def _mounts(blocks: Mapping[str, Block], layers: Layers, held: Iterable[Held]) -> Mapping[str, list[Mount]]:
    """What is mounted from each whole disk, by its name."""
    found: defaultdict[str, list[Mount]] = defaultdict(list)
    for line, members in held:
        for disk in layers.disks(members):
            found[disk].append(Mount(line.where, line.fs, line.options))
    for disk in layers.disks(
        name for name, block in blocks.items() if block.udev.get("ID_FS_TYPE") == "swap"
    ):
        found[disk].append(Mount(SWAP, "swap"))
    return found


def _whole(names: frozenset[str], groups: Mapping[str, Group]) -> frozenset[str]:
    """These disks, and all members of their groups."""
    touched = {groups[name].name for name in names if name in groups}
    return names.union(name for name, group in groups.items() if group.name in touched)
