"""Executes an action with the actuator of its kind; in observe mode no action is executed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from powerd.core.actions import Action, ActionResult, Mode
from powerd.linux.values import HostError


class Actuator(NamedTuple):
    """How actions of one kind are executed. Its functions take actions of that kind only.

    Attributes:
        execute: executes the action; may raise HostError.
        describe: describes the action in the past tense, for observe mode.
    """

    execute: Callable[[Any], Awaitable[ActionResult]]
    describe: Callable[[Any], str]


async def execute(action: Action, actuators: Mapping[type[Action], Actuator], mode: Mode) -> ActionResult:
    """Execute ``action`` with the actuator of its class or of the nearest base class that has one."""
    actuator = next((actuators[kind] for kind in type(action).__mro__ if kind in actuators), None)
    if actuator is None:
        return ActionResult(False, f"no actuator is registered for {type(action).__name__}")
    if mode == "observe":
        return ActionResult(True, f"would have {actuator.describe(action)}")
    try:
        return await actuator.execute(action)
    except HostError as error:
        return ActionResult(False, str(error))
