"""Put the server to sleep: a command of the user's, or one of logind's methods.

Announce a sleep to whoever is logged in, while it can still be cancelled, and say so when it has been.
"""

from __future__ import annotations

import shlex
from typing import Final, Protocol

from powerd.config.values import format_duration
from powerd.core.actions import ActionResult, CancelWarning, Sleep, WarnUsers
from powerd.linux.ports import Logind, Processes
from powerd.linux.values import HostError

_PAST_TENSE: Final = {
    "suspend": "suspended",
    "hibernate": "hibernated",
    "hybrid-sleep": "gone to hybrid sleep",
    "suspend-then-hibernate": "suspended, to hibernate later",
    "poweroff": "powered off",
}


class SleepPreparer(Protocol):
    """The way into a sleep, which this server and others take alike."""

    async def prepare_action(self, action: Sleep) -> None:
        """Have all done that comes before: alarm, network cards, hooks.

        Raises HostError when the server could not be woken as it has to be; then nothing of it is left.
        """
        ...

    async def cancel(self) -> None:
        """Have it undone: the server does not go."""
        ...


def describe_sleep(action: Sleep) -> str:
    """The order in the past tense."""
    return (
        f"run {shlex.join(action.command)}"
        if action.sleep_action == "command"
        else _PAST_TENSE[action.sleep_action]
    )


async def execute_sleep(
    action: Sleep, logind: Logind, processes: Processes, preparation: SleepPreparer
) -> ActionResult:
    """Carry out the order and say what was seen."""
    await preparation.prepare_action(action)
    try:
        result = await _sleep(action, logind, processes)
    except HostError:
        await preparation.cancel()
        raise
    if not result.ok:
        await preparation.cancel()
    return result


async def _sleep(action: Sleep, logind: Logind, processes: Processes) -> ActionResult:
    if action.sleep_action != "command":
        await logind.request_sleep(action.sleep_action)
        return ActionResult(True, f"logind accepted: {action.sleep_action}")
    result = await processes.run(action.command, timeout=action.timeout)
    if result.status:
        return ActionResult(False, f"{action.command[0]} {result.describe()}")
    return ActionResult(True, f"ran {shlex.join(action.command)}")


_ANNOUNCED: Final = {"poweroff": "powers off", "command": "runs its sleep command"}
_CANCELLED: Final = {"poweroff": "does not power off", "command": "does not run its sleep command"}


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


async def execute_announcement(action: WarnUsers | CancelWarning, processes: Processes) -> ActionResult:
    """Announce; a terminal that cannot be written to does not stop the warning period."""
    await processes.broadcast(announcement_text(action))
    return ActionResult(True, describe_announcement(action))
