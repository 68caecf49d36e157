"""Filesystems on loop devices whose accesses are traced, and processes in control groups of their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import pytest
from helper.loop_devices import FILESYSTEM_SIZE, INSTANCES, LoopDevices

from powerd.attribution.model import TraceReading
from powerd.helper.disks.device import DiskDevice, find_disk
from powerd.helper.disks.trace_recorder import read_trace, stop_trace

FILESYSTEMS: Final = ("ext4", "xfs", "btrfs")
_OPTIONS: Final = {"ext4": "noinit_itable,no_prefetch_block_bitmaps"}  # which a thread does after mounting
_CGROUPS: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


def cgroup_root() -> Path | None:
    """The root of a cgroup v2 hierarchy in which groups can be made."""
    paths = (Path(path) for path in _CGROUPS)
    return next((path for path in paths if os.access(path / "cgroup.procs", os.W_OK)), None)


needs_cgroups = pytest.mark.skipif(cgroup_root() is None, reason="takes root, and cgroup v2 mounted")


class TracedFilesystems:
    """One disk for each of FILESYSTEMS inside ``with``, mounted; they are traced from ``start`` on.

    Args:
        base: an empty directory.
    """

    def __init__(self, base: Path) -> None:
        self._loops = LoopDevices(base, len(FILESYSTEMS), FILESYSTEM_SIZE)
        self._paths: dict[str, Path] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            lock = os.open(INSTANCES, os.O_RDONLY)  # the names of the instances are fixed
            undo.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            undo.enter_context(self._loops)
            for place, name in enumerate(FILESYSTEMS):
                self._loops.make_filesystem(place, name)
                self._paths[name] = self._loops.mount(place, _OPTIONS.get(name, "defaults"))
            undo.callback(stop_trace, self.root)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def root(self) -> Path:
        """Where the paths of the machine with these disks start."""
        return self._loops.root

    def path(self, filesystem: str) -> Path:
        """Where it is mounted."""
        return self._paths[filesystem]

    def disk(self, filesystem: str) -> DiskDevice:
        """The disk of a filesystem."""
        name = self._loops.ids[FILESYSTEMS.index(filesystem)]
        return find_disk(self.root, name, allow_loops=True)

    def disk_of(self, path: Path) -> DiskDevice:
        """The disk that a file is on."""
        return self.disk(next(name for name, place in self._paths.items() if place in path.parents))

    def read(self, *filesystems: str) -> TraceReading:
        """What was recorded; the disks of ``filesystems``, or all, are traced from now on."""
        names = [self.disk(name).name for name in filesystems or FILESYSTEMS]
        return read_trace(names, self.root, allow_loops=True)

    def sync(self, filesystem: str) -> None:
        """Write back all data, by sync(1)."""
        subprocess.run(["sync", "--file-system", self.path(filesystem)], check=True)


@contextlib.contextmanager
def control_group(name: str) -> Iterator[Path]:
    """A control group of cgroup v2 inside ``with``, without processes at the end."""
    root = cgroup_root()
    assert root is not None
    path = root / name
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        path.rmdir()
        with contextlib.suppress(OSError):  # others have groups there
            for directory in path.relative_to(root).parents:
                (root / directory).rmdir()


def run_python(code: str, *arguments: object, group: Path | None = None, name: str = "") -> int:
    """Run ``code`` in a process of its own, which has ended when this returns.

    Args:
        code: of Python; ``sys.argv`` and ``os`` are there.
        arguments: for sys.argv[1:].
        group: its control group.
        name: of the process; "" = as Python is called.

    Returns:
        Its process id.
    """
    prefix = "import os, sys\n"
    if group is not None:
        prefix += f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\n"
    if name:
        prefix += f"open('/proc/self/comm', 'w').write({name!r})\n"
    process = subprocess.Popen([sys.executable, "-I", "-c", prefix + code, *map(str, arguments)])
    assert process.wait() == 0
    return process.pid
