"""Simulates hard disks on virtual time: the actions of the policy take effect on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.snapshot_strategies import T0, make_snapshot, moment
from facts import changed, decide, disk_results
from rig.coverage import without_coverage

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import CompletedAction
from powerd.core.snapshot import Decision, Memory
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import (
    DiskAction,
    DiskActivity,
    DiskEvents,
    DiskId,
    GroupSpinUp,
    PowerStatus,
    SpinDown,
)
from powerd.disks.source.counters import CommandCounter
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.simulation.drive import DriveSimulator, disk

ENFORCE = 'mode = "enforce"\n'
COUNTED = 200
"""Decisions of each simulation that coverage counts; the thousands that follow run the same lines."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class DiskSimulation:
    """Drives, a clock, and decide(), which is asked whenever a fact has changed or a time has come.

    Attributes:
        at: seconds since the beginning.
        poll_every: between two looks at the counters.
        action_duration: how long obeying takes.
        accepted_spin_downs: spin-downs, in CLOCK_BOOTTIME since the beginning.
    """

    def __init__(
        self,
        *drives: DriveSimulator,
        config: str = "",
        poll_every: float = 60.0,
        action_duration: float = 0.5,
    ) -> None:
        self.drives = {each.disk.id: each for each in drives}
        self.options: Options = parse((ENFORCE + config).encode(), "test")
        self.at = 0.0
        self.slept = 0.0
        self.step = 0.0
        self.poll_every = poll_every
        self.action_duration = action_duration
        self.memory = Memory.initial(self.now)
        self.snapshot = make_snapshot({}, at=T0)
        self.decisions = 0
        self.decision: Decision | None = None
        self.actions: list[tuple[float, DiskAction]] = []
        self.accepted_spin_downs: list[tuple[DiskId, float]] = []
        self._last_activity: dict[DiskId, DiskActivity] = {}
        self._commands: dict[DiskId, CommandCounter] = {}
        self._next_poll = 0.0
        self._running: list[tuple[float, DiskAction, float]] = []
        self._script: list[tuple[float, Callable[[], None]]] = []

    @property
    def now(self) -> Moment:
        now = moment(T0 + self.at, self.slept)
        return replace(now, wall=now.wall + timedelta(seconds=self.step))

    @property
    def only_drive(self) -> DriveSimulator:
        """The drive of a simulation with one."""
        (drive,) = self.drives.values()
        return drive

    def report(self, n: int = 0) -> DiskReport:
        assert self.decision is not None
        return self.decision.part(DisksReport).disks[n]

    def state(self, n: int = 0) -> DiskState:
        return self.report(n).state

    def reason_texts(self) -> set[str]:
        assert self.decision is not None
        return {reason.text for reason in self.decision.reasons if not reason.text.startswith("no ")}

    def access(self, n: int, *at: float) -> None:
        """The ``n``th drive is accessed at these times."""
        drive = list(self.drives.values())[n]
        for each in at:
            self.schedule(each, lambda each=each: drive.access(each))  # type: ignore[misc] # bound now

    def schedule(self, at: float, event: Callable[[], None]) -> None:
        self._script.append((at, event))
        self._script.sort(key=lambda row: row[0])

    def poll(self) -> None:
        """One poll of all counters."""
        activity: dict[DiskId, Reading[DiskActivity] | Unavailable] = {}
        self._last_activity = {
            name: each for name, each in self._last_activity.items() if name in self.drives
        }
        for name, each in self.drives.items():
            each.run_timers(self.at)
            old = self._last_activity.get(name)
            last_io = (
                T0 + self.at if old is None or old.io_count != each.ios or each.flying else old.last_io_at
            )
            commands = self._commands.setdefault(name, CommandCounter())
            busy_disks = {
                disk_action.disk
                for disk_action in self.snapshot.running_actions
                if isinstance(disk_action, DiskAction)
            }
            commands.update(
                each.commands, T0 + self.at, no_io=last_io < T0 + self.at, own_running=name in busy_disks
            )
            self._last_activity[name] = DiskActivity(
                last_io, each.ios, each.flying, each.suspended, commands.last_passthrough_at
            )
            reading = Reading(T0 + self.at, self._last_activity[name])
            activity[name] = (
                Unavailable(T0 + self.at, each.counters_error) if each.counters_error else reading
            )
        disks = {name: each.disk for name, each in self.drives.items()}
        self.snapshot = changed(self.snapshot, disks=disks, activity=activity)
        self._next_poll = self.at + self.poll_every

    def sleep(self, seconds: float) -> None:
        """The server sleeps and resumes; the resume starts the drives, which have lost their settings."""
        self.slept += seconds
        for each in self.drives.values():
            each.ios += 1
            each.timer = 0
            each.spins = True
            each.last_used_at = self.at
            each.log.append((self.at, "resume"))

    def group_spin_up(self, group: str, disk: DiskId, *others: DiskId) -> None:
        event = Reading(T0 + self.at, GroupSpinUp(disk, others, (), 1.0))
        self.snapshot = changed(
            self.snapshot, group_spin_ups={**self.snapshot.part(DiskEvents).group_spin_ups, group: event}
        )

    def run_until(self, until: float) -> DiskSimulation:
        """Go on to ``until`` seconds after the beginning."""
        while True:
            decision = self.decide_now()
            due = [
                self._next_poll,
                decision.next_decision_at - T0,
                decision.part(DisksReport).next_disk_poll_at - T0,
            ]
            due += [row[0] for row in self._running[:1]] + [row[0] for row in self._script[:1]]
            then = max(min(due), self.at + 0.001)
            if then > until:
                self.at = until
                self.decide_now()
                return self
            self.at = then
            while self._script and self._script[0][0] <= self.at:
                self._script.pop(0)[1]()
            self._finish_actions()
            if self.at >= min(self._next_poll, decision.part(DisksReport).next_disk_poll_at - T0):
                self.poll()

    def _finish_actions(self) -> None:
        while self._running and self._running[0][0] <= self.at:
            _, action, started_at = self._running.pop(0)
            drive = self.drives[action.disk]
            result = drive.execute(action, self.at)
            self._commands[action.disk].end_own(drive.commands)
            found = result.answer
            if (
                result.ok
                and isinstance(action, SpinDown)
                and isinstance(found, PowerStatus)
                and found.spin_down_sent
            ):
                self.accepted_spin_downs.append((action.disk, self.at + self.slept))
            completed = CompletedAction(action, T0 + self.at, result.ok, result.message, started_at, found)
            completed_actions = {
                **disk_results(self.snapshot),
                (type(action), action.disk): completed,
            }
            self.snapshot = changed(
                self.snapshot,
                completed_disk_actions=completed_actions,
                running_actions=self.snapshot.running_actions - {action},
            )

    def decide_now(self) -> Decision:
        with without_coverage(unless=self.decisions < COUNTED):
            decision = decide(self.snapshot, self.memory, self.options, self.now)
        self.decision, self.memory = decision, decision.memory
        self.decisions += 1
        assert self.decisions < 1_000_000, "it spins"
        assert decision.next_decision_at > self.now.mono
        for action in decision.actions:
            assert isinstance(action, DiskAction), action
            others = [each for each in self.snapshot.running_actions if isinstance(each, DiskAction)]
            assert action.disk not in {each.disk for each in others}, "two orders to one disk"
            self.actions.append((self.at, action))
            self.snapshot = replace(self.snapshot, running_actions=self.snapshot.running_actions | {action})
            if self.options.mode == "observe":
                self._dry_run(action)
            else:
                self._commands[action.disk].begin_own(self.drives[action.disk].commands)
                self._running.append((self.at + self.action_duration, action, T0 + self.at))
        self._running.sort(key=lambda row: row[0])
        return decision

    def _dry_run(self, action: DiskAction) -> None:
        completed = CompletedAction(
            action, T0 + self.at, ok=True, message="would have", started_at=T0 + self.at
        )
        completed_actions = {**disk_results(self.snapshot), (type(action), action.disk): completed}
        self.snapshot = changed(
            self.snapshot,
            completed_disk_actions=completed_actions,
            running_actions=self.snapshot.running_actions - {action},
        )


def identical_drives(n: int, config: str = "", **about: Any) -> DiskSimulation:  # noqa: ANN401 - any field of a Disk
    """Drives that are alike, at rest."""
    return DiskSimulation(*(DriveSimulator(disk(i, **about)) for i in range(n)), config=config)


def spin_downs(drive: DriveSimulator) -> Sequence[float]:
    return [at for at, what in drive.log if what in {"ata", "scsi"}]
