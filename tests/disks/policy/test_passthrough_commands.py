"""Disks to which others send commands that no counter of I/O tells of: some wake it, some only ask it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from core.snapshot_strategies import T0
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.disks.model import CheckPowerMode, FailureCause
from powerd.disks.state import DiskState

PASSTHROUGH = (
    "was started by a command that is not I/O, such as smartctl without --nocheck=standby; powerd check "
    "names programs that send such commands"
)


def only(shelf: DiskSimulation) -> DriveSimulator:
    (spindle,) = shelf.drives.values()
    return spindle


def passthrough_command(shelf: DiskSimulation, *at: float) -> None:
    for each in at:
        shelf.schedule(each, lambda each=each: only(shelf).passthrough_command(each))  # type: ignore[misc] # bound now


def poll(shelf: DiskSimulation, every: float, until: float) -> None:
    """A sensor asks whether it spins from now on."""
    for n in range(1, int((until - shelf.at) / every)):
        at = shelf.at + n * every
        shelf.schedule(at, lambda at=at: only(shelf).check_power_mode(at))  # type: ignore[misc] # bound now


def test_one_that_others_have_woken_is_asked_and_counts_as_used_when_they_did() -> None:
    """The look at 18,000 s finds what came since the one before; 20 minutes later it stands by again."""
    shelf = identical_drives(1)
    passthrough_command(shelf, 5 * HOUR - 30)
    shelf.run_until(5 * HOUR + 5)
    report = shelf.report()
    assert (report.state, report.spin_ups, report.last_spin_up) == (DiskState.ACTIVE, 1, report.since)
    assert [report.since.mono, report.idle_since] == pytest.approx([T0 + 5 * HOUR] * 2, abs=0.01)
    assert PASSTHROUGH in shelf.reason_texts()
    shelf.run_until(6 * HOUR)
    assert (shelf.state(), shelf.report().spin_downs) == (DiskState.STANDBY, 2)
    assert spin_downs(only(shelf)) == pytest.approx([20 * MINUTE, 5 * HOUR + 20 * MINUTE], abs=30)
    assert PASSTHROUGH not in shelf.reason_texts()
    assert len(only(shelf).times_of("ask")) == 4, (
        "once at the start, after each spin-down, and for the command"
    )


def test_once_the_disk_is_used_the_command_is_not_reported_any_more() -> None:
    shelf = identical_drives(1)
    passthrough_command(shelf, HOUR)
    shelf.access(0, HOUR + 5 * MINUTE)
    shelf.run_until(HOUR + 4 * MINUTE)
    assert PASSTHROUGH in shelf.reason_texts()
    assert PASSTHROUGH not in shelf.run_until(HOUR + 7 * MINUTE).reason_texts()


@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_a_sensor_that_polls_has_it_asked_every_five_minutes_and_changes_nothing(bridge: str) -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0), bridge=bridge)).run_until(HOUR)
    before = shelf.report()
    assert before.state.is_stopped
    poll(shelf, MINUTE, 5 * HOUR)
    shelf.run_until(4 * HOUR)
    assert shelf.report() == before._replace(idle_since=shelf.report().idle_since)
    late = [at for at in only(shelf).times_of("ask") if at > HOUR]
    assert len(late) >= 30
    assert all(300 <= b - a <= 300 + 2 * MINUTE for a, b in pairwise(late))


def test_a_quiet_disk_is_asked_nothing() -> None:
    shelf = identical_drives(1).run_until(HOUR)
    asked = len(only(shelf).times_of("ask"))
    assert len(only(shelf.run_until(3 * DAY)).times_of("ask")) == asked


def test_one_refusal_after_many_answers_does_not_end_it() -> None:
    shelf = identical_drives(1).run_until(HOUR)
    poll(shelf, MINUTE, 3 * HOUR)
    shelf.run_until(2 * HOUR)
    only(shelf).error = (FailureCause.FAILED, "hdparm -C names no drive state")
    shelf.run_until(2 * HOUR + 4 * MINUTE)
    assert len(only(shelf).times_of("troubled")) == 1
    only(shelf).error = None
    assert shelf.run_until(3 * HOUR).state() is DiskState.STANDBY


def test_early_wakes_by_commands_delay_the_spin_down_like_any_other_use() -> None:
    """A start wears it out whoever causes it."""
    shelf = identical_drives(1)
    passthrough_command(shelf, *(n * 25 * MINUTE for n in range(1, 4)))
    shelf.run_until(3 * 25 * MINUTE + 2 * MINUTE)
    assert shelf.report().spin_down_after == 40 * MINUTE
    assert shelf.report().spin_ups == 3


def test_a_command_may_keep_a_whole_group_up_no_longer_than_an_access() -> None:
    shelf = identical_drives(2, group="md0", array=True).run_until(HOUR)
    first = next(iter(shelf.drives.values()))
    shelf.schedule(HOUR + 10, lambda: first.passthrough_command(HOUR + 10))
    shelf.run_until(HOUR + 2 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.ACTIVE, DiskState.STANDBY]
    shelf.run_until(HOUR + 25 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.STANDBY, DiskState.STANDBY]
    assert [len(spin_downs(each)) for each in shelf.drives.values()] == [2, 1]


def test_where_powerd_is_to_send_nothing_nobody_knows_whether_it_spins() -> None:
    """Of one that it has put to sleep before it was told to observe."""
    shelf = identical_drives(1).run_until(HOUR)
    shelf.options = replace(shelf.options, mode="observe")
    assert shelf.run_until(2 * HOUR).state() is DiskState.STANDBY
    passthrough_command(shelf, 2 * HOUR + 10)
    asked = len(only(shelf).times_of("ask"))
    shelf.run_until(3 * HOUR)
    report = shelf.report()
    assert report.state is DiskState.UNKNOWN
    assert report.since.mono == pytest.approx(T0 + 2 * HOUR + MINUTE, abs=0.01)
    assert len(only(shelf).times_of("ask")) == asked
    shelf.access(0, 3 * HOUR + 10)
    assert shelf.run_until(3 * HOUR + 2 * MINUTE).state() is DiskState.ACTIVE


def test_one_that_the_kernel_has_suspended_or_that_must_not_be_asked_is_not() -> None:
    shelf = DiskSimulation(
        DriveSimulator(disk(0)),
        DriveSimulator(disk(1, transport="usb"), bridge="wakes"),
        config="[disks]\nusb = true\n",
    ).run_until(HOUR)
    slept, barred = shelf.drives.values()
    slept.suspended = True
    shelf.run_until(HOUR + 2 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.SUSPENDED, DiskState.UNSUPPORTED]
    asked = len([order for _, order in shelf.actions if isinstance(order, CheckPowerMode)])
    for each in (slept, barred):
        shelf.schedule(2 * HOUR, lambda each=each: each.check_power_mode(2 * HOUR))  # type: ignore[misc] # bound now
    shelf.run_until(3 * HOUR)
    assert len([order for _, order in shelf.actions if isinstance(order, CheckPowerMode)]) == asked


@pytest.mark.parametrize(
    ("deaf", "state", "told"),
    [
        (frozenset[str](), DiskState.STANDBY, ["ata"]),
        (frozenset({"ata"}), DiskState.STANDBY, ["ata", "ata", "scsi"]),
        (frozenset({"ata", "scsi"}), DiskState.UNSUPPORTED, ["ata", "ata", "scsi"]),
    ],
)
def test_frequent_polling_does_not_excuse_a_drive_that_ignores_spin_down(
    deaf: frozenset[str], state: DiskState, told: list[str]
) -> None:
    """Some ask for the temperature oftener than a drive is asked after its spin-down."""
    spindle = DriveSimulator(disk(0), ignored_methods=deaf)
    shelf = DiskSimulation(spindle)
    poll(shelf, 10, 3 * HOUR)
    shelf.run_until(2 * HOUR)
    assert shelf.state() is state
    assert [what for _, what in spindle.log if what in {"ata", "scsi"}] == told
    assert shelf.report().spin_ups == 0
