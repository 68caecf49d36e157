"""Sends an action for one disk: one request to the helper, and the message on its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from powerd.config.values import format_duration
from powerd.core.actions import ActionResult
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.linux.ports import Helper
from powerd.linux.values import HostError, RefusedByHelperError

_MODE_MESSAGES: Final = {
    PowerMode.ACTIVE: "it spins",
    PowerMode.STANDBY: "it is in standby",
    PowerMode.SLEEPING: "it is in sleep mode",
    PowerMode.UNKNOWN: "it does not report whether it spins",
    PowerMode.SUSPENDED: "the kernel has suspended it",
}


def describe_action(action: DiskAction) -> str:
    """The action in the past tense, for the message on its result."""
    match action:
        case CheckPowerMode():
            return "checked its power mode"
        case SpinDown():
            return "spun it down"
        case SetStandbyTimer(seconds=seconds):
            return f"set its timer to {format_duration(seconds)}" if seconds else "switched its timer off"
        case SetApmLevel(level=level):
            return f"set its APM level to {level}"
        case ReadPowerFeatures():
            return "read its power features"
        case _:
            raise TypeError(f"no disk action: {action}")


async def send_action(
    action: DiskAction, helper: Helper, describe: Callable[[Any], str] = describe_action
) -> ActionResult:
    """Send the action to the helper once.

    Args:
        action: an action of this domain, or of one above it.
        helper: the port.
        describe: describes the action in the past tense.
    """
    try:
        result = await helper.execute_disk_action(action)
    except RefusedByHelperError as error:
        return ActionResult(False, str(error), error.cause, error.commands)
    except HostError as error:
        return ActionResult(False, str(error), FailureCause.HELPER_UNAVAILABLE)
    commands = 0 if isinstance(result, FailureCause) else result.commands
    return ActionResult(True, _message(action, result) or describe(action), result, commands)


def _message(action: DiskAction, result: object) -> str:
    """What the result adds to the description of the action; "" = nothing."""
    match action, result:
        case CheckPowerMode(), PowerStatus(mode=mode):
            return _MODE_MESSAGES[mode]
        case SpinDown(), PowerStatus(mode=mode, spin_down_sent=False):
            return f"{_MODE_MESSAGES[mode]} already" if mode.is_stopped else _MODE_MESSAGES[mode]
        case SpinDown(method=method), _:
            return f"sent the spin-down command ({method.upper()})"
        case _, PowerFeatures(apm_supported=False):
            return f"{describe_action(action)}: no APM"
        case _, PowerFeatures(apm=apm):
            return f"{describe_action(action)}: APM is {apm or 'off'}"
        case _:
            return ""
