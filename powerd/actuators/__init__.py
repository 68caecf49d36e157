"""One order type -> one way to obey it. In observe mode nothing is touched; that is decided here, once."""

from __future__ import annotations

from typing import Protocol

from powerd.actuators import power, warn
from powerd.host.values import HostError
from powerd.model import Mode, Order, Warn


class Hands(power.Hands, warn.Hands, Protocol):
    """All that actuators may do to the machine."""


async def obey(order: Order, hands: Hands, mode: Mode, way: power.Way) -> tuple[bool, str]:
    """Carry out ``order``; a sleep takes ``way``.

    Returns:
        Whether it was done, and one sentence of what was seen.
    """
    if mode == "observe":
        return True, "would have " + (warn.done(order) if isinstance(order, Warn) else power.done(order))
    try:
        if isinstance(order, Warn):
            return await warn.obey(order, hands)
        return await power.obey(order, hands, way)
    except HostError as error:
        return False, str(error)
