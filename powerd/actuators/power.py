"""Put the server to sleep: a command of the user's, or one of logind's methods."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from powerd.host.values import Completed, HostError
from powerd.model import Done, Sleep

_DONE: Final = {
    "suspend": "suspended",
    "hibernate": "hibernated",
    "hybrid-sleep": "gone to hybrid sleep",
    "suspend-then-hibernate": "suspended, to hibernate later",
    "poweroff": "powered off",
}


class Hands(Protocol):
    """What sleeping needs; each raises HostError with one sentence when the machine refuses."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the child's bound
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command without a shell; one that outlives ``timeout`` seconds is ended: HostError."""
        ...

    async def logind(self, action: str) -> None:
        """Call logind's method for ``action``; refused while anybody holds a block inhibitor."""
        ...


class Way(Protocol):
    """The way into a sleep, which this server and others take alike."""

    async def set_out(self, order: Sleep) -> None:
        """Have all done that comes before: alarm, network cards, hooks.

        Raises HostError when the server could not be woken as it has to be; then nothing of it is left.
        """
        ...

    async def turn_back(self) -> None:
        """Have it undone: the server does not go."""
        ...


def done(order: Sleep) -> str:
    """The order in the past tense."""
    return f"run {shlex.join(order.command)}" if order.action == "command" else _DONE[order.action]


async def obey(order: Sleep, hands: Hands, way: Way) -> Done:
    """Carry out the order and say what was seen."""
    await way.set_out(order)
    try:
        gone = await _go(order, hands)
    except HostError:
        await way.turn_back()
        raise
    if not gone.ok:
        await way.turn_back()
    return gone


async def _go(order: Sleep, hands: Hands) -> Done:
    if order.action != "command":
        await hands.logind(order.action)
        return Done(True, f"logind accepted: {order.action}")
    end = await hands.run(order.command, timeout=order.timeout)
    if end.status:
        return Done(False, f"{order.command[0]} {end.ending()}")
    return Done(True, f"ran {shlex.join(order.command)}")
