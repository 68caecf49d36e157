from __future__ import annotations

import pytest

from powerd.disks.disk_id import DiskId
from powerd.disks.model import Disk, find_disk
from powerd.requests.model import RequestRefusedError

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
        assert str(caught.value).startswith(f'"{name}" may be sd')
        assert "sdc" in str(caught.value)
        assert "sdd" in str(caught.value)
        assert not caught.value.not_found
        assert find_disk(disks, first.id) is first
        assert find_disk(disks, second.id) is second


def test_no_disk_can_take_anothers_id_away() -> None:
    thief = Disk(DiskId("usb-THIEF"), "sdc", serial=RED.id)
    assert find_disk([thief, RED], RED.id) is RED
    assert find_disk([thief], RED.id) is thief
