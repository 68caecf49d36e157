"""Announce a sleep to whoever is logged in, while it can still be cancelled, and say so when it has been."""

from __future__ import annotations

from typing import Final, Protocol

from powerd.config import show_duration
from powerd.model import CallOff, Done, Warn

_WHAT: Final = {"poweroff": "powers off", "command": "runs its sleep command"}
_NOT: Final = {"poweroff": "does not power off", "command": "does not run its sleep command"}


class Hands(Protocol):
    """What announcing needs."""

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal. Raises HostError when that cannot be done."""
        ...


def done(order: Warn | CallOff) -> str:
    """The order in the past tense."""
    return f"announced: {text(order)}"


def text(order: Warn | CallOff) -> str:
    """What people read on their terminals."""
    if isinstance(order, CallOff):
        what = _NOT.get(order.action, "does not go to sleep")
        because = f": {_harmless(order.because)}" if order.because else ""
        return f"called off, this server {what} now{because}"
    what = _WHAT.get(order.action, "goes to sleep")
    return f"this server {what} in {show_duration(order.within)} unless somebody needs it (`powerd why`)"


def _harmless(text: str) -> str:
    """Names of hosts are chosen by the hosts, and no escape sequence of theirs goes to a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


async def obey(order: Warn | CallOff, hands: Hands) -> Done:
    """Announce; a terminal that cannot be written to does not stop the warning period."""
    await hands.broadcast(text(order))
    return Done(True, done(order))
