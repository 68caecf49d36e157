"""Puts the server to sleep by logind or a command, and announces a sleep or its cancellation."""

from __future__ import annotations

import shlex
from typing import Final, Protocol

from powerd.config.values import format_duration
from powerd.core.actions import ActionResult, CancelWarning, Sleep, WarnUsers
from powerd.linux.dbus import NoReplyError
from powerd.linux.ports import Logind, Processes
from powerd.linux.values import CommandTimeoutError, HostError
from powerd.power.model import SleepCancelled, SleepUnconfirmed

_PAST_TENSE: Final = {
    "suspend": "suspended",
    "hibernate": "hibernated",
    "hybrid-sleep": "gone to hybrid sleep",
    "suspend-then-hibernate": "suspended, to hibernate later",
    "poweroff": "powered off",
}


class SleepCancelledError(HostError):
    """A sleep does not take place because of a blocker, or because another program's sleep has begun."""


class SleepPreparer(Protocol):
    """Prepares a sleep; see sleep_preparation.SleepPreparation."""

    async def prepare_action(self, action: Sleep) -> None:
        """Set the alarm, arm the network cards, run the hook.

        Raises HostError when the server could not be woken again or logind refuses, and SleepCancelledError
        when nothing is left to be undone.
        """
        ...

    async def cancel(self) -> None:
        """Undo the preparation: the sleep does not take place."""
        ...


def describe_sleep(action: Sleep) -> str:
    """The action in the past tense."""
    return (
        f"run {shlex.join(action.command)}"
        if action.sleep_action == "command"
        else _PAST_TENSE[action.sleep_action]
    )


async def execute_sleep(
    action: Sleep, logind: Logind, processes: Processes, preparation: SleepPreparer
) -> ActionResult:
    """Prepare and execute the sleep; undo the preparation if it is refused."""
    try:
        await preparation.prepare_action(action)
        result = await _sleep(action, logind, processes)
    except SleepCancelledError as error:
        return ActionResult(False, str(error), SleepCancelled())
    except Exception:
        await preparation.cancel()
        raise
    if not result.ok:
        await preparation.cancel()
    return result


async def _sleep(action: Sleep, logind: Logind, processes: Processes) -> ActionResult:
    if action.sleep_action != "command":
        try:
            await logind.request_sleep(action.sleep_action)
        except NoReplyError as error:
            # logind may have begun the sleep, which needs the alarm. If none follows, the request has failed,
            # and the preparation is undone, after SLEEP_FAILED_AFTER.
            return ActionResult(True, f"requested: {action.sleep_action}; {error}")
        return ActionResult(True, f"logind accepted: {action.sleep_action}")
    try:
        result = await processes.run(action.command, timeout=action.timeout)
    except CommandTimeoutError as error:
        # What it has started or requested may begin the sleep later, so this waits as for a missing reply.
        return ActionResult(True, str(error), SleepUnconfirmed())
    if result.status:
        return ActionResult(False, f"{action.command[0]} {result.describe()}")
    return ActionResult(True, f"ran {shlex.join(action.command)}")


_ANNOUNCED: Final = {"poweroff": "powers off", "command": "runs its sleep command"}
_CANCELLED: Final = {"poweroff": "does not power off", "command": "does not run its sleep command"}


def describe_announcement(action: WarnUsers | CancelWarning) -> str:
    """The action in the past tense."""
    return f"announced: {announcement_text(action)}"


def announcement_text(action: WarnUsers | CancelWarning) -> str:
    """The text on the users' terminals."""
    if isinstance(action, CancelWarning):
        verb = _CANCELLED.get(action.sleep_action, "does not go to sleep")
        because = f": {_sanitize(action.reason)}" if action.reason else ""
        return f"cancelled, this server {verb} now{because}"
    verb = _ANNOUNCED.get(action.sleep_action, "goes to sleep")
    unless = "`powerd keep 1h` prevents it" if action.over_clients else "somebody needs it (`powerd why`)"
    return f"this server {verb} in {format_duration(action.seconds)} unless {unless}"


def _sanitize(text: str) -> str:
    """Replace unprintable characters: hosts choose their names, which may hold escape sequences."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


async def execute_announcement(action: WarnUsers | CancelWarning, processes: Processes) -> ActionResult:
    """Write the announcement; a terminal that cannot be written to does not stop the warning period."""
    await processes.broadcast(announcement_text(action))
    return ActionResult(True, describe_announcement(action))
