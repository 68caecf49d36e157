"""A shelf of drives with a spindle, played on virtual time: what policy orders really happens to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from policy.disks.spindle import Spindle, disk
from policy.worlds import T0, house, moment

from powerd.config import Options, parse
from powerd.model import (
    Activity,
    Answered,
    Blind,
    Decision,
    DiskId,
    DiskOrder,
    DiskReport,
    DiskState,
    Memory,
    Moment,
    Outcome,
    Roused,
    Seen,
    SpinDown,
)
from powerd.policy import decide
from powerd.sources.disks.commands import Commands

ENFORCE = 'mode = "enforce"\n'
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Shelf:
    """Drives, a clock, and decide(), which is asked whenever a fact has changed or a time has come.

    Attributes:
        at: seconds since the beginning.
        rhythm: between two looks at the counters.
        takes: how long obeying takes.
        accepted: spin-downs, in CLOCK_BOOTTIME since the beginning.
    """

    def __init__(self, *spindles: Spindle, text: str = "", rhythm: float = 60.0, takes: float = 0.5) -> None:
        self.spindles = {each.disk.id: each for each in spindles}
        self.options: Options = parse((ENFORCE + text).encode(), "test")
        self.at = 0.0
        self.slept = 0.0
        self.step = 0.0
        self.rhythm = rhythm
        self.takes = takes
        self.memory = Memory.newborn(self.now)
        self.snapshot = house({}, at=T0)
        self.decisions = 0
        self.decision: Decision | None = None
        self.ordered: list[tuple[float, DiskOrder]] = []
        self.accepted: list[tuple[DiskId, float]] = []
        self._looked: dict[DiskId, Activity] = {}
        self._commands: dict[DiskId, Commands] = {}
        self._next_look = 0.0
        self._ends: list[tuple[float, DiskOrder, float]] = []
        self._script: list[tuple[float, Callable[[], None]]] = []

    @property
    def now(self) -> Moment:
        now = moment(T0 + self.at, self.slept)
        return replace(now, wall=now.wall + timedelta(seconds=self.step))

    def report(self, n: int = 0) -> DiskReport:
        assert self.decision is not None
        return self.decision.disks[n]

    def state(self, n: int = 0) -> DiskState:
        return self.report(n).state

    def texts(self) -> set[str]:
        assert self.decision is not None
        return {reason.text for reason in self.decision.reasons if not reason.text.startswith("no ")}

    def touch(self, n: int, *at: float) -> None:
        """The ``n``th drive is accessed at these times."""
        spindle = list(self.spindles.values())[n]
        for each in at:
            self.when(each, lambda each=each: spindle.access(each))  # type: ignore[misc] # bound now

    def when(self, at: float, what: Callable[[], None]) -> None:
        self._script.append((at, what))
        self._script.sort(key=lambda row: row[0])

    def look(self) -> None:
        """One look at all counters."""
        activity: dict[DiskId, Seen[Activity] | Blind] = {}
        self._looked = {name: each for name, each in self._looked.items() if name in self.spindles}
        for name, each in self.spindles.items():
            each.run(self.at)
            old = self._looked.get(name)
            moved = T0 + self.at if old is None or old.ios != each.ios or each.flying else old.moved
            commands = self._commands.setdefault(name, Commands())
            orders = {order.disk for order in self.snapshot.in_flight if isinstance(order, DiskOrder)}
            commands.look(each.commands, T0 + self.at, still=moved < T0 + self.at, obeying=name in orders)
            self._looked[name] = Activity(moved, each.ios, each.flying, each.suspended, commands.prodded)
            seen = Seen(T0 + self.at, self._looked[name])
            activity[name] = Blind(T0 + self.at, each.blind) if each.blind else seen
        disks = {name: each.disk for name, each in self.spindles.items()}
        self.snapshot = replace(self.snapshot, disks=disks, activity=activity)
        self._next_look = self.at + self.rhythm

    def sleep(self, seconds: float) -> None:
        """The machine sleeps; drives are woken with it, and lose their settings."""
        self.slept += seconds
        for each in self.spindles.values():
            each.ios += 1
            each.timer = 0
            each.spins = True
            each.last = self.at
            each.log.append((self.at, "resume"))

    def rouse(self, group: str, disk: DiskId, *others: DiskId) -> None:
        roused = Roused(disk, others, T0 + self.at, 1.0)
        self.snapshot = replace(self.snapshot, roused={**self.snapshot.roused, group: roused})

    def live(self, until: float) -> Shelf:
        """Go on to ``until`` seconds after the beginning."""
        while True:
            decision = self.ask()
            due = [self._next_look, decision.look_again - T0, decision.look_at_disks - T0]
            due += [row[0] for row in self._ends[:1]] + [row[0] for row in self._script[:1]]
            then = max(min(due), self.at + 0.001)
            if then > until:
                self.at = until
                self.ask()
                return self
            self.at = then
            while self._script and self._script[0][0] <= self.at:
                self._script.pop(0)[1]()
            self._end_orders()
            if self.at >= min(self._next_look, decision.look_at_disks - T0):
                self.look()

    def _end_orders(self) -> None:
        while self._ends and self._ends[0][0] <= self.at:
            _, order, begun = self._ends.pop(0)
            spindle = self.spindles[order.disk]
            done = spindle.obey(order, self.at)
            self._commands[order.disk].end(spindle.commands)
            found = done.found
            if done.ok and isinstance(order, SpinDown) and isinstance(found, Answered) and found.stopped:
                self.accepted.append((order.disk, self.at + self.slept))
            outcome = Outcome(order, T0 + self.at, done.ok, done.observed, begun, found)
            outcomes = {**self.snapshot.disk_outcomes, (type(order), order.disk): outcome}
            self.snapshot = replace(
                self.snapshot, disk_outcomes=outcomes, in_flight=self.snapshot.in_flight - {order}
            )

    def ask(self) -> Decision:
        decision = decide(self.snapshot, self.memory, self.options, self.now)
        self.decision, self.memory = decision, decision.memory
        self.decisions += 1
        assert self.decisions < 1_000_000, "it spins"
        assert decision.look_again > self.now.mono
        for order in decision.orders:
            assert isinstance(order, DiskOrder), order
            others = [each for each in self.snapshot.in_flight if isinstance(each, DiskOrder)]
            assert order.disk not in {each.disk for each in others}, "two orders to one disk"
            self.ordered.append((self.at, order))
            self.snapshot = replace(self.snapshot, in_flight=self.snapshot.in_flight | {order})
            if self.options.mode == "observe":
                self._pretend(order)
            else:
                self._commands[order.disk].begin(self.spindles[order.disk].commands)
                self._ends.append((self.at + self.takes, order, T0 + self.at))
        self._ends.sort(key=lambda row: row[0])
        return decision

    def _pretend(self, order: DiskOrder) -> None:
        outcome = Outcome(order, T0 + self.at, ok=True, observed="would have", begun=T0 + self.at)
        outcomes = {**self.snapshot.disk_outcomes, (type(order), order.disk): outcome}
        self.snapshot = replace(
            self.snapshot, disk_outcomes=outcomes, in_flight=self.snapshot.in_flight - {order}
        )


def shelf_of(n: int, text: str = "", **about: Any) -> Shelf:  # noqa: ANN401 - any field of a Disk
    """Drives that are alike, at rest."""
    return Shelf(*(Spindle(disk(i, **about)) for i in range(n)), text=text)


def downs(spindle: Spindle) -> Sequence[float]:
    return [at for at, what in spindle.log if what in {"ata", "scsi"}]
