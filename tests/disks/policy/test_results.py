"""Results that the simulated drives do not produce."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, moment
from disks.policy.simulation import DAY, HOUR, identical_drives
from facts import changed

from powerd.core.actions import CompletedAction
from powerd.core.time import Reading
from powerd.disks.model import (
    CheckPowerMode,
    DiskActivity,
    FailureCause,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SpinDown,
)
from powerd.disks.policy.limits import RETRY_AFTER
from powerd.disks.policy.observations import update_disk
from powerd.disks.policy.results import apply_result
from powerd.disks.policy.transitions import (
    MAX_FAILED_SPIN_DOWNS,
    drop_expired,
    power_check_refused,
    reset_failures,
    spin_down_failed,
    with_state,
)
from powerd.disks.state import DiskMemory, DiskState, RestoreStandby, SpinCycles, SpinDownAttempts
from powerd.simulation.drive import disk
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Health

DISK = disk(0)
SPINS = DiskMemory(DiskState.ACTIVE, moment(), mode_confirmed_at=T0)


def result_of(power: PowerMode) -> CompletedAction:
    """The result of a spin-down, five seconds after T0."""
    action = SpinDown(DISK.id, "ata")
    return CompletedAction(
        action, T0 + 5, ok=True, message="", started_at=T0 + 4, answer=PowerStatus(power, spin_down_sent=True)
    )


def test_a_spin_down_reports_that_the_kernel_has_suspended_the_disk() -> None:
    found = PowerStatus(PowerMode.SUSPENDED)
    after = apply_result(
        SPINS,
        CompletedAction(
            SpinDown(DISK.id, "ata"), T0 + 5, ok=True, message="", started_at=T0 + 4, answer=found
        ),
        T0,
        moment(T0 + 5),
    )
    assert (after.state, after.cycles.spin_downs) == (DiskState.SUSPENDED, ())


def test_a_dry_run_proves_nothing() -> None:
    completed = CompletedAction(ReadPowerFeatures(DISK.id), T0 + 5, ok=True, message="would have")
    assert apply_result(SPINS, completed, T0, moment(T0 + 5)) == replace(SPINS, last_result_at=T0 + 5)


def test_the_time_of_a_dry_run_spin_down_is_stored() -> None:
    completed = CompletedAction(
        SpinDown(DISK.id, "scsi"), T0 + 5, ok=True, message="would have", started_at=T0 + 4
    )
    assert apply_result(SPINS, completed, T0, moment(T0 + 5)) == replace(
        SPINS, last_result_at=T0 + 5, spin_down=SpinDownAttempts(dry_run_at=T0 + 4)
    )


@pytest.mark.parametrize("cause", FailureCause)
def test_only_a_spin_down_that_may_have_reached_the_drive_was_sent(cause: FailureCause) -> None:
    completed = CompletedAction(
        SpinDown(DISK.id, "ata"), T0 + 5, ok=False, message="no", started_at=T0 + 4, answer=cause
    )
    after = apply_result(SPINS, completed, T0, moment(T0 + 5))
    may_have = cause in {FailureCause.GONE, FailureCause.UNRESPONSIVE, FailureCause.FAILED}
    assert after.spin_down.sent_at == (T0 + 4 if may_have else None)


def test_three_failures_give_a_disk_up_and_its_reason_remains() -> None:
    memory = SPINS
    for n in range(1, MAX_FAILED_SPIN_DOWNS + 1):
        assert memory.state is DiskState.ACTIVE
        memory = spin_down_failed(memory, DiskState.ACTIVE, f"failure {n}", moment(T0 + n))
        assert (memory.spin_down.failures, memory.paused_until) == (n, T0 + n + RETRY_AFTER)
    for state in (DiskState.ACTIVE, DiskState.UNKNOWN, DiskState.STANDBY):
        after = with_state(memory, state, moment(T0 + 9), "another reason")
        assert (after.state, after.reason) == (DiskState.UNSUPPORTED, "failure 3")
    anew = reset_failures(memory)
    assert (anew.state, anew.spin_down.failures, anew.paused_until) == (DiskState.UNKNOWN, 0, None)


def test_three_refused_checks_give_a_disk_up_after_ever_longer_pauses() -> None:
    memory = SPINS
    for n in range(1, 4):
        assert memory.state is DiskState.ACTIVE
        memory = power_check_refused(memory, "no", moment(T0))
        assert memory.paused_until == T0 + RETRY_AFTER * 2**n
    assert memory.state is DiskState.UNSUPPORTED


def test_an_action_refused_because_asleep_makes_the_disk_verifiable() -> None:
    completed = CompletedAction(
        ReadPowerFeatures(DISK.id),
        T0 + 5,
        ok=False,
        message="it is in sleep mode",
        answer=FailureCause.IN_STANDBY,
    )
    after = apply_result(SPINS, completed, T0, moment(T0 + 5))
    assert (after.state, after.mode_confirmed_at) == (DiskState.UNKNOWN, None)


@pytest.mark.parametrize(
    "state", [DiskState.STANDBY, DiskState.SLEEPING, DiskState.SPINNING_DOWN, DiskState.SUSPENDED]
)
@pytest.mark.parametrize("action", [CheckHealth(DISK.id), StartTest(DISK.id, "short")])
def test_a_check_that_finds_it_asleep_adds_nothing_to_a_verified_standby(
    action: CheckHealth | StartTest, state: DiskState
) -> None:
    """A person asks for its health."""
    stopped = replace(SPINS, state=state, spin_down=SpinDownAttempts(method="scsi"))
    completed = CompletedAction(
        action, T0 + 500, ok=False, message="it is in standby", answer=FailureCause.IN_STANDBY
    )
    assert apply_result(stopped, completed, T0, moment(T0 + 500)) == replace(stopped, last_result_at=T0 + 500)


def test_a_result_from_before_the_wake_up_is_taken_in_before_it() -> None:
    """A spin-down at +5, a resume at +9: the disk returns to standby."""
    reading = Reading(T0 + 1, DiskActivity(T0))
    updated = update_disk(
        SPINS,
        DISK,
        readings=(reading, reading),
        completed_actions=[result_of(PowerMode.STANDBY)],
        group_spin_up=None,
        resumed_at=T0 + 9,
        now=moment(T0 + 9, 100.0),
    )
    assert (updated.state, updated.restore, len(updated.cycles.spin_downs)) == (
        DiskState.UNKNOWN,
        RestoreStandby(),
        1,
    )


def test_asleep_and_asked_again_it_keeps_its_date() -> None:
    simulation = identical_drives(1).run_until(HOUR)
    since = simulation.report().since
    name = next(iter(simulation.drives))
    later = CompletedAction(
        CheckPowerMode(name), simulation.now.mono, ok=True, message="", answer=PowerStatus(PowerMode.STANDBY)
    )
    simulation.snapshot = changed(simulation.snapshot, completed_disk_actions={(CheckPowerMode, name): later})
    simulation.decide_now()
    assert (simulation.state(), simulation.report().since) == (DiskState.STANDBY, since)


def test_a_doubling_is_taken_back_by_itself_while_the_day_s_spin_downs_stand() -> None:
    now = moment(T0 + DAY)
    cycles = SpinCycles(backoff_level=2, backoff_changed_at=T0, spin_downs=(T0 + 10,))
    lower = replace(cycles, backoff_level=1, backoff_changed_at=T0 + DAY)
    assert drop_expired(replace(SPINS, cycles=cycles), now) == replace(SPINS, cycles=lower)
    never_doubled = SpinCycles(spin_downs=(T0,))
    assert drop_expired(replace(SPINS, cycles=never_doubled), now) == SPINS


def test_backoff_values_stay_finite_for_years_of_questions() -> None:
    asked = replace(SPINS, power_checks=24 * 365)
    completed = CompletedAction(
        CheckPowerMode(DISK.id), T0 + 5, ok=False, message="no state", answer=FailureCause.FAILED
    )
    paused_until = apply_result(asked, completed, T0, moment(T0 + 5)).paused_until
    assert paused_until is not None
    assert paused_until < T0 + DAY


@pytest.mark.parametrize("action", [CheckHealth(DISK.id), StartTest(DISK.id, "short")])
def test_that_nobody_can_ask_for_its_health_does_not_keep_it_up(action: CheckHealth | StartTest) -> None:
    why = "smartctl is not installed; apt-get install smartmontools"
    completed = CompletedAction(action, T0 + 5, ok=False, message=why, answer=FailureCause.HELPER_UNAVAILABLE)
    assert apply_result(SPINS, completed, T0, moment(T0 + 5)) == replace(SPINS, last_result_at=T0 + 5)


@pytest.mark.parametrize(
    ("wake", "ok", "found", "asked"),
    [
        (True, True, HealthReading(Health(0, "ata", passed=True)), True),
        (True, False, FailureCause.FAILED, True),
        (True, False, FailureCause.BUSY, False),
        (False, True, HealthReading(Health(0, "ata", passed=True)), False),
        (False, False, FailureCause.FAILED, False),
    ],
)
def test_a_disk_that_was_woken_for_its_check_is_asked_whether_it_spins(
    wake: bool,  # noqa: FBT001 - a table's column
    ok: bool,  # noqa: FBT001 - a table's column
    found: HealthReading | FailureCause,
    asked: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Its counters do not show it: what reads its health passes the block layer by."""
    stopped = replace(SPINS, state=DiskState.STANDBY)
    completed = CompletedAction(
        CheckHealth(DISK.id, may_wake=wake), T0 + 5, ok=ok, message="said", answer=found
    )
    after = apply_result(stopped, completed, T0, moment(T0 + 5))
    assert (after.state, after.mode_confirmed_at is None) == (DiskState.STANDBY, asked)
    spins = apply_result(SPINS, completed, T0, moment(T0 + 5))
    assert (spins.mode_confirmed_at, spins.settings.features_requested) == (SPINS.mode_confirmed_at, False), (
        "and of its settings a check says nothing"
    )
