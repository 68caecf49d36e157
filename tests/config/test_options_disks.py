from __future__ import annotations

import pytest

from powerd.config.disk_options import DiskSettings, parse_disk_pattern, settings_for_disk
from powerd.config.load import parse
from powerd.disks.model import DiskId

NAME, MODEL, SERIAL = DiskId("ata-WDC_WD20EFRX-68EUZN0_WD-1"), "WDC WD20EFRX-68EUZN0", "WD-1"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("ata-WDC_WD20EFRX*", True),
        ("/dev/disk/by-id/ata-WDC_WD20EFRX*", True),
        ("ata-WDC_WD20EFRX", False),
        ("wdc wd20efrx*", True),
        ("WDC_WD20EFRX-68EUZN0", True),
        ("WD-1", True),
        ("WD-2", False),
        ("*", True),
    ],
)
def test_what_a_pattern_fits(text: str, *, fits: bool) -> None:
    assert parse_disk_pattern(text).matches(NAME, MODEL, SERIAL) is fits
    assert str(parse_disk_pattern(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "matches nothing"),
        ("sda", "another disk after the next boot"),
        ("/dev/nvme0n1", "after the next"),
    ],
)
def test_what_is_no_pattern(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_disk_pattern(text)


def plan(text: str) -> DiskSettings:
    return settings_for_disk(parse(text.encode(), "f").disks, NAME, MODEL, SERIAL)


def test_an_empty_configuration_gives_the_documented_defaults() -> None:
    assert plan("") == DiskSettings(
        spin_down_after=1200,
        set_by_rule=False,
        method="command",
        max_spin_downs_per_day=24,
        apm=None,
        usb=False,
    )


def test_the_first_matching_rule_counts_and_leaves_unset_keys_open() -> None:
    text = """
[disks]
method = "both"
usb = true
[[disks.rule]]
match = ["other*"]
apm = 1
[[disks.rule]]
match = ["nobody", "WD-1"]
spin_down_after = "0s"
max_spin_downs_per_day = 3
usb = false
[[disks.rule]]
match = ["*"]
method = "timer"
"""
    assert plan(text) == DiskSettings(
        spin_down_after=0, set_by_rule=True, method="both", max_spin_downs_per_day=3, apm=None, usb=False
    )


def test_a_time_is_chosen_for_a_disk_by_the_rule_that_counts_for_it() -> None:
    rules = [f'[[disks.rule]]\nmatch = ["{match}"]\n' for match in ("WD-1", "*")]
    assert not plan(f'[disks]\nspin_down_after = "1h"\n{rules[0]}apm = 127').set_by_rule
    assert not plan(f'{rules[0]}apm = 127\n{rules[1]}spin_down_after = "1h"').set_by_rule
    assert plan(f'{rules[1]}spin_down_after = "20min"').set_by_rule, (
        "as long as for all others, but said of it"
    )
