"""Names of disks, and the standby timer: every second of twelve hours against the table of hdparm(8)."""

from __future__ import annotations

import math
from typing import Final

import pytest

from powerd.core.actions import RequestRefusedError
from powerd.disks.model import MAX_TIMER_SECONDS, Disk, DiskId, StandbyTimer, encode_timer, find_disk

TABLE: Final = {
    0: 0,
    **{value: value * 5 for value in range(1, 241)},
    **{value: (value - 240) * 1800 for value in range(241, 252)},
    252: 21 * 60,
    255: 21 * 60 + 15,
}
"""The manual page's own words, value by value; what it calls vendor's and reserved is left out."""
RED = Disk(DiskId("ata-RED_S1"), "sda", serial="S1")
OLD = Disk(DiskId("ata-OLD_S2"), "sdb", serial="S2")
LOOP = Disk(DiskId("loop0"), "loop0")


@pytest.mark.parametrize(
    ("name", "disk"),
    [
        ("ata-RED_S1", RED),
        ("sdb", OLD),
        ("S2", OLD),
        ("loop0", LOOP),
        ("sdz", None),
        ("s1", None),
        ("", None),
    ],
)
def test_a_disk_goes_by_any_of_its_names(name: str, disk: Disk | None) -> None:
    assert find_disk([RED, OLD, LOOP], name) is disk
    assert find_disk([], name) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Disk(DiskId("usb-A"), "sdc", serial="0123"), Disk(DiskId("usb-B"), "sdd", serial="0123")),
        (Disk(DiskId("usb-A"), "sdc", serial="sdd"), Disk(DiskId("usb-B"), "sdd")),
    ],
)
def test_an_ambiguous_name_is_refused_and_each_still_has_its_id(first: Disk, second: Disk) -> None:
    name = first.serial
    for disks in ([first, second, RED], [RED, second, first]):
        with pytest.raises(RequestRefusedError) as caught:
            find_disk(disks, name)
        assert f'"{name}"' in str(caught.value)
        assert "sdc" in str(caught.value)
        assert "sdd" in str(caught.value)
        assert not caught.value.not_found
        assert find_disk(disks, first.id) is first
        assert find_disk(disks, second.id) is second


def test_no_disk_can_take_anothers_id_away() -> None:
    thief = Disk(DiskId("usb-THIEF"), "sdc", serial=RED.id)
    assert find_disk([thief, RED], RED.id) is RED
    assert find_disk([thief], RED.id) is thief


def test_every_second_of_twelve_hours() -> None:
    """Never shorter than requested, and no longer than necessary, up to the end of the table."""
    for seconds in range(12 * 3600 + 1):
        value, really = encode_timer(seconds)
        assert TABLE[value] == really
        enough = [length for length in TABLE.values() if length >= seconds and (seconds == 0 or length > 0)]
        assert really == min(enough, default=MAX_TIMER_SECONDS), seconds


@pytest.mark.parametrize(
    ("seconds", "timer"),
    [
        (-1, (0, 0)),
        (0.1, (1, 5)),
        (600, (120, 600)),
        (601, (121, 605)),
        (1200, (240, 1200)),
        (1200.5, (252, 1260)),
        (1261, (255, 1275)),
        (1276, (241, 1800)),
        (3600, (242, 3600)),
        (3601, (243, 5400)),
        (MAX_TIMER_SECONDS, (251, MAX_TIMER_SECONDS)),
        (MAX_TIMER_SECONDS + 1, (251, MAX_TIMER_SECONDS)),
        (math.inf, (251, MAX_TIMER_SECONDS)),
    ],
)
def test_borders(seconds: float, timer: tuple[int, int]) -> None:
    assert encode_timer(seconds) == StandbyTimer(*timer)
