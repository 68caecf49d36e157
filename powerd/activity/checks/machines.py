"""Virtual machines and LXC containers that use the CPU, on the average of some minutes.

A guest counts while it uses more than ``floor`` per cent of one CPU on the average of ``window``. What it
reads from disks and transfers over the network is seen by ``disk_io`` and ``traffic``; so are containers of
Docker and Podman, which this check leaves out.

Guests are the control groups of libvirt, systemd-nspawn and systemd-vmspawn (machine.slice), of LXC, Incus
and Proxmox VE, and services with "qemu" in their name but agents and managers. Before a sleep the check
queries systemd for processes of QEMU and of other hypervisors in any group, by GetUnitProcesses
(org.freedesktop.systemd1(5)); from then on the whole group counts. Guests of Xen are not processes of this
system, so they do not count.

Source: usage_usec in cpu.stat of cgroup v2 (https://docs.kernel.org/admin-guide/cgroup-v2.html), which does
not need the controller "cpu". A system with cgroup v1 only does not have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.activity.rates import MIN_AVERAGING_TIME, CounterRates
from powerd.config.declare import duration, integer, option, string_list
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.values import HostError

_ROOTS: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Of cgroup v2, alone and beside v1 (systemd.unified_cgroup_hierarchy=0)."""
_GUESTS: Final = (
    "machine.slice/*.scope",  # libvirt, systemd-machined(8)
    "machine.slice/systemd-*spawn@*.service",
    "lxc.payload.*",  # LXC 4 and Incus
    "lxc/*",  # Proxmox VE, LXC 3
    "qemu.slice/*.scope",  # Proxmox VE
    "system.slice/*qemu*.service",
)
_NO_GUESTS: Final = (
    *("libpod-*", "docker-*", "crio-*"),  # containers in machine.slice
    *("qemu-guest-agent*.service", "qemu-ga.service", "qemu-ga@*.service"),  # of a guest that powerd runs in
    *("virtqemud*.service", "*qemu-pr-helper*.service"),  # services of libvirt and QEMU for all guests
)
_HYPERVISORS: Final = ("qemu-system-*", "qemu-kvm", "kvm", "VBoxHeadless", "vmware-vmx", "firecracker")
_MAY_BE_HYPERVISOR: Final = re.compile("qemu|kvm|VBoxHeadless|vmware-vmx|firecracker")
"""In a command line; most have none, and splitting one into words takes 20 us."""
_ESCAPE: Final = re.compile(r"\\x([0-9a-f]{2})")  # systemd-escape(1)
_AFFIXES: Final = re.compile(
    r"^(machine-((qemu|lxc)-\d+-)?|systemd-\w+spawn@|lxc\.payload\.)|\.(scope|service)$"
)
_USAGE: Final = re.compile(r"^usage_usec (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Options:
    """Virtual machines and LXC containers that use the CPU."""

    floor: int = option(20, "per cent of one CPU, on the average of the window", integer(1, 100_000))
    window: float = option(180.0, "time over which it is averaged", duration(60, 3600))
    ignore: tuple[str, ...] = option((), "names of guests that do not count; `*` is any text", string_list())


def parse(text: str) -> int | None:
    """Microseconds of CPU time in the text of cpu.stat; None = it has none."""
    match = _USAGE.search(text)
    return int(match[1]) if match else None


def guest_name(group: str) -> str:
    r"""The name of the guest of a control group: ``web`` of ``machine-lxc\x2d1\x2dweb.scope``."""
    name = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), group.rpartition("/")[2])
    return _AFFIXES.sub("", name) or name


class Machines:
    """Remembers the CPU time of each guest for the window."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        self._rates: CounterRates[str] = CounterRates(options.window)
        self._by_process: Mapping[str, str] = {}
        self._used_before: dict[str, int] = {}
        self._found_at: dict[str, float] = {}
        self._since: dict[str, float] = {}

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """The guests, and what they use.

        Raises:
            NotApplicableError: there is no cgroup v2.
            HostError: systemd does not answer, or a counter cannot be read.
        """
        now = self._ports.clock.now().mono
        near_sleep = depth is not PollDepth.ROUTINE
        root = self._find_root()
        guests = self._find_guests(root)
        if near_sleep:
            self._by_process = await self._find_processes()
        usage = {group: self._read_usage(group) for group in guests}
        for cgroup, name in self._by_process.items():
            group = root + cgroup
            used = self._read_usage(group)
            if used is not None and not any(f"{group}/".startswith(f"{guest}/") for guest in guests):
                guests[group] = name
                before = self._used_before.setdefault(group, used)
                usage[group] = used - before if used >= before else used
        self._rates.update(now, {group: used for group, used in usage.items() if used is not None})
        self._found_at = {group: self._found_at.get(group, now) for group in guests}
        rates = self._rates.rates()
        found: list[Activity] = []
        for group, name in guests.items():
            if usage[group] is None or any(fnmatchcase(name, each) for each in self._options.ignore):
                continue
            percent = rates[group] / 10_000  # of microseconds per second
            text = "guest, uses the CPU"
            above = percent > self._options.floor
            if near_sleep and now - self._found_at[group] < MIN_AVERAGING_TIME:
                above, text = True, "guest, uses an amount of CPU that is known after a minute"
            since = self._since.get(name, now) if above else None
            found.append(
                Activity(name, text, above, round(percent, 1), "% of a CPU", self._options.floor, since)
            )
        self._since = {each.subject: each.since for each in found if each.since is not None}
        return tuple(found)

    def _find_root(self) -> str:
        for root in _ROOTS:
            if self._ports.files.stat_signature(f"{root}/cgroup.controllers") is not None:
                return root
        raise NotApplicableError("/sys/fs/cgroup is not cgroup v2, which counts the CPU time of guests")

    def _find_guests(self, root: str) -> dict[str, str]:
        """The names of the guests by their control groups."""
        suffix = "/cpu.stat"
        groups = [
            path.removesuffix(suffix)
            for pattern in _GUESTS
            for path in self._ports.files.find(f"{root}/{pattern}{suffix}")
        ]
        return {
            group: guest_name(group)
            for group in groups
            if not any(fnmatchcase(group.rpartition("/")[2], each) for each in _NO_GUESTS)
        }

    async def _find_processes(self) -> dict[str, str]:
        """The control groups in which a hypervisor runs, and its name."""
        from powerd.activity.checks.process import (  # noqa: PLC0415 - used only before a sleep
            list_all_processes,
            program_names,
        )

        try:
            processes = await list_all_processes(self._ports.logind)
        except NotRunningError:
            return {}
        return {
            each.cgroup: f"{name} in {guest_name(each.cgroup)}"
            for each in processes
            if _MAY_BE_HYPERVISOR.search(each.command)
            for name in program_names(each.command)
            if any(fnmatchcase(name, pattern) for pattern in _HYPERVISORS)
        }

    def _read_usage(self, group: str) -> int | None:
        """Microseconds of CPU time; None = the guest has ended meanwhile."""
        path = f"{group}/cpu.stat"
        text = self._ports.files.read_text(path)
        if text is not None and (used := parse(text)) is None:
            raise HostError(f"{path} has no usage_usec; report this to powerd")
        return None if text is None else used


KIND: Final = CheckKind(
    "machines", Options, Machines, default_on=True, example=Options(ignore=("win11", "test*"))
)
