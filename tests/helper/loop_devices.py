"""Loop devices as disks: real block devices, with names in /dev/disk/by-id below a root of ours.

``sys`` is the machine's own; ``dev`` has nodes of the loop devices, and links to them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

import pytest

INSTANCES: Final = Path("/sys/kernel/tracing/instances")
SIZE: Final = 8 << 20
FILESYSTEM_SIZE: Final = 320 << 20
"""Large enough for every file system; the image is sparse."""
_READ: Final = """\
import mmap, os, sys
descriptor = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
os.preadv(descriptor, [mmap.mmap(-1, 4096)], int(sys.argv[2]))
"""

needs_tracefs = pytest.mark.skipif(
    not os.access(INSTANCES, os.W_OK), reason="takes root, and: mount -t tracefs nodev /sys/kernel/tracing"
)


def instances() -> list[str]:
    """The tracefs instances that this process has."""
    return [path.name for path in INSTANCES.iterdir() if path.name.startswith(f"powerd-guard-{os.getpid()}-")]


class LoopDevices:
    """``count`` disks inside ``with``.

    Args:
        base: an empty directory.
        count: of disks.
        size: of each, bytes; XFS needs FILESYSTEM_SIZE.
    """

    def __init__(self, base: Path, count: int, size: int = SIZE) -> None:
        self.size = size
        self.root = base / "machine"
        self.ids = [f"loop-{number}" for number in range(count)]
        self.devices: list[str] = []
        self._base = base
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        links = self.root / "dev/disk/by-id"
        links.mkdir(parents=True)
        (self.root / "sys").symlink_to("/sys")
        (self.root / "proc").symlink_to("/proc")
        with contextlib.ExitStack() as undo:
            for name in self.ids:
                device = self._attach(name, undo)
                number = Path(device).stat().st_rdev
                os.mknod(self.root / "dev" / device.rpartition("/")[2], 0o060600, number)
                (links / name).symlink_to(f"../../{device.rpartition('/')[2]}")
                self.devices.append(device)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def read_block(self, place: int, at: int = 0) -> None:
        """Read a block of a disk past all caches, as some other process does."""
        subprocess.run([sys.executable, "-c", _READ, self.devices[place], str(at)], check=True)

    def read_count(self, place: int) -> int:
        """Reads that the kernel has counted at a disk."""
        name = self.devices[place].rpartition("/")[2]
        return int(Path(f"/sys/block/{name}/stat").read_text().split()[0])

    def make_filesystem(self, place: int, kind: str) -> None:
        """Make a file system of type ``kind`` on a disk."""
        force = "-F" if kind == "ext4" else "-f"
        subprocess.run([f"mkfs.{kind}", "-q", force, self.devices[place]], check=True, capture_output=True)

    def mount(self, place: int, options: str = "defaults") -> Path:
        """Mount a disk with nothing of it in memory; it is unmounted at the end. The mount point."""
        point = self._base / f"mnt-{place}-{options}"
        point.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", options, self.devices[place], point], check=True)
        self._undo.callback(_unmount, point)
        return point

    def _attach(self, name: str, undo: contextlib.ExitStack) -> str:
        image = self._base / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(self.size)
        done = subprocess.run(
            ["losetup", "--find", "--show", "--direct-io=off", image],
            check=True,
            capture_output=True,
            text=True,
        )
        device = done.stdout.strip()
        undo.callback(subprocess.run, ["losetup", "--detach", device], check=True)
        return device


def _unmount(point: Path) -> None:
    """Unmount what is mounted there, if anything is."""
    subprocess.run(["umount", "--quiet", "--lazy", point], check=False)
