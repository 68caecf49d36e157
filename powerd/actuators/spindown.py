"""Carry out an order to one disk: one request to the helper, and what the drive answered."""

from __future__ import annotations

from typing import Final, Protocol

from powerd.config import format_duration
from powerd.host.values import DiskError, HostError
from powerd.model import (
    ActionResult,
    CheckHealth,
    CheckPowerMode,
    DiskAction,
    DiskResult,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
    StartTest,
)

_MODE_MESSAGES: Final = {
    PowerMode.ACTIVE: "it spins",
    PowerMode.STANDBY: "it stands by",
    PowerMode.SLEEPING: "it sleeps",
    PowerMode.UNKNOWN: "it does not say whether it spins",
    PowerMode.SUSPENDED: "the kernel has suspended it",
}


class Hands(Protocol):
    """What orders to disks need."""

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """Have the helper carry out ``order``.

        Raises:
            DiskError: the helper refuses, or the drive does.
            HostError: there is no helper to ask.
        """
        ...


def describe_action(action: DiskAction) -> str:  # noqa: PLR0911 - one row for each order
    """The order in the past tense."""
    match action:
        case CheckPowerMode():
            return "asked whether it spins"
        case SpinDown():
            return "spun it down"
        case SetStandbyTimer(seconds=seconds):
            return f"set its timer to {format_duration(seconds)}" if seconds else "switched its timer off"
        case SetApmLevel(level=level):
            return f"set its APM level to {level}"
        case ReadPowerFeatures():
            return "asked what it can do"
        case CheckHealth():
            return "read its health"
        case StartTest(test=test):
            return f"begun its {test} self-test"


async def execute(action: DiskAction, hands: Hands) -> ActionResult:
    """Carry out the order, once, and say what was seen."""
    try:
        result = await hands.execute_disk_action(action)
    except DiskError as error:
        return ActionResult(False, str(error), error.trouble, error.commands)
    except HostError as error:
        return ActionResult(False, str(error), FailureCause.HELPER_UNAVAILABLE)
    commands = 0 if isinstance(result, FailureCause) else result.commands
    return ActionResult(True, _message(action, result), result, commands)


def _message(action: DiskAction, result: DiskResult) -> str:
    match action, result:
        case CheckPowerMode(), PowerStatus(mode=mode):
            return _MODE_MESSAGES[mode]
        case SpinDown(), PowerStatus(mode=mode, spin_down_sent=False):
            return f"{_MODE_MESSAGES[mode]} already" if mode.is_stopped else _MODE_MESSAGES[mode]
        case SpinDown(method=method), _:
            return f"told it to stand by ({method.upper()})"
        case _, PowerFeatures(apm_supported=False):
            return f"{describe_action(action)}: no APM"
        case _, PowerFeatures(apm=apm):
            return f"{describe_action(action)}: APM is {apm or 'off'}"
        case _:
            return describe_action(action)
