"""Reading a file writes its time of access (relatime).

Cause: with ``relatime``, the default, the first read of a file or directory in 24 hours, and the first one
after each change, writes its time of access, even if the file was read from memory. With ``strictatime``
each read does.

Cost: a disk write some seconds later, by a process that has only read. It starts a disk whose files are all
in memory.

Remedy: ``noatime``, set again at each boot by a unit of powerd's. In /etc/fstab the option does the same.
Few programs need times of access: mutt with mbox files, and tmpreaper and systemd-tmpfiles, which then delete
files that are read but not changed.

Source: mount(8), "noatime" and "relatime".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.disks.source.mountinfo import MountEntry
from powerd.doctor.config_files import quote_argument
from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, Diagnosis, OwnFile, SystemCommand

FIX: Final = "mounts with noatime, at each boot by a unit of its own"
_UNIT: Final = "powerd-noatime.service"
_FILESYSTEMS: Final = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "jfs", "nilfs2")
"""ZFS has a property instead, and programs in user space (FUSE) cannot be remounted so."""
_HEAD: Final = """\
[Unit]
Description=Mount with noatime, so that reading does not start disks
After=local-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
"""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to the writable mounts on hard disks without noatime."""
    found = {
        mount.mount_point: (mount, disks)
        for mount, disks, _ in machine.mounts_on_disks()
        if mount.fs_type in _FILESYSTEMS
        and "rw" in mount.options
        and "noatime" not in mount.options
        and (mount.root == "/" or mount.fs_type == "btrfs")  # others are bind mounts of the same files
    }
    if not found:
        return
    disks = tuple(sorted({disk for _, disks in found.values() for disk in disks}))
    starts = "".join(
        f"ExecStart=-/usr/bin/mount -o remount,noatime {quote_argument(path)}\n" for path in found
    )
    remounts = tuple(
        SystemCommand(
            ("mount", "-o", "remount,noatime", path),
            ("mount", "-o", f"remount,atime,{_update(mount)}", path),
        )
        for path, (mount, _) in found.items()
    )
    unit = f"/etc/systemd/system/{_UNIT}"
    yield Diagnosis(
        "noatime",
        ", ".join(found),
        f"Reading a file writes its time of access to {', '.join(disks)}, at the first read in 24 h at "
        "least.",
        "The mounts get the option noatime, so times of access are no longer recorded. Who needs them: "
        "mutt with mbox files, and tmpreaper and systemd-tmpfiles, which then delete old files although they "
        "are read. The option in /etc/fstab does the same.",
        disks=disks,
        files=(
            OwnFile(unit, f"{_HEAD}{starts}"),
            OwnFile(f"/etc/systemd/system/multi-user.target.wants/{_UNIT}", link=unit),
        ),
        commands=(DAEMON_RELOAD, *remounts),
    )


def _update(mount: MountEntry) -> str:
    """The option of mount(8) beside ``atime``, without which a mount that is not in fstab keeps noatime."""
    return "relatime" if "relatime" in mount.options else "strictatime"
