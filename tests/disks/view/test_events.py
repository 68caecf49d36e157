"""The journal events of disks: one line for each spin-down and spin-up, none without a change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from facts import new_snapshot
from ui.disk_statuses import DISK_STATUSES, active, disk_status, standby, unresponsive, usual_server
from ui.statuses import HOSTILE_NAME, NOW, at

from powerd.core.actions import CompletedAction
from powerd.core.snapshot import Status
from powerd.disks.model import CheckPowerMode, DiskAction, SpinDown
from powerd.disks.state import DiskReport, DiskState
from powerd.disks.view.events import disk_events
from powerd.ui.events import TransitionDetector
from powerd.ui.journal import MESSAGE_IDS

DOWN = standby()
UP = DOWN._replace(state=DiskState.ACTIVE, since=NOW, last_spin_up=NOW)


def lines(before: DiskReport, after: DiskReport) -> list[str]:
    return [news.message for news in disk_events(disk_status(before), disk_status(after))]


def has(message: str, *terms: str) -> bool:
    """Whether the message is about one of these disks, and has these terms after the name."""
    name, _, text = message.partition(" (WDC WD20EFRX-68EUZN0) ")
    return name in {"sda", "sdb", "sdc"} and all(term in text for term in terms)


@pytest.mark.parametrize("name", DISK_STATUSES)
def test_a_poll_without_changes_emits_nothing(name: str) -> None:
    given = DISK_STATUSES[name]
    if given is not None:
        assert list(disk_events(None, given)) == []
        assert list(disk_events(given, given)) == []


def test_what_is_plugged_in_or_found_asleep_is_no_spin_down() -> None:
    assert list(disk_events(disk_status(), usual_server())) == []
    assert lines(DOWN._replace(state=DiskState.UNKNOWN), DOWN) == []


@pytest.mark.parametrize("state", [DiskState.ACTIVE, DiskState.SPINNING_DOWN])
def test_a_spin_down_is_one_line_when_it_is_sure(state: DiskState) -> None:
    before = DOWN._replace(state=state, since=at(-9000))
    (message,) = lines(before, DOWN)
    assert has(message, "down", "20 min")
    assert (
        lines(before._replace(state=DiskState.ACTIVE), before._replace(state=DiskState.SPINNING_DOWN)) == []
    )
    (message,) = lines(before, DOWN._replace(idle_since=None))
    assert has(message, "down")
    assert "unused" not in message


def test_a_spin_up_is_one_line_and_reports_how_long_it_slept() -> None:
    (message,) = lines(DOWN, UP)
    assert has(message, "up after 2 h")


def test_a_spin_down_that_somebody_broke_off_is_a_spin_up() -> None:
    (message,) = lines(UP._replace(state=DiskState.SPINNING_DOWN, last_spin_up=None), UP)
    assert has(message, "up")
    assert "after" not in message


def test_up_and_down_between_two_decisions_are_both_reported() -> None:
    again = DOWN._replace(state=DiskState.SLEEPING, last_spin_up=at(-60), since=NOW, idle_since=NOW.mono - 60)
    up, down = lines(DOWN, again)
    assert has(up, "up after 1 h 59 min")
    assert has(down, "sleep mode", "1 min")


def test_an_error_is_reported_once_and_its_end() -> None:
    well, ill = active("sdc")._replace(last_spin_up=None), unresponsive("sdc")
    (news,) = disk_events(disk_status(well), disk_status(ill))
    assert (news.fields["POWERD_EVENT"], news.priority) == ("disk", 4)
    assert has(news.message, ill.reason)
    assert lines(ill, ill._replace(reason="does not answer")) == []
    (message,) = lines(ill, well)
    assert has(message, "again")
    assert lines(ill, well._replace(state=DiskState.EXCLUDED)) == []
    given_up = well._replace(state=DiskState.UNSUPPORTED, reason="cannot be spun down: refused")
    (message,) = lines(well, given_up)
    assert has(message, given_up.reason)


@pytest.mark.parametrize("state", [DiskState.UNKNOWN, DiskState.SUSPENDED, DiskState.EXCLUDED])
def test_an_unresponsive_disk_has_not_answered_while_its_state_is_unknown(state: DiskState) -> None:
    """It was plugged in again, the kernel has suspended it, or a reload has excluded it."""
    assert lines(unresponsive("sdc"), unresponsive("sdc")._replace(state=state)) == []


@pytest.mark.parametrize("state", [DiskState.UNKNOWN, DiskState.ACTIVE])
def test_one_that_cannot_be_spun_down_never_stopped_answering(state: DiskState) -> None:
    """After a reload powerd tries it again."""
    silent = active("sdc")._replace(last_spin_up=None, state=DiskState.UNSUPPORTED)
    assert lines(silent, silent._replace(state=state)) == []


def executed(action: DiskAction, when: float, *, observe: bool = True) -> Status:
    completed = CompletedAction(action, when, ok=True, message="would have spun it down")
    given = disk_status(active())
    snapshot = new_snapshot(completed_disk_actions={(type(action), action.disk): completed})
    return replace(given, snapshot=snapshot, mode="observe" if observe else "enforce")


def test_observe_mode_reports_what_it_would_have_done_once() -> None:
    action = SpinDown(active().disk.id, "ata")
    before, first, again = disk_status(active()), executed(action, 1.0), executed(action, 2.0)
    (news,) = disk_events(before, first)
    assert has(news.message, "would have", "down")
    assert list(disk_events(first, first)) == []
    assert len(list(disk_events(first, again))) == 1
    assert list(disk_events(before, executed(action, 1.0, observe=False))) == []
    assert list(disk_events(before, executed(CheckPowerMode(action.disk), 1.0))) == []


def test_the_journal_gets_it_with_the_disk_in_a_field() -> None:
    journal_events = TransitionDetector()
    journal_events.entries(disk_status(DOWN))
    (entry,) = journal_events.entries(disk_status(UP))
    assert entry.fields == {
        "MESSAGE_ID": MESSAGE_IDS["spin-up"],
        "POWERD_EVENT": "spin-up",
        "POWERD_DISK": DOWN.disk.id,
        "POWERD_SUBJECT": "sda",
    }
    assert journal_events.entries(disk_status(UP)) == []


def test_a_hostile_name_stays_on_its_line() -> None:
    bad = replace(DOWN.disk, device=HOSTILE_NAME, model=HOSTILE_NAME)
    journal_events = TransitionDetector()
    journal_events.entries(disk_status(DOWN._replace(disk=bad)))
    (entry,) = journal_events.entries(disk_status(UP._replace(disk=bad)))
    assert entry.message.isprintable()
    assert all(value.isprintable() for value in entry.fields.values())
