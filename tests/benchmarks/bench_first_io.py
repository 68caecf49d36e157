"""How long a sleeping disk's first access takes to be seen: until `/api/disks` says that it is active.

Needs root: the daemon lives in a network namespace. It runs in real time, in a process of its own, with the
eight played disks of bench_sleeping_disks.py, and is asked over its own socket by the client that the command
line uses. Each disk is accessed once, all within one round and each in another eighth of it, so that the
longest time is that of an access soon after a look. The time that asking takes is in the figures.
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
"""Seconds between two questions."""
ASLEEP_WITHIN: Final = 30.0
"""Seconds; they sleep from the beginning, and are only to be asked."""
GRACE: Final = 0.25
"""Seconds beyond a round: for the look and the decision, and for being asked."""
ONE_MORE: Final = QUIET.replace("100 0 800", "101 0 808", 1)
"""The counters after one more read; as long, so that they change at one stroke."""


class AccessedDisks(SimulatedHelper):
    """The shelf, with drives that spin as soon as their counters have moved."""

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
    """Have the disk's counters say that it was read; powerd keeps their file open, as sysfs's."""
    file = os.open(counters(root, device), os.O_WRONLY)
    os.pwrite(file, ONE_MORE.encode(), 0)
    os.close(file)


async def live(root: Path, at: Path, every: float) -> None:
    """Be the daemon and its HTTP face, until the process is ended."""
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
    """What the API says of each disk that has a spindle, by its name of the day; {} while nobody answers."""
    try:
        report = get("/api/disks", str(at))
    except UnreachableError:
        return {}
    return {disk["device"]: disk["state"] for disk in report if disk["state"] != "excluded"}


def measure(root: Path, at: Path, every: float) -> list[float]:
    """Seconds from each disk's access until it is said to be active."""
    asleep = {sd_name(n): "standby" for n in range(DISKS)}
    until(lambda: states(at) == asleep, "all disks sleep", within=ASLEEP_WITHIN, every=POLL)
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
            raise SystemExit(f"never said to be active: {', '.join(waiting)}")
        time.sleep(POLL)
    return took


def main() -> int:
    """Print the table; 1 if the figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=float, default=60, help="seconds of a round")
    parser.add_argument("--live", nargs=2, metavar=("ROOT", "SOCKET"), help="be the daemon that is measured")
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
    print(f"{DISKS} sleeping disks, each accessed at another phase of a {given.every:g} s round")
    print(f"{'first I/O to active, s':28}{'at most':>10}{'measured':>10}")
    print(f"{'shortest':28}{'':10}{min(took):10.2f}")
    print(f"{'mean':28}{'':10}{sum(took) / len(took):10.2f}")
    print(f"{'longest':28}{given.every + GRACE:10.2f}{max(took):10.2f}")
    return int(max(took) > given.every + GRACE)


if __name__ == "__main__":
    sys.exit(main())
