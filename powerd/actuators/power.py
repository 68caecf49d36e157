"""Put the server to sleep: a command of the user's, or one of logind's methods."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final, Protocol

from powerd.host.values import Completed
from powerd.model import Sleep

_DONE: Final = {
    "suspend": "suspended",
    "hibernate": "hibernated",
    "hybrid-sleep": "gone to hybrid sleep",
    "suspend-then-hibernate": "suspended, to hibernate later",
    "poweroff": "powered off",
}


class Hands(Protocol):
    """What sleeping needs; each raises HostError with one sentence when the machine refuses."""

    async def run(self, argv: Sequence[str], *, timeout: float) -> Completed:  # noqa: ASYNC109 - the child's bound
        """Run a command without a shell; one that outlives ``timeout`` seconds is ended: HostError."""
        ...

    async def logind(self, action: str) -> None:
        """Call logind's method for ``action``; refused while anybody holds a block inhibitor."""
        ...


def done(order: Sleep) -> str:
    """The order in the past tense."""
    return f"run {shlex.join(order.command)}" if order.action == "command" else _DONE[order.action]


async def obey(order: Sleep, hands: Hands) -> tuple[bool, str]:
    """Carry out the order and say what was seen."""
    if order.action != "command":
        await hands.logind(order.action)
        return True, f"logind accepted: {order.action}"
    end = await hands.run(order.command, timeout=order.timeout)
    if end.status == 0:
        return True, f"ran {shlex.join(order.command)}"
    last = next((line for line in reversed(end.err.splitlines()) if line.strip()), "").strip()
    how = f"was ended by signal {-end.status}" if end.status < 0 else f"ended with status {end.status}"
    return False, f"{order.command[0]} {how}" + (f": {last[:200]}" if last else "")
