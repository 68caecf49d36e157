"""One order type -> one way to obey it. In observe mode nothing is touched; that is decided here, once."""

from __future__ import annotations

from typing import Protocol

from powerd.core.actions import Action, ActionResult, CancelWarning, Mode, Sleep, WarnUsers
from powerd.disks.actuator import Hands as DiskActionHands
from powerd.disks.actuator import describe_action
from powerd.disks.actuator import execute as execute_disk_action
from powerd.disks.model import DiskAction
from powerd.linux.values import HostError
from powerd.power.actuator import (
    BroadcastHands,
    SleepHands,
    SleepPreparer,
    describe_announcement,
    describe_sleep,
    execute_announcement,
    execute_sleep,
)


class Hands(SleepHands, BroadcastHands, DiskActionHands, Protocol):
    """All that actuators may do to the machine."""


async def execute(action: Action, hands: Hands, mode: Mode, preparation: SleepPreparer) -> ActionResult:
    """Carry out ``order``; a sleep takes ``way``."""
    if mode == "observe":
        return ActionResult(True, f"would have {_past_tense(action)}")
    try:
        if isinstance(action, WarnUsers | CancelWarning):
            return await execute_announcement(action, hands)
        if isinstance(action, DiskAction):
            return await execute_disk_action(action, hands)
        return await execute_sleep(action, hands, preparation)
    except HostError as error:
        return ActionResult(False, str(error))


def _past_tense(action: Action) -> str:
    """The order in the past tense."""
    if isinstance(action, WarnUsers | CancelWarning):
        return describe_announcement(action)
    return describe_sleep(action) if isinstance(action, Sleep) else describe_action(action)
