"""Which disks a watched directory is on, when it may be looked up, and when its files were accessed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import pytest
from fakes.unused_ports import UnusedPorts

from powerd.attribution.model import Access, Culprit, FileAccess, FileReading, Operation, WatchLevel
from powerd.attribution.paths import join_directories
from powerd.attribution.source_directories import MAX_ACCESSES, DirectorySource
from powerd.core.time import Moment
from powerd.disks.model import Disk, DiskId, Mount
from powerd.disks.state import DiskReport, DiskState

SDA, SDB, SDC = DiskId("ata-A"), DiskId("ata-B"), DiskId("ata-C")
SINCE: Final = Moment(0.0, 0.0, datetime(2026, 1, 1, tzinfo=UTC))
POOL: Final = (Mount("/srv", "btrfs"), Mount("/srv/photos", "btrfs"))
DISKS: Final = (
    Disk(SDA, "sda", mounts=(Mount("/", "ext4"), Mount("/var", "ext4"))),
    Disk(SDB, "sdb", mounts=POOL),
    Disk(SDC, "sdc", mounts=POOL),
)


def reports(
    disks: Sequence[Disk] = DISKS, states: Mapping[DiskId, DiskState] = MappingProxyType({})
) -> list[DiskReport]:
    """The disks, all of them spinning but for ``states``."""
    return [DiskReport(disk, states.get(disk.id, DiskState.ACTIVE), SINCE) for disk in disks]


class Directories(UnusedPorts):
    """A port on which each directory and one file in it have been read."""

    def __init__(self, count: int = 1) -> None:
        self.directories: tuple[str, ...] = ()
        self.may_look_up: set[str] = set()
        self._count = count

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        self.directories, self.may_look_up = tuple(directories), set(may_look_up)
        paths = [path for each in directories for path in (each, f"{each.rstrip('/')}/file")]
        return FileReading(tuple(FileAccess(0, path, "read") for path in paths) * self._count)


@pytest.mark.parametrize(
    ("directory", "disks"),
    [
        ("/", {SDA}),
        ("/etc", {SDA}),
        ("/var/log", {SDA}),
        ("/various", {SDA}),
        ("/srv", {SDB, SDC}),
        ("/srv/photos/2026", {SDB, SDC}),
        ("/srvother", {SDA}),
    ],
)
def test_a_directory_is_on_the_disks_of_its_file_system(directory: str, disks: set[DiskId]) -> None:
    source = DirectorySource(Directories())
    source.poll((directory,), reports(), 60.0)
    accesses = source.take()
    assert {(access.disk, access.path) for access in accesses} == {
        (disk, path) for disk in disks for path in (directory, f"{directory.rstrip('/')}/file")
    }
    assert source.unwatched == ()


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({}, {"/srv/photos", "/var/log"}),
        ({SDA: DiskState.EXCLUDED}, {"/srv/photos", "/var/log"}),
        ({SDB: DiskState.STANDBY}, {"/var/log"}),
        ({SDB: DiskState.SPINNING_DOWN}, {"/var/log"}),
        ({SDA: DiskState.UNKNOWN}, {"/srv/photos"}),
        ({SDA: DiskState.SUSPENDED, SDC: DiskState.UNRESPONSIVE}, set()),
    ],
)
def test_nothing_is_looked_up_on_a_disk_that_may_not_spin(
    states: dict[DiskId, DiskState], expected: set[str]
) -> None:
    port = Directories()
    DirectorySource(port).poll(("/srv/photos", "/var/log"), reports(states=states), 60.0)
    assert port.may_look_up == expected
    assert port.directories == ("/srv/photos", "/var/log")


def test_a_directory_on_no_disk_is_not_watched() -> None:
    """On a network file system, which may hang."""
    port = Directories()
    source = DirectorySource(port)
    source.poll(("/run", "/srv"), reports(DISKS[1:]), 60.0)
    assert port.directories == ("/srv",)
    (sentence,) = source.unwatched
    assert sentence.startswith("/run is not watched")
    source.poll(("/run", "/srv"), [], 60.0)
    assert not source.unwatched, "the disks are not known yet"


def test_an_access_was_between_two_rounds() -> None:
    source = DirectorySource(Directories())
    for now in (60.0, 120.0, 180.0):
        source.poll(("/etc",), reports(), now)
    times = [(access.first_at, access.last_at) for access in source.take() if access.path == "/etc"]
    assert times == [(60.0, 60.0), (60.0, 120.0), (120.0, 180.0)]
    assert source.take() == ()


def test_a_burst_leaves_the_first_accesses_of_the_last_round() -> None:
    source = DirectorySource(Directories(MAX_ACCESSES))
    source.poll(("/etc",), reports(), 60.0)
    source.poll(("/var/log",), reports(), 120.0)
    accesses = source.take()
    assert len(accesses) == MAX_ACCESSES
    assert {access.path for access in accesses} == {"/var/log", "/var/log/file"}


def seen(path: str, operation: Operation = "read", at: float = 100.0, disk: DiskId = SDB) -> Access:
    return Access(disk, Culprit(), operation, path, first_at=at - 60, last_at=at)


FOUND: Final = Access(
    SDB,
    Culprit("jellyfin.service", "jellyfin", 7),
    "read",
    first_at=90.0,
    last_at=90.0,
    level=WatchLevel.TRACE,
)
OTHER: Final = Access(SDB, Culprit("smbd.service", "smbd", 8), "read", first_at=95.0, last_at=95.0)


@pytest.mark.parametrize(
    ("found", "accesses", "paths"),
    [
        ([FOUND], [seen("/srv/a/x")], ["/srv/a/x"]),
        ([FOUND], [seen("/srv/a/x"), seen("/srv/a/y")], ["/srv/a"]),
        ([FOUND], [seen("/srv/a/x"), seen("/srv/b/y")], [""]),
        ([FOUND], [seen("/srv/a/x", "write")], [""]),
        ([FOUND], [seen("/srv/a/x", disk=SDA)], [""]),
        ([FOUND], [seen("/srv/a/x", at=60.0)], [""]),
        ([FOUND], [seen("/srv/a/x", at=200.0)], [""]),
        ([FOUND], [], [""]),
        ([FOUND, OTHER], [seen("/srv/a/x")], ["", ""]),
    ],
)
def test_a_path_is_given_to_the_only_one_that_can_be_meant(
    found: list[Access], accesses: list[Access], paths: list[str]
) -> None:
    joined = join_directories(found, accesses, WatchLevel.TRACE)
    assert [access.path for access in joined] == paths
    assert [access.culprit for access in joined] == [access.culprit for access in found]


def test_a_path_that_is_known_stays() -> None:
    (known,) = join_directories(
        join_directories([FOUND], [seen("/srv/a/x")], WatchLevel.TRACE), [seen("/srv/b")], WatchLevel.TRACE
    )
    assert known.path == "/srv/a/x"


def test_powerd_itself_gets_no_path_and_makes_no_difference() -> None:
    own = Access(SDB, Culprit("powerd.service"), "read", first_at=90.0, last_at=90.0, own=True)
    joined = join_directories([own, FOUND], [seen("/srv/a/x")], WatchLevel.TRACE)
    assert [access.path for access in joined] == ["", "/srv/a/x"]


def test_without_any_better_level_what_was_seen_counts() -> None:
    joined = join_directories([], [seen("/srv/a/x"), seen("/srv/a/x", at=160.0)], WatchLevel.COUNTERS)
    assert [(access.path, access.count, access.first_at, access.last_at) for access in joined] == [
        ("/srv/a/x", 2, 40.0, 160.0)
    ]
    assert join_directories([], [seen("/srv/a/x")], WatchLevel.TRACE) == ()
