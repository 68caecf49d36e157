"""Actions of a decision, their results, and the refusal of an action that a user has requested."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import field
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from powerd.core.dataclass import dataclass
from powerd.core.time import Moment

Mode: TypeAlias = Literal["observe", "enforce"]


SleepAction: TypeAlias = Literal[
    "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"
]


class Action:
    """Base class of actions; every kind of action is a frozen dataclass.

    Attributes:
        irreversible: the action cannot be undone; the engine executes it only if fresh readings lead to it.
    """

    __slots__ = ()
    irreversible: ClassVar[bool] = False

    @property
    def target(self) -> Hashable:
        """The object of the action, e.g. a disk; None = the server."""
        return None


@dataclass(frozen=True, slots=True)
class WarnUsers(Action):
    """Announce that ``sleep_action`` follows in ``seconds`` seconds unless the server is needed.

    ``over_clients``: a person has requested it although clients are present, so their presence does not
    prevent it.
    """

    rule: int
    sleep_action: SleepAction
    seconds: float
    over_clients: bool = False


@dataclass(frozen=True, slots=True)
class CancelWarning(Action):
    """Announce that ``sleep_action`` does not follow, with the reason; "" = without a reason."""

    rule: int
    sleep_action: SleepAction
    reason: str


@dataclass(frozen=True, slots=True)
class WakeTime:
    """When the server must be awake again, and for which rule or timer.

    Attributes:
        at: time of the alarm; only ``mono + slept`` and ``wall`` are valid, as the server sleeps until then.
        reason: the rule or timer: ``wake.at Mon-Fri 06:30``, ``backup.timer``.
    """

    at: Moment
    reason: str


@dataclass(frozen=True, slots=True)
class Sleep(Action):
    """Put the server to sleep by rule number ``rule`` (0 is the first).

    Attributes:
        rule, sleep_action: number and action of the ``[[sleep]]`` rule.
        command: argv for the action "command".
        timeout: maximum run time of the command, seconds.
        wake_time: when the alarm must wake the server; not compared, because the time may differ by a
            second between two decisions.
        requested: a person has requested it; not compared, because the sleep is the same.
    """

    rule: int
    sleep_action: SleepAction
    command: tuple[str, ...] = ()
    timeout: float = 60.0
    wake_time: WakeTime | None = field(default=None, compare=False)
    requested: bool = field(default=False, compare=False)
    irreversible: ClassVar[bool] = True


class ActionResult(NamedTuple):
    """The result of an action.

    Attributes:
        ok: the action succeeded.
        message: what happened, one sentence.
        answer: the answer of the target, of a class of the action's domain; None = no answer.
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


class RequestRefusedError(Exception):
    """A request cannot be fulfilled; the text is one sentence with what, where and the remedy.

    Attributes:
        not_found: the request names something that does not exist.
    """

    def __init__(self, text: str, *, not_found: bool = False) -> None:
        super().__init__(text)
        self.not_found = not_found
