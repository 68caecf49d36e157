"""A household whose server has disks: sysfs is a tree of files, drives are simulated, time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rig.hardware import Hardware, sd_name
from simulation.household import BERLIN, HOUR, daily, person

from powerd.attribution.model import FileReading
from powerd.config.load import parse
from powerd.core.snapshot import Status
from powerd.daemon import Daemon
from powerd.disks.model import Disk, DiskAction, DiskId, FailureCause, GroupSpinUp
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.drive import DriveSimulator
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.simulation.world import Household, posix_time
from powerd.smart.actions import DiskResult
from powerd.smart.model import Finding

CONFIG = b"""
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
[disks]
spin_down_after = "20min"
[[disks.rule]]
match = ["*WD-2", "*WD-3"]
method = "timer"
[smart]
every = "0s"
"""


@dataclass
class SimulatedDiskServer(Household):
    """A household whose server has disks. Accesses write into sysfs what the kernel would write."""

    hardware: Hardware | None = None
    machine: HostFiles | None = None
    drives: dict[DiskId, DriveSimulator] = field(default_factory=dict)
    guard_requests: list[tuple[float, tuple[DiskId, ...]]] = field(default_factory=list)
    group_accessed: asyncio.Event = field(default_factory=asyncio.Event)
    findings: list[tuple[float, str, Finding]] = field(default_factory=list)

    def add_disks(self, count: int, root: Path) -> None:
        self.hardware, self.machine = Hardware(root), HostFiles(root)
        for n in range(count):
            name = DiskId(self.hardware.sata(n, f"WD-{n}"))
            self.drives[name] = DriveSimulator(Disk(name, sd_name(n)))
            self.update_command_count(self.drives[name])
        self.hardware.md("md0", 0, ("sda", "sdb"))

    def record_finding(self, disk: Disk, finding: Finding) -> None:
        self.findings.append((self.clock.mono(), disk.device, finding))

    def access(self, n: int) -> None:
        """Somebody reads from the ``n``th disk."""
        assert self.hardware is not None
        drive = self.drive(n)
        drive.access(self.clock.mono())
        self.hardware.sysfs(sd_name(n), "stat", f"{100 + drive.ios} 0 800 10 50 0 400 10 0 20 20 0 0 0 0 3 1")
        self.update_command_count(drive)
        if n < 2:
            self.group_accessed.set()

    def passthrough_command(self, n: int) -> None:
        """Somebody's command that is not I/O takes the platters of the ``n``th disk."""
        self.drive(n).passthrough_command(self.clock.mono())
        self.update_command_count(self.drive(n))

    def check_power_mode(self, n: int) -> None:
        """Somebody asks the ``n``th disk whether it spins."""
        self.drive(n).check_power_mode(self.clock.mono())
        self.update_command_count(self.drive(n))

    def drive(self, n: int) -> DriveSimulator:
        return list(self.drives.values())[n]

    def update_command_count(self, drive: DriveSimulator) -> None:
        """As the kernel does with every command that it hands to a disk."""
        assert self.hardware is not None
        count = hex(1000 + drive.ios + drive.commands)
        self.hardware.sysfs(drive.disk.device, "device/iorequest_cnt", count)

    def machine_files(self) -> HostFiles:
        assert self.machine is not None
        return self.machine

    def listdir(self, directory: str) -> tuple[str, ...]:
        return self.machine_files().listdir(directory)

    def read_text(self, path: str) -> str | None:
        return self.machine_files().read_text(path)

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        return self.machine_files().read_cached(paths)

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        return self.machine_files().read_directories(directories, may_look_up)

    def realpath(self, path: str) -> str | None:
        return self.machine_files().realpath(path)

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        await asyncio.sleep(0.3)
        result = self.drives[action.disk].execute(action, self.clock.mono())
        self.update_command_count(self.drives[action.disk])
        found = result.answer
        if not result.ok or not isinstance(found, DiskResult):
            raise RefusedByHelperError(result.message, FailureCause.FAILED)
        return found

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        """The first access to a member wakes the others."""
        self.guard_requests.append((self.clock.mono(), disks))
        if len(disks) != 2:
            raise HostError("no such group here")
        self.group_accessed.clear()
        await self.group_accessed.wait()
        for n in (0, 1):
            self.access(n)
        return GroupSpinUp(disks[0], disks[1:], (), 0.0)


Server = TypeVar("Server", bound="SimulatedDiskServer")


def disk_server(loop: asyncio.AbstractEventLoop, disks: int, root: Path, kind: type[Server]) -> Server:
    """A server with a client that is always present; the first two disks are a mirror."""
    clock = SimulatedClock(started_at=posix_time(BERLIN, "2026-06-01 12:00"), zone=BERLIN, mono=loop.time)
    server = kind(clock, people=[person("anna", 11, daily(0, 24))])
    server.add_disks(disks, root)
    return server


def simulate_disks(
    tmp_path: Path,
    days: float,
    events: list[tuple[float, Callable[[SimulatedDiskServer], None]]],
    config: bytes = CONFIG,
) -> tuple[SimulatedDiskServer, list[Status]]:
    """A NAS with four disks, of which two are a mirror; ``events`` are (hours after the beginning, what)."""
    loop = VirtualLoop()
    nas = disk_server(loop, 4, tmp_path, SimulatedDiskServer)
    statuses: list[Status] = []

    async def main() -> None:
        daemon = Daemon(
            parse(config, "test"),
            nas.ports(),
            nas.clock,
            on_status=statuses.append,
            on_finding=nas.record_finding,
        )
        task = asyncio.create_task(daemon.run())
        for hours, what in sorted(events, key=lambda event: event[0]):
            await asyncio.sleep(hours * HOUR - loop.time())
            what(nas)
        await asyncio.sleep(days * 24 * HOUR - loop.time())
        assert not task.done()
        task.cancel()

    run(main(), loop=loop)
    nas.machine_files().close()
    return nas, statuses


def access(n: int) -> Callable[[SimulatedDiskServer], None]:
    return lambda nas: nas.access(n)
