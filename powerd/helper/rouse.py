"""Wakes a disk by reading one block of it, past all caches; blocking."""

from __future__ import annotations

import fcntl
import mmap
import os
import random
from typing import Final

from powerd.helper.disks import DiskDevice, open_disk
from powerd.helper.errors import RefusalError

_BLOCK: Final = 4096  # a multiple of every logical block size


def spin_up(disk: DiskDevice) -> None:
    """Read a block at a random place: the drive's own cache may answer for one that was read before.

    Raises:
        RefusalError: it cannot be read.
    """
    blocks = disk.size // _BLOCK
    offset = random.randrange(blocks) * _BLOCK if blocks else 0  # noqa: S311 - no secret, just another place
    descriptor = open_disk(disk)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)  # which also takes O_NONBLOCK away
        with mmap.mmap(-1, _BLOCK) as page:  # O_DIRECT wants memory that is aligned
            os.preadv(descriptor, [page], offset)
    except OSError as error:
        raise RefusalError(f"{disk.name} cannot be read: {error.strerror or error}; see dmesg") from None
    finally:
        os.close(descriptor)
