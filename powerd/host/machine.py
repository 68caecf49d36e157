"""The real Eyes: this machine, its files below a root, and its network."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from powerd.host import files, hostapd, hotplug, netlink, process, wakeups
from powerd.host.arp import ArpSocket
from powerd.host.eyes import under
from powerd.host.helper import Helper
from powerd.host.logind import Logind
from powerd.host.sweep import sweep
from powerd.host.sysfs import Sysfs
from powerd.host.values import Alarm, Ask, FileMark, Going, HostError, Lan, Neighbour, Sweep
from powerd.host.wakeup import Wakeups
from powerd.model import Card, Inhibitor, KeyPress, Timer

_RESOLVE_WITHIN: Final = 5.0
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
        self, root: Path = Path("/"), logind: Logind | None = None, helper: Helper | None = None
    ) -> None:
        self._root = root
        self._logind = logind or Logind()
        self._helper = helper or Helper()
        self._idle: list[ArpSocket] = []
        self._sysfs = Sysfs(root)
        self._hotplug: list[hotplug.Hotplug] = []

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths that fit a glob, sorted; directories are left out."""
        return files.find(self._root, pattern)

    def mark(self, path: str) -> FileMark | None:
        """One stat(2); None = there is no such file."""
        return files.mark(under(self._root, path), path)

    def chunks(self, path: str) -> AsyncIterator[str]:
        """The file's text in pieces of 64 KiB."""
        return files.chunks(under(self._root, path), path)

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text, at most ``limit`` bytes of it."""
        pieces: list[str] = []
        left = limit
        async with aclosing(files.chunks(under(self._root, path), path)) as chunks:
            async for piece in chunks:
                pieces.append(piece.encode()[:left].decode(errors="ignore"))
                left -= len(piece.encode())
                if left <= 0:
                    break
        return "".join(pieces)

    def entries(self, directory: str) -> tuple[str, ...]:
        """Names of all that is in a directory, sorted."""
        return self._sysfs.entries(directory)

    def peek(self, path: str) -> str | None:
        """A small file's text; None = it is not there, or does not answer."""
        return self._sysfs.peek(path)

    def gauges(self, paths: Sequence[str]) -> list[str | None]:
        """Texts of files that are kept open between calls."""
        return self._sysfs.gauges(paths)

    def target(self, path: str) -> str | None:
        """Where it really is, all links followed."""
        return self._sysfs.target(path)

    def release(self) -> str:
        """The kernel's release; /proc/sys does not show it to a service with ProcSubset=pid."""
        return os.uname().release

    def hotplug(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` when block devices have come, gone or changed."""
        if self._root == Path("/") and hotplug.is_there():
            self._hotplug.append(hotplug.Hotplug(heard))

    async def breathe(self) -> None:
        """Let the loop have its turn."""
        await asyncio.sleep(0)

    async def lan(self) -> Lan:
        """Links, own addresses and gateways."""
        return netlink.lan()

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbour table of IPv4 and IPv6."""
        return netlink.neighbours()

    async def sweep(
        self,
        asks: Sequence[Ask],
        *,
        timeout: float,  # noqa: ASYNC109 - the time an answer may take, not the call's
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> Sweep:
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
            return await hostapd.stations(str(path))
        except OSError as error:
            raise HostError(files.refusal("ask", control, path, error)) from error

    async def resolve(self, name: str) -> tuple[str, ...]:
        """IPv4 addresses of a host name, by a getent(1) that cannot hold up the loop; () = not found."""
        end = await process.run(["getent", "--", "ahostsv4", name], timeout=_RESOLVE_WITHIN)
        if end.status not in {0, _NOT_FOUND}:
            raise HostError(
                f"cannot resolve {name}: getent ended with status {end.status}; see /etc/nsswitch.conf"
            )
        return tuple(dict.fromkeys(line.split()[0] for line in end.out.splitlines() if line.strip()))

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others."""
        return await self._logind.inhibitors()

    async def able(self, action: str) -> str:
        """What logind answers to its Can... method."""
        return await self._logind.able(action)

    async def key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session."""
        return await self._logind.key_press()

    async def timers(self, units: Sequence[str]) -> tuple[Timer, ...]:
        """These systemd timers."""
        return await self._logind.timers(units)

    async def patience(self) -> float:
        """For how many seconds logind waits for delay locks."""
        return await self._logind.patience()

    def goings(self) -> AsyncIterator[Going]:
        """What logind says unasked."""
        return self._logind.goings()

    async def card(self, interface: str) -> Card:
        """By what a network card can wake this machine, and by what it will."""
        return await self._helper.read_card(interface)

    async def read_alarm(self) -> Alarm:
        """The RTC's time and the alarm that stands."""
        return await self._helper.read_alarm()

    def wakeup_sources(self) -> Wakeups:
        """What the kernel tells of wake-ups at this moment."""
        return wakeups.wakeups(self._root)

    def take_arp(self) -> ArpSocket:
        """An ARP socket that listens; one per sweep under way, used again by the next."""
        sock = self._idle.pop() if self._idle else ArpSocket()
        sock.listen()
        return sock

    def return_arp(self, sock: ArpSocket) -> None:
        """Keep it, deaf, for the next sweep."""
        sock.deafen()
        self._idle.append(sock)

    def is_ready(self, index: int) -> bool:
        """Whether this link is up and has carrier at this moment."""
        return netlink.is_ready(index)

    def close(self) -> None:
        """Give back what is kept open between sweeps."""
        while self._idle:
            self._idle.pop().close()
        while self._hotplug:
            self._hotplug.pop().close()
        self._sysfs.close()
