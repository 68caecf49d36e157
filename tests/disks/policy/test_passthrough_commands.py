"""Commands of other programs that no I/O counter shows: some spin the disk up, some only query it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from core.snapshot_strategies import T0
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs

from powerd.disks.model import CheckPowerMode, FailureCause
from powerd.disks.state import DiskState
from powerd.simulation.drive import DriveSimulator, disk

PASSTHROUGH = (
    "was started by a command that is not I/O, such as smartctl without --nocheck=standby; powerd check "
    "names programs that send such commands"
)


def passthrough_command(simulation: DiskSimulation, *at: float) -> None:
    for each in at:
        simulation.schedule(each, lambda each=each: simulation.only_drive.passthrough_command(each))  # type: ignore[misc] # bound now


def poll(simulation: DiskSimulation, every: float, until: float) -> None:
    """A sensor asks whether it spins from now on."""
    for n in range(1, int((until - simulation.at) / every)):
        at = simulation.at + n * every
        simulation.schedule(at, lambda at=at: simulation.only_drive.check_power_mode(at))  # type: ignore[misc] # bound now


def test_one_that_others_have_woken_is_asked_and_counts_as_used_when_they_did() -> None:
    """The poll at 18,000 s finds the command; 20 minutes later the disk spins down again."""
    simulation = identical_drives(1)
    passthrough_command(simulation, 5 * HOUR - 30)
    simulation.run_until(5 * HOUR + 5)
    report = simulation.report()
    assert (report.state, report.spin_ups, report.last_spin_up) == (DiskState.ACTIVE, 1, report.since)
    assert [report.since.mono, report.idle_since] == pytest.approx([T0 + 5 * HOUR] * 2, abs=0.01)
    assert PASSTHROUGH in simulation.reason_texts()
    simulation.run_until(6 * HOUR)
    assert (simulation.state(), simulation.report().spin_downs) == (DiskState.STANDBY, 2)
    assert spin_downs(simulation.only_drive) == pytest.approx([20 * MINUTE, 5 * HOUR + 20 * MINUTE], abs=30)
    assert PASSTHROUGH not in simulation.reason_texts()
    assert len(simulation.only_drive.times_of("ask")) == 4, (
        "once at the start, after each spin-down, and for the command"
    )


def test_once_the_disk_is_used_the_command_is_not_reported_any_more() -> None:
    simulation = identical_drives(1)
    passthrough_command(simulation, HOUR)
    simulation.access(0, HOUR + 5 * MINUTE)
    simulation.run_until(HOUR + 4 * MINUTE)
    assert PASSTHROUGH in simulation.reason_texts()
    assert PASSTHROUGH not in simulation.run_until(HOUR + 7 * MINUTE).reason_texts()


@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_a_sensor_that_polls_has_it_asked_every_five_minutes_and_changes_nothing(bridge: str) -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0), bridge=bridge)).run_until(HOUR)
    before = simulation.report()
    assert before.state.is_stopped
    poll(simulation, MINUTE, 5 * HOUR)
    simulation.run_until(4 * HOUR)
    assert simulation.report() == before._replace(idle_since=simulation.report().idle_since)
    late = [at for at in simulation.only_drive.times_of("ask") if at > HOUR]
    assert len(late) >= 30
    assert all(300 <= b - a <= 300 + 2 * MINUTE for a, b in pairwise(late))


@pytest.mark.long
def test_a_quiet_disk_is_asked_nothing() -> None:
    simulation = identical_drives(1).run_until(HOUR)
    asked = len(simulation.only_drive.times_of("ask"))
    assert len(simulation.run_until(3 * DAY).only_drive.times_of("ask")) == asked


def test_one_refusal_after_many_answers_does_not_end_it() -> None:
    simulation = identical_drives(1).run_until(HOUR)
    poll(simulation, MINUTE, 3 * HOUR)
    simulation.run_until(2 * HOUR)
    simulation.only_drive.error = (FailureCause.FAILED, "hdparm -C reports no drive state")
    simulation.run_until(2 * HOUR + 4 * MINUTE)
    assert len(simulation.only_drive.times_of("troubled")) == 1
    simulation.only_drive.error = None
    assert simulation.run_until(3 * HOUR).state() is DiskState.STANDBY


def test_early_spin_ups_by_commands_delay_the_spin_down_like_any_other_use() -> None:
    """A start wears the drive whatever causes it."""
    simulation = identical_drives(1)
    passthrough_command(simulation, *(n * 25 * MINUTE for n in range(1, 4)))
    simulation.run_until(3 * 25 * MINUTE + 2 * MINUTE)
    assert simulation.report().spin_down_after == 40 * MINUTE
    assert simulation.report().spin_ups == 3


def test_a_command_may_keep_a_whole_group_up_no_longer_than_an_access() -> None:
    simulation = identical_drives(2, group="md0", array=True).run_until(HOUR)
    first = next(iter(simulation.drives.values()))
    simulation.schedule(HOUR + 10, lambda: first.passthrough_command(HOUR + 10))
    simulation.run_until(HOUR + 2 * MINUTE)
    assert [simulation.state(n) for n in range(2)] == [DiskState.ACTIVE, DiskState.STANDBY]
    simulation.run_until(HOUR + 25 * MINUTE)
    assert [simulation.state(n) for n in range(2)] == [DiskState.STANDBY, DiskState.STANDBY]
    assert [len(spin_downs(each)) for each in simulation.drives.values()] == [2, 1]


def test_where_powerd_is_to_send_nothing_nobody_knows_whether_it_spins() -> None:
    """A disk that powerd spun down before the mode changed to observe."""
    simulation = identical_drives(1).run_until(HOUR)
    simulation.options = replace(simulation.options, mode="observe")
    assert simulation.run_until(2 * HOUR).state() is DiskState.STANDBY
    passthrough_command(simulation, 2 * HOUR + 10)
    asked = len(simulation.only_drive.times_of("ask"))
    simulation.run_until(3 * HOUR)
    report = simulation.report()
    assert report.state is DiskState.UNKNOWN
    assert report.since.mono == pytest.approx(T0 + 2 * HOUR + MINUTE, abs=0.01)
    assert len(simulation.only_drive.times_of("ask")) == asked
    simulation.access(0, 3 * HOUR + 10)
    assert simulation.run_until(3 * HOUR + 2 * MINUTE).state() is DiskState.ACTIVE


def test_one_that_the_kernel_has_suspended_or_that_must_not_be_asked_is_not() -> None:
    simulation = DiskSimulation(
        DriveSimulator(disk(0)),
        DriveSimulator(disk(1, transport="usb"), bridge="wakes"),
        config="[disks]\nusb = true\n",
    ).run_until(HOUR)
    slept, barred = simulation.drives.values()
    slept.suspended = True
    simulation.run_until(HOUR + 2 * MINUTE)
    assert [simulation.state(n) for n in range(2)] == [DiskState.SUSPENDED, DiskState.UNSUPPORTED]
    asked = len([action for _, action in simulation.actions if isinstance(action, CheckPowerMode)])
    for each in (slept, barred):
        simulation.schedule(2 * HOUR, lambda each=each: each.check_power_mode(2 * HOUR))  # type: ignore[misc] # bound now
    simulation.run_until(3 * HOUR)
    assert len([action for _, action in simulation.actions if isinstance(action, CheckPowerMode)]) == asked


@pytest.mark.parametrize(
    ("ignored_methods", "state", "texts"),
    [
        (frozenset[str](), DiskState.STANDBY, ["ata"]),
        (frozenset({"ata"}), DiskState.STANDBY, ["ata", "ata", "scsi"]),
        (frozenset({"ata", "scsi"}), DiskState.UNSUPPORTED, ["ata", "ata", "scsi"]),
    ],
)
def test_frequent_polling_does_not_excuse_a_drive_that_ignores_spin_down(
    ignored_methods: frozenset[str], state: DiskState, texts: list[str]
) -> None:
    """Some programs read the temperature more often than powerd checks after a spin-down."""
    drive = DriveSimulator(disk(0), ignored_methods=ignored_methods)
    simulation = DiskSimulation(drive)
    poll(simulation, 10, 3 * HOUR)
    simulation.run_until(2 * HOUR)
    assert simulation.state() is state
    assert [what for _, what in drive.log if what in {"ata", "scsi"}] == texts
    assert simulation.report().spin_ups == 0
