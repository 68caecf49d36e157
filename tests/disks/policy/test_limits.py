"""A disk that powerd has given up stays so for any result until the failures are reset."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from core.snapshot_strategies import T0, make_snapshot, moment
from disks.policy.simulation import HOUR, MINUTE, DiskSimulation
from facts import changed, decide, disk_results
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.examples import examples

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import CompletedAction
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Reading
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
    DiskActivity,
    DiskFacts,
    FailureCause,
    GroupSpinUp,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
    SpinDownMethod,
)
from powerd.disks.policy.transitions import MAX_FAILED_SPIN_DOWNS, choose_method, reset_failures
from powerd.disks.state import DisksMemory, DisksReport, DiskState, SpinDownAttempts
from powerd.simulation.drive import DriveSimulator, disk
from powerd.smart.actions import CheckHealth, DiskResult, HealthReading, StartTest
from powerd.smart.model import Health

DISK = disk(0, transport="usb", group="md0")
WAITS = "cannot be spun down: it still spins after the spin-down command"


def given_up() -> tuple[DiskSimulation, DriveSimulator]:
    """After three vain spin-downs."""
    drive = DriveSimulator(disk(0), ignored_methods=frozenset({"ata", "scsi"}))
    simulation = DiskSimulation(drive).run_until(2 * HOUR)
    assert (simulation.state(), simulation.report().reason) == (DiskState.UNSUPPORTED, WAITS)
    return simulation, drive


def add_result(
    simulation: DiskSimulation, action: DiskAction, found: DiskResult, observed: str = "", *, ok: bool = False
) -> None:
    completed = CompletedAction(action, simulation.now.mono, ok, observed, answer=found)
    completed_actions = {**disk_results(simulation.snapshot), (type(action), action.disk): completed}
    simulation.snapshot = changed(simulation.snapshot, completed_disk_actions=completed_actions)


@pytest.mark.long
@pytest.mark.parametrize("trouble", FailureCause)
@pytest.mark.parametrize("action", [CheckHealth(disk(0).id), StartTest(disk(0).id, "short")])
def test_what_a_check_comes_to_changes_nothing(
    action: CheckHealth | StartTest, trouble: FailureCause
) -> None:
    simulation, drive = given_up()
    add_result(simulation, action, trouble, "sda has been busy for 20 s")
    log = list(drive.log)
    simulation.run_until(6 * HOUR)
    assert (simulation.state(), simulation.report().reason, drive.log) == (DiskState.UNSUPPORTED, WAITS, log)


def test_the_kernel_may_suspend_it_and_it_is_still_given_up_afterwards() -> None:
    simulation, drive = given_up()
    simulation.schedule(simulation.at + 1, lambda: setattr(drive, "suspended", True))
    simulation.run_until(simulation.at + 5 * MINUTE)
    assert simulation.state() is DiskState.SUSPENDED
    log = list(drive.log)
    simulation.schedule(simulation.at + 1, lambda: setattr(drive, "suspended", False))
    simulation.run_until(simulation.at + 3 * HOUR)
    assert (simulation.state(), simulation.report().reason, drive.log) == (DiskState.UNSUPPORTED, WAITS, log)


def test_suspended_while_the_machine_sleeps_it_is_given_up_too() -> None:
    simulation, drive = given_up()
    drive.suspended = True
    simulation.run_until(simulation.at + 5 * MINUTE)
    simulation.sleep(HOUR)
    drive.suspended = False
    simulation.run_until(simulation.at + 3 * HOUR)
    assert (simulation.state(), simulation.report().reason) == (DiskState.UNSUPPORTED, WAITS)


@pytest.mark.parametrize(
    ("transport", "worked", "methods"),
    [
        ("ata", None, ["ata", "ata", "scsi", "scsi"]),
        ("ata", "scsi", ["scsi", "scsi", "ata", "ata"]),
        ("usb", None, ["ata", "ata", "scsi", "scsi"]),
        ("sas", None, ["scsi", "scsi", "scsi", "scsi"]),
        ("sas", "ata", ["ata", "ata", "scsi", "scsi"]),
    ],
)
def test_there_is_a_method_for_any_number_of_failures(
    transport: str, worked: SpinDownMethod | None, methods: list[SpinDownMethod]
) -> None:
    chosen = [
        choose_method(disk(0, transport=transport), SpinDownAttempts(failures=n, verified_method=worked))
        for n in range(4)
    ]
    assert chosen == methods


ORDERS: st.SearchStrategy[DiskAction] = st.one_of(
    st.sampled_from([SpinDown(DISK.id, how) for how in get_args(SpinDownMethod)]),
    st.sampled_from(
        [
            CheckPowerMode(DISK.id),
            ReadPowerFeatures(DISK.id),
            SetStandbyTimer(DISK.id, 600),
            SetApmLevel(DISK.id, 127),
        ]
    ),
    st.sampled_from([CheckHealth(DISK.id), CheckHealth(DISK.id, may_wake=True), StartTest(DISK.id, "short")]),
)
FOUND: st.SearchStrategy[DiskResult | None] = st.one_of(
    st.sampled_from(FailureCause),
    st.builds(PowerStatus, st.sampled_from(PowerMode), spin_down_sent=st.booleans()),
    st.sampled_from(
        [None, PowerFeatures(127, apm_supported=True), HealthReading(Health(0, "ata", passed=True))]
    ),
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.001, 1.0, 30.0, 90.0, 1300.0]),
        st.one_of(
            st.tuples(ORDERS, FOUND),
            st.sampled_from([(SpinDown(DISK.id, "ata"), FailureCause.FAILED)]),
            st.sampled_from(["access", "suspend", "sleep", "plug", "reload", "rouse"]),
        ),
    ),
    max_size=40,
)
CONFIGS = st.builds(
    lambda mode, method: parse(
        f'mode = "{mode}"\n[disks]\nusb = true\nmethod = "{method}"\n'.encode(), "test"
    ),
    st.sampled_from(["enforce", "enforce", "observe"]),
    st.sampled_from(["command", "timer", "both"]),
)
History = list[tuple[float, tuple[DiskAction, DiskResult | None] | str]]


@settings(max_examples=examples(200), deadline=None)
@given(EVENTS, CONFIGS)
def test_no_history_of_results_breaks_a_decision_or_forgets_that_a_disk_was_given_up(
    history: History, options: Options
) -> None:
    """Results in any order, also of actions that no decision contained: people and a reload cause some."""
    play = GivenUpMachine()
    for after, event in history:
        play.happens(after, event)
        decision = decide(play.snapshot, play.memory, options, moment(play.at, play.slept))
        play.memory = decision.memory
        memory = decision.memory.part(DisksMemory).disks[DISK.id]
        ended = memory.spin_down.failures >= MAX_FAILED_SPIN_DOWNS or bool(memory.excluded_reason)
        if ended:
            assert memory.state in {DiskState.UNSUPPORTED, DiskState.SUSPENDED}
        if ended or play.suspended:
            assert decision.actions == ()
        if memory.excluded_reason and not play.suspended:
            assert memory.excluded_reason in decision.part(DisksReport).disks[0].reason


class GivenUpMachine:
    """One disk with arbitrary readings."""

    def __init__(self) -> None:
        self.at, self.slept, self.ios, self.suspended = T0, 0.0, 1, False
        self.memory = Memory.initial(moment(self.at))
        self.snapshot: Snapshot = changed(make_snapshot({}, at=T0), disks={DISK.id: DISK})
        self._reading(moved=True)

    def happens(self, after: float, event: tuple[DiskAction, DiskResult | None] | str) -> None:
        self.at += after
        moved = False
        match event:
            case "access":
                moved = True
            case "suspend":
                self.suspended = not self.suspended
            case "sleep":
                self.slept += HOUR
            case "plug":
                self.snapshot = changed(self.snapshot, disks={DISK.id: replace(DISK, attached_at=self.at)})
            case "reload":
                disks = {
                    name: reset_failures(each) for name, each in self.memory.part(DisksMemory).disks.items()
                }
                self.memory = changed(self.memory, disks=disks)
            case "rouse":
                spin_up = {"md0": Reading(self.at, GroupSpinUp(DISK.id, (), (), 1.0))}
                self.snapshot = changed(self.snapshot, group_spin_ups=spin_up)
            case (action, found):
                ok = not isinstance(found, FailureCause)
                completed = CompletedAction(action, self.at, ok, f"said at {self.at}", self.at - 0.5, found)
                self.snapshot = changed(
                    self.snapshot, completed_disk_actions={(type(action), DISK.id): completed}
                )
        self._reading(moved=moved)

    def _reading(self, *, moved: bool) -> None:
        self.ios += moved
        before = self.snapshot.part(DiskFacts).activity.get(DISK.id)
        last = before.value.last_io_at if isinstance(before, Reading) and not moved else self.at
        text = Reading(self.at, DiskActivity(last, self.ios, 0, self.suspended))
        self.snapshot = changed(self.snapshot, activity={DISK.id: text})
