"""What is mounted: /proc/self/mountinfo (proc_pid_mountinfo(5)). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_OCTAL: Final = re.compile(r"(?:\\[0-7]{3})+")
_FOR_A_SERVICE: Final = re.compile(r"/systemd/inaccessible/|/systemd-private-")
_FIELDS_BEFORE: Final = 6
_FIELDS_AFTER: Final = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One mount.

    Attributes:
        number: ``MAJOR:MINOR`` of the filesystem; btrfs and ZFS have an anonymous one, ``0:41``.
        root: the directory of the filesystem that is mounted, ``/`` or a subvolume.
        where: the mount point.
        options: of the mount, ``("rw", "noatime")``.
        fs: its type.
        source: what was mounted: ``/dev/sda1``, ``tank/photos``.
    """

    number: str
    root: str
    where: str
    options: tuple[str, ...]
    fs: str
    source: str


def parse(text: str | None) -> tuple[Line, ...]:
    """The mounts that people would name, in the order of the kernel.

    A mount that another one covers is left out, and so is what systemd mounts for a service alone: pieces
    of a filesystem onto themselves, to make them read-only (ProtectSystem=), empty directories over what it
    may not see (ProtectHome=), and directories of its own (PrivateTmp=). Lines of another shape are passed
    over.
    """
    last: dict[str, Line] = {}
    for row in (text or "").split("\n"):
        line = _line(row)
        if line is not None and not _FOR_A_SERVICE.search(line.root):
            last.pop(line.where, None)
            last[line.where] = line
    return tuple(line for line in last.values() if not _on_itself(line, last))


def _line(row: str) -> Line | None:
    before, dash, after = row.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not dash or len(left) < _FIELDS_BEFORE or len(right) < _FIELDS_AFTER:
        return None
    return Line(left[2], plain(left[3]), plain(left[4]), tuple(left[5].split(",")), right[0], plain(right[1]))


def _on_itself(line: Line, mounts: dict[str, Line]) -> bool:
    """Whether what is mounted there is what would be there anyway."""
    where = line.where
    while where not in {"/", ""}:
        where = where.rpartition("/")[0] or "/"
        above = mounts.get(where)
        if above is not None:
            rest = line.where.removeprefix(where).lstrip("/")
            return above.number == line.number and line.root == f"{above.root.rstrip('/')}/{rest}"
    return False


def plain(text: str) -> str:
    r"""Blanks, tabs, line ends and backslashes are written as ``\040`` and the like, byte by byte."""
    if "\\" not in text:
        return text
    return _OCTAL.sub(
        lambda found: bytes(int(each, 8) & 0xFF for each in found[0].split("\\")[1:]).decode(
            errors="replace"
        ),
        text,
    )
