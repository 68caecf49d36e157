from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

from facts import changed
from ui.smart_statuses import DAY, hostile_drive, smart_status
from ui.statuses import NOW

from powerd.core.snapshot import Status
from powerd.smart.model import Sample, SmartReports
from powerd.smart.view.api import smart_of, smarts_json
from powerd.smart.view.html import disk_health
from powerd.ui.html import READER
from powerd.ui.schema import SmartDetailJson


def details(status: Status) -> list[SmartDetailJson]:
    return [reported for row in smarts_json(status) if (reported := smart_of(status, row["id"])) is not None]


def shown(drives: list[SmartDetailJson], wall: datetime = NOW.wall, *, observing: bool = False) -> str:
    """What all drives add to their rows, in one element."""
    rows = (disk_health(drive, drive["device"], wall, READER, observing=observing) for drive in drives)
    return f"<div>{''.join(each.state + each.temperature + each.more for each in rows)}</div>"


def section(status: Status) -> str:
    return shown(details(status))


def test_the_section_is_well_formed_and_reports_what_was_found() -> None:
    text = section(smart_status())
    tree = ET.fromstring(text)  # noqa: S314 - our own text
    assert [each.text for each in tree.iter("span") if each.get("class") == "state alarm"] == ["alarm"]
    assert '<p class="found alarm">2 more sectors cannot be read, 8 in all<small>' in text
    assert "cannot be checked: Unknown USB bridge" in text
    assert "never checked" in text


def test_plots_of_what_changes_and_of_nothing_else() -> None:
    tree = ET.fromstring(section(smart_status()))  # noqa: S314 - our own text
    titles = [each.text for each in tree.iter("title")]
    assert titles == [
        "temperature: 30 to 32 in 3 checks",
        "unreadable: 0 to 8 in 3 checks",
        "temperature: 30 to 32 in 3 checks",
    ]
    grown = next(each for each in tree.iter("polyline") if each.get("class") == "grown")
    assert grown.get("points") == "0.0,33.0 150.0,10.5 300.0,3.0"


def test_drives_that_are_well_have_no_second_state() -> None:
    text = shown(details(smart_status())[:1])
    assert "state" not in text
    assert "31 °C" in text


def test_in_observe_mode_no_check_is_announced() -> None:
    text = shown(details(smart_status()), observing=True)
    assert text.count(", next ") == text.count(", next would be ") > 0


def test_hostile_firmware_cannot_write_markup() -> None:
    text = section(hostile_drive())
    ET.fromstring(text)  # noqa: S314 - our own text
    assert "<script>" not in text
    assert "\x1b" not in text


def test_a_year_of_days_is_drawn_by_its_tops_and_a_calm_temperature_low() -> None:
    status = smart_status()
    (report, *_) = status.decision.part(SmartReports).smart.values()
    days = tuple(Sample(n * DAY, True, 30 + (n % 7 == 3), {}) for n in range(365))  # noqa: FBT003 - a row
    red = replace(report, record=replace(report.record, samples=days))
    given = replace(status, decision=changed(status.decision, smart={red.disk: red}))
    tree = ET.fromstring(section(given))  # noqa: S314 - our own text
    assert tree.findtext(".//title") == "temperature: 30 to 31 in 365 checks"
    (line,) = tree.iter("polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
    assert len(points) == 53
    assert {y for _, y in points[:-1]} == {31.0}, "each week has its top, a degree above the lowest"


def test_a_check_that_waits_for_its_drive_reports_that() -> None:
    assert "next when it spins" in shown(details(smart_status()), NOW.wall + timedelta(days=2))


def test_an_acknowledged_finding_is_marked_and_no_alarm() -> None:
    drive = details(smart_status())[1]
    alarm = shown([drive])
    drive["findings"] = [{**each, "acknowledged": True} for each in drive["findings"]]
    quiet = shown([drive])
    assert "(acknowledged)" in quiet
    assert "(acknowledged)" not in alarm
    assert alarm.count('found alarm"') == quiet.count('found alarm"') + 1
