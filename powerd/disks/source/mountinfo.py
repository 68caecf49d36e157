"""Parses /proc/self/mountinfo (proc_pid_mountinfo(5)) and finds the devices that hold a mount or a path."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from powerd.core.dataclass import dataclass
from powerd.disks.source.block_devices import BlockDevice

_OCTAL: Final = re.compile(r"(?:\\[0-7]{3})+")
_SERVICE_MOUNT: Final = re.compile(r"/systemd/inaccessible/|/systemd-private-")
_FIELDS_BEFORE: Final = 6
_FIELDS_AFTER: Final = 2


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One mount.

    Attributes:
        device_number: ``MAJOR:MINOR`` of the filesystem; btrfs and ZFS have an anonymous one, ``0:41``.
        root: the directory of the filesystem that is mounted, ``/`` or a subvolume.
        mount_point: an absolute path.
        options: of the mount, ``("rw", "noatime")``.
        fs_type: ``ext4``.
        source: ``/dev/sda1``, ``tank/photos``.
    """

    device_number: str
    root: str
    mount_point: str
    options: tuple[str, ...]
    fs_type: str
    source: str


def parse_mountinfo(text: str | None) -> tuple[MountEntry, ...]:
    """The mounts in the order of the kernel, without hidden ones and those of systemd's sandboxes.

    Omitted are mounts that another one covers, and those that systemd makes for one service: bind mounts of a
    directory onto itself (ProtectSystem=), empty directories over hidden ones (ProtectHome=), and private
    directories (PrivateTmp=). Lines of any other format are ignored.
    """
    by_mount_point: dict[str, MountEntry] = {}
    for row in (text or "").split("\n"):
        line = _parse_line(row)
        if line is not None and not _SERVICE_MOUNT.search(line.root):
            by_mount_point.pop(line.mount_point, None)
            by_mount_point[line.mount_point] = line
    return tuple(line for line in by_mount_point.values() if not _is_self_bind(line, by_mount_point))


def _parse_line(row: str) -> MountEntry | None:
    before, dash, after = row.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not dash or len(left) < _FIELDS_BEFORE or len(right) < _FIELDS_AFTER:
        return None
    return MountEntry(
        left[2],
        unescape_octal(left[3]),
        unescape_octal(left[4]),
        tuple(left[5].split(",")),
        right[0],
        unescape_octal(right[1]),
    )


def _is_self_bind(line: MountEntry, mounts: dict[str, MountEntry]) -> bool:
    """Whether it is a bind mount of a directory onto itself."""
    mount_point = line.mount_point
    while mount_point not in {"/", ""}:
        mount_point = mount_point.rpartition("/")[0] or "/"
        above = mounts.get(mount_point)
        if above is not None:
            rest = line.mount_point.removeprefix(mount_point).lstrip("/")
            return (
                above.device_number == line.device_number and line.root == f"{above.root.rstrip('/')}/{rest}"
            )
    return False


def unescape_octal(text: str) -> str:
    r"""Decodes ``\040`` and the like, the octal bytes of blanks, tabs, line ends and backslashes."""
    if "\\" not in text:
        return text
    return _OCTAL.sub(
        lambda found: bytes(int(each, 8) & 0xFF for each in found[0].split("\\")[1:]).decode(
            errors="replace"
        ),
        text,
    )


HeldMount: TypeAlias = tuple[MountEntry, frozenset[str]]
"""A mount and the names of the devices directly below it; tmpfs, overlay and network mounts have none."""


def mount_holders(blocks: Mapping[str, BlockDevice], mounts: Iterable[MountEntry]) -> list[HeldMount]:
    """Each mount with the devices that hold it."""
    by_number = {block.device_number: block.name for block in blocks.values() if block.device_number}
    by_path = dict(_device_paths(blocks))
    spans = _multi_device_filesystems(blocks)
    return [(line, _mount_members(line, by_number, by_path, spans)) for line in mounts]


def devices_holding(path: str | None, held_mounts: Iterable[HeldMount]) -> frozenset[str]:
    """The devices of the filesystem that holds ``path``, by the longest mount point; None = no path."""
    depth, found = 0, frozenset[str]()
    for line, members in held_mounts:
        where = f"{line.mount_point.rstrip('/')}/"
        if path is not None and f"{path}/".startswith(where) and len(where) > depth:
            depth, found = len(where), members
    return found


def swap_devices(
    blocks: Mapping[str, BlockDevice], paths: Collection[str], held_mounts: Collection[HeldMount]
) -> Iterator[str]:
    """The devices that swap space is on, directly or in a file."""
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
    """The devices of each multi-device filesystem: of bcachefs and btrfs by each of them, of ZFS by pool."""
    filesystems: defaultdict[str, set[str]] = defaultdict(set)
    pools: defaultdict[str, set[str]] = defaultdict(set)
    for block in blocks.values():
        kind, uuid = block.udev.get("ID_FS_TYPE"), block.udev.get("ID_FS_UUID")
        if kind in {"bcachefs", "btrfs"} and uuid:
            filesystems[uuid].add(block.name)
        elif kind == "zfs_member":
            pools[f"zfs:{block.udev.get('ID_FS_LABEL')}"].add(block.name)
    spans = {pool: frozenset(members) for pool, members in pools.items()}
    return spans | {name: frozenset(members) for members in filesystems.values() for name in members}


def _device_paths(blocks: Mapping[str, BlockDevice]) -> Iterator[tuple[str, str]]:
    """Each path below /dev of each device, and the name of the device."""
    for block in blocks.values():
        yield from ((f"/dev/{link}", block.name) for link in block.udev.links)
        yield f"/dev/{block.name.replace('!', '/')}", block.name
        if volume := block.attributes.get("dm/name"):
            yield f"/dev/mapper/{volume}", block.name
