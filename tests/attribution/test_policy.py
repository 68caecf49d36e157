"""When the trace is read, which disks are traced, and which access is the cause of a wake."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, moment
from disks.policy.simulation import HOUR, MINUTE, DiskSimulation

from powerd.attribution.model import (
    Access,
    AttributionFacts,
    AttributionMemory,
    AttributionReport,
    Culprit,
    Wake,
    WatchLevel,
)
from powerd.attribution.policy import MAX_READ_INTERVAL, QUIET_TIME, _update_uses
from powerd.config.load import parse
from powerd.core.snapshot import Decision
from powerd.core.time import Reading
from powerd.disks.model import DiskActivity, DiskId
from powerd.disks.state import DiskReport, DiskState
from powerd.simulation.drive import DriveSimulator, disk

DISK = DiskId("ata-A")


class WatchedSimulation(DiskSimulation):
    """Drives whose accesses are read as the decisions say.

    Attributes:
        reads: when, seconds since the beginning.
        found: accesses that are not read yet.
        costs: each reading is an access to the first disk.
        level, level_reason: of each reading.
    """

    def __init__(self, count: int = 1, group: str | None = None, config: str = "") -> None:
        drives = (DriveSimulator(disk(n, group=group, array=group is not None)) for n in range(count))
        super().__init__(*drives, config=config)
        self.reads: list[float] = []
        self.found: list[Access] = []
        self.costs = False
        self.level, self.level_reason = WatchLevel.TRACE, ""

    @property
    def watched(self) -> AttributionReport:
        assert self.decision is not None
        return self.decision.part(AttributionReport)

    def traced(self) -> list[DiskId]:
        return list(self.watched.traced)

    def wake(self, n: int = 0) -> Wake:
        return self.watched.wakes[list(self.drives)[n]][0]

    def decide_now(self) -> Decision:
        decision = super().decide_now()
        report = decision.part(AttributionReport)
        if report.read_due <= self.now.mono:
            self.reads.append(self.at)
            if self.costs:
                self.used_by(self.at + 0.5, "powerd-helper.service", own=True)
            found = tuple([access for access in self.found if access.disk in report.traced])
            facts = AttributionFacts(
                Reading(self.now.mono, found), report.traced, self.level, self.level_reason, T0
            )
            self.found = []
            self.snapshot = self.snapshot.with_parts(facts)
            self.slept += 1e-5  # a difference of two clocks, which are not read at the same time
            return self.decide_now()
        return decision

    def used_by(self, at: float, unit: str, n: int = 0, count: int = 1, *, own: bool = False) -> None:
        """A unit uses the ``n``th disk at a time."""

        def use() -> None:
            drive = list(self.drives.values())[n]
            drive.access(self.at)
            drive.ios += count - 1
            mono = self.now.mono
            self.found.append(
                Access(
                    drive.disk.id,
                    Culprit(unit, unit.removesuffix(".service"), 7),
                    "read",
                    first_at=mono,
                    last_at=mono,
                    count=count,
                    certainty="certain",
                    level=self.level,
                    own=own,
                )
            )

        self.schedule(at, use)


def test_nothing_is_read_while_nothing_happens() -> None:
    simulation = WatchedSimulation(4)
    simulation.run_until(10 * HOUR)
    assert simulation.reads[0] <= MINUTE
    assert [at for at in simulation.reads if at > MINUTE] == []


def test_a_spin_up_is_read_at_once_and_named() -> None:
    simulation = WatchedSimulation()
    simulation.used_by(2 * HOUR + 30, "cron.service")
    simulation.run_until(3 * HOUR)
    assert min(at for at in simulation.reads if at > HOUR) == pytest.approx(2 * HOUR + MINUTE, abs=1)
    wake = simulation.wake()
    assert wake.access is not None
    assert (wake.access.culprit.unit, wake.explanation) == ("cron.service", "")
    assert wake.at.mono == T0 + 2 * HOUR + 30
    assert wake.slept_for == pytest.approx(100 * MINUTE, abs=2 * MINUTE)


def test_the_buffer_is_emptied_when_a_used_disk_has_stopped() -> None:
    simulation = WatchedSimulation()
    simulation.used_by(2 * MINUTE, "powerd.service", own=True)
    simulation.run_until(5 * HOUR)
    stopped_at = simulation.report().since.mono - T0
    first, last = simulation.reads
    assert first <= MINUTE < last <= stopped_at + 2 * MINUTE, "and nothing is read afterwards"


@pytest.mark.parametrize(("unit", "most"), [("a.service", 25), ("powerd.service", 8)])
def test_a_used_disk_is_read_every_five_minutes_and_less_often_if_only_powerd_uses_it(
    unit: str, most: int
) -> None:
    simulation = WatchedSimulation()
    for minute in range(120):
        simulation.used_by(minute * MINUTE + 1, unit, own=unit == "powerd.service")
    simulation.run_until(2 * HOUR)
    gaps = [b - a for a, b in zip(simulation.reads, simulation.reads[1:], strict=False)]
    assert all(gap >= 5 * MINUTE for gap in gaps)
    assert most / 2 <= len(simulation.reads) <= most


@pytest.mark.long
@pytest.mark.parametrize("after", ["5min", "20min", "3h"])
def test_a_helper_that_is_read_from_the_disk_does_not_keep_it_spinning(after: str) -> None:
    """Each reading is an access to the disk, by powerd."""
    simulation = WatchedSimulation(config=f'[disks]\nspin_down_after = "{after}"\n')
    simulation.costs = True
    simulation.run_until(24 * HOUR)
    assert simulation.state() is DiskState.STANDBY
    assert len(simulation.reads) < 12


def test_a_busy_disk_is_not_traced_until_it_is_quiet() -> None:
    simulation = WatchedSimulation(2)
    first, second = simulation.drives
    for minute in range(10, 20):
        simulation.used_by(minute * MINUTE - 1, "backup.service", count=6000)
    simulation.run_until(9 * MINUTE)
    assert simulation.traced() == [first, second]
    simulation.run_until(15 * MINUTE)
    assert simulation.traced() == [second]
    assert simulation.snapshot.part(AttributionFacts).disks == (second,), "and the helper knows"
    simulation.run_until(22 * MINUTE)
    assert simulation.traced() == [second]
    simulation.run_until(30 * MINUTE)
    assert simulation.traced() == [first, second]
    (busy,) = simulation.watched.busy
    assert busy.culprit.unit == "backup.service"


def test_a_busy_disk_is_traced_until_its_wake_is_named_and_again_when_it_has_stopped() -> None:
    """The decision that shows the spin-up already makes the disk a busy one."""
    simulation = WatchedSimulation(config='[disks]\nspin_down_after = "2min"\n')
    (only,) = simulation.drives
    simulation.used_by(HOUR, "backup.service", count=90_000)
    simulation.run_until(HOUR + MINUTE)
    assert simulation.wake().access is not None
    assert simulation.wake().explanation == ""
    assert simulation.traced() == []
    simulation.run_until(HOUR + 4 * MINUTE)
    assert simulation.state() is DiskState.STANDBY, "before it would be quiet for long enough"
    assert simulation.traced() == [only]


@pytest.mark.parametrize(("sleeping", "most"), [(0, 28), (1, 75)])
def test_disks_that_are_busy_in_turn_are_not_read_at_each_change(sleeping: int, most: int) -> None:
    """Only while one is stopped, whose first access would be lost once the buffer is full."""
    simulation = WatchedSimulation(5)
    for n in range(5 - sleeping):
        for minute in range(n, 120, 7):
            simulation.used_by(minute * MINUTE + 1, "backup.service", n, count=6000)
            simulation.used_by((minute + 1) * MINUTE, "backup.service", n, count=6000)
    simulation.run_until(2 * HOUR)
    assert 10 < len(simulation.reads) <= most


def test_the_trace_ends_when_no_disk_is_managed_any_more() -> None:
    simulation = WatchedSimulation()
    simulation.run_until(HOUR)
    reads = len(simulation.reads)
    simulation.drives.clear()
    simulation.poll()
    simulation.run_until(2 * HOUR)
    assert simulation.snapshot.part(AttributionFacts).disks == ()
    assert len(simulation.reads) == reads + 1


@pytest.mark.parametrize("fruitless", [5, 1024, 100_000])
def test_any_number_of_fruitless_readings_leaves_the_interval_finite(fruitless: int) -> None:
    simulation = WatchedSimulation()
    simulation.used_by(MINUTE, "powerd.service", own=True)
    simulation.run_until(5 * MINUTE)
    memory = simulation.memory.part(AttributionMemory)
    simulation.memory = simulation.memory.with_parts(replace(memory, fruitless_reads=fruitless))
    simulation.used_by(6 * MINUTE, "powerd.service", own=True)
    simulation.run_until(7 * MINUTE)
    assert MAX_READ_INTERVAL - HOUR / 4 < simulation.watched.read_due - simulation.now.mono <= 4 * HOUR


def test_the_level_below_says_why() -> None:
    simulation = WatchedSimulation()
    simulation.level, simulation.level_reason = WatchLevel.COUNTERS, "no tracefs"
    simulation.run_until(HOUR)
    simulation.access(0, 2 * HOUR)
    simulation.run_until(3 * HOUR)
    assert (simulation.wake().access, simulation.wake().level) == (None, WatchLevel.COUNTERS)
    assert "no tracefs" in simulation.wake().explanation


def test_a_disk_that_powerd_has_started_with_its_group() -> None:
    simulation = WatchedSimulation(2, group="md0")
    first, second = simulation.drives
    simulation.used_by(2 * HOUR, "jellyfin.service")
    simulation.used_by(2 * HOUR + 1, "powerd-helper.service", 1, own=True)
    simulation.schedule(2 * HOUR + 2, lambda: simulation.group_spin_up("md0", first, second))
    simulation.run_until(3 * HOUR)
    wakes = [simulation.wake(0), simulation.wake(1)]
    assert [wake.access and wake.access.culprit.unit for wake in wakes] == ["jellyfin.service"] * 2
    assert "md0" in wakes[1].explanation


def test_as_many_wakes_are_remembered_as_configured() -> None:
    simulation = WatchedSimulation(config="[watch]\nkeep = 2\n")
    for hour in range(1, 5):
        simulation.used_by(hour * HOUR, f"{hour}.service")
    simulation.run_until(5 * HOUR)
    (wakes,) = simulation.watched.wakes.values()
    assert [wake.access and wake.access.culprit.unit for wake in wakes] == ["4.service", "3.service"]


def test_a_fault_is_a_remark_that_blocks_nothing_and_ends_with_the_next_reading() -> None:
    simulation = WatchedSimulation()
    simulation.used_by(HOUR, "cron.service")
    simulation.run_until(2 * HOUR)
    wake = simulation.wake()
    before = [reason for reason in simulation.decide_now().reasons if reason.blocks_sleep]
    broken = AttributionFacts(Reading(simulation.now.mono, (None,)))  # type: ignore[arg-type] # the fault
    simulation.snapshot = simulation.snapshot.with_parts(broken)
    decision = simulation.decide_now()
    assert [reason for reason in decision.reasons if reason.blocks_sleep] == before
    assert [reason.subject for reason in decision.reasons if "not known" in reason.text] == ["wakes"]
    assert simulation.wake() == wake, "what is stored is not overwritten"
    simulation.run_until(3 * HOUR)
    assert not [reason for reason in simulation.decide_now().reasons if "not known" in reason.text]
    assert simulation.wake() == wake


def test_the_accesses_of_the_last_hour_are_shown() -> None:
    simulation = WatchedSimulation()
    simulation.used_by(10 * MINUTE, "a.service", count=3)
    simulation.used_by(20 * MINUTE, "b.service", count=30)
    simulation.used_by(21 * MINUTE, "b.service", count=30)
    simulation.run_until(40 * MINUTE)
    assert [(each.culprit.unit, each.count) for each in simulation.watched.busy] == [
        ("b.service", 60),
        ("a.service", 3),
    ]
    simulation.run_until(75 * MINUTE)
    assert [each.culprit.unit for each in simulation.watched.busy] == ["b.service"]
    simulation.run_until(90 * MINUTE)
    assert simulation.watched.busy == ()


def test_a_resume_is_no_wake_and_nobody_is_blamed_for_it() -> None:
    """It starts the disks; powerd stops them again, unless they are used."""
    simulation = WatchedSimulation(2)
    simulation.run_until(2 * HOUR)
    for _ in range(2):
        simulation.sleep(8 * HOUR)
        simulation.used_by(simulation.at + 15, "jellyfin.service")
        simulation.run_until(simulation.at + 10 * MINUTE)
        spin_up = simulation.report(1).last_spin_up
        assert spin_up is not None
        assert spin_up.mono > simulation.now.mono - 10 * MINUTE
    assert simulation.watched.wakes == {}
    assert simulation.state(1) is DiskState.STANDBY
    simulation.used_by(4 * HOUR, "cron.service", 1)
    simulation.run_until(5 * HOUR)
    wake = simulation.wake(1)
    assert (wake.access and wake.access.culprit.unit, wake.explanation) == ("cron.service", "")
    assert wake.slept_for is not None
    assert wake.slept_for < 2 * HOUR


def test_a_spin_up_shortly_before_the_server_slept_is_a_wake() -> None:
    simulation = WatchedSimulation()
    simulation.used_by(2 * HOUR, "cron.service")
    simulation.run_until(2 * HOUR + MINUTE)
    simulation.sleep(8 * HOUR)
    simulation.run_until(2 * HOUR + 2 * MINUTE)
    (wakes,) = simulation.watched.wakes.values()
    assert [wake.access and wake.access.culprit.unit for wake in wakes] == ["cron.service"]


@pytest.mark.parametrize("read_before", [True, False])
def test_an_access_is_as_old_as_it_is_although_the_server_slept(*, read_before: bool) -> None:
    simulation = WatchedSimulation()
    simulation.used_by(
        HOUR - 3 * MINUTE, "b.service"
    )  # which is read at once, so the next one five minutes later
    simulation.used_by(HOUR - MINUTE, "a.service")
    simulation.run_until(HOUR - MINUTE + 1)
    if read_before:
        simulation.run_until(HOUR + 10 * MINUTE)
        assert simulation.watched.busy
    simulation.sleep(HOUR / 2)
    simulation.run_until(HOUR + 15 * MINUTE)
    simulation.used_by(HOUR + 15 * MINUTE, "a.service")
    simulation.run_until(HOUR + 22 * MINUTE)
    (busy,) = [each for each in simulation.watched.busy if each.culprit.unit == "a.service"]
    ages = [
        simulation.now.mono + simulation.now.slept - busy.slept - at for at in (busy.first_at, busy.last_at)
    ]
    assert ages == pytest.approx([53 * MINUTE, 7 * MINUTE], abs=1)
    simulation.sleep(HOUR)
    simulation.run_until(HOUR + 23 * MINUTE)
    assert simulation.watched.busy == ()


def test_observe_mode_traces_as_well() -> None:
    simulation = WatchedSimulation()
    simulation.options = parse(b"", "test")
    assert simulation.options.mode == "observe"
    simulation.run_until(HOUR)
    assert simulation.reads
    assert simulation.traced() == list(simulation.drives)


@pytest.mark.parametrize(
    ("state", "since"),
    [
        (DiskState.STANDBY, T0 + 10),
        (DiskState.SPINNING_DOWN, T0 + 10),
        (DiskState.SUSPENDED, T0 + 10),
        (DiskState.ACTIVE, T0 + 30 - QUIET_TIME),
        (DiskState.UNKNOWN, T0 + 30 - QUIET_TIME),
    ],
)
def test_an_access_before_the_spin_down_is_not_the_one_that_woke_the_disk(
    state: DiskState, since: float
) -> None:
    """A disk that is accessed right after the command never is in standby for powerd."""
    system = disk(0)
    memory, facts = AttributionMemory(), AttributionFacts()
    activity = {system.id: Reading(T0, DiskActivity(T0))}
    spinning = DiskReport(system, DiskState.ACTIVE, moment())
    stopping = DiskReport(system, state, moment(T0 + 10))
    started = DiskReport(system, DiskState.ACTIVE, moment(T0 + 30), last_spin_up=moment(T0 + 30))
    for report in (spinning, stopping, started):
        memory = _update_uses(memory, [report], activity, facts, None)
    assert memory.pending == {system.id: since}
