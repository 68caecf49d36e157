"""The record on the page: strips with a text for each, sleeps, and what disks did."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from ui.statuses import HOSTILE_NAME, NOW, idle
from ui.test_page import PageText
from ui.week import week

from powerd.history.model import SERVER, Interval, Record, Subject, changes_of
from powerd.history.view.api import history_json, timeline_json
from powerd.history.view.html import days_section, disk_texts
from powerd.history.view.report import PowerUse, report_json
from powerd.history.view.report_table import report_text
from powerd.history.view.table import history_text
from powerd.ui.api import status_json
from powerd.ui.page import render_page

ZONE = NOW.wall.tzinfo


def section_of(record: Record) -> str:
    return days_section(timeline_json(record, ZONE), history_json(record, ZONE), NOW.wall)


def test_each_strip_has_its_text() -> None:
    found = PageText(section_of(week("d1")))
    labels = [str(value) for key, value in found.attributes if key == "aria-label"]
    assert labels[0].endswith(": awake 8 h, idle 10 h, asleep 6 h")
    assert len(labels) == 8
    assert labels[1] == "Mon 12 Jan: awake 6 h, idle 9 h, asleep 6 h"
    for text in (
        "17:00 to 21:16: awake: anna-phone, sda",
        "01:00 to 07:00: asleep: suspend, by sleep rule 1",
        "called off by anna-phone: is home",
        "smbd.service writes",
    ):
        assert text in found.text


def test_what_a_disk_has_done() -> None:
    (text,) = disk_texts(history_json(week("d1"), ZONE)).values()
    assert all(term in text for term in ("1 d", "7 spin-downs", "7 wakes", "cron.service (7)"))


def test_nothing_is_shown_of_the_first_minutes() -> None:
    assert section_of(Record(NOW.wall.timestamp() - 60, NOW.wall.timestamp())) == ""


def test_segments_of_a_day_that_are_too_short_to_be_seen_have_no_text() -> None:
    record = week("d1")
    short = record.intervals[0]._replace(begin=record.until - 30, end=record.until)
    text = section_of(replace(record, changes=changes_of([*record.intervals, short])))
    assert "21:15 to 21:16" not in text


def test_hostile_names_are_escaped() -> None:
    record = week("d1")
    hostile = tuple(
        each._replace(subject=each.subject._replace(name=HOSTILE_NAME, text=HOSTILE_NAME))
        for each in record.intervals
    )
    text = section_of(replace(record, changes=changes_of(hostile)))
    assert "<script" not in text
    assert "script" not in PageText(text).tags
    assert HOSTILE_NAME.encode() not in text.encode()


def test_a_day_has_25_hours_when_summer_time_ends() -> None:
    """The strip of each day spans that day, so the same clock time is at the same place of the others."""
    end = NOW.wall.replace(year=2026, month=10, day=25, hour=23)
    record = Record((end - timedelta(days=1)).timestamp(), end.timestamp())
    text = days_section(timeline_json(record, ZONE), history_json(record, ZONE), end)
    assert 'viewBox="0 0 1500 10"' in text


def test_a_disk_that_keeps_the_server_awake_has_one_name() -> None:
    record = week("d1")
    busy = Subject("activity", "disk_io", "d1", "sda is written by smbd.service")
    record = replace(
        record,
        changes=changes_of(
            [
                each._replace(subject=busy) if each.subject.kind == "activity" else each
                for each in record.intervals
            ]
        ),
    )
    timeline, history = timeline_json(record, ZONE), history_json(record, ZONE)
    shown = PageText(days_section(timeline, history, NOW.wall, {"d1": "/srv (sda)"})).text
    assert "awake: anna-phone, /srv (sda)" in shown
    assert re.search(r"/srv \(sda\) ?is .*smbd\.service", shown)
    for text in (
        shown,
        history_text(history),
        report_text(report_json(record, PowerUse(), ZONE)),
    ):
        assert "d1" not in text
        assert "sda is written" not in text


def test_a_day_before_a_change_of_the_offset_begins_at_its_own_midnight() -> None:
    """On the page the present offset holds only now: the days before the change had another one."""
    end = NOW.wall.replace(year=2026, month=10, day=26, hour=12, minute=0)
    midnights = [end.replace(day=24, hour=0), end.replace(day=25, hour=0), end.replace(day=26, hour=0)]
    record = Record(
        midnights[0].timestamp(), end.timestamp(), changes=changes_of([Interval(SERVER, "idle", 0.0, None)])
    )
    given = {**status_json(idle(), NOW), "now": end.isoformat()}
    text = render_page(
        given,  # type: ignore[arg-type] # a StatusJson
        [],
        timeline=timeline_json(record, ZONE),
        history=history_json(record, ZONE),
        zone=ZONE,
    )
    labels = [str(value) for key, value in PageText(text).attributes if key == "aria-label"]
    assert "Sat 24 Oct: idle 1 d" in labels
    assert 'viewBox="0 0 1500 10"' in text
