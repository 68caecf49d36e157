from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.load import parse as options_of
from powerd.disks.conflicts.hdparm_conf import HdparmSettings, disk_rule, parse_hdparm_conf, standby_seconds

FILE = """
## Any line that begins with a comment is ignored
quiet
apm = 254
/dev/sda {
    spindown_time = 242
    write_cache = off
}
#/dev/sdb {
#    apm = 1
#}
/dev/disk/by-id/ata-WDC_1 {
    apm = 127
    spindown_time = 12
    spindown_time = 240
}
/dev/sdc { force_spindown_time = 0 }
}
command_line {
    hdparm -q -m16 /dev/sdd
}
"""


def test_each_block_inherits_the_settings_outside_all_blocks() -> None:
    assert parse_hdparm_conf(FILE) == (
        HdparmSettings("/dev/sda", 242, 254),
        HdparmSettings("/dev/disk/by-id/ata-WDC_1", 240, 127),
        HdparmSettings("/dev/sdc", 0, 254),
    )


@given(st.text(alphabet="{}=# \n\tabc/dev019spindown_timeapm"))
def test_nothing_in_a_file_breaks_it(text: str) -> None:
    for each in parse_hdparm_conf(text):
        made = disk_rule(each, lambda _: None)
        assert not made or options_of(made.encode(), "f").disks.rule


@pytest.mark.parametrize(
    ("count", "time"),
    [
        (0, 0),
        (1, 5),
        (240, 1200),
        (241, 1800),
        (251, 19800),
        (252, 1260),
        (253, None),
        (254, None),
        (255, 1275),
    ],
)
def test_what_a_count_means(count: int, time: float | None) -> None:
    assert standby_seconds(count) == time


def test_a_rule_does_the_same_and_is_valid() -> None:
    made = disk_rule(HdparmSettings("/dev/sda", 242, 254), {"/dev/sda": "ata-WDC_2"}.get)
    assert tomllib.loads(made)["disks"]["rule"] == [
        {"match": ["ata-WDC_2"], "spin_down_after": "1h", "method": "timer", "apm": 254}
    ]
    assert options_of(made.encode(), "f").disks.rule[0].spin_down_after == 3600


def test_a_disk_that_is_not_there_is_left_to_be_named() -> None:
    made = disk_rule(HdparmSettings("/dev/sdx", 0), lambda _: None)
    assert "# /dev/sdx is not there now" in made
    assert 'spin_down_after = "0s"' in made
    assert "method" not in made


@pytest.mark.parametrize("settings", [HdparmSettings("/dev/sda"), HdparmSettings("/dev/sda", 253, 255)])
def test_nothing_to_take_over_is_no_rule(settings: HdparmSettings) -> None:
    assert disk_rule(settings, lambda _: "ata-1") == ""
