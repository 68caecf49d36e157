"""What policy may order, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from powerd.disks.model import DiskAction, DiskResult
from powerd.power.model import WakeTime

Mode: TypeAlias = Literal["observe", "enforce"]


SleepAction: TypeAlias = Literal[
    "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"
]


@dataclass(frozen=True, slots=True)
class WarnUsers:
    """Announce that ``action`` will be taken ``within`` seconds unless something stirs."""

    rule: int
    sleep_action: SleepAction
    seconds: float
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class CancelWarning:
    """Announce that ``action`` is not taken after all, and ``because`` of what; "" = that is left unsaid."""

    rule: int
    sleep_action: SleepAction
    reason: str
    irreversible: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Sleep:
    """Take the action of rule number ``rule`` (0 is the first).

    Attributes:
        rule, sleep_action: see there.
        command: argv of action "command".
        timeout: seconds that the command may take.
        wake_time: when the alarm has to bring the server back; an order is the same whatever this says,
            for the
            moment of a wake-up may move by a second between two decisions.
    """

    rule: int
    sleep_action: SleepAction
    command: tuple[str, ...] = ()
    timeout: float = 60.0
    wake_time: WakeTime | None = field(default=None, compare=False)
    irreversible: ClassVar[bool] = True


Action: TypeAlias = WarnUsers | CancelWarning | Sleep | DiskAction


class ActionResult(NamedTuple):
    """What obeying comes to.

    Attributes:
        ok: whether it was done.
        message: what was seen, one sentence.
        answer: what a disk answered; None = nothing, or the order was not for a disk.
        commands: sent to a disk for it past the block layer, as in Answered.
    """

    ok: bool
    message: str
    answer: DiskResult | None = None
    commands: int = 0


@dataclass(frozen=True, slots=True)
class CompletedAction:
    """What really happened when ``order`` was obeyed.

    Attributes:
        action: the one obeyed.
        ended_at: when obeying ended.
        ok: whether it was done.
        message: what was seen, one sentence.
        started_at: when obeying began.
        answer: what a disk answered; None = nothing, or the order was not for a disk.
    """

    action: Action
    ended_at: float
    ok: bool
    message: str
    started_at: float = 0.0
    answer: DiskResult | None = None
