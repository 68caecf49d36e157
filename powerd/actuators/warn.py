"""Announce a sleep to whoever is logged in, while it can still be cancelled."""

from __future__ import annotations

from typing import Final, Protocol

from powerd.config import show_duration
from powerd.model import Warn

_WHAT: Final = {"poweroff": "powers off", "command": "runs its sleep command"}


class Hands(Protocol):
    """What announcing needs."""

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal. Raises HostError when that cannot be done."""
        ...


def done(order: Warn) -> str:
    """The order in the past tense."""
    return f"announced: {text(order)}"


def text(order: Warn) -> str:
    """What people read on their terminals."""
    what = _WHAT.get(order.action, "goes to sleep")
    return f"this server {what} in {show_duration(order.within)} unless somebody needs it (`powerd why`)"


async def obey(order: Warn, hands: Hands) -> tuple[bool, str]:
    """Announce; a terminal that cannot be written to does not stop the warning period."""
    await hands.broadcast(text(order))
    return True, done(order)
