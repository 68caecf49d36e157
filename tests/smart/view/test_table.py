"""What ``powerd smart`` prints."""

from __future__ import annotations

from datetime import timedelta
from textwrap import dedent

import pytest
from ui.smart_statuses import hostile_drive, smart_status
from ui.statuses import NOW

from powerd.smart.view.api import smart_of, smarts_json
from powerd.smart.view.table import self_test_started_text, smart_table_text, smart_text
from powerd.ui.layout import Style, width
from powerd.ui.schema import SmartDetailJson

WALL = NOW.wall


def detail(name: str) -> str:
    shown = smart_of(smart_status(), name)
    assert shown is not None
    return smart_text(shown, WALL)


def printed(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_a_drive_that_is_not() -> None:
    output = detail("sdb")
    assert "health        alarm: the drive reports that it is failing, checked 12:16; a\n" in output
    assert "2 more sectors cannot be read, 8 in all\n  check your backup" in output
    assert "  Extended offline  at 61,700 h  Completed: read failure\n" in output


def test_a_drive_that_was_never_checked() -> None:
    output = detail("nvme0n1")
    assert "health        unknown: the drive has never been checked\n" in output
    assert "cannot be checked: Unknown USB bridge\n" in output
    assert "Attribute" not in output


def test_no_drive_at_all() -> None:
    assert "No drive" in smart_table_text([], WALL)


def test_a_self_test_that_was_started() -> None:
    red = smarts_json(smart_status())[0]
    text = self_test_started_text(red, "long")
    assert all(term in text for term in ("sda", "long", "`powerd smart sda`"))


def test_colours_mark_what_is_ill() -> None:
    marked: set[tuple[str, str]] = set()

    def paint(text: str, style: Style) -> str:
        marked.add((text.strip(), style))
        return text

    shown = smart_of(smart_status(), "sdb")
    assert shown is not None
    smart_text(shown, WALL, paint)
    smart_table_text(smarts_json(smart_status()), WALL, paint)
    assert ("alarm (testing)", "bad") in marked
    assert ("Completed: read failure", "bad") in marked
    assert ("ok", "good") in marked


@pytest.mark.parametrize("make", [smart_status, hostile_drive])
def test_every_line_fits_and_steers_nothing(make: type, columns: int) -> None:
    rows = smarts_json(make())
    texts = [smart_table_text(rows, WALL)]
    for row in rows:
        shown = smart_of(make(), row["id"])
        assert shown is not None
        texts.append(smart_text(shown, WALL))
        texts.append(self_test_started_text(row, "short"))
    for line in "".join(texts).splitlines():
        assert width(line) <= columns, line
        assert line.isprintable()
        assert line == line.rstrip()


def test_in_observe_mode_it_reports_that_no_drive_is_checked_by_itself(columns: int) -> None:
    text = smart_table_text(smarts_json(smart_status()), NOW.wall, observing=True)
    assert "`powerd smart DISK --check`" in " ".join(text.split())
    assert max(map(width, text.splitlines())) <= columns


def test_a_check_that_waits_for_its_drive_is_due() -> None:
    status = smart_status()
    late = NOW.wall + timedelta(days=2)
    row = smart_table_text(smarts_json(status)[:1], late).splitlines()[1]
    assert row.endswith("  due")
    detail = smart_of(status, "sda")
    assert detail is not None
    assert "next check    when it spins" in smart_text(detail, late)


def acknowledged() -> SmartDetailJson:
    """The drive with findings, all of which a person has acknowledged."""
    found = smart_of(smart_status(), "sdb")
    assert found is not None
    found["findings"] = [{**each, "acknowledged": True} for each in found["findings"]]
    found["health"] = "note"
    return found


def test_findings_that_stand_are_shown_with_how_to_acknowledge_them() -> None:
    found = smart_of(smart_status(), "sdb")
    assert found is not None
    assert "powerd smart sdb --acknowledge" in smart_text(found, NOW.wall)
    assert "--acknowledge" not in smart_table_text(smarts_json(smart_status()), NOW.wall)


def test_acknowledged_findings_are_shown_as_such() -> None:
    text = smart_text(acknowledged(), NOW.wall)
    assert "2 more sectors cannot be read, 8 in all (acknowledged)" in text
    assert "--acknowledge" not in text
