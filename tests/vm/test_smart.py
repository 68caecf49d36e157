"""Drives are checked while they spin, a failing one raises one alarm, and smartd(8) finds no more."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
from rig.wait import until
from vm.drives import Drive, Drives, Event
from vm.drives_data import array, read
from vm.drives_watch import EVERY, config, states
from vm.lab import Lab
from vm.server import STALL, Server
from vm.service import Powerd
from vm.smartd import smartd_errors

pytestmark = pytest.mark.vm

AFTER: Final = 12
"""Seconds of idleness before a spin-down."""
OFTEN: Final = 75
"""Seconds between two checks, instead of a day."""
ROUNDS: Final = 8
SOON: Final = 400
"""Seconds within which four drives are checked and spun down on a slow emulated processor."""
ALERTS: Final = "/var/lib/powerd/alerts"
HOOK: Final = f"cat >> {ALERTS}; echo >> {ALERTS}"
CHECK: Final = "smart-status"
"""Only a full check reads the overall health; before each spin-down powerd asks for a running self-test."""
AGED: Final = {"crc": 4, "errors": 3, "failed_tests": 1, "temperature": 61}
"""Traits of a drive that was healthy before."""


class DriveBays(NamedTuple):
    """A mirror, a drive that is used now and then, and one that is failing."""

    left: Drive
    right: Drive
    alone: Drive
    failing: Drive


def smart_config(defer: int) -> str:
    often = f'every = "{OFTEN}s"\nmax_defer = "{defer}s"\nself_test = {{ short = "0s", long = "0s" }}'
    alert = f"[hooks]\nalert = {json.dumps(['/bin/sh', '-c', HOOK])}"
    return f"{config(AFTER, smart=often)}\n{alert}\n"


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Server]:
    """The server, on which one daemon runs during all tests of this file."""
    yield lab.server()
    lab.tidy()


@pytest.fixture(scope="module")
def powerd(server: Server) -> Powerd:
    return Powerd(server)


@pytest.fixture(scope="module")
def drive_set(server: Server, drives: Drives) -> Iterator[DriveBays]:
    ill = {"smart_fails": True, "reallocated": 17, "pending": 3}
    bays = DriveBays(*drives.plug_in(left={}, right={}, alone={}, failing=ill))
    with array(server, 1, bays.left, bays.right):
        yield bays


@pytest.fixture(scope="module")
def first(powerd: Powerd, drive_set: DriveBays, server: Server) -> float:
    """powerd has seen the drives for the first time, and they are in standby; returns a time before that."""
    start = server.monotonic()
    powerd.start(smart_config(defer=24 * 3600))
    rested(server, drive_set)
    return start


def rested(server: Server, drive_set: DriveBays) -> None:
    until(
        lambda: states(server, *drive_set) == ["standby"] * 4, "powerd reports all in standby", SOON, every=1
    )


def smart(server: Server) -> dict[str, dict[str, Any]]:
    """``powerd smart --json`` by serial number."""
    entries = json.loads(server.run("powerd", "smart", "--json", check=False))
    return {drive["serial"]: drive for drive in entries}


def found(server: Server, serial: str) -> set[str]:
    """The kinds of powerd's findings about a drive."""
    return {finding["kind"] for finding in smart(server)[serial]["findings"]}


def checks(drive: Drive, since: float = 0.0) -> list[Event]:
    return [event for event in drive.log(CHECK) if event.at > since]


def test_each_is_checked_once_just_before_its_spin_down(
    server: Server, first: float, drive_set: DriveBays
) -> None:
    for drive in drive_set:
        (check,) = checks(drive, first)
        down = next(event for event in drive.log("spun down") if event.at > first)
        assert 0 < down.at - check.at <= 2 * OFTEN, "or another one would have been due"
    entries = smart(server)
    health = [entries[f"WD-{name.upper()}"]["health"] for name in DriveBays._fields]
    assert health == ["ok", "ok", "ok", "alarm"], [each["error"] for each in entries.values()]


def test_the_failing_drive_alarms_once_and_is_passed_to_the_hook(
    server: Server, powerd: Powerd, first: float
) -> None:
    del first
    found = [entry.text for entry in powerd.journal() if entry.event == "finding"]
    (text,) = (text for text in found if "failing" in text)
    assert "; " in text, "the finding, and the advice"
    assert len(found) == len(set(found))
    alerts = [json.loads(line) for line in server.run("cat", ALERTS).splitlines()]
    assert len(alerts) == len(found)
    assert {alert["serial"] for alert in alerts} == {"WD-FAILING"}
    assert {"verdict", "attribute 5", "pending"} <= {alert["kind"] for alert in alerts}
    assert alerts[0]["severity"] == "alarm"
    urgent = server.run("journalctl", "--unit=powerd", "--priority=3", "--output=cat")
    assert "it is failing" in urgent


def test_a_sleeping_drive_is_not_asked_though_its_check_is_due(
    server: Server, powerd: Powerd, first: float, drive_set: DriveBays
) -> None:
    del first
    last = max(checks(drive)[-1].at for drive in drive_set)
    until(lambda: server.monotonic() > last + OFTEN, "all are due", every=1)
    before = [drive.state() for drive in drive_set]
    entries = powerd.journal()
    time.sleep(ROUNDS * EVERY)
    assert [drive.state() for drive in drive_set] == before, "not one command, and its start count stands"
    assert powerd.journal() == entries
    assert states(server, *drive_set) == ["standby"] * 4


def test_one_that_is_used_is_checked_once_and_the_others_are_not(
    server: Server, powerd: Powerd, first: float, drive_set: DriveBays
) -> None:
    del first
    start, before = server.monotonic(), [drive.state().starts for drive in drive_set]
    entries = len(powerd.journal())
    read(server, drive_set.alone.path)
    until(lambda: not drive_set.alone.rests(), "it spins")
    until(drive_set.alone.rests, "it stands still again", within=SOON, every=0.5)
    rested(server, drive_set)
    (check,) = checks(drive_set.alone, start)
    (down,) = (event for event in drive_set.alone.log("spun down") if event.at > start)
    assert check.at < down.at
    assert [drive.state().starts for drive in drive_set] == [*before[:2], before[2] + 1, before[3]]
    assert not any(checks(drive, start) for drive in drive_set if drive is not drive_set.alone)
    assert not any(entry.event == "finding" for entry in powerd.journal()[entries:])


def test_after_max_defer_there_is_one_wake_for_a_whole_group(
    server: Server, powerd: Powerd, first: float, drive_set: DriveBays
) -> None:
    """A restarted powerd knows when each drive was checked, and what it has reported."""
    del first
    now, before = server.monotonic(), [drive.state().starts for drive in drive_set]
    ages = [now - checks(drive)[-1].at for drive in drive_set]
    oldest = max(ages[0], ages[1], ages[3])
    assert oldest - ages[2] > 2 * EVERY
    powerd.start(smart_config(defer=int(oldest) + 15))
    mirror = (drive_set.left, drive_set.right)
    until(lambda: all(checks(drive, now) for drive in mirror), "both have been woken", within=SOON, every=0.5)
    ups = [next(event for event in drive.log("spun up") if event.at > now) for drive in mirror]
    assert abs(ups[0].at - ups[1].at) < 5 + STALL
    assert all(up.what.startswith("spun up: smart") for up in ups)
    rested(server, drive_set)
    assert [drive.state().starts for drive in mirror] == [starts + 1 for starts in before[:2]]
    assert all(len(checks(drive, now)) == 1 for drive in mirror)
    assert not any(entry.event == "finding" for entry in powerd.journal()), "it has been reported before"


def test_it_finds_whatever_smartd_finds(
    server: Server, drives: Drives, first: float, drive_set: DriveBays
) -> None:
    """About drives that have failed before the start, and one that fails later."""
    del first
    (ageing,) = drives.plug_in(ageing={})
    until(lambda: smart(server).get("WD-AGEING", {}).get("health") == "ok", "it is checked", SOON, every=1)
    before = smartd_errors(server, *drive_set, ageing)
    assert {name for name, kinds in before.items() if kinds} == {"failing"}
    assert {"verdict", "attribute 5", "pending", "uncorrectable"} <= before["failing"]
    assert before["failing"] <= found(server, "WD-FAILING")

    ageing.become(**AGED)
    after = smartd_errors(server, ageing)
    assert after["ageing"] == {"self-test", "errors", "temperature", "crc"}
    read(server, ageing.path)
    server.run("powerd", "smart", ageing.id, "--check", check=False, within=SOON)
    until(lambda: after["ageing"] <= found(server, "WD-AGEING"), "powerd has found it too", every=1)
