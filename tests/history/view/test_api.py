"""The JSON of the record: sleeps, what would have been, disks, blockers, and the timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import pytest

from powerd.history.model import (
    SERVER,
    Changes,
    DiskWake,
    Interval,
    Record,
    SleepRecord,
    State,
    Subject,
    changes_of,
)
from powerd.history.view.api import history_json, timeline_json, trial_json
from powerd.history.view.table import history_text, trial_text
from powerd.ui.layout import width

BEGIN: Final = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
HOUR: Final = 3600.0
PHONE: Final = Subject("client", "02:00:00:00:00:0b", "anna-phone")
COPY: Final = Subject("activity", "samba", "tv", "reads film.mkv")
DISK: Final = Subject("disk", "ata-WD-1", "sda")


def at(hours: float) -> float:
    return BEGIN + hours * HOUR


def interval(subject: Subject, state: State, begin: float, end: float | None) -> Interval:
    return Interval(subject, state, at(begin), None if end is None else at(end))


def changes(*intervals: Interval) -> Changes:
    return changes_of(intervals)


def sleep(begin: float, end: float | None, result: str = "slept", **more: object) -> SleepRecord:
    mode = "observe" if result == "would-sleep" else "enforce"
    done = {
        "action": "suspend",
        "rule": 0,
        "mode": mode,
        "result": result,
        "end": None if end is None else at(end),
        "asleep": ((end or begin) - begin) * HOUR,
    }
    return SleepRecord(at(begin), **{**done, **more})  # type: ignore[arg-type] # of their types


RECORD: Final = Record(
    at(0),
    at(24),
    sleeps=(
        sleep(11, 11.1, "called-off", called_off_by="anna-phone: home, answers ping", asleep=0.0),
        sleep(12, 18, woken_by="alarm", came_at=at(18.5), came="anna-phone: home, answers ping"),
        sleep(19, None, action="poweroff"),
    ),
    changes=changes(
        interval(SERVER, "awake", -3, 11.5),
        interval(PHONE, "present", -3, 11),
        interval(COPY, "active", 2, 4),
        interval(DISK, "spinning", 3, 5),
        interval(DISK, "standby", 5, 9),
        interval(DISK, "spinning", 9, None),
        interval(SERVER, "idle", 11.5, 18.5),
        interval(SERVER, "awake", 18.5, 20),
    ),
    disk_wakes=(DiskWake(at(9), "ata-WD-1", 4 * HOUR, "smbd.service", "", "smbd"),),
)


def test_the_timeline_has_neither_gaps_nor_overlaps() -> None:
    rows = timeline_json(RECORD, UTC)["segments"]
    assert [(row["state"], row["by"]) for row in rows] == [
        ("awake", ["anna-phone", "tv"]),
        ("idle", []),
        ("asleep", ["suspend, by sleep rule 1"]),
        ("idle", []),
        ("awake", []),
        ("off", ["power off, by sleep rule 1"]),
    ]
    assert rows[0]["begin"] == "2026-06-01T12:00:00+00:00"
    assert rows[-1]["end"] == "2026-06-02T12:00:00+00:00"
    for row, following in pairwise(rows):
        assert row["end"] == following["begin"]


def test_where_nothing_is_recorded_the_server_is_off() -> None:
    (segment,) = timeline_json(Record(at(0), at(1)), UTC)["segments"]
    assert (segment["state"], segment["by"]) == ("off", ["nothing was recorded"])
    assert timeline_json(Record(at(0), at(0)), UTC)["segments"] == []


def test_what_would_have_been_slept_is_marked() -> None:
    record = Record(at(0), at(9), (sleep(1, 8, "would-sleep"),), changes(interval(SERVER, "idle", 0, None)))
    rows = timeline_json(record, UTC)["segments"]
    assert [(row["state"], row["would_sleep"]) for row in rows] == [
        ("idle", False),
        ("idle", True),
        ("idle", False),
    ]


def test_the_history_has_sleeps_disks_and_blockers() -> None:
    document = history_json(RECORD, UTC)
    assert [row["begin"][11:16] for row in document["sleeps"]] == ["07:00", "00:00", "23:00"]
    assert [row["rule"] for row in document["sleeps"]] == [1, 1, 1]
    (disk,) = document["disks"]
    assert (disk["device"], disk["spin_downs"], disk["standby"], disk["wakes"]) == ("sda", 1, 4 * HOUR, 1)
    assert disk["culprits"][0]["unit"] == "smbd.service"
    assert [(row["subject"], row["seconds"]) for row in document["blockers"]] == [
        ("anna-phone", 11 * HOUR),
        ("tv", 2 * HOUR),
    ]
    assert document["trial"] is None


@pytest.mark.parametrize("came", [0.1, 7.0])
def test_a_trial_names_who_came(came: float) -> None:
    asleep = sleep(1, 1 + came, "would-sleep", woken_by="needed", came_at=at(1 + came), came="tv: home")
    record = Record(at(0), at(48), (asleep, sleep(30, 36, "would-sleep", woken_by="alarm")))
    trial = trial_json(record, UTC)
    assert trial is not None
    assert (trial["night_count"], trial["seconds"]) == (2, (came + 6) * HOUR)
    assert [(row["came"], row["false"]) for row in trial["came"]] == [("tv: home", came < 0.25)]
    assert "tv" in trial_text(history_json(record, UTC))


def test_a_trial_without_arrivals_says_that_nobody_came() -> None:
    record = Record(at(0), at(7 * 24), tuple(sleep(24 * n, 24 * n + 6.8, "would-sleep") for n in range(6)))
    text = " ".join(trial_text(history_json(record, UTC)).split())
    assert all(term in text for term in ("7 days", "41 h", "6 nights", "nobody"))


def test_the_text_fits_into_80_columns_whatever_the_names_are(columns: int) -> None:
    name = "\x1b[31m" + "very-long-name-" * 12
    record = Record(
        at(0),
        at(24),
        (sleep(1, 2, came_at=at(3), came=f"{name}: home"), sleep(4, 5, "failed", detail=name)),
        changes(interval(Subject("client", "x", name), "present", 0, None)),
        (DiskWake(at(1), name, None, name),),
    )
    text = history_text(history_json(record, UTC))
    assert all(width(line) <= columns and line.isprintable() for line in text.splitlines())
