from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scripted import LoopClock

from powerd.board import Board
from powerd.health import Health
from powerd.model import (
    Answered,
    Checked,
    CheckHealth,
    Counter,
    Decision,
    Disk,
    DiskId,
    DiskReport,
    DiskState,
    Done,
    Finding,
    Memory,
    Moment,
    Mount,
    Power,
    Record,
    RefusedError,
    Severity,
    SmartReport,
    StartTest,
    Trouble,
)
from powerd.model import Health as DriveHealth
from powerd.policy.findings import compare
from powerd.rehearse.loop import run
from powerd.store import Store

SDA = Disk(DiskId("ata-A_1"), "sda", serial="S1")
SDB = Disk(DiskId("ata-B_2"), "sdb", serial="S2")
VDA = Disk(DiskId("virtio-vda"), "vda", transport="virtio", mounts=(Mount("/", "ext4"),), excluded="virtual")
WELL = DriveHealth(at=0, protocol="ata", passed=True, counters={Counter.PENDING: 0})
ILL = replace(WELL, counters={Counter.PENDING: 8})
CHECK = CheckHealth(SDA.id)


class House:
    """The health's part of a daemon, and decisions made for it by hand."""

    def __init__(self, directory: Path | None = None) -> None:
        self.board = Board()
        self.clock = LoopClock()
        self.complaints: list[str] = []
        self.alerts: list[tuple[str, Finding]] = []
        self.health = Health(
            self.board,
            self.clock,
            Store(directory) if directory else None,
            self.complaints.append,
            lambda disk, finding: self.alerts.append((disk.device, finding)),
        )
        self.vda = DiskState.EXCLUDED

    def decide(self, *disks: Disk) -> None:
        """One decision on these disks, with what the board remembers of each."""
        now = self.clock.now()
        records = self.board.snapshot().records
        smart = {
            disk.id: SmartReport(disk.id, record, _found(record), None)
            for disk in disks
            if (record := records.get(disk.id)) is not None
        }
        shown = {**dict.fromkeys(disks, DiskState.ACTIVE), VDA: self.vda}
        reports = tuple(DiskReport(disk, state, now) for disk, state in shown.items())
        self.health.told(_decision(reports, smart, now))

    def check(self, disk: Disk, health: DriveHealth) -> None:
        self.board._put(replace(self.board.snapshot(), disks={SDA.id: SDA, SDB.id: SDB}))  # noqa: SLF001 - the source's part
        self.health.obeyed(CheckHealth(disk.id), Done(True, "read its health", Checked(health, "sat")))


def _decision(reports: tuple[DiskReport, ...], smart: dict[DiskId, SmartReport], now: Moment) -> Decision:
    return Decision(
        orders=(),
        reasons=(),
        memory=Memory.newborn(now),
        look_again=0,
        closely=False,
        phase="awake",
        plan=None,
        verdicts=(),
        disks=reports,
        smart=smart,
    )


def _found(record: Record) -> tuple[Finding, ...]:
    return compare(record.before, record.last) if record.last is not None else ()


def play(scene: object) -> None:
    async def main() -> None:
        scene()  # type: ignore[operator] # a function of this file

    run(main())


def test_drives_that_are_new_get_a_record_and_others_none() -> None:
    def scene() -> None:
        house = House()
        house.decide(SDA, SDB)
        assert set(house.board.snapshot().records) == {SDA.id, SDB.id}
        assert house.board.snapshot().records[SDA.id].known == house.clock.now().wall.timestamp()

    play(scene)


def test_a_check_is_remembered_with_its_time_and_the_way_it_was_reached(tmp_path: Path) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.decide(SDA)
        house.check(SDA, WELL)
        record = house.board.snapshot().records[SDA.id]
        assert record.last is not None
        assert record.last.at == house.clock.now().wall.timestamp()
        assert record.kind == "sat"
        assert house.health.find("sda") == (SDA, "sat")
        assert [path.name for path in tmp_path.iterdir()] == ["health-S1.json"]

    play(scene)


def test_a_finding_is_told_once_also_over_a_restart(tmp_path: Path) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.decide(SDA)
        house.check(SDA, ILL)
        for _ in range(3):
            house.decide(SDA)
        assert [(name, finding.kind) for name, finding in house.alerts] == [("sda", "pending")]
        again = House(tmp_path)
        again.decide(SDA)
        again.decide(SDA)
        assert again.alerts == []

    play(scene)


def test_what_grows_is_told_again() -> None:
    def scene() -> None:
        house = House()
        house.decide(SDA)
        for pending in (8, 8, 9):
            house.check(SDA, replace(ILL, counters={Counter.PENDING: pending}))
            house.decide(SDA)
        texts = [finding.text for _, finding in house.alerts]
        assert texts == ["8 of its sectors cannot be read", "one more sector cannot be read, 9 in all"]
        assert house.alerts[-1][1].severity is Severity.ALARM

    play(scene)


def test_a_self_test_that_was_begun_is_remembered() -> None:
    def scene() -> None:
        house = House()
        house.decide(SDA)
        house.check(SDA, WELL)
        test = StartTest(SDA.id, "long")
        house.health.obeyed(test, Done(False, "it is asleep", Trouble.ASLEEP))
        assert house.board.snapshot().records[SDA.id].tested == {}
        house.health.obeyed(test, Done(True, "begun", Answered(Power.ACTIVE)))
        assert house.board.snapshot().records[SDA.id].tested == {"long": house.clock.now().wall.timestamp()}

    play(scene)


@pytest.mark.parametrize(
    "done",
    [
        Done(True, "would have read its health"),
        Done(False, "it hangs", Trouble.HUNG),
        Done(False, "no helper"),
    ],
)
def test_what_was_not_read_is_not_remembered(done: Done) -> None:
    def scene() -> None:
        house = House()
        house.decide(SDA)
        house.health.obeyed(CHECK, done)
        assert house.board.snapshot().records[SDA.id].last is None

    play(scene)


@pytest.mark.parametrize(
    ("wake", "trouble", "told"),
    [
        (True, Trouble.FAILED, True),
        (True, Trouble.HUNG, True),
        (True, Trouble.UNREACHED, False),
        (True, Trouble.BUSY, False),
        (False, Trouble.FAILED, False),
    ],
)
def test_a_drive_that_was_woken_in_vain_is_remembered_as_such(
    tmp_path: Path,
    wake: bool,  # noqa: FBT001 - a table's column
    trouble: Trouble,
    told: bool,  # noqa: FBT001 - a table's column
) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.decide(SDA)
        house.board._put(replace(house.board.snapshot(), disks={SDA.id: SDA}))  # noqa: SLF001 - the source's part
        house.health.obeyed(CheckHealth(SDA.id, wake=wake), Done(False, "no SMART", trouble))
        now = house.clock.now().wall.timestamp()
        assert house.board.snapshot().records[SDA.id].woken == (now if told else 0)
        again = House(tmp_path)
        again.decide(SDA)
        assert again.board.snapshot().records[SDA.id].woken == (now if told else 0)

    play(scene)


def test_two_drives_to_which_a_bridge_gives_one_serial_number_are_two() -> None:
    def scene() -> None:
        house = House()
        twin = replace(SDB, serial=SDA.serial)
        house.decide(SDA, twin)
        house.check(SDA, ILL)
        house.decide(SDA, twin)
        records = house.board.snapshot().records
        assert records[SDA.id].last is not None
        assert records[twin.id].last is None

    play(scene)


def test_a_drive_that_was_unplugged_during_its_check_is_forgotten() -> None:
    def scene() -> None:
        house = House()
        house.health.obeyed(CHECK, Done(True, "read its health", Checked(WELL)))
        assert house.board.snapshot().records == {}

    play(scene)


def test_nothing_is_written_while_the_disk_that_holds_it_sleeps(tmp_path: Path) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.vda = DiskState.STANDBY
        house.decide(SDA)
        house.check(SDA, WELL)
        house.decide(SDA)
        assert list(tmp_path.iterdir()) == []
        house.vda = DiskState.EXCLUDED
        house.decide(SDA)
        assert len(list(tmp_path.iterdir())) == 1

    play(scene)


def test_nothing_is_written_before_the_first_decision_has_told_of_disks(tmp_path: Path) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.check(SDA, WELL)
        assert list(tmp_path.iterdir()) == []
        house.decide(SDA)
        assert len(list(tmp_path.iterdir())) == 1

    play(scene)


@pytest.mark.parametrize(
    ("state", "kept"),
    [(DiskState.ACTIVE, 1), (DiskState.UNKNOWN, 1), (DiskState.STANDBY, 0), (DiskState.SUSPENDED, 0)],
)
def test_at_the_end_it_is_kept_unless_that_wakes_the_disk_that_holds_it(
    tmp_path: Path, state: DiskState, kept: int
) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.vda = state
        house.decide(SDA)
        house.check(SDA, WELL)
        assert list(tmp_path.iterdir()) == []
        house.health.close()
        assert len(list(tmp_path.iterdir())) == kept

    play(scene)


@pytest.mark.parametrize("found", [Checked(WELL, "sat"), Trouble.FAILED])
def test_that_a_drive_was_woken_is_kept_even_so(tmp_path: Path, found: Checked | Trouble) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.vda = DiskState.STANDBY
        house.decide(SDA)
        house.check(SDA, WELL)
        house.health.obeyed(CheckHealth(SDA.id, wake=True), Done(True, "read its health", found))
        house.health.close()
        assert len(list(tmp_path.iterdir())) == 1

    play(scene)


def test_before_the_first_decision_nothing_is_known_to_sleep(tmp_path: Path) -> None:
    def scene() -> None:
        house = House(tmp_path)
        house.check(SDA, WELL)
        house.health.close()
        assert len(list(tmp_path.iterdir())) == 1

    play(scene)


@pytest.mark.parametrize("word", ["sda", "ata-A_1", "S1"])
def test_a_drive_goes_by_any_of_its_names(word: str) -> None:
    def scene() -> None:
        house = House()
        house.decide(SDA, SDB)
        assert house.health.find(word) == (SDA, "")

    play(scene)


def test_a_word_for_two_drives_is_refused() -> None:
    def scene() -> None:
        house = House()
        house.decide(SDA, replace(SDB, serial=SDA.serial))
        with pytest.raises(RefusedError, match='"S1" may be sda or sdb'):
            house.health.find("S1")

    play(scene)


def test_who_is_no_drive_or_tells_nothing_is_refused() -> None:
    def scene() -> None:
        house = House()
        with pytest.raises(RefusedError, match="no disk") as early:
            house.health.find("sda")
        assert early.value.unknown
        house.decide(SDA)
        with pytest.raises(RefusedError, match='no disk "sdz"'):
            house.health.find("sdz")
        with pytest.raises(RefusedError, match="vda does not tell of its health"):
            house.health.find("vda")

    play(scene)
