"""Wake-ups of the daemon and commands to disks while eight disks are in standby.

Needs root: its 30 clients, all absent, are addresses in a network namespace. The daemon runs in real time, in
a process of its own whose context switches the kernel counts (proc(5)), and reads the counters of eight
rotational disks, two of them a mirror, from a tree of files by tests/rig/hardware.py. The drives and the
helper are simulated: the commands counted are the daemon's requests to the helper. The figures do not contain
the helper's process, which waits for the first access to the mirror, and the service manager.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from rig.hardware import Hardware, sd_name
from rig.lan import Lan

from powerd.config.load import parse
from powerd.core.clock import KernelClock
from powerd.core.snapshot import Status
from powerd.daemon import Daemon
from powerd.disks.model import Disk, DiskAction, DiskId, FailureCause, GroupSpinUp
from powerd.disks.state import DisksReport, DiskState
from powerd.linux.files import HostFiles
from powerd.linux.helper_client import HelperClient
from powerd.linux.ports import Ports
from powerd.linux.subprocess import HostProcesses
from powerd.linux.values import RefusedByHelperError
from powerd.power.logind import LogindClient
from powerd.power.model import WakeupState
from powerd.presence.probe.network import HostNetwork
from powerd.simulation.drive import DriveSimulator
from powerd.smart.actions import DiskResult

DISKS: Final = 8
CLIENTS: Final = 30
ASLEEP_WITHIN: Final = 600.0
"""Seconds."""
SETTLED: Final = 90.0
"""Seconds from the last spin-down to the first count: more than a round."""
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the directory made in there is private
"""The tree of files is in memory, as sysfs is: a read from a disk may block, which is a context switch."""
LIMITS: Final = {"wake-ups/h": 150, "commands to disks": 0, "disks that spin up": 0}


class SimulatedHelper(HelperClient):
    """A helper with simulated drives, which start in standby."""

    def __init__(self, hardware: Hardware) -> None:
        super().__init__()
        names = [DiskId(hardware.sata(n, f"WD-{n}")) for n in range(DISKS)]
        hardware.md("md0", 0, ("sda", "sdb"))
        self._drives = {
            name: DriveSimulator(Disk(name, sd_name(n)), spins=False, ios=0) for n, name in enumerate(names)
        }
        self.commands = 0

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        self.commands += 1
        done = self._drives[action.disk].execute(action, asyncio.get_running_loop().time())
        found = done.answer
        if not done.ok or not isinstance(found, DiskResult):
            raise RefusedByHelperError(done.message, FailureCause.FAILED)
        return found

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        """No access happens."""
        await asyncio.Event().wait()
        return GroupSpinUp(disks[0], disks[1:], (), 0.0)


def host_ports(files: HostFiles, helper: HelperClient) -> Ports:
    """The ports of this machine, with another tree of files and another helper."""
    return Ports(files, HostNetwork(), LogindClient(), helper, HostProcesses(), WakeupState)


def config(net: str) -> str:
    names = ", ".join(f'"{net}.{100 + n}"' for n in range(CLIENTS))
    return f'mode = "enforce"\n[clients]\nleases = ["auto"]\nhosts = [{names}]\n'


def switches() -> int:
    """Voluntary context switches of this process, each of which ends with a wake-up."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


async def live(root: Path, net: str, minutes: float) -> dict[str, float]:
    """Run the daemon; returns the figures."""
    simulation, machine, asleep = SimulatedHelper(Hardware(root)), HostFiles(root), asyncio.Event()
    latest = 0

    def on_event(status: Status) -> None:
        nonlocal latest
        latest = sum(report.state is DiskState.STANDBY for report in status.decision.part(DisksReport).disks)
        if latest == DISKS:
            asleep.set()

    daemon = Daemon(
        parse(config(net).encode(), "benchmark"),
        host_ports(machine, simulation),
        KernelClock(),
        on_status=on_event,
    )
    task = asyncio.create_task(daemon.run())
    async with asyncio.timeout(ASLEEP_WITHIN):
        await asleep.wait()
    await asyncio.sleep(SETTLED)
    commands, before = simulation.commands, switches()
    await asyncio.sleep(minutes * 60)
    figures = {
        "wake-ups/h": (switches() - before) * 60 / minutes,
        "commands to disks": simulation.commands - commands,
        "disks that spin up": DISKS - latest,
    }
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    machine.close()
    return figures


def main() -> int:
    """Print the table; 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--live", nargs=2, metavar=("ROOT", "NET"), help="run the daemon that is measured")
    given = parser.parse_args()
    if given.live:
        print(json.dumps(asyncio.run(live(Path(given.live[0]), given.live[1], given.minutes))))
        return 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch, Lan(Path(scratch), 4) as lan:
        root = Path(scratch, "root")
        root.mkdir()
        argv = (sys.executable, __file__, "--minutes", str(given.minutes), "--live", str(root), lan.net)
        nobody = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={scratch}/bus"  # not this machine's logind
        done = lan.server.inside.run("env", nobody, *argv, within=ASLEEP_WITHIN + given.minutes * 60 + 200)
    figures = json.loads(done.stdout)
    print(f"{DISKS} disks in standby, {CLIENTS} clients, 60 s rounds, {given.minutes:g} min")
    print(f"{'':28}{'at most':>10}{'measured':>10}")
    for title, most in LIMITS.items():
        print(f"{title:28}{most:10g}{figures[title]:10.1f}")
    return int(any(figure > LIMITS[title] for title, figure in figures.items()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.stderr)
