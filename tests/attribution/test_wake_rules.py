"""Which access is the cause of a wake."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from powerd.attribution.model import Access, Certainty, Culprit, WatchLevel
from powerd.attribution.wake_rules import first_access
from powerd.disks.model import DiskId

DISK: Final = DiskId("ata-A")


def access(  # noqa: PLR0913 - an access has these parts
    unit: str,
    at: float,
    operation: str = "read",
    certainty: Certainty = "certain",
    *,
    own: bool = False,
    level: WatchLevel = WatchLevel.TRACE,
    count: int = 1,
) -> Access:
    return Access(DISK, Culprit(unit), operation, "", 0, at, at, count, 0, certainty, level, own)


@pytest.mark.parametrize(
    ("accesses", "expected"),
    [
        ([access("b", 20), access("a", 10)], "a"),
        ([access("before", 1), access("a", 10)], "a"),
        ([access("late", 40)], None),
        ([access("smartctl", 5, "command")], "smartctl"),
        ([access("powerd", 5, "command", own=True), access("smartctl", 9, "command")], "smartctl"),
        ([access("powerd", 5, own=True), access("a", 10)], "powerd"),
        ([access("kworker", 10.0, certainty="unknown"), access("a", 10.04)], "a"),
        ([access("kworker", 10.0, certainty="unknown"), access("a", 10.2)], "kworker"),
        ([access("kworker", 10.0, certainty="unknown"), access("a", 20)], "kworker"),
        (
            [
                access("few", 3, level=WatchLevel.CGROUPS),
                access("many", 3, level=WatchLevel.CGROUPS, count=9),
            ],
            "many",
        ),
        ([replace(access("elsewhere", 10), disk=DiskId("ata-B"))], None),
    ],
)
def test_the_first_access_after_the_spin_down_counts(accesses: list[Access], expected: str | None) -> None:
    found, doubt = first_access(accesses, DISK, 3, 30)
    assert (found and found.culprit.unit, doubt) == (expected, "")


@pytest.mark.parametrize(
    ("command", "certainty"),
    [
        (access("smartctl", 1000, "command"), "likely"),
        (access("smartctl", 701, "command"), "likely"),
        (replace(access("smartctl", 500, "command"), last_at=900), "likely"),
        (access("smartctl", 600, "command"), "certain"),
        (access("smartctl", 1000.1, "command"), "certain"),
        (access("powerd", 999, "command", own=True), "certain"),
    ],
)
def test_a_command_before_the_first_access_makes_it_less_certain(
    command: Access, certainty: Certainty
) -> None:
    """It may have started the drive, unless powerd would have noticed that by then."""
    found, doubt = first_access([command, access("a", 1000)], DISK, 3, 1010)
    assert found is not None
    assert (found.culprit.unit, found.certainty, bool(doubt)) == ("a", certainty, certainty != "certain")
    assert not doubt or "smartctl" in doubt


def test_a_command_does_not_make_an_unknown_access_more_certain() -> None:
    unknown = access("", 1000, certainty="unknown")
    found, _ = first_access([access("smartctl", 999, "command"), unknown], DISK, 3, 1010)
    assert found == unknown
