from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy.disks.shelf import DAY, HOUR, shelf_of
from policy.disks.spindle import disk
from policy.worlds import T0, moment

from powerd.model import Activity, Blind, DiskId, DiskMemory, DiskReport, DiskState, Mount, Seen
from powerd.policy.disks import book

NAME = DiskId("ata-X_1")
MEMORY = DiskMemory(
    DiskState.STANDBY,
    moment(),
    downs=(T0 - HOUR, T0 - 60),
    ups=(T0 - 1800,),
    bounces=(T0 - 1800,),
    stretch=1,
    stretched=T0 - 1800,
    worked="scsi",
    ours=True,
    barred="it vanished when it was told to stand by",
)


def kept(memory: DiskMemory = MEMORY, boot: str = "b1") -> dict[str, Any]:
    return book.dated(book.document({NAME: memory}), boot, moment())


def test_over_a_restart_everything_stands_as_it_was() -> None:
    found = book.revived(kept(), "b1", moment(T0 + 10))[NAME]
    assert found.state is DiskState.UNKNOWN, "what it does is to be asked anew"
    for name in ("downs", "ups", "bounces", "stretch", "stretched", "worked", "ours", "barred"):
        assert getattr(found, name) == getattr(MEMORY, name)


def test_over_a_reboot_civil_time_tells_how_long_ago_it_was() -> None:
    """The machine was off for an hour, and has been up for 100 s."""
    now = replace(moment(100.0), wall=moment(T0 + 3700).wall)
    found = book.revived(kept(), "b2", now)[NAME]
    assert found.downs == pytest.approx((100 - 3700 - HOUR, 100 - 3700 - 60))
    assert found.worked == "scsi"
    assert not found.ours, "the drive has lost its power"


def test_a_timer_is_forgotten_by_a_drive_that_slept_with_the_machine_meanwhile() -> None:
    assert not book.revived(kept(), "b1", moment(T0 + 10, 600.0))[NAME].ours


def test_a_timer_alone_is_worth_remembering() -> None:
    memory = DiskMemory(DiskState.ACTIVE, moment(), timer=600, ours=True)
    assert book.revived(kept(memory), "b1", moment())[NAME].ours


def test_what_is_barred_stays_so_over_a_reboot_and_is_worth_remembering_alone() -> None:
    memory = DiskMemory(DiskState.UNSUPPORTED, moment(), barred="its bridge wakes it at each question")
    assert book.revived(kept(memory), "b2", moment(T0 + 10))[NAME].barred == memory.barred


def test_a_document_of_a_powerd_that_barred_nothing_bars_nothing() -> None:
    data = kept()
    del data["disks"][NAME]["barred"]
    assert book.revived(data, "b1", moment())[NAME].barred == ""


@pytest.mark.parametrize("lacking", ["slept", "timer"])
def test_a_document_of_a_powerd_that_kept_no_timer_tells_of_none(lacking: str) -> None:
    data = kept()
    data.pop(lacking, None)
    data["disks"][NAME].pop(lacking, None)
    found = book.revived(data, "b1", moment())[NAME]
    assert (found.ours, found.worked) == (False, "scsi")


def test_a_clock_that_went_back_makes_nothing_younger_than_it_was() -> None:
    now = replace(moment(100.0), wall=moment(T0 - 90 * DAY).wall)
    found = book.revived(kept(), "b2", now)[NAME]
    assert found.downs == pytest.approx((100 - HOUR, 100 - 60))


def test_what_is_older_than_a_day_is_gone() -> None:
    assert book.revived(kept(), "b1", moment(T0 + DAY - 100))[NAME].downs == (T0 - 60,)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from(
        ["boot", "boottime", "slept", "wall", "disks", NAME, "downs", "stretch", "stretched", "barred", ""]
    ),
)
def test_whatever_the_document_says_nothing_breaks(value: object, where: str) -> None:
    data = kept()
    rows = {"": value}.get(where, data)
    if where in data:
        data[where] = value
    elif where == NAME:
        data["disks"][NAME] = value
    elif where:
        data["disks"][NAME][where] = value
    for memory in book.revived(rows, "b1", moment()).values():
        assert all(each <= T0 for each in (*memory.downs, *memory.ups, *memory.bounces))
        assert 0 <= memory.stretch <= 3


def test_a_disk_of_which_nothing_is_known_is_not_written() -> None:
    assert book.document({NAME: DiskMemory(DiskState.ACTIVE, moment())}) == {}


def test_the_document_is_the_same_until_something_has_happened() -> None:
    shelf = shelf_of(2).live(HOUR)
    first = book.document(shelf.memory.disks)
    shelf.live(5 * HOUR)
    assert book.document(shelf.memory.disks) == first
    shelf.touch(0, 5 * HOUR + 1)
    shelf.live(6 * HOUR)
    assert book.document(shelf.memory.disks) != first


def report(where: str, state: DiskState, n: int = 0, how: str = "ata", why: str | None = None) -> DiskReport:
    return DiskReport(disk(n, mounts=(Mount(where, "ext4"),), transport=how, excluded=why), state, moment())


def ssd(where: str, n: int = 0, how: str = "ata") -> DiskReport:
    return report(where, DiskState.EXCLUDED, n, how, "solid state: there is no spindle")


def usb(where: str, n: int = 0) -> DiskReport:
    """A USB disk that the configuration does not name."""
    return report(where, DiskState.EXCLUDED, n, "usb")


def mirror(first: DiskState, second: DiskState) -> tuple[DiskReport, ...]:
    """Two disks that hold one filesystem."""
    return report("/", first), report("/", second, 1)


BEFORE = 61.0


@pytest.mark.parametrize(
    ("reports", "idle", "may"),
    [
        ((), 0, False),
        ((ssd("/"),), None, True),
        ((ssd("/", how="usb"),), None, True),
        ((usb("/"),), 10, True),
        ((usb("/"),), BEFORE, False),
        ((report("/", DiskState.STANDBY),), 10, False),
        ((report("/", DiskState.UNKNOWN),), 10, False),
        ((report("/", DiskState.SETTLING),), 10, False),
        ((report("/", DiskState.ACTIVE),), 10, True),
        ((report("/", DiskState.ACTIVE),), BEFORE, False),
        ((report("/", DiskState.ACTIVE),), None, False),
        ((report("/", DiskState.UNSUPPORTED),), 10, True),
        ((report("/", DiskState.UNSUPPORTED),), BEFORE, False),
        ((ssd("/"), report("/var", DiskState.STANDBY, 1)), None, False),
        ((report("/var", DiskState.STANDBY), ssd("/", 1)), None, False),
        ((report("/", DiskState.STANDBY), ssd("/var/lib", 1)), None, True),
        (mirror(DiskState.ACTIVE, DiskState.ACTIVE), 10, True),
        (mirror(DiskState.ACTIVE, DiskState.STANDBY), 10, False),
        (mirror(DiskState.STANDBY, DiskState.UNSUPPORTED), 10, False),
        ((ssd("/"), report("/", DiskState.ACTIVE, 1)), 10, True),
        ((ssd("/"), report("/", DiskState.ACTIVE, 1)), BEFORE, False),
        ((report("/srv", DiskState.ACTIVE), usb("/var/li", 1)), BEFORE, True),
        ((report("/srv", DiskState.ACTIVE), report("/mnt", DiskState.STANDBY, 1)), 10, False),
    ],
)
def test_where_a_write_wakes_no_disk_and_keeps_none_awake(
    reports: tuple[DiskReport, ...], idle: float | None, *, may: bool
) -> None:
    """In the last two rows none of the disks holds the directory, as far as is known."""
    looks = {} if idle is None else dict.fromkeys((each.disk.id for each in reports), used(idle))
    assert book.may_write("/var/lib/powerd", reports, looks, moment()) is may


def used(ago: float, *, suspended: bool = False) -> Seen[Activity] | Blind:
    return Seen(T0, Activity(T0 - ago, suspended=suspended))


@pytest.mark.parametrize("look", [Blind(T0, "its counters cannot be read"), used(1, suspended=True)])
def test_a_disk_that_is_not_seen_to_be_awake_is_not_written_to(look: Seen[Activity] | Blind) -> None:
    reports = (usb("/"),)
    assert not book.may_write("/var/lib/powerd", reports, {reports[0].disk.id: look}, moment())


@pytest.mark.parametrize(
    ("reports", "wakes"),
    [
        ((), False),
        ((report("/srv", DiskState.STANDBY),), False),
        ((report("/", DiskState.STANDBY),), True),
        ((report("/", DiskState.SUSPENDED),), True),
        ((report("/", DiskState.ACTIVE),), False),
        ((report("/", DiskState.STANDBY), report("/var", DiskState.ACTIVE, n=1)), False),
        (mirror(DiskState.ACTIVE, DiskState.STANDBY), True),
        (mirror(DiskState.STANDBY, DiskState.UNSUPPORTED), True),
        (mirror(DiskState.ACTIVE, DiskState.ACTIVE), False),
    ],
)
def test_where_a_write_wakes_a_disk(reports: tuple[DiskReport, ...], *, wakes: bool) -> None:
    assert book.would_wake("/var/lib/powerd", reports) is wakes


@pytest.mark.parametrize(
    ("written", "known", "since"),
    [
        ({}, {}, False),
        ({}, {"a": {"downs": [1.0]}}, True),
        ({"a": {"downs": [1.0, 2.0]}}, {"a": {"downs": [2.0], "ups": [3.0]}}, False),
        ({"a": {"downs": [1.0, 2.0]}}, {"a": {"downs": [2.0, 4.0]}}, True),
        ({"a": {"downs": [1.0]}}, {"b": {"worked": "ata", "downs": []}}, False),
        ({}, {"a": {"worked": "ata"}}, False),
    ],
)
def test_a_spin_down_that_is_not_written_is_told_from_one_that_is_a_day_old(
    written: book.Book, known: book.Book, *, since: bool
) -> None:
    assert book.spun_down_since(written, known) is since
