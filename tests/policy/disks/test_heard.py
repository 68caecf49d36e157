"""Outcomes that a shelf of honest drives does not come by."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.disks.shelf import DAY, HOUR, shelf_of
from policy.disks.spindle import disk
from policy.worlds import T0, moment

from powerd.model import (
    Activity,
    Answered,
    AskPower,
    Checked,
    CheckHealth,
    DiskMemory,
    DiskState,
    Health,
    Outcome,
    Power,
    ReadDrive,
    Seen,
    SpinDown,
    StartTest,
    Trouble,
)
from powerd.policy.disks.heard import hear
from powerd.policy.disks.recall import recall
from powerd.policy.disks.ways import aged

DISK = disk(0)
SPINS = DiskMemory(DiskState.ACTIVE, moment(), known=T0)


def told(power: Power) -> Outcome:
    """Of an order to stand by, five seconds after T0."""
    order = SpinDown(DISK.id, "ata")
    return Outcome(order, T0 + 5, ok=True, observed="", begun=T0 + 4, found=Answered(power, stopped=True))


def test_told_to_stand_by_it_says_that_the_kernel_has_suspended_it() -> None:
    found = Answered(Power.SUSPENDED)
    heard = hear(
        SPINS,
        Outcome(SpinDown(DISK.id, "ata"), T0 + 5, ok=True, observed="", begun=T0 + 4, found=found),
        T0,
        moment(T0 + 5),
    )
    assert (heard.state, heard.downs) == (DiskState.SUSPENDED, ())


def test_what_was_only_pretended_says_nothing() -> None:
    outcome = Outcome(ReadDrive(DISK.id), T0 + 5, ok=True, observed="would have")
    assert hear(SPINS, outcome, T0, moment(T0 + 5)) == replace(SPINS, heard=T0 + 5)


def test_of_a_spin_down_that_was_only_pretended_it_is_known_when() -> None:
    outcome = Outcome(SpinDown(DISK.id, "scsi"), T0 + 5, ok=True, observed="would have", begun=T0 + 4)
    assert hear(SPINS, outcome, T0, moment(T0 + 5)) == replace(SPINS, heard=T0 + 5, pretended=T0 + 4)


def test_an_order_that_would_have_woken_it_makes_it_a_disk_to_be_asked() -> None:
    outcome = Outcome(ReadDrive(DISK.id), T0 + 5, ok=False, observed="it sleeps", found=Trouble.ASLEEP)
    heard = hear(SPINS, outcome, T0, moment(T0 + 5))
    assert (heard.state, heard.known) == (DiskState.UNKNOWN, float("-inf"))


@pytest.mark.parametrize(
    "state", [DiskState.STANDBY, DiskState.SLEEPING, DiskState.SETTLING, DiskState.SUSPENDED]
)
@pytest.mark.parametrize("order", [CheckHealth(DISK.id), StartTest(DISK.id, "short")])
def test_a_check_that_finds_it_asleep_says_nothing_new_of_one_that_is_known_to_be(
    order: CheckHealth | StartTest, state: DiskState
) -> None:
    """A person asks for its health."""
    sleeps = replace(SPINS, state=state, way="scsi")
    outcome = Outcome(order, T0 + 500, ok=False, observed="it stands by", found=Trouble.ASLEEP)
    assert hear(sleeps, outcome, T0, moment(T0 + 500)) == replace(sleeps, heard=T0 + 500)


def test_an_outcome_from_before_the_wake_up_is_taken_in_before_it() -> None:
    """Told to stand by at +5, the machine woke up at +9: it is to be put back."""
    look = Seen(T0 + 1, Activity(T0))
    recalled = recall(
        SPINS,
        DISK,
        looks=(look, look),
        outcomes=[told(Power.STANDBY)],
        roused=None,
        resumed=T0 + 9,
        now=moment(T0 + 9, 100.0),
    )
    assert (recalled.state, recalled.slept, len(recalled.downs)) == (DiskState.UNKNOWN, True, 1)


def test_asleep_and_asked_again_it_keeps_its_date() -> None:
    shelf = shelf_of(1).live(HOUR)
    since = shelf.report().since
    name = next(iter(shelf.spindles))
    later = Outcome(AskPower(name), shelf.now.mono, ok=True, observed="", found=Answered(Power.STANDBY))
    shelf.snapshot = replace(shelf.snapshot, disk_outcomes={(AskPower, name): later})
    shelf.ask()
    assert (shelf.state(), shelf.report().since) == (DiskState.STANDBY, since)


def test_a_doubling_is_taken_back_by_itself_while_the_day_s_spin_downs_stand() -> None:
    now = moment(T0 + DAY)
    stretched = replace(SPINS, stretch=2, stretched=T0, downs=(T0 + 10,))
    assert aged(stretched, now) == replace(stretched, stretch=1, stretched=T0 + DAY)


def test_one_that_has_been_asked_for_years_can_still_be_reckoned_with() -> None:
    asked = replace(SPINS, asks=24 * 365)
    outcome = Outcome(AskPower(DISK.id), T0 + 5, ok=False, observed="no state", found=Trouble.FAILED)
    assert hear(asked, outcome, T0, moment(T0 + 5)).pause < T0 + DAY


@pytest.mark.parametrize("order", [CheckHealth(DISK.id), StartTest(DISK.id, "short")])
def test_that_nobody_can_ask_for_its_health_does_not_keep_it_up(order: CheckHealth | StartTest) -> None:
    why = "smartctl is not installed; apt-get install smartmontools"
    outcome = Outcome(order, T0 + 5, ok=False, observed=why, found=Trouble.UNREACHED)
    assert hear(SPINS, outcome, T0, moment(T0 + 5)) == replace(SPINS, heard=T0 + 5)


@pytest.mark.parametrize(
    ("wake", "ok", "found", "asked"),
    [
        (True, True, Checked(Health(0, "ata", passed=True)), True),
        (True, False, Trouble.FAILED, True),
        (True, False, Trouble.BUSY, False),
        (False, True, Checked(Health(0, "ata", passed=True)), False),
        (False, False, Trouble.FAILED, False),
    ],
)
def test_a_disk_that_was_woken_for_its_check_is_asked_whether_it_spins(
    wake: bool,  # noqa: FBT001 - a table's column
    ok: bool,  # noqa: FBT001 - a table's column
    found: Checked | Trouble,
    asked: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Its counters do not show it: what reads its health passes the block layer by."""
    sleeps = replace(SPINS, state=DiskState.STANDBY)
    outcome = Outcome(CheckHealth(DISK.id, wake=wake), T0 + 5, ok=ok, observed="said", found=found)
    heard = hear(sleeps, outcome, T0, moment(T0 + 5))
    assert (heard.state, heard.known == float("-inf")) == (DiskState.STANDBY, asked)
    spins = hear(SPINS, outcome, T0, moment(T0 + 5))
    assert (spins.known, spins.read) == (SPINS.known, False), "and of its settings a check says nothing"
