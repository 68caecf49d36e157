"""The next action in circumstances that the simulated drives do not meet."""

from __future__ import annotations

from dataclasses import replace

from core.snapshot_strategies import T0, moment

from powerd.config.disk_options import settings_for_disk
from powerd.config.load import parse
from powerd.core.time import Reading
from powerd.disks.model import MAX_TIMER_SECONDS, CheckPowerMode, DiskActivity, SetStandbyTimer
from powerd.disks.policy.context import DiskContext
from powerd.disks.policy.next_action import next_action
from powerd.disks.state import DiskMemory, DiskState, DriveSettings, RestoreStandby
from powerd.simulation.drive import disk

DISK = disk(0)
CONTEXT = DiskContext(
    DISK,
    DiskMemory(DiskState.ACTIVE, moment(T0 - 9), mode_confirmed_at=T0),
    settings_for_disk(parse(b"", "test").disks, DISK.id, "", ""),
    unmanaged_reason=None,
    reading=Reading(T0, DiskActivity(T0)),
    spin_down_after=1200.0,
    idle_since=T0,
    busy_reason=None,
    action_running=False,
    enforcing=True,
    now=moment(T0),
)


def test_after_a_resume_the_power_mode_check_waits_for_the_first_poll() -> None:
    resumed = DiskMemory(DiskState.UNKNOWN, moment(T0), resumed_at=T0, restore=RestoreStandby())
    for reading in (None, Reading(T0 - 1, DiskActivity(T0 - 1))):
        planned = next_action(CONTEXT._replace(memory=resumed, reading=reading))
        assert (planned.action, planned.poll_at) == (None, T0)
    planned = next_action(CONTEXT._replace(memory=resumed))
    assert planned.action == CheckPowerMode(DISK.id)


def test_while_an_action_runs_no_timer_is_removed_from_an_unmanaged_disk() -> None:
    memory = replace(CONTEXT.memory, settings=DriveSettings(standby_timer=600, timer_set_by_us=True))
    unmanaged = CONTEXT._replace(memory=memory, unmanaged_reason="it holds the journal")
    assert next_action(unmanaged).action == SetStandbyTimer(DISK.id, 0)
    assert next_action(unmanaged._replace(action_running=True)).action is None


def test_a_time_that_is_longer_than_any_timer_is_left_to_the_command() -> None:
    memory = replace(CONTEXT.memory, settings=DriveSettings(features_requested=True, standby_timer=600))
    both = CONTEXT._replace(memory=memory, configured=replace(CONTEXT.configured, method="both"))
    for spin_down_after, seconds in ((MAX_TIMER_SECONDS, MAX_TIMER_SECONDS), (MAX_TIMER_SECONDS + 1, 0)):
        planned = next_action(both._replace(spin_down_after=float(spin_down_after)))
        assert planned.action == SetStandbyTimer(DISK.id, seconds)
