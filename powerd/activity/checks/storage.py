"""Maintenance of arrays, filesystems and volumes.

What counts: resync, recovery, check, repair and reshape of md arrays; scrub, balance, replace, add, remove,
resize of btrfs; pvmove of LVM. Read from sysfs and from the table of Unix sockets of this network namespace,
without disk access; disks/maintenance.py names the files, and pvmove(8) works on a volume named ``pvmoveN``,
which /sys/block/dm-N/dm/name shows. An operation that waits for another one counts too. One that is paused
does not: a paused balance (from Linux 5.17), a frozen array.

Maintenance of md and btrfs keeps the server awake also while this check is off or its failure is ignored: the
domain "disks" reads the same files.

What other parts see: running self-tests of drives, the domain "smart"; scrubs and resilvers of ZFS, the first
sync of LVM RAID, mkfs, fsck and the initialisation of ext4 by its kernel thread, the check "disk_io" by what
they transfer, because zpool(8) and dmsetup(8) need devices that only root opens; their units (zfs-scrub@,
btrfs-scrub@, systemd-fsck@), the check "jobs".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.disks.maintenance import UNIX_SOCKETS_FILE, running_maintenance, scrubbed_filesystems

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files

_SYS_BLOCK: Final = "/sys/block"
_SYS_FS_BTRFS: Final = "/sys/fs/btrfs"
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PVMOVE: Final = re.compile(r"(.+)-pvmove\d+")
"""The name of device mapper of a volume of pvmove; a hyphen within the name of a volume group is doubled."""
_COMPLETED: Final = re.compile(r"(\d+) / (\d+)")


@dataclass(frozen=True, slots=True)
class Options:
    """Running maintenance of md arrays, btrfs filesystems and LVM."""


def parse_progress(sync_completed: str | None) -> float | None:
    """Per cent, from the sectors in ``md/sync_completed``, "1024 / 4096"; None = none or delayed."""
    found = _COMPLETED.fullmatch(sync_completed or "")
    return 100 * int(found[1]) / int(found[2]) if found and int(found[2]) else None


class StorageCheck:
    """Reads the state files of all arrays, filesystems and volumes that exist."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        del options
        self._files = ports.files

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each array, filesystem or volume group under maintenance.

        Raises:
            HostError: sysfs cannot be listed.
        """
        del depth
        devices = self._files.listdir(_SYS_BLOCK)
        return (*_md_activities(self._files, devices), *_lvm(self._files, devices), *_btrfs(self._files))


def _md_activities(files: Files, devices: tuple[str, ...]) -> Iterator[Activity]:
    for name in devices:
        if not name.startswith("md"):
            continue
        directory = f"{_SYS_BLOCK}/{name}/md"
        operation = running_maintenance(files.read_text(f"{directory}/sync_action"))
        if operation is not None:
            done = parse_progress(files.read_text(f"{directory}/sync_completed"))
            yield Activity(
                name, f"{operation} of the array runs", keeps_awake=True, value=done, unit="% done"
            )


def _lvm(files: Files, devices: tuple[str, ...]) -> Iterator[Activity]:
    names = (files.read_text(f"{_SYS_BLOCK}/{name}/dm/name") for name in devices if name.startswith("dm-"))
    for name in names:
        if found := _PVMOVE.fullmatch(name or ""):
            yield Activity(found[1].replace("--", "-"), "pvmove of the volume group runs", keeps_awake=True)


def _btrfs(files: Files) -> Iterator[Activity]:
    filesystems = [name for name in files.listdir(_SYS_FS_BTRFS) if _UUID.fullmatch(name)]
    scrubbed = scrubbed_filesystems(files.read_text(UNIX_SOCKETS_FILE)) if filesystems else frozenset()
    for uuid in filesystems:
        operation = running_maintenance(
            files.read_text(f"{_SYS_FS_BTRFS}/{uuid}/exclusive_operation"), scrub_running=uuid in scrubbed
        )
        if operation is not None:
            label = files.read_text(f"{_SYS_FS_BTRFS}/{uuid}/label") or uuid[:8]
            yield Activity(f"btrfs:{label}", f"{operation} of the filesystem runs", keeps_awake=True)


KIND: Final = CheckKind("storage", Options, StorageCheck, default_on=True)
