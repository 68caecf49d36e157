"""Hands: all that actuators may do to the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from powerd.host import drives, magic, process
from powerd.host.helper import HelperClient
from powerd.host.logind import Logind
from powerd.host.values import Alarm, HostError, ProcessResult
from powerd.model import DiskAction, DiskId, DiskResult, NetworkCard

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
        return await process.run(argv, timeout=timeout, stdin=stdin, env=env)

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
        await magic.send_magic_packets(mac, to)

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """Have the helper carry out an order to a disk; DiskError when it refuses, or the drive does."""
        return await drives.request_disk_action(action, await self._helper.ensure_running())

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        """Watch sleeping disks until one is accessed, and wake the others then; see drives.guard()."""
        return await drives.wait_first_access(disks, await self._helper.ensure_running())

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal, by wall(1)."""
        result = await process.run((*_WALL, f"powerd: {text}"), timeout=15)
        if result.status:
            raise HostError(f"wall ended with status {result.status}: {result.stderr.strip()[:200]}")
