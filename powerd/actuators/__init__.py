"""One order type -> one way to obey it. In observe mode nothing is touched; that is decided here, once."""

from __future__ import annotations

from typing import Protocol

from powerd.actuators import power, spindown, warn
from powerd.host.values import HostError
from powerd.model import CallOff, DiskOrder, Done, Mode, Order, Sleep, Warn


class Hands(power.Hands, warn.Hands, spindown.Hands, Protocol):
    """All that actuators may do to the machine."""


async def obey(order: Order, hands: Hands, mode: Mode, way: power.Way) -> Done:
    """Carry out ``order``; a sleep takes ``way``."""
    if mode == "observe":
        return Done(True, f"would have {_done(order)}")
    try:
        if isinstance(order, Warn | CallOff):
            return await warn.obey(order, hands)
        if isinstance(order, DiskOrder):
            return await spindown.obey(order, hands)
        return await power.obey(order, hands, way)
    except HostError as error:
        return Done(False, str(error))


def _done(order: Order) -> str:
    """The order in the past tense."""
    if isinstance(order, Warn | CallOff):
        return warn.done(order)
    return power.done(order) if isinstance(order, Sleep) else spindown.done(order)
