"""The report: hours, energy, what kept the server awake and for how long nothing else did, and its views."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from history.view.test_api import BEGIN, COPY, DISK, HOUR, PHONE, RECORD, at, changes, interval, sleep

from powerd.history.model import SERVER, DiskWake, Record, Subject
from powerd.history.view.api import history_json, timeline_json
from powerd.history.view.html import days_section
from powerd.history.view.report import PowerUse, report_json
from powerd.history.view.report_table import report_csv, report_text
from powerd.history.view.table import history_text
from powerd.ui.layout import width

TV: Final = Subject("client", "02:00:00:00:00:0c", "tv")
USE: Final = PowerUse(40.0, 4.0, 0.5)


def test_the_hours_of_the_server() -> None:
    report = report_json(RECORD, USE, UTC)
    assert report["awake"] == pytest.approx((11.5 + 0.5 + 1) * HOUR), "idle, awake, and not the sleep between"
    assert report["asleep"] == {"count": 2, "seconds": 11 * HOUR}, "until now if it lasts"
    assert report["would_sleep"]["count"] == 0
    assert report["unrecorded"] == 0
    assert (report["woken_by"], report["called_off"]) == ({"alarm": 1}, {"anna-phone": 1})


def test_a_time_that_is_not_recorded_is_neither_awake_nor_asleep() -> None:
    record = Record(
        at(0), at(10), changes=changes(interval(SERVER, "awake", 0, 3), interval(SERVER, "stopped", 3, 7))
    )
    report = report_json(record, USE, UTC)
    assert (report["awake"], report["unrecorded"]) == (3 * HOUR, 7 * HOUR)


@pytest.mark.parametrize(
    ("result", "action", "asleep", "would"),
    [
        ("slept", "suspend", 2.0, 0.0),
        ("slept", "shutdown", 2.0, 0.0),
        ("slept", "reboot", 0.0, 0.0),
        ("would-sleep", "suspend", 0.0, 2.0),
        ("failed", "suspend", 0.0, 0.0),
        ("called-off", "suspend", 0.0, 0.0),
    ],
)
def test_what_counts_as_a_sleep(result: str, action: str, asleep: float, would: float) -> None:
    record = Record(
        at(0), at(4), (sleep(-1, 2, result, action=action),), changes(interval(SERVER, "idle", -1, None))
    )
    report = report_json(record, USE, UTC)
    assert report["asleep"]["seconds"] == asleep * HOUR
    assert report["would_sleep"]["seconds"] == would * HOUR
    assert report["awake"] == (4 - asleep) * HOUR


def test_an_unknown_end_of_a_sleep_is_named_as_such() -> None:
    record = Record(
        at(0),
        at(9),
        (sleep(1, 2, woken_by="alarm"), sleep(3, 8, woken_by="unrecorded")),
        changes(interval(SERVER, "idle", 0, None)),
    )
    text = report_text(report_json(record, USE, UTC))
    assert re.search(r"\b1 of them is\s+unknown", text)
    assert "alarm 1\n" in text
    assert "unknown" in history_text(history_json(record, UTC))
    assert "unknown" in days_section(
        timeline_json(record, UTC), history_json(record, UTC), datetime.fromtimestamp(at(9), UTC)
    )


def test_the_energy() -> None:
    energy = report_json(RECORD, USE, UTC)["energy"]
    assert energy is not None
    assert energy["kwh"] == pytest.approx((13 * 40 + 11 * 4) / 1000)
    assert energy["saved_kwh"] == pytest.approx(11 * 36 / 1000)
    assert energy["cost"] == pytest.approx(energy["kwh"] / 2)
    without_price = report_json(RECORD, USE._replace(price=0.0), UTC)["energy"]
    assert without_price is not None
    assert without_price["cost"] is None
    assert report_json(RECORD, PowerUse(), UTC)["energy"] is None
    assert "watts" in report_text(report_json(RECORD, PowerUse(), UTC)), "how to see it"


def test_what_blocked_sleep_and_what_alone() -> None:
    record = Record(
        at(0),
        at(10),
        (sleep(6, 8),),
        changes(
            interval(SERVER, "awake", 0, 9.5),
            interval(SERVER, "idle", 9.5, None),
            interval(PHONE, "present", -2, 3),
            interval(PHONE, "dozing", 3, None),
            interval(COPY, "active", 1, 2),
            interval(TV, "absent", 0, None),
            interval(TV, "unknown", 9, None),
        ),
    )
    rows = report_json(record, USE, UTC)["blockers"]
    assert history_json(record, UTC)["blockers"] == rows
    assert [(row["kind"], row["subject"], row["seconds"], row["alone"]) for row in rows] == [
        ("client", "anna-phone", 7.5 * HOUR, 6 * HOUR),
        ("activity", "tv", HOUR, 0.0),
        ("client", "tv", HOUR / 2, 0.0),
    ], "a dozing client does not keep a server awake that sleeps or is idle; an unknown one may be there"
    assert rows[2]["text"] == "may be home"


def test_disks_with_their_spinning_hours_and_culprits() -> None:
    (row,) = report_json(RECORD, USE, UTC)["disks"]
    assert (row["device"], row["spinning"], row["standby"]) == ("sda", 6 * HOUR, 4 * HOUR)
    assert [(each["unit"], each["wakes"]) for each in row["culprits"]] == [("smbd.service", 1)]


def test_a_false_sleep_is_one_to_which_somebody_came_within_minutes() -> None:
    record = replace(
        RECORD,
        sleeps=(
            sleep(1, 2, came_at=at(1.2), came="tv: home"),
            sleep(3, 4, came_at=at(3.3), came="tv: home"),
            sleep(5, 6, "would-sleep", came_at=at(5.1), came="copy: reads"),
        ),
    )
    false = report_json(record, USE, UTC)["false_sleeps"]
    assert [each["came"] for each in false] == ["copy: reads", "tv: home"]


HOSTILE: Final = ("=1+1", "@SUM(A1)", "+1", "-1", 'a"b,c', "x\ny\x1b[31m", "ü" * 300, "\u202e")


def test_hostile_names_in_text_and_table(columns: int) -> None:
    clients = [Subject("client", str(n), name) for n, name in enumerate(HOSTILE)]
    record = replace(
        RECORD,
        changes=changes(
            interval(SERVER, "awake", 0, None),
            *(interval(each, "present", 0, 2) for each in clients),
        ),
        disk_wakes=tuple(DiskWake(BEGIN, DISK.id, 1.0, name) for name in HOSTILE),
    )
    report = report_json(record, USE, UTC)
    text = report_text(report)
    assert all(width(line) <= columns for line in text.splitlines())
    assert "\x1b" not in text
    rows = list(csv.reader(io.StringIO(report_csv(report))))
    assert {len(row) for row in rows} == {5}
    assert not [cell for row in rows for cell in (row[1], row[2]) if cell.startswith(("=", "+", "-", "@"))]


def test_the_figures_of_the_table_are_those_of_the_report() -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(report_json(RECORD, USE, UTC)))))
    values = {row["figure"]: float(row["value"]) for row in rows}
    assert (values["awake"], values["asleep"], values["sleeps"]) == (13.0, 11.0, 2.0)
    assert values["energy saved"] == pytest.approx(0.396)
