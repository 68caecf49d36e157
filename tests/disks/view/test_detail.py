"""The text of ``powerd disks DISK``."""

from __future__ import annotations

import pytest
from ui.disk_statuses import active, disk_status, excluded, standby, unresponsive
from ui.statuses import HOSTILE_NAME, NOW

from powerd.disks.state import DiskReport
from powerd.disks.view.detail import disk_text, find_disk
from powerd.ui.api import status_json
from powerd.ui.layout import width


def text_of(report: DiskReport) -> str:
    status = status_json(disk_status(report), NOW)
    return disk_text(status["disks"][0], status)


def test_a_disk_has_its_identity_settings_and_transitions() -> None:
    assert text_of(standby()).splitlines() == [
        "sda, WDC WD20EFRX-68EUZN0, 2 TB",
        "id          ata-WDC_WD20EFRX-68EUZN0_WCC-SDA",
        "serial      WCC-SDA",
        "bus         ata, 5,400 rpm",
        "mounted     /srv (ext4)",
        "group       md0, whose disks spin up together",
        "state       standby since 19:16, idle for 2 h",
        "spin-down   after 20 min of idle time; method command, ATA works",
        "settings    APM 128",
        "spin-ups    1 in 24 hours, spin-downs 1; the last one at 15:42",
    ]


def test_what_a_spin_down_waits_for_is_there() -> None:
    text = text_of(active())
    assert "reason      waits for 20min of idleness" in text
    assert "in 8 min, after 20 min of idle time" in text
    assert "reason      solid state" in text_of(excluded("sdd", "solid state"))


@pytest.mark.parametrize(
    "report", [active(), standby(), unresponsive(), excluded("sdd", HOSTILE_NAME, HOSTILE_NAME)]
)
def test_every_line_fits_a_terminal(report: DiskReport, columns: int) -> None:
    text = text_of(report)
    assert all(width(line) <= columns for line in text.splitlines())
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["sda", "WCC-SDA", "ata-WDC_WD20EFRX-68EUZN0_WCC-SDA"])
def test_a_disk_is_found_by_each_of_its_names(name: str) -> None:
    disks = status_json(disk_status(standby(), active()), NOW)["disks"]
    found = find_disk(disks, name)
    assert found is not None
    assert found["device"] == "sda"
    assert find_disk(disks, "sdz") is None
