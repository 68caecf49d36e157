from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from facts import changed
from ui.statuses import status

from powerd.config.options import Options
from powerd.core.actions import ActionResult, RequestRefusedError
from powerd.core.service import Environment
from powerd.core.snapshot import Decision, Memory
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.disks.model import Disk, DiskAction, DiskId, FailureCause, Mount, PowerMode, PowerStatus
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import run
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.findings import findings_of_record
from powerd.smart.model import Counter, Finding, Severity, SmartFacts, SmartReport, SmartReports
from powerd.smart.model import Health as DriveHealth
from powerd.smart.service import SmartService

SDA = Disk(DiskId("ata-A_1"), "sda", serial="S1")
SDB = Disk(DiskId("ata-B_2"), "sdb", serial="S2")
VDA = Disk(
    DiskId("virtio-vda"), "vda", transport="virtio", mounts=(Mount("/", "ext4"),), ineligible_reason="virtual"
)
HEALTHY = DriveHealth(checked_at=0, protocol="ata", passed=True, counters={Counter.PENDING: 0})
FAILING = replace(HEALTHY, counters={Counter.PENDING: 8})
CHECK = CheckHealth(SDA.id)


class SmartServiceFixture:
    """The health's part of a daemon, and decisions made for it by hand."""

    def __init__(self, directory: Path | None = None) -> None:
        self.store = StateStore()
        self.clock = SimulatedClock()
        self.errors: list[str] = []
        self.alerts: list[tuple[str, Finding]] = []
        self.health = SmartService(
            Environment(
                self.clock,
                self.store,
                Options,
                Storage(directory, self.errors.append),
                self.errors.append,
                "",
            ),
            lambda disk, finding: self.alerts.append((disk.device, finding)),
            self._execute,
        )
        self.result = ActionResult(True, "")
        self.descriptions: list[str] = []
        self.vda = DiskState.EXCLUDED
        self.reports: dict[DiskId, SmartReport] = {}

    async def _execute(self, action: DiskAction, describe: Callable[[Any], str]) -> ActionResult:
        self.descriptions.append(describe(action))
        return self.result

    def decide(self, *disks: Disk) -> None:
        """One decision on these disks, with what the board remembers of each."""
        now = self.clock.now()
        records = self.store.snapshot().part(SmartFacts).smart_history
        smart = {}
        for disk in disks:
            if (record := records.get(disk.id)) is not None:
                findings, acknowledged = findings_of_record(record)
                smart[disk.id] = SmartReport(disk.id, record, findings, None, acknowledged=acknowledged)
        shown = {**dict.fromkeys(disks, DiskState.ACTIVE), VDA: self.vda}
        reports = tuple(DiskReport(disk, state, now) for disk, state in shown.items())
        self.reports = smart
        self.health.on_decision(status(_decision(reports, smart, now)))

    def stands(self, disk: Disk) -> tuple[Finding, ...]:
        return self.reports[disk.id].findings

    def check(self, disk: Disk, health: DriveHealth) -> None:
        self.store._set(changed(self.store.snapshot(), disks={SDA.id: SDA, SDB.id: SDB}))  # noqa: SLF001 - the source's part
        self.health.on_completed(
            CheckHealth(disk.id), ActionResult(True, "read its health", HealthReading(health, "sat"))
        )


def _decision(reports: tuple[DiskReport, ...], smart: dict[DiskId, SmartReport], now: Moment) -> Decision:
    return Decision(
        actions=(),
        reasons=(),
        memory=Memory.initial(now),
        next_decision_at=0,
        needs_fresh_readings=False,
        phase="awake",
        planned_sleep=None,
    ).with_parts(DisksReport(reports), SmartReports(smart))


def run_scenario(scene: object) -> None:
    async def main() -> None:
        scene()  # type: ignore[operator] # a function of this file

    run(main())


def test_drives_that_are_new_get_a_record_and_others_none() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA, SDB)
        assert set(fixture.store.snapshot().part(SmartFacts).smart_history) == {SDA.id, SDB.id}
        assert (
            fixture.store.snapshot().part(SmartFacts).smart_history[SDA.id].known_since
            == fixture.clock.now().wall.timestamp()
        )

    run_scenario(scene)


def test_a_check_is_stored_with_its_time_and_device_type(tmp_path: Path) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.decide(SDA)
        fixture.check(SDA, HEALTHY)
        record = fixture.store.snapshot().part(SmartFacts).smart_history[SDA.id]
        assert record.last is not None
        assert record.last.checked_at == fixture.clock.now().wall.timestamp()
        assert record.device_type == "sat"
        assert fixture.health.find("sda") == (SDA, "sat")
        assert [path.name for path in tmp_path.iterdir()] == ["health-S1.json"]

    run_scenario(scene)


def test_a_finding_is_reported_once_also_over_a_restart(tmp_path: Path) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.decide(SDA)
        fixture.check(SDA, FAILING)
        for _ in range(3):
            fixture.decide(SDA)
        assert [(name, finding.kind) for name, finding in fixture.alerts] == [("sda", "pending")]
        again = SmartServiceFixture(tmp_path)
        again.decide(SDA)
        again.decide(SDA)
        assert again.alerts == []

    run_scenario(scene)


def test_what_grows_is_reported_again() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA)
        for pending in (8, 8, 9):
            fixture.check(SDA, replace(FAILING, counters={Counter.PENDING: pending}))
            fixture.decide(SDA)
        first, second = (finding.text for _, finding in fixture.alerts)
        assert first.startswith("8 ")
        assert second.endswith("9 in all")
        assert fixture.alerts[-1][1].severity is Severity.ALARM

    run_scenario(scene)


def test_a_finding_stands_until_a_person_acknowledges_it_also_over_a_restart(tmp_path: Path) -> None:
    def scene() -> None:
        replaced = replace(HEALTHY, counters={Counter.REALLOCATED: 12})
        fixture = SmartServiceFixture(tmp_path)
        fixture.decide(SDA)
        for _ in range(3):
            fixture.check(SDA, replaced)
            fixture.decide(SDA)
            assert [finding.kind for finding in fixture.stands(SDA)] == ["reallocated"]
        again = SmartServiceFixture(tmp_path)
        again.decide(SDA)
        again.decide(SDA)
        assert [finding.kind for finding in again.stands(SDA)] == ["reallocated"]
        assert again.health.acknowledge("sda") == SDA.id
        again.decide(SDA)
        assert again.stands(SDA) == ()
        third = SmartServiceFixture(tmp_path)
        third.decide(SDA)
        third.decide(SDA)
        assert third.stands(SDA) == ()
        third.check(SDA, replace(replaced, counters={Counter.REALLOCATED: 13}))
        third.decide(SDA)
        (finding,) = third.stands(SDA)
        assert finding.text.endswith("13 in all")
        assert [len(each.alerts) for each in (fixture, again, third)] == [1, 0, 1]

    run_scenario(scene)


def test_what_is_acknowledged_and_lasts_is_shown_and_not_reported_again() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA)
        fixture.check(SDA, FAILING)
        fixture.decide(SDA)
        fixture.health.acknowledge("S1")
        fixture.health.acknowledge("S1")
        for _ in range(2):
            fixture.decide(SDA)
            report = fixture.reports[SDA.id]
            assert [each.kind for each in report.findings] == ["pending"]
            assert report.acknowledged == {"pending"}
            assert report.severity is Severity.NOTE
            fixture.check(SDA, FAILING)
        assert len(fixture.alerts) == 1
        with pytest.raises(RequestRefusedError, match='no disk "sdz"'):
            fixture.health.acknowledge("sdz")

    run_scenario(scene)


def test_a_self_test_that_was_started_is_remembered() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA)
        fixture.check(SDA, HEALTHY)
        test = StartTest(SDA.id, "long")
        fixture.health.on_completed(test, ActionResult(False, "it is asleep", FailureCause.IN_STANDBY))
        assert fixture.store.snapshot().part(SmartFacts).smart_history[SDA.id].test_started_at == {}
        fixture.health.on_completed(test, ActionResult(True, "begun", PowerStatus(PowerMode.ACTIVE)))
        assert fixture.store.snapshot().part(SmartFacts).smart_history[SDA.id].test_started_at == {
            "long": fixture.clock.now().wall.timestamp()
        }

    run_scenario(scene)


@pytest.mark.parametrize(
    "done",
    [
        ActionResult(True, "would have read its health"),
        ActionResult(False, "it hangs", FailureCause.UNRESPONSIVE),
        ActionResult(False, "no helper"),
    ],
)
def test_what_was_not_read_is_not_remembered(done: ActionResult) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA)
        fixture.health.on_completed(CHECK, done)
        assert fixture.store.snapshot().part(SmartFacts).smart_history[SDA.id].last is None

    run_scenario(scene)


@pytest.mark.parametrize(
    ("wake", "trouble", "report"),
    [
        (True, FailureCause.FAILED, True),
        (True, FailureCause.UNRESPONSIVE, True),
        (True, FailureCause.HELPER_UNAVAILABLE, False),
        (True, FailureCause.BUSY, False),
        (False, FailureCause.FAILED, False),
    ],
)
def test_a_drive_spun_up_for_a_failed_check_is_recorded_as_such(
    tmp_path: Path,
    wake: bool,  # noqa: FBT001 - a table's column
    trouble: FailureCause,
    report: bool,  # noqa: FBT001 - a table's column
) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.decide(SDA)
        fixture.store._set(changed(fixture.store.snapshot(), disks={SDA.id: SDA}))  # noqa: SLF001 - the source's part
        fixture.health.on_completed(
            CheckHealth(SDA.id, may_wake=wake), ActionResult(False, "no SMART", trouble)
        )
        now = fixture.clock.now().wall.timestamp()
        assert fixture.store.snapshot().part(SmartFacts).smart_history[SDA.id].woken_at == (
            now if report else 0
        )
        again = SmartServiceFixture(tmp_path)
        again.decide(SDA)
        assert again.store.snapshot().part(SmartFacts).smart_history[SDA.id].woken_at == (
            now if report else 0
        )

    run_scenario(scene)


def test_two_drives_to_which_a_bridge_gives_one_serial_number_are_two() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        twin = replace(SDB, serial=SDA.serial)
        fixture.decide(SDA, twin)
        fixture.check(SDA, FAILING)
        fixture.decide(SDA, twin)
        records = fixture.store.snapshot().part(SmartFacts).smart_history
        assert records[SDA.id].last is not None
        assert records[twin.id].last is None

    run_scenario(scene)


def test_a_drive_that_was_unplugged_during_its_check_is_forgotten() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.health.on_completed(CHECK, ActionResult(True, "read its health", HealthReading(HEALTHY)))
        assert fixture.store.snapshot().part(SmartFacts).smart_history == {}

    run_scenario(scene)


def test_nothing_is_written_while_the_disk_that_holds_it_sleeps(tmp_path: Path) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.vda = DiskState.STANDBY
        fixture.decide(SDA)
        fixture.check(SDA, HEALTHY)
        fixture.decide(SDA)
        assert list(tmp_path.iterdir()) == []
        fixture.vda = DiskState.EXCLUDED
        fixture.decide(SDA)
        assert len(list(tmp_path.iterdir())) == 1

    run_scenario(scene)


def test_nothing_is_written_before_the_first_decision_with_disks(tmp_path: Path) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.check(SDA, HEALTHY)
        assert list(tmp_path.iterdir()) == []
        fixture.decide(SDA)
        assert len(list(tmp_path.iterdir())) == 1

    run_scenario(scene)


@pytest.mark.parametrize(
    ("state", "stored"),
    [(DiskState.ACTIVE, 1), (DiskState.UNKNOWN, 1), (DiskState.STANDBY, 0), (DiskState.SUSPENDED, 0)],
)
def test_at_the_end_it_is_stored_unless_that_wakes_its_disk(
    tmp_path: Path, state: DiskState, stored: int
) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.vda = state
        fixture.decide(SDA)
        fixture.check(SDA, HEALTHY)
        assert list(tmp_path.iterdir()) == []
        fixture.health.close()
        assert len(list(tmp_path.iterdir())) == stored

    run_scenario(scene)


@pytest.mark.parametrize("found", [HealthReading(HEALTHY, "sat"), FailureCause.FAILED])
def test_a_spin_up_for_a_check_is_stored_even_so(tmp_path: Path, found: HealthReading | FailureCause) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.vda = DiskState.STANDBY
        fixture.decide(SDA)
        fixture.check(SDA, HEALTHY)
        fixture.health.on_completed(
            CheckHealth(SDA.id, may_wake=True), ActionResult(True, "read its health", found)
        )
        fixture.health.close()
        assert len(list(tmp_path.iterdir())) == 1

    run_scenario(scene)


def test_an_acknowledgement_is_stored_even_so(tmp_path: Path) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.decide(SDA)
        fixture.check(SDA, FAILING)
        fixture.decide(SDA)
        fixture.vda = DiskState.STANDBY
        fixture.decide(SDA)
        fixture.health.acknowledge("sda")
        fixture.health.close()
        again = SmartServiceFixture(tmp_path)
        again.decide(SDA)
        again.decide(SDA)
        assert again.reports[SDA.id].acknowledged == {"pending"}

    run_scenario(scene)


@pytest.mark.parametrize("change", ["acknowledged", "woken", "woken without a check"])
def test_a_change_that_is_written_wakes_no_disk_at_a_later_stop(tmp_path: Path, change: str) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.decide(SDA)
        fixture.check(SDA, FAILING)
        fixture.decide(SDA)
        if change == "acknowledged":
            fixture.health.acknowledge("sda")
        else:
            found = HealthReading(FAILING, "sat") if change == "woken" else FailureCause.FAILED
            fixture.health.on_completed(CheckHealth(SDA.id, may_wake=True), ActionResult(True, "", found))
        fixture.decide(SDA)
        fixture.vda = DiskState.STANDBY
        fixture.decide(SDA)
        (path,) = tmp_path.glob("health-S1.json")
        before = path.stat()
        fixture.check(SDA, HEALTHY)
        fixture.health.close()
        assert path.stat() == before

    run_scenario(scene)


def test_before_the_first_decision_no_disk_counts_as_asleep(tmp_path: Path) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture(tmp_path)
        fixture.check(SDA, HEALTHY)
        fixture.health.close()
        assert len(list(tmp_path.iterdir())) == 1

    run_scenario(scene)


@pytest.mark.parametrize("reading", ["sda", "ata-A_1", "S1"])
def test_a_drive_goes_by_any_of_its_names(reading: str) -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA, SDB)
        assert fixture.health.find(reading) == (SDA, "")

    run_scenario(scene)


def test_an_ambiguous_drive_name_is_refused() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        fixture.decide(SDA, replace(SDB, serial=SDA.serial))
        with pytest.raises(RequestRefusedError, match=r'"S1" .*sda .*sdb'):
            fixture.health.find("S1")

    run_scenario(scene)


def test_a_disk_without_health_data_is_refused() -> None:
    def scene() -> None:
        fixture = SmartServiceFixture()
        with pytest.raises(RequestRefusedError, match="no disk") as early:
            fixture.health.find("sda")
        assert early.value.not_found
        fixture.decide(SDA)
        with pytest.raises(RequestRefusedError, match='no disk "sdz"'):
            fixture.health.find("sdz")
        with pytest.raises(RequestRefusedError, match=r"vda .*health"):
            fixture.health.find("vda")

    run_scenario(scene)
