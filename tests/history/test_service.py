"""The service is fed by decisions; its record is true and bounded, also if the clock was set."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from facts import changed
from ui.statuses import at, family, idle

from powerd.attribution.model import AttributionReport, Wake
from powerd.config.options import Options
from powerd.core.service import Environment
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.disks.model import DiskId
from powerd.history.service import HistoryService
from powerd.simulation.clock import StoppedClock
from powerd.ui.api import blockers_json


def test_the_blockers_of_a_decision() -> None:
    environment = Environment(StoppedClock(), StateStore(), Options, Storage(None), pytest.fail, "")
    service = HistoryService(environment, lambda: True)
    status = family()
    blockers = {(each.subject, each.text) for each in status.decision.reasons if each.blocks_sleep}
    assert blockers
    service.on_decision(replace(status, now=at()))
    service.on_decision(replace(status, now=at(90)))
    document = blockers_json(service.blocker_times, at(90))
    assert {(row["subject"], row["text"], row["seconds"]) for row in document["blockers"]} == {
        (*blocker, 90.0) for blocker in blockers
    }
    assert document["since"] == "2026-01-12T21:16:00+01:00"


DAY: Final = 86_400.0


class SetClock:
    """A clock that each test sets."""

    def __init__(self) -> None:
        self.moment = at()

    def now(self) -> Moment:
        return self.moment


class HistoryFixture:
    """A daemon's history in one directory, over restarts."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.clock, self.errors = directory, SetClock(), list[str]()
        self.service = self.start()

    def start(self) -> HistoryService:
        environment = Environment(
            self.clock, StateStore(), Options, Storage(self.directory), self.errors.append, ""
        )
        self.service = HistoryService(environment, lambda: True)
        return self.service

    def decide(self, seconds: float, days: float = 0.0, status: Status | None = None) -> None:
        """A decision, by a wall clock that is wrong by ``days``."""
        moment = at(seconds)
        self.clock.moment = replace(moment, wall=moment.wall + timedelta(days=days))
        self.service.on_decision(replace(status or family(), now=self.clock.moment))

    @property
    def longest(self) -> float:
        """Seconds of the longest state in memory and in the files."""
        found = (self.service.record, asyncio.run(self.service.read(0.0)))
        return max(
            (each.end or record.until) - each.begin
            for record in found
            for each in record.intervals
            if each.state != "stopped"
        )


@pytest.mark.parametrize("days", [-200.0, -20.0, -1.0, 1.0, 20.0, 200.0, 3650.0])
@pytest.mark.parametrize("restart", [True, False])
def test_no_state_lasts_for_the_time_by_which_the_clock_was_wrong(
    tmp_path: Path,
    days: float,
    restart: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    fixture = HistoryFixture(tmp_path)
    fixture.decide(0.0)
    fixture.decide(600.0)
    fixture.decide(1200.0, days)
    fixture.decide(1800.0, days, idle())
    if restart:
        fixture.service.close()
        fixture.start()
    fixture.decide(2400.0)
    fixture.decide(3000.0, status=idle())
    fixture.decide(3600.0)
    assert fixture.longest <= 3600.0
    assert fixture.service.record.until == at(3600.0).wall.timestamp()
    assert len(fixture.service.record.intervals) > len(family().decision.reasons)
    (tmp_path / "history").rename(tmp_path / "elsewhere")
    recent = asyncio.run(fixture.service.read(at(3600.0).wall.timestamp()))
    assert recent.intervals, "what was recorded since then is in memory"
    assert fixture.errors == []


def test_a_clock_that_is_behind_after_the_boot_hides_no_record(tmp_path: Path) -> None:
    fixture, early = HistoryFixture(tmp_path), -99_990.0
    fixture.decide(0.0, 200.0)
    fixture.decide(600.0, 200.0, idle())
    fixture.service.close()
    before = fixture.start().record
    status = replace(family(), snapshot=changed(family().snapshot, clock_synchronised=False))
    fixture.decide(early, 1.0, status)
    assert fixture.service.record.intervals == before.intervals
    fixture.decide(early + 30.0, 202.0)
    after = {(each.subject.id, each.begin) for each in fixture.service.record.intervals}
    assert {(each.subject.id, each.begin) for each in before.intervals} < after
    assert fixture.longest <= 600.0


def test_what_lasted_when_powerd_stopped_has_ended_however_long_that_is_ago(tmp_path: Path) -> None:
    fixture = HistoryFixture(tmp_path)
    fixture.decide(0.0)
    fixture.decide(60.0)
    fixture.service.close()
    fixture.clock.moment = at(20 * DAY)
    fixture.start()
    fixture.decide(20 * DAY)
    fixture.decide(20 * DAY + 60.0)
    assert fixture.longest <= 60.0


def test_one_file_that_cannot_be_written_does_not_stop_those_of_other_months(tmp_path: Path) -> None:
    fixture = HistoryFixture(tmp_path)
    (tmp_path / "history" / "2026-01.jsonl").mkdir(parents=True)
    fixture.decide(0.0)
    fixture.decide(20 * DAY, status=idle())
    assert (tmp_path / "history" / "2026-02.jsonl").read_text()
    assert fixture.errors


def test_wakes_of_disks_are_within_the_limit_of_the_day(tmp_path: Path) -> None:
    fixture = HistoryFixture(tmp_path)
    fixture.decide(0.0)
    disk, status = DiskId("ata-1"), family()
    for n in range(1, 40):
        moments = [at(n * 60.0 + k / 100) for k in range(99, -1, -1)]
        wakes = tuple([Wake(disk, moment, explanation="not traced") for moment in moments])
        report = AttributionReport({disk: wakes})
        fixture.decide(n * 60.0 + 1, status=replace(status, decision=status.decision.with_parts(report)))
    size = (tmp_path / "history" / "2026-01.jsonl").stat().st_size
    assert size < 40_000
