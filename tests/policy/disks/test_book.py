from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy.disks.shelf import DAY, HOUR, shelf_of
from policy.worlds import T0, moment

from powerd.model import DiskId, DiskMemory, DiskState
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
