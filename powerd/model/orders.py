"""What policy may order, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from powerd.model.disks import DiskOrder, Found, Trouble
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

Done: TypeAlias = tuple[bool, str] | tuple[bool, str, Found] | tuple[bool, str, Trouble, int]
"""What obeying comes to: whether it was done, one sentence of what was seen, what a disk answered, and the
commands that went to one which has not done it; see found_in() and commands_in()."""


def found_in(done: Done) -> Found | None:
    """What a disk answered; None = nothing, or the order was not for a disk."""
    return None if len(done) < 3 else done[2]  # noqa: PLR2004 - the shortest of Done's three


def commands_in(done: Done) -> int:
    """The commands that were sent to a disk for it past the block layer, as in Answered."""
    return done[3] if len(done) > 3 else getattr(found_in(done), "commands", 0)  # noqa: PLR2004 - the longest of them


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
