"""Decisions on a server without a present client, for examples of the sleep rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from core.snapshot_strategies import BERLIN, T0, home, make_snapshot, moment, silent
from facts import changed, decide

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import Action, CompletedAction, Sleep, WarnUsers
from powerd.core.snapshot import Decision, Memory, Snapshot
from powerd.core.time import Moment

SUSPEND = """
mode = "enforce"
[clients]
absent_after = "5min"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
warn = "1min"
"""
SnapshotEdit: TypeAlias = Callable[[Snapshot], Snapshot]
WARN, SLEEP = WarnUsers(0, "suspend", 60.0), Sleep(0, "suspend")

ABOUT_TO_SUSPEND = "about to suspend by sleep rule 1: nothing has needed the server since Mon 22:00"


def make_options(text: str = SUSPEND) -> Options:
    return parse(text.encode(), "test")


class DecisionScenario:
    """Decisions on a server without a present client since T0.

    Attributes:
        edit_snapshot: changes the facts before they are decided on.
    """

    def __init__(self, config: str = SUSPEND, wall: datetime | None = None) -> None:
        self.options = make_options(config)
        self.at = T0
        self.slept = 0.0
        self.results: dict[type[Action], CompletedAction] = {}
        self.in_flight: frozenset[Action] = frozenset()
        self._wall = wall or datetime(2026, 6, 1, 22, tzinfo=BERLIN)
        self.step = 0.0
        self.memory = Memory.initial(self.now)
        self.somebody_home = False
        self.edit_snapshot: SnapshotEdit = lambda snapshot: snapshot

    @property
    def now(self) -> Moment:
        return moment(
            self.at, self.slept, self._wall + timedelta(seconds=self.at - T0 + self.slept + self.step)
        )

    def decide(self, at: float | None = None) -> Decision:
        """Decide ``at`` seconds after the beginning, on fresh facts."""
        self.at = self.at if at is None else T0 + at
        observation = home(self.at) if self.somebody_home else silent(self.at, T0 - 9999)
        snapshot = changed(
            make_snapshot({1: observation}, at=self.at),
            completed_actions=self.results,
            running_actions=self.in_flight,
        )
        decision = decide(self.edit_snapshot(snapshot), self.memory, self.options, self.now)
        self.memory = decision.memory
        return decision

    def action_completed(self, action: Action, *, ok: bool = True, observed: str = "seen") -> None:
        """An order's outcome, now."""
        self.results[type(action)] = CompletedAction(action, self.at, ok, observed, self.at - 0.1)


def with_facts(edit: SnapshotEdit, **facts: object) -> SnapshotEdit:
    """``twist``, and these facts."""
    return lambda snapshot: changed(edit(snapshot), **facts)


def subjects(decision: Decision) -> list[str]:
    return [reason.subject for reason in decision.reasons]


def reasons(decision: Decision) -> list[str]:
    return [f"{reason.subject}: {reason.text}" for reason in decision.reasons]
