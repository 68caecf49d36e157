"""The running maintenance of arrays and filesystems that files show.

md: /sys/block/mdN/md/sync_action (Documentation/admin-guide/md.rst).
btrfs: /sys/fs/btrfs/UUID/exclusive_operation, from Linux 5.10 (btrfs(5), FILESYSTEM EXCLUSIVE OPERATIONS);
until 5.16, the file does not distinguish a paused balance from a running one.
A btrfs scrub is not in that file. While it runs, btrfs(8) listens on a Unix socket whose name has the UUID of
the filesystem (btrfs-progs, cmds/scrub.c). /proc/self/net/unix lists the sockets bound in the reader's
network namespace (proc(5)), without the files of sockets whose process has ended.
ZFS and LVM RAID report maintenance only through their tools, so powerd does not see it.
"""

from __future__ import annotations

import re
from typing import Final

UNIX_SOCKETS_FILE: Final = "/proc/self/net/unix"
"""/proc/net does not exist under ProcSubset=pid (systemd.exec(5)); this path does."""
_SCRUB_SOCKET: Final = re.compile(
    r" /var/lib/btrfs/scrub\.progress\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$", re.MULTILINE
)
_IDLE_OPERATIONS: Final = {"", "idle", "frozen", "none", "balance paused"}


def running_maintenance(operation: str | None, *, scrub_running: bool = False) -> str | None:
    """The running maintenance, ``resync`` or ``scrub``; None = none.

    Args:
        operation: the stripped text of ``sync_action`` or ``exclusive_operation``; None = there is no file.
        scrub_running: of a btrfs: scrubbed_filesystems() contains it.
    """
    if scrub_running:
        return "scrub"
    return None if operation is None or operation in _IDLE_OPERATIONS else operation


def scrubbed_filesystems(sockets: str | None) -> frozenset[str]:
    """UUIDs of the btrfs filesystems with a running scrub.

    Args:
        sockets: the text of UNIX_SOCKETS_FILE; None = there is no such file.
    """
    return frozenset(_SCRUB_SOCKET.findall(sockets or ""))
