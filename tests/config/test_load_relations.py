"""Errors of options that are valid by themselves, but not together."""

from __future__ import annotations

import pytest

from powerd.config.load import ConfigError, parse

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "12h"\n'


def keys_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "f")
    return [fault.key for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('[[sleep]]\naction = "command"\ncommand = ["true"]', ["sleep[1].command"]),
        ('[[sleep]]\naction = "nap"\ncommand = ["/bin/true"]', ["sleep[1].action"]),
        ('[[clients.name]]\nname = "tv"', ["clients.name[1].match"]),
        ('[[clients.name]]\nmatch = "10.0.0.1"', ["clients.name[1].name"]),
        ('[[clients.name]]\nmatch = "10.0.0.1"\nname = "a\\u0007"', ["clients.name[1].name"]),
        ("[[clients.class]]\nname = 3\nmatch = [4]", ["clients.class[1].name", "clients.class[1].match"]),
        (TIMER + '[[disks.rule]]\nmatch = [""]\n', ["disks.spin_down_after", "disks.rule[1].match"]),
        (
            TIMER.replace("timer", "both") + '[[disks.rule]]\nmatch = ["a"]\nmethod = "tmer"',
            ["disks.rule[1].method"],
        ),
        (TIMER.replace("12h", "12") + '[[disks.rule]]\nmatch = ["a"]\n', ["disks.spin_down_after"]),
    ],
)
def test_what_is_at_fault_by_itself_is_in_no_relation(text: str, keys: list[str]) -> None:
    assert keys_of(text) == keys
