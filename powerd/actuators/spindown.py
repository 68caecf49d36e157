"""Carry out an order to one disk: one request to the helper, and what the drive answered."""

from __future__ import annotations

from typing import Final, Protocol

from powerd.config import show_duration
from powerd.host.values import DiskError, HostError
from powerd.model import (
    Answered,
    AskPower,
    CheckHealth,
    DiskOrder,
    Done,
    Drive,
    Found,
    Power,
    ReadDrive,
    SetApm,
    SetTimer,
    SpinDown,
    StartTest,
    Trouble,
)

_SAYS: Final = {
    Power.ACTIVE: "it spins",
    Power.STANDBY: "it stands by",
    Power.SLEEPING: "it sleeps",
    Power.UNKNOWN: "it does not say whether it spins",
    Power.SUSPENDED: "the kernel has suspended it",
}


class Hands(Protocol):
    """What orders to disks need."""

    async def disk(self, order: DiskOrder) -> Found:
        """Have the helper carry out ``order``.

        Raises:
            DiskError: the helper refuses, or the drive does.
            HostError: there is no helper to ask.
        """
        ...


def done(order: DiskOrder) -> str:  # noqa: PLR0911 - one row for each order
    """The order in the past tense."""
    match order:
        case AskPower():
            return "asked whether it spins"
        case SpinDown():
            return "spun it down"
        case SetTimer(seconds=seconds):
            return f"set its timer to {show_duration(seconds)}" if seconds else "switched its timer off"
        case SetApm(level=level):
            return f"set its APM level to {level}"
        case ReadDrive():
            return "asked what it can do"
        case CheckHealth():
            return "read its health"
        case StartTest(test=test):
            return f"begun its {test} self-test"


async def obey(order: DiskOrder, hands: Hands) -> Done:
    """Carry out the order, once, and say what was seen."""
    try:
        found = await hands.disk(order)
    except DiskError as error:
        return Done(False, str(error), error.trouble, error.commands)
    except HostError as error:
        return Done(False, str(error), Trouble.UNREACHED)
    commands = 0 if isinstance(found, Trouble) else found.commands
    return Done(True, _observed(order, found), found, commands)


def _observed(order: DiskOrder, found: Found) -> str:
    match order, found:
        case AskPower(), Answered(power=power):
            return _SAYS[power]
        case SpinDown(), Answered(power=power, stopped=False):
            return f"{_SAYS[power]} already" if power.asleep else _SAYS[power]
        case SpinDown(how=how), _:
            return f"told it to stand by ({how.upper()})"
        case _, Drive(apm_supported=False):
            return f"{done(order)}: no APM"
        case _, Drive(apm=apm):
            return f"{done(order)}: APM is {apm or 'off'}"
        case _:
            return done(order)
