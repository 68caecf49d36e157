"""Which disk a word means: people type the id, the kernel's name of today, or the serial number."""

from __future__ import annotations

from collections.abc import Iterable

from powerd.model.disks import Disk
from powerd.model.wishes import RequestRefusedError


def find_disk(disks: Iterable[Disk], name: str) -> Disk | None:
    """The disk that has this id, device or serial number; None = there is none.

    An id is one disk's alone, so it always means that disk, whatever others are called.

    Raises:
        RefusedError: the word fits several disks: USB bridges may give all of theirs one serial number.
    """
    candidates = tuple(disks)
    matches = [disk for disk in candidates if disk.id == name]
    if name and not matches:
        matches = [disk for disk in candidates if name in {disk.device, disk.serial}]
    if len(matches) > 1:
        devices = " or ".join(disk.device for disk in matches)
        raise RequestRefusedError(
            f'"{name}" may be {devices}; `powerd disks` tells their ids, which are one disk\'s alone'
        )
    return matches[0] if matches else None
