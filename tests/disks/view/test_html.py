"""The disks on the page."""

from __future__ import annotations

import pytest
from ui.disk_statuses import DISK_STATUSES, disk_status, excluded, usual_server, waiting
from ui.statuses import NOW
from ui.test_page import PageText

from powerd.core.snapshot import Status
from powerd.disks.state import DiskState
from powerd.disks.view.html import disks_section
from powerd.ui.api import clients_json, disks_json, status_json
from powerd.ui.html import READER, STYLE
from powerd.ui.page import render_page
from powerd.ui.schema import DiskJson
from powerd.ui.status import why_text


def section_of(disks: list[DiskJson]) -> str:
    return disks_section(disks, NOW.wall, READER, health={}, week={}, notes=[])


def read(given: Status | None) -> PageText:
    return PageText(section_of(disks_json(given, NOW)))


@pytest.mark.parametrize("name", DISK_STATUSES)
def test_every_disk_page_is_well_formed_and_runs_no_script(name: str) -> None:
    assert "script" not in read(DISK_STATUSES[name]).tags


def test_a_usual_server_with_disks() -> None:
    text = read(usual_server()).text
    for part in (
        "2 of 4",
        "/srv (sda) WDC WD20EFRX-68EUZN0 · 2 TB standby",
        "/srv (sdaa)",
        "APM 128",
        "active since 20:16",
        "spins down at 21:24",
        "2 spin-ups",
        "1 spin-up, ",
        "Spun down by ATA",
        "sdd: solid state",
    ):
        assert part in text


def test_without_a_disk_that_could_spin_down_there_is_no_row() -> None:
    found = read(disk_status(excluded("vda", "a virtual machine's disk")))
    assert "li" not in found.tags
    assert "vda: a virtual machine's disk" in found.text
    assert section_of([]) == ""


def test_it_is_part_of_the_page() -> None:
    text = render_page(status_json(usual_server(), NOW), clients_json(usual_server(), NOW))
    assert section_of(disks_json(usual_server(), NOW)) in text


def test_reasons_about_a_disk_are_by_its_short_name() -> None:
    for given in (render_page(status_json(waiting(), NOW), []), why_text(status_json(waiting(), NOW))):
        shown = given.partition("<main")[2].partition('id="disks"')[0] or given
        assert "sdb" in shown
        assert "sdc" in shown
        assert "ata-" not in shown


def test_every_state_has_its_style() -> None:
    plain = {DiskState.ACTIVE, DiskState.SPINNING_DOWN, DiskState.EXCLUDED}
    for state in set(DiskState) - plain:
        assert f".{state.value}" in STYLE
