"""A disk that cannot be made to stand by stays one, whatever is heard of it, until it has a new chance."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy.disks.shelf import HOUR, MINUTE, Shelf
from policy.disks.spindle import Spindle, disk
from policy.worlds import T0, house, moment

from powerd.config import Options, parse
from powerd.model import (
    Activity,
    Answered,
    AskPower,
    Checked,
    CheckHealth,
    DiskOrder,
    DiskState,
    Drive,
    Found,
    Health,
    Memory,
    Outcome,
    Power,
    ReadDrive,
    Roused,
    Seen,
    SetApm,
    SetTimer,
    Snapshot,
    SpinDown,
    StartTest,
    Trouble,
)
from powerd.model.disks import How
from powerd.policy import decide
from powerd.policy.disks import tried_anew
from powerd.policy.disks.ways import TRIES, way

DISK = disk(0, transport="usb", group="md0")
WAITS = "cannot be made to stand by: it still spun after it was told to stand by"


def given_up() -> tuple[Shelf, Spindle]:
    """After three vain spin-downs."""
    spindle = Spindle(disk(0), deaf=frozenset({"ata", "scsi"}))
    shelf = Shelf(spindle).live(2 * HOUR)
    assert (shelf.state(), shelf.report().waits) == (DiskState.UNSUPPORTED, WAITS)
    return shelf, spindle


def hear(shelf: Shelf, order: DiskOrder, found: Found, observed: str = "", *, ok: bool = False) -> None:
    outcome = Outcome(order, shelf.now.mono, ok, observed, found=found)
    outcomes = {**shelf.snapshot.disk_outcomes, (type(order), order.disk): outcome}
    shelf.snapshot = replace(shelf.snapshot, disk_outcomes=outcomes)


@pytest.mark.parametrize("trouble", Trouble)
@pytest.mark.parametrize("order", [CheckHealth(disk(0).id), StartTest(disk(0).id, "short")])
def test_what_a_check_comes_to_changes_nothing(order: CheckHealth | StartTest, trouble: Trouble) -> None:
    shelf, spindle = given_up()
    hear(shelf, order, trouble, "sda has been busy for 20 s")
    log = list(spindle.log)
    shelf.live(6 * HOUR)
    assert (shelf.state(), shelf.report().waits, spindle.log) == (DiskState.UNSUPPORTED, WAITS, log)


def test_the_kernel_may_suspend_it_and_it_is_still_given_up_afterwards() -> None:
    shelf, spindle = given_up()
    shelf.when(shelf.at + 1, lambda: setattr(spindle, "suspended", True))
    shelf.live(shelf.at + 5 * MINUTE)
    assert shelf.state() is DiskState.SUSPENDED
    log = list(spindle.log)
    shelf.when(shelf.at + 1, lambda: setattr(spindle, "suspended", False))
    shelf.live(shelf.at + 3 * HOUR)
    assert (shelf.state(), shelf.report().waits, spindle.log) == (DiskState.UNSUPPORTED, WAITS, log)


def test_suspended_while_the_machine_sleeps_it_is_given_up_too() -> None:
    shelf, spindle = given_up()
    spindle.suspended = True
    shelf.live(shelf.at + 5 * MINUTE)
    shelf.sleep(HOUR)
    spindle.suspended = False
    shelf.live(shelf.at + 3 * HOUR)
    assert (shelf.state(), shelf.report().waits) == (DiskState.UNSUPPORTED, WAITS)


@pytest.mark.parametrize(
    ("transport", "worked", "ways"),
    [
        ("ata", None, ["ata", "ata", "scsi", "scsi"]),
        ("ata", "scsi", ["scsi", "scsi", "ata", "ata"]),
        ("usb", None, ["ata", "ata", "scsi", "scsi"]),
        ("sas", None, ["scsi", "scsi", "scsi", "scsi"]),
        ("sas", "ata", ["ata", "ata", "scsi", "scsi"]),
    ],
)
def test_there_is_a_way_for_any_number_of_failures(
    transport: str, worked: How | None, ways: list[How]
) -> None:
    assert [way(disk(0, transport=transport), worked, failures) for failures in range(4)] == ways


ORDERS: st.SearchStrategy[DiskOrder] = st.one_of(
    st.sampled_from([SpinDown(DISK.id, how) for how in get_args(How)]),
    st.sampled_from([AskPower(DISK.id), ReadDrive(DISK.id), SetTimer(DISK.id, 600), SetApm(DISK.id, 127)]),
    st.sampled_from([CheckHealth(DISK.id), CheckHealth(DISK.id, wake=True), StartTest(DISK.id, "short")]),
)
FOUND: st.SearchStrategy[Found | None] = st.one_of(
    st.sampled_from(Trouble),
    st.builds(Answered, st.sampled_from(Power), stopped=st.booleans()),
    st.sampled_from([None, Drive(127, apm_supported=True), Checked(Health(0, "ata", passed=True))]),
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.001, 1.0, 30.0, 90.0, 1300.0]),
        st.one_of(
            st.tuples(ORDERS, FOUND),
            st.sampled_from([(SpinDown(DISK.id, "ata"), Trouble.FAILED)]),
            st.sampled_from(["access", "suspend", "sleep", "plug", "reload", "rouse"]),
        ),
    ),
    max_size=40,
)
CONFIGS = st.builds(
    lambda mode, method: parse(
        f'mode = "{mode}"\n[disks]\nusb = true\nmethod = "{method}"\n'.encode(), "test"
    ),
    st.sampled_from(["enforce", "enforce", "observe"]),
    st.sampled_from(["command", "timer", "both"]),
)
History = list[tuple[float, tuple[DiskOrder, Found | None] | str]]


@settings(max_examples=200, deadline=None)
@given(EVENTS, CONFIGS)
def test_no_history_of_outcomes_breaks_a_decision_or_forgets_that_a_disk_was_given_up(
    history: History, options: Options
) -> None:
    """Outcomes come as they like, also of orders that nobody has given: several people and a reload may."""
    play = Play()
    for after, event in history:
        play.happens(after, event)
        decision = decide(play.snapshot, play.memory, options, moment(play.at, play.slept))
        play.memory = decision.memory
        memory = decision.memory.disks[DISK.id]
        ended = memory.failures >= TRIES or bool(memory.barred)
        if ended:
            assert memory.state in {DiskState.UNSUPPORTED, DiskState.SUSPENDED}
        if ended or play.suspended:
            assert decision.orders == ()
        if memory.barred and not play.suspended:
            assert decision.disks[0].waits == f"cannot be made to stand by: {memory.barred}"


class Play:
    """One disk, of which anything is heard."""

    def __init__(self) -> None:
        self.at, self.slept, self.ios, self.suspended = T0, 0.0, 1, False
        self.memory = Memory.newborn(moment(self.at))
        self.snapshot: Snapshot = replace(house({}, at=T0), disks={DISK.id: DISK})
        self._look(moved=True)

    def happens(self, after: float, event: tuple[DiskOrder, Found | None] | str) -> None:
        self.at += after
        moved = False
        match event:
            case "access":
                moved = True
            case "suspend":
                self.suspended = not self.suspended
            case "sleep":
                self.slept += HOUR
            case "plug":
                self.snapshot = replace(self.snapshot, disks={DISK.id: replace(DISK, seen=self.at)})
            case "reload":
                disks = {name: tried_anew(each) for name, each in self.memory.disks.items()}
                self.memory = replace(self.memory, disks=disks)
            case "rouse":
                roused = {"md0": Roused(DISK.id, (), self.at, 1.0)}
                self.snapshot = replace(self.snapshot, roused=roused)
            case (order, found):
                ok = not isinstance(found, Trouble)
                outcome = Outcome(order, self.at, ok, f"said at {self.at}", self.at - 0.5, found)
                self.snapshot = replace(self.snapshot, disk_outcomes={(type(order), DISK.id): outcome})
        self._look(moved=moved)

    def _look(self, *, moved: bool) -> None:
        self.ios += moved
        before = self.snapshot.activity.get(DISK.id)
        last = before.value.moved if isinstance(before, Seen) and not moved else self.at
        word = Seen(self.at, Activity(last, self.ios, 0, self.suspended))
        self.snapshot = replace(self.snapshot, activity={DISK.id: word})
