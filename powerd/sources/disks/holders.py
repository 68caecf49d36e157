"""Which block devices hold what is mounted, and where a path lies. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from powerd.sources.disks.blocks import Block
from powerd.sources.disks.mounts import Line

Held: TypeAlias = tuple[Line, frozenset[str]]
"""A mount, and the names of the devices directly below it; those of tmpfs, overlay or a network are none."""


def held_by(blocks: Mapping[str, Block], lines: Iterable[Line]) -> list[Held]:
    """What is mounted, each with the devices that hold it."""
    by_number = {block.number: block.name for block in blocks.values() if block.number}
    by_path = dict(_paths(blocks))
    spans = _filesystems(blocks)
    return [(line, _members(line, by_number, by_path, spans)) for line in lines]


def holding(path: str | None, held: Iterable[Held]) -> frozenset[str]:
    """The devices of the filesystem that ``path`` lies on, the one mounted deepest; None is nowhere."""
    depth, found = 0, frozenset[str]()
    for line, members in held:
        where = f"{line.where.rstrip('/')}/"
        if path is not None and f"{path}/".startswith(where) and len(where) > depth:
            depth, found = len(where), members
    return found


def swapped_to(blocks: Mapping[str, Block], paths: Collection[str], held: Collection[Held]) -> Iterator[str]:
    """The devices that are swapped to, or that hold a file that is."""
    by_path = dict(_paths(blocks)) if paths else {}
    for path in paths:
        if path in by_path:
            yield by_path[path]
        elif not path.startswith("/dev/"):
            yield from holding(path, held)


def _members(
    line: Line, by_number: Mapping[str, str], by_path: Mapping[str, str], spans: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """The devices that hold a mounted filesystem."""
    if line.fs == "zfs":
        return spans.get(f"zfs:{line.source.partition('/')[0]}", frozenset())
    # bcachefs names all of its devices: /dev/sda:/dev/sdb
    names = {
        by_path[path] for path in line.source.replace(":/dev/", "\n/dev/").split("\n") if path in by_path
    }
    if line.number in by_number:
        names.add(by_number[line.number])
    return frozenset(names).union(*(spans.get(name, frozenset()) for name in names))


def _filesystems(blocks: Mapping[str, Block]) -> Mapping[str, frozenset[str]]:
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


def _paths(blocks: Mapping[str, Block]) -> Iterator[tuple[str, str]]:
    """Each path below /dev of each device, with its name."""
    for block in blocks.values():
        yield from ((f"/dev/{link}", block.name) for link in block.udev.links)
        yield f"/dev/{block.name.replace('!', '/')}", block.name
        if volume := block.attributes.get("dm/name"):
            yield f"/dev/mapper/{volume}", block.name
