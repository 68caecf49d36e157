"""What ``disks`` prints."""

from __future__ import annotations

import re

import pytest
from ui.disk_statuses import DISK_STATUSES, active, disk, disk_status, standby, usual_server
from ui.statuses import NOW

from powerd.core.snapshot import Status
from powerd.disks.view.table import disks_text, method_text, settings_text, size_text
from powerd.ui.api import disks_json, status_json
from powerd.ui.layout import Style, width
from powerd.ui.status import status_text


def lines_of(given: Status | None) -> str:
    return disks_text(status_json(given, NOW))


@pytest.mark.parametrize("name", DISK_STATUSES)
def test_every_line_fits_and_steers_nothing(name: str, columns: int) -> None:
    for line in lines_of(DISK_STATUSES[name]).splitlines():
        assert width(line) <= columns
        assert line.isprintable()


def test_without_a_disk_that_could_spin_down() -> None:
    text = lines_of(None)
    assert len(text.splitlines()) == 1
    assert lines_of(DISK_STATUSES["left alone"]).startswith(text)
    assert "vda: a virtual machine's disk" in lines_of(DISK_STATUSES["left alone"])


def test_the_status_counts_those_asleep() -> None:
    assert re.search(r"^disks +2 of 4", status_text(status_json(usual_server(), NOW)), re.MULTILINE)
    assert "disks" not in status_text(status_json(DISK_STATUSES["left alone"], NOW))


def test_states_have_colours() -> None:
    def marked(text: str, style: Style) -> str:
        return f"<{style}>{text}</{style}>"

    message = disks_text(status_json(usual_server(), NOW), marked)
    assert "<good>standby</good>" in message
    assert "<bad>hung   </bad>" in message
    assert "<doubt>" not in message


def test_a_disk_that_is_due_spins_down_now() -> None:
    due = active()._replace(spin_down_at=NOW.mono - 5)
    assert "  now  " in lines_of(disk_status(due))


@pytest.mark.parametrize(
    ("about", "method_name"),
    [
        ({"verified_method": "ata"}, "ATA"),
        ({"verified_method": "scsi", "method": "both"}, "SCSI"),
        ({"verified_method": None, "method": "timer", "spin_downs": 1}, "timer"),
        ({"verified_method": None, "method": "timer", "spin_downs": 0}, "-"),
        ({"verified_method": None, "method": "command", "spin_downs": 1}, "-"),
    ],
)
def test_the_verified_method(about: dict[str, object], method_name: str) -> None:
    report = standby()._replace(**about)  # type: ignore[arg-type]  # the rows above name fields that it has
    assert method_text(disks_json(disk_status(report), NOW)[0]) == method_name


@pytest.mark.parametrize(
    ("amount", "texts"),
    [(2_000_398_934_016, "2 TB"), (18 * 10**12, "18 TB"), (500_107_862_016, "500 GB"), (8 * 10**9, "8 GB")],
)
def test_sizes_are_those_on_the_label(amount: int, texts: str) -> None:
    report = active()._replace(disk=disk("sda", size=amount))
    assert size_text(disks_json(disk_status(report), NOW)[0]) == texts


@pytest.mark.parametrize(
    ("about", "texts"),
    [
        ({"apm": 127, "standby_timer": 1275}, "APM 127, own timer 21 min"),
        ({"apm": None, "standby_timer": 1800}, "own timer 30 min"),
        ({"apm": 254, "standby_timer": 0}, "APM 254"),
        ({"apm": None, "standby_timer": None}, ""),
    ],
)
def test_what_was_really_set_is_shown(about: dict[str, object], texts: str) -> None:
    report = active()._replace(**about)  # type: ignore[arg-type]  # the rows above name fields that it has
    given = disk_status(report)
    assert settings_text(disks_json(given, NOW)[0]) == texts
    assert f"(2 TB{texts and ', '}{texts})" in lines_of(given)
