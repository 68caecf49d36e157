"""What arrays and file systems do to their disks of themselves, as they tell it without any command.

md: /sys/block/mdN/md/sync_action (Documentation/admin-guide/md.rst).
btrfs: /sys/fs/btrfs/UUID/exclusive_operation, from Linux 5.10 (btrfs(5), FILESYSTEM EXCLUSIVE OPERATIONS);
until 5.16, a balance that is paused goes by the same word as one that runs.
A scrub of btrfs is no such operation. For as long as it runs, btrfs(8) listens on a Unix socket that is named
after the file system (btrfs-progs, cmds/scrub.c), and /proc/self/net/unix has the names of all sockets that
are bound in the reader's network namespace (proc(5)); the file of one that was left behind is not among them.
ZFS and the RAID of LVM tell nothing but through their tools.

Pure.
"""

from __future__ import annotations

import re
from typing import Final

UNIX_SOCKETS_FILE: Final = "/proc/self/net/unix"
"""Not /proc/net, which a /proc with nothing but processes (systemd.exec(5), ProcSubset=pid) does not have."""
_SCRUB_SOCKET: Final = re.compile(
    r" /var/lib/btrfs/scrub\.progress\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$", re.MULTILINE
)
_IDLE_OPERATIONS: Final = {"", "idle", "frozen", "none", "balance paused"}


def running_maintenance(operation: str | None, *, scrub_running: bool = False) -> str | None:
    """What goes on, by the word of ``sync_action`` or ``exclusive_operation``; None = nothing.

    Args:
        operation: what the file holds, stripped; None = there is no such file.
        scrub_running: of a btrfs: it is one of those that are scrubbed().
    """
    if scrub_running:
        return "scrub"
    return None if operation is None or operation in _IDLE_OPERATIONS else operation


def scrubbed_filesystems(sockets: str | None) -> frozenset[str]:
    """UUIDs of the btrfs file systems that are being scrubbed.

    Args:
        sockets: the text of SOCKETS; None = it is not there.
    """
    return frozenset(_SCRUB_SOCKET.findall(sockets or ""))
