"""What policy may order, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from powerd.model.disks import DiskOrder, Found
from powerd.model.power import Wake

Mode: TypeAlias = Literal["observe", "enforce"]


Action: TypeAlias = Literal[
    "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"
]


@dataclass(frozen=True, slots=True)
class Warn:
    """Announce that ``action`` will be taken ``within`` seconds unless something stirs."""

    rule: int
    action: Action
    within: float
    final: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class CallOff:
    """Announce that ``action`` is not taken after all, and ``because`` of what; "" = that is left unsaid."""

    rule: int
    action: Action
    because: str
    final: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Sleep:
    """Take the action of rule number ``rule`` (0 is the first).

    Attributes:
        rule, action: see there.
        command: argv of action "command".
        timeout: seconds that the command may take.
        wake: when the alarm has to bring the server back; an order is the same whatever this says, for the
            moment of a wake-up may move by a second between two decisions.
    """

    rule: int
    action: Action
    command: tuple[str, ...] = ()
    timeout: float = 60.0
    wake: Wake | None = field(default=None, compare=False)
    final: ClassVar[bool] = True


Order: TypeAlias = Warn | CallOff | Sleep | DiskOrder


class Done(NamedTuple):
    """What obeying comes to.

    Attributes:
        ok: whether it was done.
        observed: what was seen, one sentence.
        found: what a disk answered; None = nothing, or the order was not for a disk.
        commands: sent to a disk for it past the block layer, as in Answered.
    """

    ok: bool
    observed: str
    found: Found | None = None
    commands: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What really happened when ``order`` was obeyed.

    Attributes:
        order: the one obeyed.
        at: when obeying ended.
        ok: whether it was done.
        observed: what was seen, one sentence.
        begun: when obeying began.
        found: what a disk answered; None = nothing, or the order was not for a disk.
    """

    order: Order
    at: float
    ok: bool
    observed: str
    begun: float = 0.0
    found: Found | None = None
