"""Costs of watching the files of a disk: powerd's helper compared with inotifywait -r and fatrace.

Needs root, and on Debian: apt-get install xfsprogs btrfs-progs inotify-tools fatrace. Each file system is on
a loop device and holds a tree of 20,000 directories; it is mounted again for each program, so that its page
cache is empty.

- start: the time until everything is watched, and the reads from the disk until then.
- burst: a program changes files at 10,000 events a second for some seconds, and nobody reads the events: the
  processor time of it with and without the watch, and of the one request that reads them, of the helper and
  (one directory) of the daemon; how many of the first 1,000 files are in the response.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from helper.loop_devices import LoopDevices

from powerd.disks.model import DiskId
from powerd.helper.file_watch import FileWatch
from powerd.helper.protocol.messages import ReadFiles
from powerd.linux.files import HostFiles

KINDS: Final = ("ext4", "xfs", "btrfs")
SIZE: Final = 1 << 30
_SECTOR_FIELD: Final = 2
READS_AT_MOST: Final = 0
BURST: Final = """\
import os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDONLY)
rate, seconds = int(sys.argv[2]), float(sys.argv[3])
started, made = time.monotonic(), 0
while (now := time.monotonic() - started) < seconds:
    while made < now * rate:
        os.close(os.open(f"file-{made % 5000}", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
        made += 2
    time.sleep(0.001)
"""


class Tree:
    """A mounted tree of directories with a file each."""

    def __init__(self, loops: LoopDevices, place: int, kind: str, directories: int) -> None:
        self.disk = DiskId(loops.ids[place])
        self._loops, self._place = loops, place
        loops.make_filesystem(place, kind)
        point = loops.mount(place)
        for number in range(directories // 100):
            for below in range(100):
                path = point / f"{number}" / f"{below}"
                path.mkdir(parents=True)
                (path / "file").touch()
        self.point = point

    def read_bytes(self) -> tuple[int, int]:
        """Reads of the disk, and bytes."""
        name = self._loops.devices[self._place].rpartition("/")[2]
        fields = Path(f"/sys/block/{name}/stat").read_text().split()
        return int(fields[0]), 512 * int(fields[_SECTOR_FIELD])

    @contextmanager
    def counted(self, row: list[str]) -> Iterator[None]:
        """Mount it again; add the time, the reads and the bytes of what is done inside to ``row``."""
        subprocess.run(["umount", self.point], check=True)
        self._loops.mount(self._place)
        reads, size = self.read_bytes()
        started = time.perf_counter()
        yield
        took = time.perf_counter() - started
        now_reads, now_size = self.read_bytes()
        row += [f"{took * 1000:.2f} ms", f"{now_reads - reads}", f"{(now_size - size) / 1e6:.1f} MB"]


def start_inotifywait(point: Path) -> None:
    with subprocess.Popen(
        ["inotifywait", "--monitor", "--recursive", point],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        next(line for line in child.stderr if "established" in line)
        child.terminate()


def start_fatrace(point: Path) -> None:
    """It has no ready message: wait until it reports the accesses made here, or for three seconds."""
    argv = ["stdbuf", "--output=L", "fatrace", "--current-mount"]
    with subprocess.Popen(argv, cwd=point, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        until = time.monotonic() + 3
        while not child.stdout.read() and time.monotonic() < until:
            (point / "probe").touch()
            time.sleep(0.001)
        child.terminate()


def bench_start(tree: Tree, loops: LoopDevices, kind: str) -> int:
    """Print a row for each program; how many reads powerd has made."""
    watch = FileWatch(loops.root, allow_loops=True)
    ours = [kind, "powerd, level files"]
    with tree.counted(ours):
        watch.read(ReadFiles((tree.disk,)))
    watch.close()
    files, chosen = HostFiles(), [kind, "powerd, one directory"]
    with tree.counted(chosen):
        files.read_directories((str(tree.point),), (str(tree.point),))
    files.close()
    rows = [ours, chosen]
    for program, start in (("inotifywait", start_inotifywait), ("fatrace", start_fatrace)):
        if shutil.which(program) is not None:
            rows.append([kind, f"{program}{' -r' if program == 'inotifywait' else ''}"])
            with tree.counted(rows[-1]):
                start(tree.point)
    for row in rows:
        print("  {:6} {:24} {:>12} {:>8} reads {:>10}".format(*row))
    return int(ours[3])


def burst(directory: Path, rate: int, seconds: float) -> float:
    """Processor seconds of a program that makes ``rate`` events a second."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-ISc", BURST, directory, str(rate), str(seconds)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bench_burst(tree: Tree, loops: LoopDevices, kind: str, seconds: float) -> bool:
    """Print the costs of a burst; returns whether the first 1,000 accesses were reported."""
    directory = tree.point / "burst"
    directory.mkdir()
    base = burst(directory, 10_000, seconds)
    shutil.rmtree(directory)
    directory.mkdir()
    watch = FileWatch(loops.root, allow_loops=True)
    watch.read(ReadFiles((tree.disk,)))
    watched = burst(directory, 10_000, seconds)
    started = time.process_time()
    reading = watch.read(ReadFiles((tree.disk,)))
    took = time.process_time() - started
    watch.close()
    files, chosen = HostFiles(), (str(directory),)
    files.read_directories(chosen, chosen)
    burst(directory, 10_000, seconds)
    started = time.process_time()
    files.read_directories(chosen, chosen)
    took_directory = time.process_time() - started
    files.close()
    expected = {str(directory / f"file-{number}") for number in range(0, 2000, 2)}
    found = len(expected & {access.path for access in reading.accesses})
    print(
        f"  {kind:6} burst of {seconds:g} s: the program takes {base:.2f} s, watched {watched:.2f} s; "
        f"the request {took * 1000:.0f} ms, {found} of the first {len(expected)} files; "
        f"of the directory {took_directory * 1000:.0f} ms"
    )
    return found == len(expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directories", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    ok = True
    with tempfile.TemporaryDirectory() as base, LoopDevices(Path(base), len(KINDS), SIZE) as loops:
        for place, kind in enumerate(KINDS):
            tree = Tree(loops, place, kind, arguments.directories)
            ok &= bench_start(tree, loops, kind) <= READS_AT_MOST
            ok &= bench_burst(tree, loops, kind, arguments.seconds)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
