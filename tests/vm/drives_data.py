"""Makes file systems and arrays on the drives, and reads from them past the page cache."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vm.drives import Drive
    from vm.server import Server

CHUNK: Final = 512 << 10
"""Bytes of an array's stripe that lie on one member: mdadm's default."""
FILM: Final = "film"
"""A file that is there on each file system."""
_TIMED: Final = """\
import mmap, os, sys, time
begun, buffer = time.monotonic(), mmap.mmap(-1, 4096)
file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
for place in sys.argv[2:]:
    os.preadv(file, [buffer], int(place))
print(time.monotonic() - begun)
"""


@contextlib.contextmanager
def mounted(server: Server, device: str, at: str) -> Iterator[str]:
    """A new file system on ``device`` with a film, mounted at ``at``; gives the film's path.

    Nothing accesses it without a request: no initialisation is pending, and reads store no access time.
    """
    film = f"{at}/{FILM}"
    server.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
    server.run("mkdir", "--parents", at)
    server.run("mount", "-o", "noatime", device, at)
    try:
        server.run("dd", "if=/dev/urandom", f"of={film}", "bs=1M", "count=4", "status=none", "conv=fsync")
        server.run("sync", "--file-system", at)
        yield film
    finally:
        server.run("umount", at)


@contextlib.contextmanager
def array(server: Server, level: int, *members: Drive) -> Iterator[str]:
    """An md array of the drives that needs no first resync; gives its device."""
    device = f"/dev/md/tank{level}"
    server.run(
        *("mdadm", "--create", device, "--run", "--assume-clean", "--homehost=any", f"--level={level}"),
        *("--metadata=1.2", f"--raid-devices={len(members)}"),
        *(drive.path for drive in members),
    )
    server.run("udevadm", "settle")
    try:
        yield device
    finally:
        server.run("mdadm", "--stop", device)
        server.run("mdadm", "--zero-superblock", *(drive.path for drive in members))


def read(server: Server, path: str, *places: int) -> float:
    """Read 4 KiB at each place (in bytes) of a file or device, one after the other; gives the seconds."""
    return float(server.run("python3", "-c", _TIMED, path, *map(str, places or (0,))))
