"""ext4 still initialises a new filesystem in the background.

Cause: mkfs.ext4 leaves the inode tables unwritten (``lazy_itable_init``), and the kernel thread ext4lazyinit
writes them after the first mount, slowly: it waits ten times as long as each write took.

Cost: writes every few seconds, for hours on a large disk, so the disk is never idle. It ends by itself, and
begins again at each mount until it has finished.

Remedy: wait, or shorten it: ``init_itable=0`` does not wait between two writes.

Source: ext4(5), "init_itable="; mke2fs(8), "lazy_itable_init".
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_THREAD: Final = "ext4lazyinit"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the kernel thread exists and an ext4 on a hard disk is mounted for writing."""
    mounts = {
        mount.mount_point: disks
        for mount, disks, _ in machine.mounts_on_disks()
        if mount.fs_type == "ext4" and mount.root == "/" and "rw" in mount.options
    }
    if not mounts or not any(
        machine.first_line(f"/proc/{name}/comm") == _THREAD
        for name in machine.listdir("/proc")
        if name.isdecimal()
    ):
        return
    yield Diagnosis(
        "ext4_lazyinit",
        ", ".join(mounts),
        "The kernel initialises one of these filesystems and writes to its disk every few seconds.",
        "It ends by itself after some hours of mounted time. To let it hurry, so that it ends in minutes:",
        disks=tuple(sorted({disk for disks in mounts.values() for disk in disks})),
        by_hand="\n".join(f"mount -o remount,init_itable=0 {shlex.quote(path)}" for path in mounts),
        accesses=AccessPattern(comms=(_THREAD,)),
    )
