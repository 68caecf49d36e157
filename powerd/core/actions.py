"""What a decision can demand, and the result of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from powerd.core.time import Moment

Mode: TypeAlias = Literal["observe", "enforce"]


SleepAction: TypeAlias = Literal[
    "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"
]


class Action:
    """One act that a decision demands; every kind is a frozen dataclass.

    Attributes:
        irreversible: it is executed only if fresh readings lead to the same action.
    """

    __slots__ = ()
    irreversible: ClassVar[bool] = False

    @property
    def target(self) -> Hashable:
        """What the action is done to, e.g. a disk; None is the server."""
        return None


@dataclass(frozen=True, slots=True)
class WarnUsers(Action):
    """Announce that ``sleep_action`` follows in ``seconds`` seconds unless the server is needed."""

    rule: int
    sleep_action: SleepAction
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelWarning(Action):
    """Announce that ``sleep_action`` does not follow, and the reason; "" = no reason is given."""

    rule: int
    sleep_action: SleepAction
    reason: str


@dataclass(frozen=True, slots=True)
class WakeTime:
    """When the server has to be up again, and for what.

    Attributes:
        at: the moment of the alarm; the server sleeps until then, so ``mono + slept`` and ``wall`` count.
        reason: ``wake.at Mon-Fri 06:30``, ``backup.timer``.
    """

    at: Moment
    reason: str


@dataclass(frozen=True, slots=True)
class Sleep(Action):
    """Put the server to sleep by rule number ``rule`` (0 is the first).

    Attributes:
        rule, sleep_action: of the ``[[sleep]]`` rule.
        command: argv of action "command".
        timeout: maximum run time of the command, seconds.
        wake_time: when the alarm has to wake the server; not compared, because the time may differ by a
            second between two decisions.
    """

    rule: int
    sleep_action: SleepAction
    command: tuple[str, ...] = ()
    timeout: float = 60.0
    wake_time: WakeTime | None = field(default=None, compare=False)
    irreversible: ClassVar[bool] = True


class ActionResult(NamedTuple):
    """The result of an action.

    Attributes:
        ok: the action succeeded.
        message: what happened, one sentence.
        answer: what the target answered, of a class that the action's domain knows; None = nothing.
        commands: number of commands sent to a disk past the block layer.
    """

    ok: bool
    message: str
    answer: object = None
    commands: int = 0


@dataclass(frozen=True, slots=True)
class CompletedAction:
    """An action with its result.

    Attributes:
        action: the action.
        ended_at: CLOCK_MONOTONIC at which its execution ended.
        ok: the action succeeded.
        message: what happened, one sentence.
        started_at: CLOCK_MONOTONIC at which its execution began.
        answer: as in ActionResult.
    """

    action: Action
    ended_at: float
    ok: bool
    message: str
    started_at: float = 0.0
    answer: object = None
