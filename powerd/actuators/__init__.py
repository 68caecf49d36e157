"""One order type -> one way to obey it. In observe mode nothing is touched; that is decided here, once."""

from __future__ import annotations

from typing import Protocol

from powerd.actuators import power, spindown, warn
from powerd.host.values import HostError
from powerd.model import Action, ActionResult, CancelWarning, DiskAction, Mode, Sleep, WarnUsers


class Hands(power.SleepHands, warn.BroadcastHands, spindown.Hands, Protocol):
    """All that actuators may do to the machine."""


async def execute(action: Action, hands: Hands, mode: Mode, preparation: power.SleepPreparer) -> ActionResult:
    """Carry out ``order``; a sleep takes ``way``."""
    if mode == "observe":
        return ActionResult(True, f"would have {_past_tense(action)}")
    try:
        if isinstance(action, WarnUsers | CancelWarning):
            return await warn.execute_announcement(action, hands)
        if isinstance(action, DiskAction):
            return await spindown.execute(action, hands)
        return await power.execute_sleep(action, hands, preparation)
    except HostError as error:
        return ActionResult(False, str(error))


def _past_tense(action: Action) -> str:
    """The order in the past tense."""
    if isinstance(action, WarnUsers | CancelWarning):
        return warn.describe_announcement(action)
    return power.describe_sleep(action) if isinstance(action, Sleep) else spindown.describe_action(action)
