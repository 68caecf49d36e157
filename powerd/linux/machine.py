"""The real Eyes: this machine, its files below a root, and its network.

Hands: all that actuators may do to the machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from powerd.disks import actuator
from powerd.disks.disk_id import DiskId
from powerd.disks.model import DiskAction, DiskResult
from powerd.linux import files, netlink, subprocess, udev_monitor
from powerd.linux.helper_client import HelperClient
from powerd.linux.ports import under
from powerd.linux.sysfs import Sysfs
from powerd.linux.values import (
    Alarm,
    HostError,
    Lan,
    LogindEvent,
    Neighbour,
    ProbeRequest,
    ProcessResult,
    StatSignature,
    SweepResult,
)
from powerd.power import wakeup_cause
from powerd.power.logind import Logind
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, SystemdTimer
from powerd.power.wakeup_cause import WakeupState
from powerd.presence.leases import hostapd
from powerd.presence.probe.arp import ArpSocket
from powerd.presence.probe.sweep import sweep
from powerd.requests import magic_packet

_RESOLVE_TIMEOUT: Final = 5.0
"""Seconds for a name; a resolver that has lost its server gives up after as many (resolv.conf(5))."""
_NOT_FOUND: Final = 2
"""getent(1): a key was not found."""


class Machine:
    """Looks at this machine; see Eyes for what each method promises.

    Args:
        root: where paths begin; a test hands in a tree of files. The network is always the real one.
        logind: the connection to it that the Hands use too; None = one of its own.
        helper: the way to the privileged helper.
    """

    def __init__(
        self, root: Path = Path("/"), logind: Logind | None = None, helper: HelperClient | None = None
    ) -> None:
        self._root = root
        self._logind = logind or Logind()
        self._helper = helper or HelperClient()
        self._idle_arp_sockets: list[ArpSocket] = []
        self._sysfs = Sysfs(root)
        self._monitors: list[udev_monitor.BlockDeviceMonitor] = []

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths that fit a glob, sorted; directories are left out."""
        return files.find(self._root, pattern)

    def stat_signature(self, path: str) -> StatSignature | None:
        """One stat(2); None = there is no such file."""
        return files.stat_signature(under(self._root, path), path)

    def read_chunks(self, path: str) -> AsyncIterator[str]:
        """The file's text in pieces of 64 KiB."""
        return files.read_chunks(under(self._root, path), path)

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text, at most ``limit`` bytes of it."""
        parts: list[str] = []
        remaining = limit
        async with aclosing(files.read_chunks(under(self._root, path), path)) as chunks:
            async for chunk in chunks:
                parts.append(chunk.encode()[:remaining].decode(errors="ignore"))
                remaining -= len(chunk.encode())
                if remaining <= 0:
                    break
        return "".join(parts)

    def listdir(self, directory: str) -> tuple[str, ...]:
        """Names of all that is in a directory, sorted."""
        return self._sysfs.listdir(directory)

    def read_text(self, path: str) -> str | None:
        """A small file's text; None = it is not there, or does not answer."""
        return self._sysfs.read_text(path)

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """Texts of files that are kept open between calls."""
        return self._sysfs.read_cached(paths)

    def realpath(self, path: str) -> str | None:
        """Where it really is, all links followed."""
        return self._sysfs.realpath(path)

    def kernel_release(self) -> str:
        """The kernel's release; /proc/sys does not show it to a service with ProcSubset=pid."""
        return os.uname().release

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        """Call ``heard`` when block devices have come, gone or changed."""
        if self._root == Path("/") and udev_monitor.is_udev_running():
            self._monitors.append(udev_monitor.BlockDeviceMonitor(on_change))

    async def yield_now(self) -> None:
        """Let the loop have its turn."""
        await asyncio.sleep(0)

    async def lan(self) -> Lan:
        """Links, own addresses and gateways."""
        return netlink.read_lan()

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbour table of IPv4 and IPv6."""
        return netlink.read_neighbours()

    async def sweep(
        self,
        asks: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - the time an answer may take, not the call's
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        """Ask all at once by ICMP and ARP."""
        return await sweep(
            self,
            asks,
            timeout=timeout,
            tries=tries,
            until_first=until_first,
            deadline=deadline,
        )

    async def stations(self, control: str) -> str:
        """Associated stations of a hostapd."""
        path = under(self._root, control)
        try:
            return await hostapd.query_stations(str(path))
        except OSError as error:
            raise HostError(files.error_text("ask", control, path, error)) from error

    async def resolve(self, name: str) -> tuple[str, ...]:
        """IPv4 addresses of a host name, by a getent(1) that cannot hold up the loop; () = not found."""
        result = await subprocess.run(["getent", "--", "ahostsv4", name], timeout=_RESOLVE_TIMEOUT)
        if result.status not in {0, _NOT_FOUND}:
            raise HostError(
                f"cannot resolve {name}: getent ended with status {result.status}; see /etc/nsswitch.conf"
            )
        return tuple(dict.fromkeys(line.split()[0] for line in result.stdout.splitlines() if line.strip()))

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others."""
        return await self._logind.list_inhibitors()

    async def can_sleep(self, action: str) -> str:
        """What logind answers to its Can... method."""
        return await self._logind.can_sleep(action)

    async def last_key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session."""
        return await self._logind.last_key_press()

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """These systemd timers."""
        return await self._logind.list_timers(units)

    async def inhibit_delay(self) -> float:
        """For how many seconds logind waits for delay locks."""
        return await self._logind.inhibit_delay()

    def events(self) -> AsyncIterator[LogindEvent]:
        """What logind says unasked."""
        return self._logind.events()

    async def read_card(self, interface: str) -> NetworkCard:
        """By what a network card can wake this machine, and by what it will."""
        return await self._helper.read_card(interface)

    async def read_alarm(self) -> Alarm:
        """The RTC's time and the alarm that stands."""
        return await self._helper.read_alarm()

    def read_wakeup_state(self) -> WakeupState:
        """What the kernel tells of wake-ups at this moment."""
        return wakeup_cause.read_wakeup_state(self._root)

    def acquire_arp_socket(self) -> ArpSocket:
        """An ARP socket that listens; one per sweep under way, used again by the next."""
        arp_socket = self._idle_arp_sockets.pop() if self._idle_arp_sockets else ArpSocket()
        arp_socket.listen()
        return arp_socket

    def release_arp_socket(self, arp_socket: ArpSocket) -> None:
        """Keep it, deaf, for the next sweep."""
        arp_socket.stop_listening()
        self._idle_arp_sockets.append(arp_socket)

    def is_ready(self, index: int) -> bool:
        """Whether this link is up and has carrier at this moment."""
        return netlink.is_link_ready(index)

    def close(self) -> None:
        """Give back what is kept open between sweeps."""
        while self._idle_arp_sockets:
            self._idle_arp_sockets.pop().close()
        while self._monitors:
            self._monitors.pop().close()
        self._sysfs.close()


_WALL: Final = ("/usr/bin/wall", "--timeout", "10")


class RealHands:
    """Acts on this machine; each method raises HostError with one sentence when the machine refuses.

    Args:
        logind: the connection to it that the Eyes use too; None = one of its own.
        helper: the way to the privileged helper.
    """

    def __init__(self, logind: Logind | None = None, helper: HelperClient | None = None) -> None:
        self._logind = logind or Logind()
        self._helper = helper or HelperClient()

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the child's bound
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a command without a shell; one that outlives ``timeout`` seconds is ended: HostError.

        Args:
            argv: the program and its arguments.
            timeout: seconds.
            stdin: what it reads; None = nothing.
            env: added to the environment.
        """
        return await subprocess.run(argv, timeout=timeout, stdin=stdin, env=env)

    async def request_sleep(self, action: str) -> None:
        """Call logind's method for ``action``; refused while anybody holds a block inhibitor."""
        await self._logind.request_sleep(action)

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """Take an inhibitor lock; it holds until the descriptor is closed, or this process ends.

        Args:
            what: ``sleep``, ``shutdown``, ``idle``, ..., several with colons between.
            why: shown to whoever asks `systemd-inhibit --list`.
            mode: ``block`` or ``delay``.
        """
        return await self._logind.inhibit(what, why, mode)

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """Have the RTC wake the machine; see SetAlarm of the helper's protocol."""
        return await self._helper.set_alarm(in_seconds, replaces)

    async def clear_alarm(self, at: int) -> Alarm:
        """Take away the alarm that is set to exactly ``at``; see ClearAlarm of the helper's protocol."""
        return await self._helper.clear_alarm(at)

    async def arm_card(self, interface: str) -> NetworkCard:
        """Let a magic packet to this card wake the machine; gives back what is so afterwards."""
        return await self._helper.arm_card(interface)

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        """Send a magic packet for ``mac`` to broadcast addresses."""
        await magic_packet.send_magic_packets(mac, to)

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """Have the helper carry out an order to a disk; DiskError when it refuses, or the drive does."""
        return await actuator.request_disk_action(action, await self._helper.ensure_running())

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        """Watch sleeping disks until one is accessed, and wake the others then; see drives.guard()."""
        return await actuator.wait_first_access(disks, await self._helper.ensure_running())

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal, by wall(1)."""
        result = await subprocess.run((*_WALL, f"powerd: {text}"), timeout=15)
        if result.status:
            raise HostError(f"wall ended with status {result.status}: {result.stderr.strip()[:200]}")
