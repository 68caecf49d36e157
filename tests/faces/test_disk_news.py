"""Disks in the journal: one line for each spin-down and each spin-up, and none while nothing changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faces.bays import SHELVES, active, bay, hung, shelf, standby
from faces.house import EVIL, NOW, at

from powerd.faces.chronicle import Chronicle
from powerd.faces.disk_news import told
from powerd.faces.journal import MESSAGE_IDS
from powerd.model import (
    AskPower,
    DiskOrder,
    DiskReport,
    DiskState,
    Outcome,
    Snapshot,
    SpinDown,
    Status,
)

DOWN = standby()
UP = DOWN._replace(state=DiskState.ACTIVE, since=NOW, last_wake=NOW)


def lines(before: DiskReport, after: DiskReport) -> list[str]:
    return [news.message for news in told(bay(before), bay(after))]


@pytest.mark.parametrize("name", SHELVES)
def test_a_quiet_round_tells_nothing(name: str) -> None:
    given = SHELVES[name]
    if given is not None:
        assert list(told(None, given)) == []
        assert list(told(given, given)) == []


def test_what_is_plugged_in_or_found_asleep_is_no_spin_down() -> None:
    assert list(told(bay(), shelf())) == []
    assert lines(DOWN._replace(state=DiskState.UNKNOWN), DOWN) == []


@pytest.mark.parametrize("state", [DiskState.ACTIVE, DiskState.SETTLING])
def test_a_spin_down_is_one_line_when_it_is_sure(state: DiskState) -> None:
    before = DOWN._replace(state=state, since=at(-9000))
    assert lines(before, DOWN) == ["sda (WDC WD20EFRX-68EUZN0) stands by: unused for 20 min"]
    assert lines(before._replace(state=DiskState.ACTIVE), before._replace(state=DiskState.SETTLING)) == []
    assert lines(before, DOWN._replace(idle_since=None)) == ["sda (WDC WD20EFRX-68EUZN0) stands by"]


def test_a_spin_up_is_one_line_and_says_how_long_it_slept() -> None:
    assert lines(DOWN, UP) == ["sda (WDC WD20EFRX-68EUZN0) spins again after 2 h"]


def test_a_spin_down_that_somebody_broke_off_is_a_spin_up() -> None:
    assert lines(UP._replace(state=DiskState.SETTLING, last_wake=None), UP) == [
        "sda (WDC WD20EFRX-68EUZN0) spins again"
    ]


def test_up_and_down_between_two_decisions_are_both_told() -> None:
    again = DOWN._replace(state=DiskState.SLEEPING, last_wake=at(-60), since=NOW, idle_since=NOW.mono - 60)
    assert lines(DOWN, again) == [
        "sda (WDC WD20EFRX-68EUZN0) spins again after 1 h 59 min",
        "sda (WDC WD20EFRX-68EUZN0) sleeps: unused for 1 min",
    ]


def test_trouble_is_told_once_and_its_end() -> None:
    well, ill = active("sdc")._replace(last_wake=None), hung("sdc")
    (news,) = told(bay(well), bay(ill))
    assert (news.fields["POWERD_EVENT"], news.priority) == ("disk", 4)
    assert news.message == f"sdc (WDC WD20EFRX-68EUZN0) {ill.waits}"
    assert lines(ill, ill._replace(waits="does not answer")) == []
    assert lines(ill, well) == ["sdc (WDC WD20EFRX-68EUZN0) answers again"]
    assert lines(ill, well._replace(state=DiskState.EXCLUDED)) == []
    silent = well._replace(state=DiskState.UNSUPPORTED, waits="")
    assert lines(well, silent) == ["sdc (WDC WD20EFRX-68EUZN0) cannot be made to stand by"]


@pytest.mark.parametrize("state", [DiskState.UNKNOWN, DiskState.SUSPENDED, DiskState.EXCLUDED])
def test_one_that_hung_has_not_answered_while_nobody_knows_what_it_does(state: DiskState) -> None:
    """It was plugged in again, the kernel has suspended it, or a reload has excluded it."""
    assert lines(hung("sdc"), hung("sdc")._replace(state=state)) == []


@pytest.mark.parametrize("state", [DiskState.UNKNOWN, DiskState.ACTIVE])
def test_one_that_cannot_be_made_to_stand_by_never_stopped_answering(state: DiskState) -> None:
    """After a reload it is tried anew."""
    silent = active("sdc")._replace(last_wake=None, state=DiskState.UNSUPPORTED)
    assert lines(silent, silent._replace(state=state)) == []


def obeyed(order: DiskOrder, when: float, *, observe: bool = True) -> Status:
    outcome = Outcome(order, when, ok=True, observed="would have spun it down")
    given = bay(active())
    snapshot = Snapshot(disk_outcomes={(type(order), order.disk): outcome})
    return replace(given, snapshot=snapshot, mode="observe" if observe else "enforce")


def test_observe_mode_says_what_it_would_have_done_once() -> None:
    order = SpinDown(active().disk.id, "ata")
    before, first, again = bay(active()), obeyed(order, 1.0), obeyed(order, 2.0)
    assert [news.message for news in told(before, first)] == [
        "sdb (WDC WD20EFRX-68EUZN0) would have been told to stand by"
    ]
    assert list(told(first, first)) == []
    assert len(list(told(first, again))) == 1
    assert list(told(before, obeyed(order, 1.0, observe=False))) == []
    assert list(told(before, obeyed(AskPower(order.disk), 1.0))) == []


def test_the_journal_gets_it_with_the_disk_in_a_field() -> None:
    chronicle = Chronicle()
    chronicle.entries(bay(DOWN))
    (entry,) = chronicle.entries(bay(UP))
    assert entry.fields == {
        "MESSAGE_ID": MESSAGE_IDS["spin-up"],
        "POWERD_EVENT": "spin-up",
        "POWERD_DISK": DOWN.disk.id,
        "POWERD_SUBJECT": "sda",
    }
    assert chronicle.entries(bay(UP)) == []


def test_a_hostile_name_stays_on_its_line() -> None:
    bad = replace(DOWN.disk, device=EVIL, model=EVIL)
    chronicle = Chronicle()
    chronicle.entries(bay(DOWN._replace(disk=bad)))
    (entry,) = chronicle.entries(bay(UP._replace(disk=bad)))
    assert entry.message.isprintable()
    assert all(value.isprintable() for value in entry.fields.values())
