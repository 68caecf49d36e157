"""Guests on virtual moments; one test reads the counter of a real control group."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from fakes.checks import check_ports
from fakes.unused_ports import UnusedPorts
from rig.wait import until

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.machines import Machines, Options, guest_name, parse
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.files import HostFiles
from powerd.linux.ports import Ports
from powerd.linux.values import HostError, UnitProcess
from powerd.power.model import WakeupState
from powerd.simulation.clock import SimulatedClock

LIBVIRT: Final = "machine.slice/machine-qemu\\x2d1\\x2ddebian12.scope"
GROUPS: Final = {
    LIBVIRT: "debian12",
    "machine.slice/machine-lxc\\x2d23\\x2dweb.scope": "web",
    "machine.slice/machine-my\\x2dnspawn.scope": "my-nspawn",
    "machine.slice/systemd-nspawn@box.service": "box",
    "machine.slice/systemd-vmspawn@vm1.service": "vm1",
    "lxc.payload.mail": "mail",
    "lxc/101": "101",
    "qemu.slice/100.scope": "100",
    "system.slice/qemu-router.service": "qemu-router",
}
"""As the programs name them: libvirt 9, systemd 252 and 257, LXC 5, Proxmox VE 8."""
OTHERS: Final = (
    "machine.slice/libpod-0123abcd.scope",
    "machine.slice/libpod-conmon-0123abcd.scope",
    "system.slice/smbd.service",
    "system.slice/qemu-guest-agent.service",
    "system.slice/qemu-ga.service",
    "system.slice/qemu-ga@virtio-ports-org.qemu.guest_agent.0.service",
    "system.slice/virtqemud.service",
    "system.slice/qemu-pr-helper.service",
    "lxc.monitor.mail",
)
QEMU: Final = "qemu-system-x86_64"


@dataclass
class Server(UnusedPorts):
    """A server whose groups have used so much CPU.

    Attributes:
        root: a tree with /sys/fs/cgroup.
        now: CLOCK_MONOTONIC.
        processes: what systemd lists; None = it does not run.
        threaded: the root slice cannot be listed, because control groups below it are threaded.
    """

    root: Path
    now: float = 0.0
    processes: Sequence[UnitProcess] | None = None
    threaded: bool = False
    lists: int = 0
    cgroup: Path = field(init=False)

    def __post_init__(self) -> None:
        self.cgroup = self.root / "sys/fs/cgroup"

    def use(self, group: str, seconds: float) -> None:
        directory = self.cgroup / group
        directory.mkdir(parents=True, exist_ok=True)
        (self.cgroup / "cgroup.controllers").write_text("cpu io\n")
        (directory / "cpu.stat").write_text(
            f"usage_usec {seconds * 1e6:.0f}\nuser_usec 1\nsystem_usec 2\nnice_usec 0\n"
        )

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        self.lists += 1
        if self.processes is None:
            raise NotRunningError("systemd is not running here")
        if self.threaded and unit == "-.slice":
            raise HostError("systemd refused: Input/output error")
        return tuple(each for each in self.processes if unit == "-.slice" or f"/{unit}/" in each.cgroup)

    def check(self, options: Options | None = None) -> Machines:
        ports = Ports(HostFiles(self.root), self, self, self, self, WakeupState)
        return Machines(options or Options(), check_ports(ports, SimulatedClock(mono=lambda: self.now)))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def poll(
    server: Server, check: Machines, now: float, depth: PollDepth = PollDepth.ROUTINE
) -> dict[str, Activity]:
    server.now = now
    return {each.subject: each for each in asyncio.run(check.poll(depth))}


@pytest.mark.parametrize(("group", "name"), GROUPS.items())
def test_the_names_of_guests(group: str, name: str) -> None:
    assert guest_name(f"/sys/fs/cgroup/{group}") == name


def test_guests_that_work_and_guests_that_are_idle(server: Server) -> None:
    """One minute at 30 % of a CPU, and at 10 %; containers and services are not guests."""
    check = server.check()
    names = [*GROUPS, *OTHERS]
    for group in names:
        server.use(group, 1000)
    assert not any(each.keeps_awake for each in poll(server, check, 0).values())
    for number, group in enumerate(names):
        server.use(group, 1000 + (18 if number % 2 else 6))
    found = poll(server, check, 60)
    assert found.keys() == set(GROUPS.values())
    assert [each.keeps_awake for each in found.values()].count(True) == len(GROUPS) // 2
    assert (found["web"].value, found["web"].threshold, found["web"].since) == (30.0, 20, 60.0)
    assert found["debian12"].value == 10.0
    assert not any(each.keeps_awake for each in poll(server, check, 240).values()), "the work has ended"


def test_a_guest_that_stops_or_starts_again(server: Server) -> None:
    check = server.check()
    server.use(LIBVIRT, 5000)
    poll(server, check, 0)
    server.use(LIBVIRT, 5060)
    assert poll(server, check, 60)["debian12"].keeps_awake
    (server.cgroup / LIBVIRT / "cpu.stat").unlink()
    assert poll(server, check, 120) == {}
    server.use(LIBVIRT, 2)
    assert poll(server, check, 360)["debian12"].value == pytest.approx(2 / 180 * 100, abs=0.1)


def test_ignored_guests(server: Server) -> None:
    check = server.check(Options(ignore=("deb*",)))
    for used, now in ((0, 0), (50, 60)):
        server.use(LIBVIRT, used)
        assert poll(server, check, now) == {}


def test_a_hypervisor_in_any_group_is_found_before_a_sleep(server: Server) -> None:
    """By its process; what it uses is known a minute later, and until then it keeps the server awake."""
    server.processes = [
        UnitProcess("/user.slice/user-0.slice/session-3.scope", 812, "qemu-system-x86_64 -m 2048 -name w10"),
        UnitProcess(f"/{LIBVIRT}/libvirt/emulator", 813, "/usr/bin/qemu-system-x86_64 -name guest=debian12"),
        UnitProcess("/system.slice/smbd.service", 814, "/usr/sbin/smbd -D"),
    ]
    check = server.check()
    session, name = "user.slice/user-0.slice/session-3.scope", "qemu-system-x86_64 in session-3"
    server.use(session, 100)
    server.use(LIBVIRT, 100)
    assert poll(server, check, 0).keys() == {"debian12"}
    assert server.lists == 0
    found = poll(server, check, 60, PollDepth.BEFORE_SLEEP)
    assert [each.subject for each in found.values() if each.keeps_awake] == [name]
    server.use(session, 103)
    assert not poll(server, check, 120, PollDepth.BEFORE_SLEEP)[name].keeps_awake
    server.use(session, 160)
    assert poll(server, check, 180)[name].keeps_awake
    assert server.lists == 2


def test_an_idle_guest_of_libvirt_does_not_hold_the_server(server: Server) -> None:
    """systemd 255 cannot list the root slice then, but finds hypervisors elsewhere."""
    group = "system.slice/vbox.service"
    server.threaded = True
    server.processes = [UnitProcess(f"/{group}", 814, "/usr/lib/virtualbox/VBoxHeadless -s w10")]
    check = server.check()
    for each in (LIBVIRT, group):
        server.use(each, 100)
    assert not any(each.keeps_awake for each in poll(server, check, 0).values())
    assert poll(server, check, 60, PollDepth.BEFORE_SLEEP)["VBoxHeadless in vbox"].keeps_awake
    server.use(group, 103)
    found = poll(server, check, 120, PollDepth.BEFORE_SLEEP)
    assert found.keys() == {"debian12", "VBoxHeadless in vbox"}
    assert not any(each.keeps_awake for each in found.values())


def test_without_systemd_the_groups_remain(server: Server) -> None:
    server.use("lxc/101", 5)
    assert poll(server, server.check(), 0, PollDepth.BEFORE_SLEEP)["101"].keeps_awake, "not known yet"


def test_without_cgroup_v2_it_is_not_applicable(server: Server) -> None:
    with pytest.raises(NotApplicableError, match="cgroup v2"):
        poll(server, server.check(), 0)


@pytest.mark.parametrize("text", ["", "usage 5", "usage_usec", "usage_usec x\nuser_usec 4", "xusage_usec 5"])
def test_damaged_counters(server: Server, text: str) -> None:
    assert parse(text) is None
    server.use(LIBVIRT, 1)
    (server.cgroup / LIBVIRT / "cpu.stat").write_text(text)
    with pytest.raises(HostError, match="debian12"):
        poll(server, server.check(), 0)


_V2 = next(
    (
        each
        for each in map(Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"))
        if (each / "cgroup.controllers").exists()
    ),
    None,
)


SESSION: Final = "user.slice/user-0.slice/session-3.scope"


@pytest.fixture
def real_group(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A control group of the kernel, by default LIBVIRT, which ``tmp_path`` shows as the root of all."""
    assert _V2 is not None
    group = _V2 / f"powerd-test-{os.getpid()}"
    scope = group / getattr(request, "param", LIBVIRT)
    scope.mkdir(parents=True)
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup").symlink_to(group)
    try:
        yield scope
    finally:
        until(lambda: not (scope / "cgroup.procs").read_text(), "the group is empty")
        for each in (scope, *scope.parents):
            each.rmdir()
            if each == group:
                break


@pytest.mark.process
@pytest.mark.skipif(_V2 is None or not os.access(_V2, os.W_OK), reason="needs cgroup v2 and root")
def test_a_real_guest(real_group: Path, tmp_path: Path) -> None:
    """A process in the group of a guest; it ends with its standard input."""
    server = Server(tmp_path)
    check = server.check(Options(floor=1))
    assert poll(server, check, 0)["debian12"].value == 0
    enter = f"open({str(real_group / 'cgroup.procs')!r}, 'w').write('0')"
    code = f"{enter}; print(sum(range(10**7)), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as guest:
        assert guest.stdout is not None
        guest.stdout.readline()
        used = parse((real_group / "cpu.stat").read_text()) or 0
        found = poll(server, check, 60)["debian12"]
        later = parse((real_group / "cpu.stat").read_text()) or 0
    assert 0 < used <= later
    assert round(used / 600_000, 1) <= (found.value or 0) <= round(later / 600_000, 1)
    assert poll(server, check, 300)["debian12"].value == pytest.approx(0, abs=0.2)


@pytest.mark.process
@pytest.mark.skipif(_V2 is None or not os.access(_V2, os.W_OK), reason="needs cgroup v2 and root")
@pytest.mark.skipif(shutil.which(QEMU) is None, reason="apt-get install qemu-system-x86")
@pytest.mark.parametrize("real_group", [SESSION], indirect=True)
def test_a_real_qemu_without_libvirt(real_group: Path, tmp_path: Path) -> None:
    """Started in a login session, with a firmware that is one endless loop; found by its command line."""
    firmware = tmp_path / "loop.bin"
    firmware.write_bytes(b"\x90" * 0xFFF0 + b"\xeb\xfe" + b"\x90" * 14)
    server = Server(tmp_path)
    check = server.check(Options(floor=1))
    server.processes = []
    assert poll(server, check, 0, PollDepth.BEFORE_SLEEP) == {}
    devices = ("-nodefaults", "-no-user-config", "-display", "none", "-machine", "isapc", "-m", "2")
    enter = f'echo $$ >"{real_group}/cgroup.procs"; exec "$@"'
    argv = ("sh", "-c", enter, "sh", QEMU, *devices, "-bios", str(firmware))
    with subprocess.Popen(argv) as guest:
        try:
            until(lambda: used(real_group), "the guest uses the CPU", every=0.05)
            command = Path(f"/proc/{guest.pid}/cmdline").read_text().replace("\0", " ").strip()
            server.processes = [UnitProcess(f"/{SESSION}", guest.pid, command)]
            first = poll(server, check, 1, PollDepth.BEFORE_SLEEP)
            before = used(real_group)
            until(lambda: used(real_group) > before + 650_000, "it goes on", every=0.05)
            second = poll(server, check, 61)
        finally:
            guest.kill()
    name = "qemu-system-x86_64 in session-3"
    assert first.keys() == second.keys() == {name}
    assert first[name].keeps_awake
    assert second[name].keeps_awake
    assert (second[name].value or 0) >= 1


def used(group: Path) -> int:
    """Microseconds of CPU time."""
    return parse((group / "cpu.stat").read_text()) or 0
