"""Announce a sleep to whoever is logged in, while it can still be cancelled, and say so when it has been."""

from __future__ import annotations

from typing import Final, Protocol

from powerd.config import format_duration
from powerd.model import ActionResult, CancelWarning, WarnUsers

_ANNOUNCED: Final = {"poweroff": "powers off", "command": "runs its sleep command"}
_CANCELLED: Final = {"poweroff": "does not power off", "command": "does not run its sleep command"}


class BroadcastHands(Protocol):
    """What announcing needs."""

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal. Raises HostError when that cannot be done."""
        ...


def describe_announcement(action: WarnUsers | CancelWarning) -> str:
    """The order in the past tense."""
    return f"announced: {announcement_text(action)}"


def announcement_text(action: WarnUsers | CancelWarning) -> str:
    """What people read on their terminals."""
    if isinstance(action, CancelWarning):
        verb = _CANCELLED.get(action.sleep_action, "does not go to sleep")
        because = f": {_sanitize(action.reason)}" if action.reason else ""
        return f"called off, this server {verb} now{because}"
    verb = _ANNOUNCED.get(action.sleep_action, "goes to sleep")
    return f"this server {verb} in {format_duration(action.seconds)} unless somebody needs it (`powerd why`)"


def _sanitize(text: str) -> str:
    """Names of hosts are chosen by the hosts, and no escape sequence of theirs goes to a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


async def execute_announcement(action: WarnUsers | CancelWarning, hands: BroadcastHands) -> ActionResult:
    """Announce; a terminal that cannot be written to does not stop the warning period."""
    await hands.broadcast(announcement_text(action))
    return ActionResult(True, describe_announcement(action))
