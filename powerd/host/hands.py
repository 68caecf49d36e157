"""Hands: all that actuators may do to the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from powerd.host import drives, logind, magic, process
from powerd.host.values import Completed, HostError
from powerd.model import DiskId, DiskOrder, Found

_WALL: Final = ("/usr/bin/wall", "--timeout", "10")


class RealHands:
    """Acts on this machine; each method raises HostError with one sentence when the machine refuses."""

    async def run(self, argv: Sequence[str], *, timeout: float) -> Completed:  # noqa: ASYNC109 - the child's bound
        """Run a command without a shell; one that outlives ``timeout`` seconds is ended: HostError."""
        return await process.run(argv, timeout=timeout)

    async def logind(self, action: str) -> None:
        """Call logind's method for ``action``; refused while anybody holds a block inhibitor."""
        await logind.sleep(action)

    async def magic(self, mac: str, to: Sequence[str]) -> None:
        """Send a magic packet for ``mac`` to broadcast addresses."""
        await magic.send(mac, to)

    async def disk(self, order: DiskOrder) -> Found:
        """Have the helper carry out an order to a disk; DiskError when it refuses, or the drive does."""
        return await drives.obey(order)

    async def guard(self, disks: tuple[DiskId, ...]) -> tuple[DiskId | None, tuple[DiskId, ...], float]:
        """Watch sleeping disks until one is accessed, and wake the others then; see drives.guard()."""
        return await drives.guard(disks)

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal, by wall(1)."""
        end = await process.run((*_WALL, f"powerd: {text}"), timeout=15)
        if end.status:
            raise HostError(f"wall ended with status {end.status}: {end.err.strip()[:200]}")
