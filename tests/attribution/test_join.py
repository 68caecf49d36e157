"""Who is named for an access, case by case, on ext4, XFS and btrfs, as the kernel fires the events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from attribution.join_cases import CASES, Scenario
from attribution.traces import (
    DEVICES,
    DISK,
    FILE,
    HELPER,
    KWORKER,
    OTHER,
    READER,
    SHELL,
    WRITER,
    data,
    delayed,
    event,
    named,
    reading,
)
from hypothesis import given
from hypothesis import strategies as st

from powerd.attribution.changes import Change
from powerd.attribution.join import join
from powerd.attribution.model import (
    Access,
    FileAccess,
    FileReading,
    TracedProcess,
    WatchLevel,
)


@pytest.mark.parametrize("case", CASES, ids=lambda scenario: scenario.name)
def test_who_is_named(case: Scenario) -> None:
    joined = join(reading(*case.events, processes=case.processes), users={1000: "alice"})
    assert named(joined.accesses, case.disk) == case.expected


@given(case=st.sampled_from(CASES), cut=st.floats(0, 450), noise=st.integers(0, 3))
def test_unrelated_events_and_the_moment_of_a_reading_change_nothing(
    case: Scenario, cut: float, noise: int
) -> None:
    """Another disk, a later time, an inode that is not written: and the events come in two readings."""
    unrelated = [
        event(99, "dirty", 105, "write", FILE, device="8:32", comm="noise"),
        event(99.5, "io", 105, "write", device="8:33", comm="noise"),
        event(98, "writeback", KWORKER, inode=FILE, device="8:32"),
        event(1000, "io", 106, "read", device="8:17", comm="late"),
    ][noise:]
    events = sorted([*case.events, *unrelated], key=lambda each: each.first_at)
    halves = (
        [each for each in events if each.first_at < cut],
        [each for each in events if each.first_at >= cut],
    )
    found: list[Access] = []
    changes: tuple[Change, ...] = ()
    for half in halves:
        joined = join(reading(*half, processes=case.processes), changes, users={1000: "alice"})
        found += joined.accesses
        changes = joined.changes
    names = {row for row in named(found, case.disk) if row[0] != "late"}
    assert {name for name, *_ in names} == {name for name, *_ in case.expected}


def test_powerd_s_own_accesses_are_its_own() -> None:
    joined = join(reading(event(100, "passthrough", HELPER, "command"), *delayed(pid=WRITER)))
    assert {access.culprit.unit: access.own for access in joined.accesses} == {
        "powerd-helper.service": True,
        "cron.service": False,
    }


def test_a_process_id_that_was_used_again() -> None:
    """The unit is that of the process with the name of the event; without one, it is unknown."""
    processes = [
        TracedProcess(300, "cron", "/system.slice/cron.service"),
        TracedProcess(300, "smbd", "/system.slice/smbd.service"),
    ]
    events = [
        event(100, "io", 300, "read", comm="cron"),
        event(5000, "io", 300, "read", comm="smbd"),
        event(6000, "io", 300, "read", comm="other"),
        event(7000, "io", SHELL, "read", comm="a thread with a name of its own"),
    ]
    found = join(reading(*events, processes=processes)).accesses
    assert [(access.culprit.comm, access.culprit.unit) for access in found] == [
        ("cron", "cron.service"),
        ("smbd", "smbd.service"),
        ("other", ""),
        ("a thread with a name of its own", "session-3.scope"),
    ]


def test_if_events_are_missing_a_change_by_another_is_possible() -> None:
    """Also in the next reading. Who submits an access himself is as sure as before."""
    changed = [event(100, "dirty", WRITER, "write", FILE), event(100, "io", READER, "read")]
    first = join(replace(reading(*changed, *data(120)), lost=1))
    assert named(first.accesses) == {
        ("cron.service", "write", "likely"),
        ("jellyfin.service", "read", "certain"),
    }
    first = join(replace(reading(*changed), lost=1))
    for lost in (0, 1):
        second = join(replace(reading(*data(133)), lost=lost), first.changes)
        assert named(second.accesses) == {("cron.service", "write", "likely")}


def test_a_late_write_is_joined_by_its_inode_but_less_sure() -> None:
    events = [event(100, "dirty", WRITER, "write", FILE), *data(500)]
    assert named(join(reading(*events)).accesses) == {("cron.service", "write", "likely")}


def test_the_same_inode_of_the_next_writer() -> None:
    """Who has changed a file before it was last written has nothing to do with the next write."""
    first = join(reading(event(100, "dirty", WRITER, "write", FILE), *data(133)))
    second = join(reading(event(200, "dirty", READER, "write", FILE), *data(233)), first.changes)
    assert named(second.accesses) == {("jellyfin.service", "write", "certain")}


def test_paths_of_the_second_helper() -> None:
    files = FileReading(
        (
            FileAccess(WRITER, "/other/disk", "attributes", FILE, "8:33"),
            FileAccess(READER, "/other/disk", "read", 0, "8:33"),
            FileAccess(WRITER, "/var/spool/cron/root", "attributes", FILE, "8:17"),
            FileAccess(READER, "/srv/a.mkv", "read", 0, "8:17"),
            FileAccess(WRITER, "/other/disk", "attributes", FILE, "8:33"),
        ),
        devices={"8:17": (DISK,), "8:33": (OTHER,)},
    )
    events = [*delayed(pid=WRITER), event(100, "io", READER, "read")]
    found = {
        (access.culprit.comm, access.path, access.level)
        for access in join(reading(*events), (), files).accesses
    }
    assert found == {
        ("cron", "/var/spool/cron/root", WatchLevel.FILES),
        ("jellyfin", "/srv/a.mkv", WatchLevel.FILES),
    }


def test_a_path_belongs_to_an_access_if_no_other_can_be_meant() -> None:
    def path_of(*accesses: FileAccess, overflow: bool = False, inode: int = 0) -> str:
        files = FileReading(accesses, overflow, {"0:41": (DISK,), "0:42": (DISK,)})
        events = [event(100, "io", READER, "read")]
        if inode:
            events = [event(100, "dirty", READER, "write", inode), *data(133, inode)]
        (access,) = join(reading(*events), (), files).accesses
        return access.path

    first, second, other = (
        FileAccess(READER, path, "read", inode, device)
        for path, inode, device in (("/a/1", 7, "0:41"), ("/a/2", 8, "0:41"), ("/b/3", 7, "0:42"))
    )
    opened = replace(other, operation="write")
    assert path_of(first) == path_of(first, first) == path_of(first, opened) == "/a/1"
    assert path_of(first, second) == "/a", "either"
    assert path_of(first, other) == path_of(second, first, other) == ""
    assert path_of(first, overflow=True) == "", "another may be missing"
    assert path_of(first, second, overflow=True, inode=7) == "/a/1"
    assert path_of(first, replace(first, path="/a/0"), inode=7) == "/a/0", "it was renamed"
    assert path_of(first, other, inode=7) == "", "of another subvolume"


def test_an_access_through_a_stack_of_devices_is_counted_once() -> None:
    events = [event(100, "io", READER, "read", device=device) for device in ("253:0", "8:16")]
    trace = replace(reading(*events), devices={**DEVICES, "253:0": (DISK,)})
    (access,) = join(trace).accesses
    assert (access.count, access.size) == (1, 4096)


def test_the_same_access_again_after_a_standby() -> None:
    """What happened before is not merged with what started the disk, nor counted for each device."""
    events = [
        event(at, "io", READER, "read", device=device) for at in (100, 900) for device in ("253:0", "8:16")
    ]
    trace = replace(reading(*events), devices={**DEVICES, "253:0": (DISK,)})
    accesses = join(trace).accesses
    assert [(access.first_at, access.count) for access in accesses] == [(100, 1), (900, 1)]


def test_changes_are_forgotten() -> None:
    many = [event(100 + n, "dirty", WRITER, "write", n + 2) for n in range(600)]
    assert len(join(reading(*many)).changes) == 300
    old = join(reading(event(100, "dirty", WRITER, "write", FILE))).changes
    assert join(reading(event(2000, "io", READER, "read")), old).changes == ()
