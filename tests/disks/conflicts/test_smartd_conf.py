from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.conflicts.smartd_conf import device_lines, disturbance

WAKES = "starts stopped disks"
LOGS = "logs that a disk is in standby, which starts the disk with the log"


def test_lines_with_a_device() -> None:
    text = "/dev/sda -a \\\n  -n standby # no comment\nDEFAULT -H\n\n/dev/sdb\nDEVICESCAN\n/dev/sdc\n"
    assert [" ".join(line.split()) for line in device_lines(text)] == [
        "/dev/sda -a -n standby",
        "/dev/sdb -H",
        "DEVICESCAN -H",
    ]


@pytest.mark.parametrize(
    ("directives", "message"),
    [
        ("", WAKES),
        ("-a -m root", WAKES),
        ("-n never", WAKES),
        ("-n never,q", WAKES),
        ("-n sleep,q", WAKES),
        ("-n standby,24,q", WAKES),
        ("-n standby,24", WAKES),
        ("-n standby", LOGS),
        ("-n idle", LOGS),
        ("-n standby,q", None),
        ("-n idle,q -m root", None),
        ("-nstandby,q", None),
        ("-n standby,q -n never", WAKES),
        ("-n never -n standby,q", None),
    ],
)
def test_what_it_does_to_a_sleeping_disk(directives: str, message: str | None) -> None:
    (line,) = device_lines(f"/dev/sda {directives}\n")
    assert disturbance(line) == message


@given(st.text(st.sampled_from("/dev DEFAULTSCAN-nq,standby#\\\n"), max_size=80))
def test_any_text_is_borne(text: str) -> None:
    assert {disturbance(line) for line in device_lines(text)} <= {WAKES, LOGS, None}
