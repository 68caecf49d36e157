"""Keeps the memory of this process from being read from a disk again (mlockall(2))."""

from __future__ import annotations

import os
from typing import Final

from powerd.linux.values import HostError

_MCL_CURRENT: Final = 1


def lock_memory() -> None:
    """Read every mapped page of this process, and keep all of them in memory.

    Mappings that are made later are not included.

    Raises:
        HostError: more is mapped than RLIMIT_MEMLOCK permits, or the system call is not permitted.
    """
    import ctypes  # noqa: PLC0415 - 0.4 MB, only where the disk of the program is spun down

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT):
        reason = os.strerror(ctypes.get_errno())
        raise HostError(f"the program cannot be kept in memory: mlockall: {reason}; see LimitMEMLOCK=")
