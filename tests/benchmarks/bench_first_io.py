"""Time from the first access to a disk in standby until `/api/disks` reports it as active.

Needs root: the daemon runs in a network namespace, in real time and in a process of its own, with the eight
simulated disks of bench_sleeping_disks.py. It is queried on its socket by the client of the command line.
Each disk is accessed once, each in another eighth of one round, so that the longest time is that of an access
soon after a poll. The figures contain the time of the query.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.bench_sleeping_disks import DISKS, MEMORY, SimulatedHelper, host_ports
from rig.hardware import QUIET, Hardware, sd_name
from rig.lan import Lan, stop
from rig.wait import until

from powerd.config.http_options import HttpOptions
from powerd.config.load import parse
from powerd.core.clock import KernelClock
from powerd.daemon import Daemon
from powerd.disks.model import DiskAction
from powerd.linux.files import HostFiles
from powerd.linux.unix_sockets import listen_unix
from powerd.service import ui_context
from powerd.smart.actions import DiskResult
from powerd.ui.cli.client import UnreachableError, get
from powerd.ui.http.event_feed import EventFeed
from powerd.ui.http.lazy_server import LazyHttpServer

POLL: Final = 0.05
"""Seconds between two queries."""
ASLEEP_WITHIN: Final = 30.0
"""Seconds; the disks start in standby, and powerd only has to query them."""
GRACE: Final = 0.25
"""Seconds beyond a round, for the poll, the decision and the query."""
ONE_MORE: Final = QUIET.replace("100 0 800", "101 0 808", 1)
"""The counters after one more read; of the same length, so that one write replaces them."""


class AccessedDisks(SimulatedHelper):
    """Simulated drives that spin up when their counters change."""

    def __init__(self, root: Path) -> None:
        super().__init__(Hardware(root))
        self._root = root

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        drive = self._drives[action.disk]
        if counters(self._root, drive.disk.device).read_text() != f"{QUIET}\n":
            drive.access(asyncio.get_running_loop().time())
        return await super().execute_disk_action(action)


def counters(root: Path, device: str) -> Path:
    return root / "sys/block" / device / "stat"


def access(root: Path, device: str) -> None:
    """Count a read of the disk, in place, because powerd keeps the file open."""
    file = os.open(counters(root, device), os.O_WRONLY)
    os.pwrite(file, ONE_MORE.encode(), 0)
    os.close(file)


async def live(root: Path, at: Path, every: float) -> None:
    """Run the daemon and its HTTP server until the process is ended."""
    machine, clock = HostFiles(root), KernelClock()
    config = f'mode = "enforce"\n[clients]\nleases = []\nlearn = "0s"\nevery = "{every:g}s"\n'
    daemon = Daemon(parse(config.encode(), "benchmark"), host_ports(machine, AccessedDisks(root)), clock)
    context = ui_context(
        daemon,
        clock,
        lambda: None,
        EventFeed(),
        reload=lambda: None,
        reload_error=lambda: None,
        http=HttpOptions,
    )
    await LazyHttpServer([listen_unix(at)], context).start()
    await daemon.run()


def states(at: Path) -> dict[str, str]:
    """The state of each rotational disk in the API by kernel name; {} while no daemon answers."""
    try:
        report = get("/api/disks", str(at))
    except UnreachableError:
        return {}
    return {disk["device"]: disk["state"] for disk in report if disk["state"] != "excluded"}


def measure(root: Path, at: Path, every: float) -> list[float]:
    """Seconds from the access to each disk until the API reports it as active."""
    asleep = {sd_name(n): "standby" for n in range(DISKS)}
    until(lambda: states(at) == asleep, "all disks are in standby", within=ASLEEP_WITHIN, every=POLL)
    began, waiting, accessed = time.monotonic(), list(asleep), dict[str, float]()
    due = {name: (n + random.random()) * every / DISKS for n, name in enumerate(asleep)}  # noqa: S311 - no secret
    took: list[float] = []
    while waiting:
        for name in waiting:
            if name not in accessed and time.monotonic() - began >= due[name]:
                access(root, name)
                accessed[name] = time.monotonic()
        report = states(at)
        now = time.monotonic()
        for name in [each for each in waiting if report.get(each) == "active"]:
            took.append(now - accessed[name])
            waiting.remove(name)
        if now - began > 3 * every:
            raise SystemExit(f"never reported as active: {', '.join(waiting)}")
        time.sleep(POLL)
    return took


def main() -> int:
    """Print the table; 1 if the figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=float, default=60, help="seconds of a round")
    parser.add_argument("--live", nargs=2, metavar=("ROOT", "SOCKET"), help="run the daemon that is measured")
    given = parser.parse_args()
    if given.live:
        asyncio.run(live(Path(given.live[0]), Path(given.live[1]), given.every))
        return 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch, Lan(Path(scratch), 5) as lan:
        root, at, log = Path(scratch, "root"), Path(scratch, "powerd.sock"), Path(scratch, "log")
        root.mkdir()
        nobody = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={scratch}/bus"  # not this machine's logind
        argv = (sys.executable, __file__, "--every", str(given.every), "--live", str(root), str(at))
        with log.open("wb") as text:
            daemon = lan.server.inside.start("env", nobody, *argv, log=text)
        try:
            took = measure(root, at, given.every)
        except BaseException as error:
            error.add_note(log.read_text())
            raise
        finally:
            stop(daemon)
    print(f"{DISKS} disks in standby, each accessed at another phase of a {given.every:g} s round")
    print(f"{'first I/O to active, s':28}{'at most':>10}{'measured':>10}")
    print(f"{'shortest':28}{'':10}{min(took):10.2f}")
    print(f"{'mean':28}{'':10}{sum(took) / len(took):10.2f}")
    print(f"{'longest':28}{given.every + GRACE:10.2f}{max(took):10.2f}")
    return int(max(took) > given.every + GRACE)


if __name__ == "__main__":
    sys.exit(main())
