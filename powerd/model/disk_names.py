"""Which disk a word means: people type the id, the kernel's name of today, or the serial number."""

from __future__ import annotations

from collections.abc import Iterable

from powerd.model.disks import Disk
from powerd.model.wishes import RefusedError


def named(disks: Iterable[Disk], word: str) -> Disk | None:
    """The disk that has this id, device or serial number; None = there is none.

    An id is one disk's alone, so it always means that disk, whatever others are called.

    Raises:
        RefusedError: the word fits several disks: USB bridges may give all of theirs one serial number.
    """
    known = tuple(disks)
    fitting = [disk for disk in known if disk.id == word]
    if word and not fitting:
        fitting = [disk for disk in known if word in {disk.device, disk.serial}]
    if len(fitting) > 1:
        devices = " or ".join(disk.device for disk in fitting)
        raise RefusedError(
            f'"{word}" may be {devices}; `powerd disks` tells their ids, which are one disk\'s alone'
        )
    return fitting[0] if fitting else None
