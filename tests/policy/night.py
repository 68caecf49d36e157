"""A house that is empty from the beginning, and what is decided in it; for examples of the sleep rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from policy.worlds import BERLIN, T0, home, house, moment, silent

from powerd.config import Options, parse
from powerd.model import Decision, Memory, Moment, Order, Outcome, Sleep, Snapshot, Warn
from powerd.policy import decide

SUSPEND = """
mode = "enforce"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
warn = "1min"
"""
Twist: TypeAlias = Callable[[Snapshot], Snapshot]
WARN, SLEEP = Warn(0, "suspend", 60.0), Sleep(0, "suspend")

GOING = "about to suspend by sleep rule 1: nobody has needed the server since Mon 22:00"


def configured(text: str = SUSPEND) -> Options:
    return parse(text.encode(), "test")


class Night:
    """A house that is empty from the beginning, at T0, and what is decided in it.

    Attributes:
        twist: changes the facts before they are decided on.
    """

    def __init__(self, text: str = SUSPEND, wall: datetime | None = None) -> None:
        self.options = configured(text)
        self.at = T0
        self.slept = 0.0
        self.outcomes: dict[type[Order], Outcome] = {}
        self.in_flight: frozenset[Order] = frozenset()
        self._wall = wall or datetime(2026, 6, 1, 22, tzinfo=BERLIN)
        self.step = 0.0
        self.memory = Memory.newborn(self.now)
        self.somebody = False
        self.twist: Twist = lambda snapshot: snapshot

    @property
    def now(self) -> Moment:
        return moment(
            self.at, self.slept, self._wall + timedelta(seconds=self.at - T0 + self.slept + self.step)
        )

    def decide(self, at: float | None = None) -> Decision:
        """Decide ``at`` seconds after the beginning, on fresh facts."""
        self.at = self.at if at is None else T0 + at
        sighting = home(self.at) if self.somebody else silent(self.at, T0 - 9999)
        snapshot = replace(
            house({1: sighting}, at=self.at), outcomes=dict(self.outcomes), in_flight=self.in_flight
        )
        decision = decide(self.twist(snapshot), self.memory, self.options, self.now)
        self.memory = decision.memory
        return decision

    def done(self, order: Order, *, ok: bool = True, observed: str = "seen") -> None:
        """An order's outcome, now."""
        self.outcomes[type(order)] = Outcome(order, self.at, ok, observed, self.at - 0.1)


def also(twist: Twist, **facts: object) -> Twist:
    """``twist``, and these facts."""
    return lambda snapshot: replace(twist(snapshot), **facts)  # type: ignore[arg-type] # fields of a Snapshot


def reasons(decision: Decision) -> list[str]:
    return [f"{reason.subject}: {reason.text}" for reason in decision.reasons]
