from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.storage import Storage
from powerd.smart.history import SmartHistory, _document_name
from powerd.smart.model import Counter, Finding, Health, Severity

DAY = 86400.0
SERIAL = "WD-WCC4M0123456"
WELL = Health(checked_at=100 * DAY, protocol="ata", passed=True, temperature=31, counters={Counter.STARTS: 7})
FINDING = Finding("pending", Severity.ALARM, "one more sector cannot be read, 1 in all", "copy it")


class HistoryFixture:
    """A Records, the disk that holds it, and what was complained of."""

    def __init__(self, directory: Path | None) -> None:
        self.awake = True
        self.errors: list[str] = []
        self.records = SmartHistory(Storage(directory, self.errors.append), lambda: self.awake)


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_new_drive_is_recorded_from_then_on(tmp_path: Path) -> None:
    fixture = HistoryFixture(tmp_path)
    record = fixture.records.record_of(SERIAL, 5.0)
    assert (record.known_since, record.last, record.samples) == (5.0, None, ())
    assert fixture.records.record_of(SERIAL, 9.0).known_since == 5.0
    assert files(tmp_path) == [], "there is nothing to remember yet"


def test_checks_outlive_a_restart(tmp_path: Path) -> None:
    first = HistoryFixture(tmp_path).records
    first.add_check(SERIAL, WELL)
    first.add_check(SERIAL, replace(WELL, checked_at=101 * DAY, temperature=33))
    first.add_test_start(SERIAL, "short", 101 * DAY)
    stored = first.mark_notified(SERIAL, (FINDING,), 101 * DAY)
    assert files(tmp_path) == [f"health-{SERIAL}.json"]
    again = HistoryFixture(tmp_path).records.record_of(SERIAL, 200 * DAY)
    assert again == stored
    assert again.previous == WELL
    assert [sample.temperature for sample in again.samples] == [31, 33]
    assert (again.test_started_at, again.notified_findings) == ({"short": 101 * DAY}, (FINDING,))


def test_a_check_by_hand_replaces_that_of_the_same_half_day(tmp_path: Path) -> None:
    records = HistoryFixture(tmp_path).records
    records.add_check(SERIAL, WELL)
    record = records.add_check(SERIAL, replace(WELL, checked_at=WELL.checked_at + 3600, temperature=40))
    assert [sample.temperature for sample in record.samples] == [40]


def test_a_clock_that_was_set_back_loses_no_sample(tmp_path: Path) -> None:
    records = HistoryFixture(tmp_path).records
    records.add_check(SERIAL, WELL)
    record = records.add_check(SERIAL, replace(WELL, checked_at=WELL.checked_at - DAY))
    assert len(record.samples) == 2


def test_no_more_than_a_year_is_retained(tmp_path: Path) -> None:
    fixture = HistoryFixture(tmp_path)
    fixture.awake = False
    for day in range(500):
        fixture.records.add_check(SERIAL, replace(WELL, checked_at=day * DAY))
    record = fixture.records.record_of(SERIAL, 0)
    assert len(record.samples) == 400
    assert record.samples[-1].checked_at == 499 * DAY
    fixture.awake = True
    fixture.records.write()
    assert (tmp_path / f"health-{SERIAL}.json").stat().st_size < 100_000
    assert HistoryFixture(tmp_path).records.record_of(SERIAL, 0) == record


def test_nothing_is_written_while_the_disk_that_holds_it_sleeps(tmp_path: Path) -> None:
    fixture = HistoryFixture(tmp_path)
    fixture.awake = False
    fixture.records.add_check(SERIAL, WELL)
    fixture.records.write()
    assert files(tmp_path) == []
    fixture.awake = True
    fixture.records.write()
    assert files(tmp_path) == [f"health-{SERIAL}.json"]
    fixture.awake = False
    fixture.records.add_check("OTHER", WELL)
    fixture.records.write(force=True)
    assert files(tmp_path) == ["health-OTHER.json", f"health-{SERIAL}.json"]


def test_what_is_written_is_not_written_again(tmp_path: Path) -> None:
    records = HistoryFixture(tmp_path).records
    records.add_check(SERIAL, WELL)
    records.mark_notified(SERIAL, (), 0)
    before = (tmp_path / f"health-{SERIAL}.json").stat()
    records.write()
    records.mark_notified(SERIAL, (), 0)
    assert (tmp_path / f"health-{SERIAL}.json").stat() == before


def test_a_torn_record_is_set_aside_and_reported(tmp_path: Path) -> None:
    (tmp_path / f"health-{SERIAL}.json").write_text('{"known": 1, "la')
    fixture = HistoryFixture(tmp_path)
    assert fixture.records.record_of(SERIAL, 7.0).known_since == 7.0
    assert len(fixture.errors) == 1
    assert "set aside" in fixture.errors[0]
    assert files(tmp_path) == [f"health-{SERIAL}.bad"]


def test_a_record_of_another_drive_is_set_aside_and_reported(tmp_path: Path) -> None:
    (tmp_path / f"health-{SERIAL}.json").write_text('{"known": "yesterday"}')
    fixture = HistoryFixture(tmp_path)
    assert fixture.records.record_of(SERIAL, 7.0).last is None
    assert "known must be" in fixture.errors[0]
    assert files(tmp_path) == [f"health-{SERIAL}.bad"]


def test_a_record_of_which_no_check_can_be_read_counts_from_then_on(tmp_path: Path) -> None:
    """Otherwise its check would be overdue at once, and wake the drive; also after another restart."""
    (tmp_path / f"health-{SERIAL}.json").write_text('{"known": 1, "last": 7, "samples": 7}')
    first = HistoryFixture(tmp_path)
    assert first.records.record_of(SERIAL, 100 * DAY).known_since == 100 * DAY
    assert len(first.errors) == 1
    first.records.write()
    again = HistoryFixture(tmp_path)
    assert again.records.record_of(SERIAL, 200 * DAY).known_since == 100 * DAY


@pytest.mark.parametrize("torn", ["", '{"known": 1, "la', '{"known": "yesterday"}'])
def test_a_power_cut_costs_a_check_and_not_a_year(tmp_path: Path, torn: str) -> None:
    """The file's time is what the store knows its age by."""
    path = tmp_path / f"health-{SERIAL}.json"
    records = HistoryFixture(tmp_path).records
    for day in range(100):
        records.add_check(SERIAL, replace(WELL, checked_at=day * DAY))
        records.mark_notified(SERIAL, (FINDING,), day * DAY)
        os.utime(path, (day * DAY, day * DAY))
    records.add_check(SERIAL, replace(WELL, checked_at=100 * DAY))
    path.write_text(torn)
    fixture = HistoryFixture(tmp_path)
    record = fixture.records.record_of(SERIAL, 200 * DAY)
    assert (len(record.samples), record.notified_findings) == (100, (FINDING,))
    (error,) = fixture.errors
    assert "previous version is used" in error
    again = HistoryFixture(tmp_path)
    assert again.records.record_of(SERIAL, 200 * DAY) == record
    assert again.errors == []


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fixture = HistoryFixture(tmp_path / "file")
    assert fixture.records.add_check(SERIAL, WELL).last == WELL
    assert "cannot be" in fixture.errors[0]


def test_without_a_store_the_process_remembers() -> None:
    fixture = HistoryFixture(None)
    fixture.records.add_check(SERIAL, WELL)
    assert fixture.records.record_of(SERIAL, 0).last == WELL
    assert fixture.errors == []


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_serial_number_has_a_file_name_of_its_own(one: str, other: str) -> None:
    assert _document_name(one).isascii()
    assert "/" not in _document_name(one)
    assert len(_document_name(one)) < 100
    assert (_document_name(one) == _document_name(other)) == (one == other)
