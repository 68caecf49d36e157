"""Costs of a health check in the daemon: CPU time of the loop, and memory that is not freed.

The daemon, the socket, the helper and the child that reads the answer are real; smartctl is a script that
says what an old Seagate with 13 attributes says, and the machine is a tree of files.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from helper.fake_drives import FakeDrives
from helper.smart.test_smartctl import set_document, with_health
from rig.wait import until
from simulation.disk_server import SimulatedDiskServer

from powerd.config.load import parse
from powerd.core.storage import Storage
from powerd.daemon import Daemon
from powerd.disks.model import DiskAction
from powerd.linux.files import HostFiles
from powerd.linux.helper_client import HelperClient
from powerd.simulation.clock import SimulatedClock
from powerd.smart.actions import DiskResult
from powerd.smart.model import SmartFacts

CHECKS: Final = 20
LIMITS: Final = {
    "CPU of the loop for a check, ms": 5.0,
    "the longest of these, ms": float("inf"),
    "a check from request to response, ms": float("inf"),
    "smartctl processes for a check": 1.0,
    "memory growth after 20 checks, MB": 1.0,
}


class SmartBenchmark(SimulatedDiskServer):
    """A simulated server whose disk actions a real helper executes."""

    socket_path = Path()

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        return await HelperClient(self.socket_path).execute_disk_action(action)


def resident() -> float:
    """Resident memory of this process, MB (proc(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def served(tools: Path, root: Path, socket_path: Path) -> Iterator[None]:
    """A helper that listens on ``socket_path``."""
    places = ("--socket", str(socket_path), "--root", str(root), "--tools", str(tools), "--user", "root")
    argv = [sys.executable, "-m", "powerd.helper", *places]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        try:
            until(socket_path.exists, "the helper listens")
            yield
        finally:
            process.terminate()


async def measured(bench: SmartBenchmark, asked: FakeDrives, state: Path) -> dict[str, float]:
    daemon = Daemon(
        parse(b'[clients]\nlearn = "0s"\nevery = "1h"\n', "bench"),
        bench.ports(),
        bench.clock,
        storage=Storage(state),
    )
    task = asyncio.create_task(daemon.run())
    while daemon.status is None or not daemon.status.snapshot.part(SmartFacts).smart_history:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.1)
    await daemon.requests.check_health("sda")  # what is imported and cached once
    gc.collect()
    asked.tool_calls()
    before, costs, waits = resident(), [], []
    for _ in range(CHECKS):
        cpu, began = time.thread_time(), time.monotonic()
        await daemon.requests.check_health("sda")
        await asyncio.sleep(0.05)  # the decision on it, and its document
        costs.append((time.thread_time() - cpu) * 1e3)
        waits.append((time.monotonic() - began - 0.05) * 1e3)
    gc.collect()
    runs = sum(line.startswith("smartctl") for line in asked.tool_calls())
    task.cancel()
    return {
        "CPU of the loop for a check, ms": statistics.median(costs),
        "the longest of these, ms": max(costs),
        "a check from request to response, ms": statistics.median(waits),
        "smartctl processes for a check": runs / CHECKS,
        "memory growth after 20 checks, MB": resident() - before,
    }


async def main() -> int:
    """Print the table; 1 if a figure is missed."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        asked = FakeDrives(scratch, "sda")
        with_health(asked)
        set_document(asked, "sda", "seagate", "sat")
        bench = SmartBenchmark(SimulatedClock(started_at=time.time()))
        bench.add_disks(1, scratch / "tree")
        (disk,) = bench.drives
        (asked.root / "dev/disk/by-id" / disk).symlink_to("../../sda")
        bench.machine, bench.socket_path = HostFiles(scratch / "tree"), scratch / "socket"
        with served(asked.tools, asked.root, bench.socket_path):
            figures = await measured(bench, asked, scratch / "state")
    print(f"{'':40}{'at most':>10}{'measured':>12}")
    for title, value in figures.items():
        print(f"{title:40}{LIMITS[title]:>10.1f}{value:>12.2f}")
    return int(any(value > LIMITS[title] for title, value in figures.items()))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
