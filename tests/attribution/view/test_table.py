"""The texts of ``powerd wakes``; their wording is in tests/ui/golden/wakes.txt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from ui.disk_statuses import active, standby
from ui.statuses import NOW
from ui.wake_statuses import CRON, JELLYFIN, SDB, WAKE_STATUSES, access, watched, woken

from powerd.attribution.model import Access, AttributionReport, Culprit
from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.attribution.view.table import (
    busy_text,
    common_path,
    culprit_name,
    frequency_text,
    group_wakes,
    place_text,
    process_text,
    rate_text,
    use_sentences,
    users_text,
    wakes_text,
)
from powerd.ui.api import status_json
from powerd.ui.layout import Style, width
from powerd.ui.schema import AccessJson
from powerd.ui.status import status_text

HOUR = 3600.0


def row(given: Access) -> AccessJson:
    rows = accesses_json(watched(AttributionReport(busy=(given,))), NOW)
    assert rows is not None
    return rows[0]


def test_the_time_of_an_access_includes_the_time_asleep_since_then() -> None:
    wall = NOW.wall + timedelta(hours=8, minutes=1)
    later = replace(NOW, mono=NOW.mono + 60, slept=NOW.slept + 8 * HOUR, wall=wall)
    (before,), (after,) = (
        accesses_json(watched(AttributionReport(busy=(access(),))), now) or [] for now in (NOW, later)
    )
    assert (after["since"], after["last"]) == (before["since"], before["last"])


def in_colour(text: str, _style: Style) -> str:
    return f"\x1b[1m{text}\x1b[0m"


@pytest.mark.parametrize("name", WAKE_STATUSES)
@pytest.mark.parametrize(
    "text",
    [
        lambda given, shown: wakes_text(wakes_json(given, NOW) or [], shown),
        lambda given, shown: busy_text(accesses_json(given, NOW) or [], shown),
        lambda given, shown: users_text(accesses_json(given, NOW) or [], shown),
        lambda _given, shown: status_text(shown),
    ],
    ids=["wakes", "busy", "users", "status"],
)
def test_every_line_fits_and_steers_nothing(name: str, text: Callable[..., str], columns: int) -> None:
    output = text(WAKE_STATUSES[name], status_json(WAKE_STATUSES[name], NOW))
    for line in output.splitlines():
        assert width(line) <= columns
        assert line.isprintable()
        assert line == line.rstrip()


def test_colours_take_no_cells() -> None:
    given = woken()
    plain = wakes_text(wakes_json(given, NOW) or [], status_json(given, NOW))
    coloured = wakes_text(wakes_json(given, NOW) or [], status_json(given, NOW), in_colour)
    assert "\x1b[1m" in coloured
    assert [" ".join(line.split()) for line in plain.splitlines()] == [
        " ".join(line.replace("\x1b[1m", "").replace("\x1b[0m", "").split()) for line in coloured.splitlines()
    ]


@pytest.mark.parametrize(
    ("count", "hours", "expected"),
    [
        (1, 500, "once"),
        (2, 0.0, "2 times in 0 s"),
        (3, 5, "3 times in 5 h"),
        (24, 24, "24 times in 1 d"),
        (48, 48, "24 times a day"),
        (3, 48, "3 times in 2 d"),
        (4, 48, "2 times a day"),
        (200, 24 * 365, "200 times in 365 d"),
    ],
)
def test_how_often(count: int, hours: float, expected: str) -> None:
    assert frequency_text(count, hours * HOUR) == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], ""),
        (["/a/b"], "/a/b"),
        (["/a/b", "/a/b"], "/a/b"),
        (["/srv/a/1", "/srv/a/2", "/srv/b"], "/srv"),
        (["/a/1", "/a/1", "/b/2", "/c"], "/a/1 and 2 more"),
        (["log", "/var/log"], "log and 1 more"),
        (["/", "/a"], "/ and 1 more"),
    ],
)
def test_where(paths: list[str], expected: str) -> None:
    assert common_path(paths) == expected


@pytest.mark.parametrize(
    ("count", "seconds", "operation", "expected"),
    [
        (180, HOUR, "read", "3 reads/min"),
        (60, HOUR, "write", "1 write/min"),
        (40, HOUR, "flush", "1 flush/min"),
        (20, HOUR, "flush", "20 flushes in 1 h"),
        (1, 5.0, "read", "1 read/min"),
        (1, 300.0, "delete", "1 deletion in 5 min"),
        (3, 30 * 60, "attributes", "3 changes of attributes in 30 min"),
        (7, 30 * 60, "", "7 accesses in 30 min"),
    ],
)
def test_rates(count: int, seconds: float, operation: str, expected: str) -> None:
    given = row(access(count=count, first_at=NOW.mono - seconds, operation=operation))
    assert rate_text(given, NOW.wall) == expected


@pytest.mark.parametrize(
    ("culprit", "name", "process"),
    [
        (CRON, "cron.service", "cron 812"),
        (Culprit("docker-1.scope", "nginx", 5, "container web"), "container web", "nginx 5"),
        (Culprit("syncthing.service", "syncthing", 6, "alice"), "syncthing.service (alice)", "syncthing 6"),
        (Culprit("session-3.scope", "bash", 7, "alice's session 3"), "alice's session 3", "bash 7"),
        (Culprit(comm="rsync"), "rsync", "rsync"),
        (Culprit("smbd.service"), "smbd.service", "-"),
        (Culprit(), "unknown", "-"),
    ],
)
def test_a_culprit_is_named_by_what_is_known(culprit: Culprit, name: str, process: str) -> None:
    given = row(access(culprit))
    assert (culprit_name(given), process_text(given)) == (name, process)
    assert culprit_name(row(access(culprit, own=True))) == "powerd itself"


def test_a_file_is_named_by_its_path_or_its_inode() -> None:
    assert place_text(row(access(path="/etc/x"))) == "/etc/x"
    assert place_text(row(access(inode=42))) == "inode 42"
    assert place_text(row(access(inode=0))) == ""


def test_groups_are_by_disk_and_culprit_and_the_most_frequent_comes_first() -> None:
    groups = group_wakes(wakes_json(woken(), NOW) or [], NOW.wall)
    assert [(group.disk, group.name) for group in groups] == [
        ("sda", "cron.service"),
        ("sda", "container web"),
        ("sdb", "unknown"),
        ("sda", "rsync"),
    ]
    assert groups[0].last["at"] == "2026-01-12T21:01:00+01:00"


def used(*accesses: Access) -> list[str]:
    given = watched(AttributionReport(busy=accesses), standby("sda"), active("sdb"))
    return use_sentences(accesses_json(given, NOW) or [], status_json(given, NOW)["disks"], NOW.wall)


def test_who_keeps_a_spinning_disk_from_standby() -> None:
    busy = access(JELLYFIN, disk=SDB, count=180)
    (sentence,) = used(busy)
    assert sentence.startswith("sdb: ")
    assert sentence.endswith("jellyfin.service, 3 reads/min")
    assert used(busy, access(disk=SDB, count=2))[0].endswith("and 1 more")
    long_ago = access(JELLYFIN, disk=SDB, last_at=NOW.mono - 1200.0)
    for does_not_count in (access(), access(JELLYFIN, disk=SDB, own=True), long_ago):
        assert used(does_not_count) == []


def test_of_many_users_the_first_are_listed_and_the_others_counted() -> None:
    many = tuple(access(Culprit(f"job-{n}.service"), disk=SDB, count=100 - n) for n in range(40))
    given = watched(AttributionReport(busy=many))
    text = busy_text(accesses_json(given, NOW) or [], status_json(given, NOW))
    assert "job-4.service" in text
    assert "job-5.service" not in text
    assert "35 of sdb" in text
