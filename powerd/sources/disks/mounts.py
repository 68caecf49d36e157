"""What is mounted: /proc/self/mountinfo (proc_pid_mountinfo(5)). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_OCTAL: Final = re.compile(r"(?:\\[0-7]{3})+")
_SERVICE_MOUNT: Final = re.compile(r"/systemd/inaccessible/|/systemd-private-")
_FIELDS_BEFORE: Final = 6
_FIELDS_AFTER: Final = 2


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One mount.

    Attributes:
        number: ``MAJOR:MINOR`` of the filesystem; btrfs and ZFS have an anonymous one, ``0:41``.
        root: the directory of the filesystem that is mounted, ``/`` or a subvolume.
        where: the mount point.
        options: of the mount, ``("rw", "noatime")``.
        fs: its type.
        source: what was mounted: ``/dev/sda1``, ``tank/photos``.
    """

    device_number: str
    root: str
    mount_point: str
    options: tuple[str, ...]
    fs_type: str
    source: str


def parse_mountinfo(text: str | None) -> tuple[MountEntry, ...]:
    """The mounts that people would name, in the order of the kernel.

    A mount that another one covers is left out, and so is what systemd mounts for a service alone: pieces
    of a filesystem onto themselves, to make them read-only (ProtectSystem=), empty directories over what it
    may not see (ProtectHome=), and directories of its own (PrivateTmp=). Lines of another shape are passed
    over.
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
    """Whether what is mounted there is what would be there anyway."""
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
    r"""Blanks, tabs, line ends and backslashes are written as ``\040`` and the like, byte by byte."""
    if "\\" not in text:
        return text
    return _OCTAL.sub(
        lambda found: bytes(int(each, 8) & 0xFF for each in found[0].split("\\")[1:]).decode(
            errors="replace"
        ),
        text,
    )
