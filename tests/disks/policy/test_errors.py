"""Disks that are busy, unresponsive or unreadable, or that are used at a critical moment."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, spin_downs
from facts import changed

from powerd.core.time import Reading
from powerd.disks.model import DiskFacts, FailureCause
from powerd.disks.state import DisksMemory, DisksReport, DiskState
from powerd.simulation.drive import DriveSimulator, disk

AFTER = 20 * MINUTE


def test_a_disk_that_is_busy_is_waited_for_and_asked_again_in_a_minute() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive).run_until(MINUTE)
    drive.error = (FailureCause.BUSY, "12 kB dirty")
    simulation.run_until(AFTER + 10 * MINUTE)
    tries = drive.times_of("troubled")
    assert all(59 <= b - a <= 66 for a, b in pairwise(tries))
    assert (simulation.state(), simulation.report().reason) == (
        DiskState.ACTIVE,
        "12 kB dirty",
    )
    drive.error = None
    simulation.run_until(AFTER + 12 * MINUTE)
    assert simulation.state() is DiskState.STANDBY
    assert simulation.report().verified_method == "ata", "it was not a failure of the disk's"


def test_a_disk_that_hangs_is_asked_ever_later_and_others_go_on() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0)), DriveSimulator(disk(1))).run_until(MINUTE)
    unresponsive, well = simulation.drives.values()
    unresponsive.error = (FailureCause.UNRESPONSIVE, "hdparm did not answer within 40 s")
    simulation.run_until(5 * HOUR)
    assert simulation.state(0) is DiskState.UNRESPONSIVE
    assert unresponsive.error[1] in simulation.report(0).reason
    assert simulation.state(1) is DiskState.STANDBY
    waited = [round((b - a) / MINUTE) for a, b in pairwise(unresponsive.times_of("troubled"))]
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    unresponsive.error = None
    simulation.run_until(6.5 * HOUR)
    assert simulation.state(0) is DiskState.STANDBY
    assert spin_downs(well) == spin_downs(well)[:1]


def test_a_drive_that_starts_slowly_after_the_wake_up_is_not_left_alone_for_an_hour() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive).run_until(HOUR)
    simulation.sleep(8 * HOUR)
    drive.error = (FailureCause.UNRESPONSIVE, "hdparm did not answer within 10 s")
    simulation.run_until(HOUR + 15)
    assert simulation.state() is DiskState.UNRESPONSIVE
    drive.error = None
    simulation.run_until(HOUR + 5 * MINUTE)
    assert simulation.state() is DiskState.STANDBY, "asked again after a minute, and put back to sleep"


@pytest.mark.long
def test_backoff_values_stay_finite_for_years_of_hanging() -> None:
    drive = DriveSimulator(disk(0), error=(FailureCause.UNRESPONSIVE, "no answer"))
    DiskSimulation(drive, poll_every=DAY).run_until(60 * DAY)
    assert len(drive.times_of("troubled")) == pytest.approx(60 * 24, abs=10)


@pytest.mark.parametrize("trouble", [FailureCause.HELPER_UNAVAILABLE, FailureCause.GONE])
def test_without_a_helper_no_disk_is_to_blame(trouble: FailureCause) -> None:
    drive = DriveSimulator(disk(0), error=(trouble, "no helper listens"))
    simulation = DiskSimulation(drive).run_until(3 * HOUR)
    assert simulation.report().reason == "no helper listens"
    assert len(drive.log) <= 37, "every five minutes"
    drive.error = None
    simulation.run_until(4 * HOUR)
    assert simulation.state() is DiskState.STANDBY


def test_a_question_that_fails_is_asked_again_ever_later_and_then_no_more() -> None:
    drive = DriveSimulator(disk(0), error=(FailureCause.FAILED, "no state"))
    simulation = DiskSimulation(drive).run_until(DAY)
    assert len(drive.log) == 3
    assert "no state" in simulation.report().reason


@pytest.mark.long
@pytest.mark.parametrize("rhythm", [5.0, 60.0])
@pytest.mark.parametrize("after", [3, 10, 19, 21, 35])
@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_one_woken_before_it_could_be_verified_has_not_failed(rhythm: float, after: int, bridge: str) -> None:
    """The poll before may be a whole interval old, so the bridge is not at fault either."""
    drive = DriveSimulator(disk(0), bridge=bridge)
    simulation = DiskSimulation(drive, poll_every=rhythm)
    for n in range(3):
        simulation.access(0, (n + 1) * (AFTER + 120) - 120 + after)
        simulation.run_until((n + 1) * (AFTER + 120) - 20)
        memory = simulation.memory.part(DisksMemory).disks[drive.disk.id]
        assert (memory.state, memory.spin_down.failures, memory.reason) == (DiskState.ACTIVE, 0, "")
    assert (memory.excluded_reason, len(memory.cycles.spin_ups), memory.cycles.backoff_level) == ("", 3, 1)


def test_a_disk_that_stays_active_for_an_unknown_reason_is_not_given_up() -> None:
    drive = DriveSimulator(disk(0), ignored_methods=frozenset({"ata"}))
    simulation = DiskSimulation(drive).run_until(AFTER + 10)
    drive.counters_error = "sda is not counted"
    simulation.run_until(2 * HOUR)
    assert (simulation.state(), simulation.report().reason) == (DiskState.ACTIVE, "sda is not counted")
    assert (
        len(drive.times_of("ask")),
        simulation.memory.part(DisksMemory).disks[drive.disk.id].spin_down.failures,
    ) == (2, 0)
    drive.counters_error = ""
    simulation.run_until(4 * HOUR)
    assert simulation.state() is DiskState.STANDBY, "by the other way"


def test_an_early_spin_up_is_detected_although_the_last_poll_preceded_the_verification() -> None:
    """Dirty data is written at +33 s; the poll before was at +0, the drive's report at +20."""
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive)
    simulation.access(0, AFTER + 33)
    simulation.run_until(AFTER + 5 * MINUTE)
    assert (simulation.state(), simulation.report().spin_ups) == (DiskState.ACTIVE, 1)
    assert len(simulation.memory.part(DisksMemory).disks[drive.disk.id].cycles.early_spin_ups) == 1


def test_a_disk_whose_counters_cannot_be_read_is_left_alone() -> None:
    drive = DriveSimulator(disk(0), counters_error="sda is not counted")
    simulation = DiskSimulation(drive).run_until(2 * HOUR)
    assert spin_downs(drive) == []
    assert simulation.report().reason == "sda is not counted"


def test_io_in_flight_is_awaited() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive).run_until(5)
    drive.flying = 1
    simulation.run_until(2 * HOUR)
    assert spin_downs(drive) == []


def test_in_flight_io_that_counts_as_no_movement_is_waited_for_too() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive).run_until(AFTER - 30)
    name = drive.disk.id
    seen = simulation.snapshot.part(DiskFacts).activity[name]
    assert isinstance(seen, Reading)
    flying = replace(seen, at=seen.at + 90, value=replace(seen.value, in_flight=2))
    simulation.at += 61
    simulation.snapshot = changed(simulation.snapshot, activity={name: flying})
    decision = simulation.decide_now()
    assert "in flight" in decision.part(DisksReport).disks[0].reason
    assert decision.actions == ()
