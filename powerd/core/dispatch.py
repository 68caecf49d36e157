"""One order type -> one way to obey it. In observe mode nothing is touched; that is decided here, once."""

from __future__ import annotations

from powerd.core.actions import Action, ActionResult, CancelWarning, Mode, Sleep, WarnUsers
from powerd.disks.actuator import describe_action
from powerd.disks.actuator import execute as execute_disk_action
from powerd.disks.model import DiskAction
from powerd.linux.ports import Ports
from powerd.linux.values import HostError
from powerd.power.actuator import (
    SleepPreparer,
    describe_announcement,
    describe_sleep,
    execute_announcement,
    execute_sleep,
)


async def execute(action: Action, ports: Ports, mode: Mode, preparation: SleepPreparer) -> ActionResult:
    """Carry out ``order``; a sleep takes ``way``."""
    if mode == "observe":
        return ActionResult(True, f"would have {_past_tense(action)}")
    try:
        if isinstance(action, WarnUsers | CancelWarning):
            return await execute_announcement(action, ports.processes)
        if isinstance(action, DiskAction):
            return await execute_disk_action(action, ports.helper)
        return await execute_sleep(action, ports.logind, ports.processes, preparation)
    except HostError as error:
        return ActionResult(False, str(error))


def _past_tense(action: Action) -> str:
    """The order in the past tense."""
    if isinstance(action, WarnUsers | CancelWarning):
        return describe_announcement(action)
    return describe_sleep(action) if isinstance(action, Sleep) else describe_action(action)
