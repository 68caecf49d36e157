"""Sleeps, attempts and would-be sleeps, from tables of Statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from history.histories import BEGIN, moment, status

from powerd.config.load import parse
from powerd.core.actions import CancelWarning, CompletedAction, Sleep, WakeTime, WarnUsers
from powerd.core.snapshot import Status
from powerd.history.model import SERVER, Changes, SleepRecord, State, StateChange, Subject
from powerd.history.policy_record import begin
from powerd.history.policy_sleeps import (
    SleepTracker,
    continue_after_start,
    end_at_stop,
    track_sleeps,
    with_ends,
)
from powerd.power.model import ShutdownInProgress, TransitionFacts, WakeEvent, WakeupCause
from powerd.presence.model import ClientState

OPTIONS = parse(b'[[sleep]]\n[[sleep]]\ndozing = "ignored"\n', "test")
SUSPEND = Sleep(0, "suspend")
ALARM = replace(SUSPEND, wake_time=WakeTime(moment(7200), "wake.at 14:00"))
HOME = ClientState.PRESENT
SHUTDOWN = ShutdownInProgress(1102.0, "sleep")
WOKEN = WakeEvent(1110.0, WakeupCause.NETWORK, "eth0")


def track(statuses: Sequence[Status]) -> tuple[SleepTracker, list[SleepRecord]]:
    """The records after these decisions, by their begin; the last of each begin."""
    tracker, before, found = SleepTracker(), None, dict[float, SleepRecord]()
    for each in statuses:
        tracker, records = track_sleeps(tracker, before, each, OPTIONS)
        found |= {record.begin: record for record in records}
        before = each
    return tracker, [found[begin] for begin in sorted(found)]


def test_a_sleep_by_a_rule_and_who_came_after_it() -> None:
    _, (record,) = track(
        [
            status(0),
            status(101, done=(SUSPEND,)),
            status(102, "going-down", done=(SUSPEND,), done_at=101, facts=TransitionFacts(SHUTDOWN)),
            status(
                110, "starting", slept=3600, done=(SUSPEND,), done_at=101, facts=TransitionFacts(None, WOKEN)
            ),
            status(
                150,
                "awake",
                slept=3600,
                facts=TransitionFacts(None, WOKEN),
                blockers=(("clients", "?", False),),
            ),
            status(170, "awake", slept=3600, facts=TransitionFacts(None, WOKEN), phone=HOME),
            status(
                180, "awake", slept=3600, facts=TransitionFacts(None, WOKEN), blockers=(("tv", "home", True),)
            ),
        ]
    )
    assert record == SleepRecord(
        BEGIN + 102,
        "suspend",
        0,
        "enforce",
        "slept",
        end=BEGIN + 3710,
        asleep=3600.0,
        woken_by="network",
        detail="eth0",
        came_at=BEGIN + 3770,
        came="phone: home, answers ping",
    )
    assert not record.is_false


def test_a_sleep_that_another_program_requests_without_an_announcement() -> None:
    woken = WakeEvent(1010.0, WakeupCause.BUTTON)
    _, (record,) = track([status(0), status(10, slept=60, facts=TransitionFacts(None, woken))])
    assert (record.action, record.rule, record.begin, record.asleep) == ("sleep", None, BEGIN + 10, 60.0)
    assert record.woken_by == "button"


@pytest.mark.parametrize("ended", [True, False])
def test_a_sleep_in_which_powerd_is_restarted_has_one_record(*, ended: bool) -> None:
    """The sleep may be over when the next process starts."""
    stored, slept = SleepRecord(BEGIN + 2, "suspend", 0, "enforce", "slept"), 3600.0
    before = status(5, "going-down", slept=slept if ended else 0.0, facts=TransitionFacts(SHUTDOWN))
    after = status(6, slept=slept, facts=TransitionFacts(None, replace(WOKEN, at=1006.0, slept=slept)))
    recorder, entries = begin(stored, BEGIN + 2, before)
    assert all(isinstance(each, StateChange) for each in entries)
    _, (record,) = track_sleeps(recorder.tracker, before, after, OPTIONS)
    woken = replace(stored, end=BEGIN + 3606, asleep=slept, woken_by="network", detail="eth0")
    assert record == woken


def test_an_old_request_is_not_the_cause_of_the_next_sleep() -> None:
    later = ShutdownInProgress(1120.0, "sleep")
    done: dict[str, Any] = {"done": (SUSPEND,), "done_at": 101.0}
    _, records = track(
        [
            status(101, **done),
            status(102, facts=TransitionFacts(SHUTDOWN), **done),
            status(110, slept=3600, facts=TransitionFacts(None, WOKEN), **done),
            status(120, slept=3600, facts=TransitionFacts(later, WOKEN), **done),
        ]
    )
    assert [(each.action, each.rule) for each in records] == [("suspend", 0), ("sleep", None)]


def test_an_announced_sleep_that_does_not_take_place_has_failed() -> None:
    _, (record,) = track(
        [status(0), status(102, facts=TransitionFacts(SHUTDOWN)), status(130, facts=TransitionFacts())]
    )
    assert (record.result, record.end, record.asleep) == ("failed", BEGIN + 130, 0.0)


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_warning_that_was_called_off(mode: str) -> None:
    warn, cancel = WarnUsers(0, "suspend", 60.0), CancelWarning(0, "suspend", "tv: home")
    more: dict[str, Any] = {"mode": mode}
    first = status(0, "warning", done=(warn,), **more)
    second = status(30, "awake", phone=HOME, done=(cancel,), **more)
    second = replace(
        second,
        snapshot=replace(
            second.snapshot,
            completed_actions={**first.snapshot.completed_actions, **second.snapshot.completed_actions},
        ),
    )
    _, (record,) = track([first, second])
    assert (record.result, record.called_off_by, record.mode) == ("called-off", "tv: home", mode)
    assert (record.begin, record.end) == (BEGIN, BEGIN + 30)


def test_a_failed_attempt_has_its_reason() -> None:
    result = CompletedAction(SUSPEND, 1100.0, ok=False, message="logind refuses", started_at=1099.0)
    _, (record,) = track([status(0), status(101, last_sleep_result=result, failures={0: (1, 1100.0)})])
    assert (record.result, record.detail, record.begin) == ("failed", "logind refuses", BEGIN + 99)


WOULD = status(100, mode="observe", done=(ALARM,))
IDLE = status(0, mode="observe")


@pytest.mark.parametrize(
    ("following", "end", "woken_by", "came"),
    [
        (
            status(400, "awake", mode="observe", done=(ALARM,), done_at=100, phone=HOME),
            400,
            "needed",
            "phone",
        ),
        (status(400, "awake", mode="observe", blockers=(("copy", "rsync", True),)), 400, "needed", "copy"),
        (status(7230, mode="observe"), 7200, "alarm", ""),
        (status(7230, "awake", mode="observe", phone=HOME), 7200, "alarm", ""),
        (status(400, mode="enforce"), 400, "stopped", ""),
        (
            status(400, mode="observe", facts=TransitionFacts(ShutdownInProgress(1400, "sleep"))),
            400,
            "stopped",
            "",
        ),
        (status(400, "awake", mode="observe", blockers=(("clients", "not polled", False),)), None, None, ""),
        (status(400, mode="observe"), None, None, ""),
    ],
)
def test_what_would_be_slept_lasts_until(
    following: Status, end: float | None, woken_by: str | None, came: str
) -> None:
    _, (record, *_) = track([IDLE, WOULD, following])
    assert (record.result, record.mode, record.begin) == ("would-sleep", "observe", BEGIN + 100)
    assert record.end == (None if end is None else BEGIN + end)
    assert (record.woken_by, record.came.partition(":")[0]) == (woken_by, came)
    assert record.asleep == (0 if end is None else end - 100)
    assert record.is_false == bool(came)


def test_dozing_clients_end_no_sleep_of_a_rule_that_ignores_them() -> None:
    would = status(100, mode="observe", done=(replace(SUSPEND, rule=1),))
    dozing = status(
        400,
        "awake",
        mode="observe",
        phone=ClientState.DOZING,
        blockers=(("phone", "home, dozing", True),),
        unused_since=1000.0,
    )
    _, (record,) = track([IDLE, would, dozing])
    assert record.end is None


def test_what_would_be_slept_ends_with_powerd() -> None:
    tracker, _ = track([IDLE, WOULD])
    record = end_at_stop(tracker, moment(500))
    assert record is not None
    assert (record.end, record.woken_by) == (BEGIN + 500, "stopped")
    assert end_at_stop(SleepTracker(), moment(500)) is None


@pytest.mark.parametrize(
    ("action", "alarm", "booted_at", "expected"),
    [
        ("poweroff", 8000.0, 8010.0, ("poweroff", 8010.0, "alarm")),
        ("poweroff", 8000.0, 5000.0, ("poweroff", 5000.0, "unknown")),
        ("poweroff", None, 5000.0, ("poweroff", 5000.0, "unknown")),
        ("shutdown", None, 1100.0, ("reboot", 1100.0, "unknown")),
        ("shutdown", None, 9000.0, ("shutdown", 9000.0, "unknown")),
        ("suspend", None, 10.0, ("suspend", 9999.0, "unrecorded")),
        ("suspend", None, 5000.0, ("suspend", 5000.0, "unrecorded")),
    ],
)
def test_a_start_completes_the_sleep_before_it(
    action: str, alarm: float | None, booted_at: float, expected: tuple[str, float, str]
) -> None:
    last = SleepRecord(1000.0, action, 0, "enforce", "slept", alarm=alarm)
    record = continue_after_start(last, 1000.0, booted_at, 9999.0)
    assert record is not None
    assert (record.action, record.end, record.woken_by) == expected
    assert continue_after_start(record, 1000.0, booted_at, 9999.0) is None


def test_after_a_crash_a_would_be_sleep_ends_with_the_record() -> None:
    last = SleepRecord(1000.0, "suspend", 0, "observe", "would-sleep")
    record = continue_after_start(last, 4000.0, 10.0, 9999.0)
    assert record is not None
    assert (record.end, record.asleep, record.woken_by) == (4000.0, 3000.0, "stopped")


SLEPT = SleepRecord(1000.0, "suspend", 0, "enforce", "slept")
OTHER = SleepRecord(9000.0, "suspend", 0, "enforce", "slept", 9100.0, 100.0, woken_by="alarm")
PHONE_SUBJECT = Subject("client", "02:00", "phone")


@pytest.mark.parametrize(
    ("sleep", "changes", "following", "end"),
    [
        (SLEPT, [], (), None),
        (SLEPT, [(1100.0, SERVER, "stopped")], (), None),
        (SLEPT, [(1100.0, SERVER, "idle")], (), None),
        (SLEPT, [(8000.0, PHONE_SUBJECT, "present")], (), 8000.0),
        (SLEPT, [(8000.0, SERVER, "stopped"), (8500.0, SERVER, "awake")], (), 8500.0),
        (SLEPT, [], (OTHER,), 9000.0),
        (SLEPT, [(9500.0, SERVER, "awake")], (OTHER,), 9000.0),
        (SLEPT, [], (replace(OTHER, result="called-off"),), None),
        (replace(SLEPT, result="would-sleep"), [(8000.0, PHONE_SUBJECT, "present")], (), None),
        (replace(SLEPT, result="would-sleep"), [(8000.0, SERVER, "stopped")], (), 8000.0),
        (replace(SLEPT, result="would-sleep"), [], (OTHER,), 9000.0),
        (replace(SLEPT, result="failed"), [(8000.0, SERVER, "awake")], (), None),
        (replace(SLEPT, end=5000.0), [(8000.0, SERVER, "awake")], (), 5000.0),
    ],
)
def test_a_sleep_whose_last_line_is_lost_ends_when_the_record_goes_on(
    sleep: SleepRecord,
    changes: list[tuple[float, Subject, State]],
    following: tuple[SleepRecord, ...],
    end: float | None,
) -> None:
    rows = [StateChange(*each) for each in changes]
    found = with_ends((sleep, *following), Changes(rows))
    assert found[0].end == end
    assert found[1:] == following
    assert found[0].asleep == (0.0 if end is None or sleep.end else end - 1000.0)
    assert (found[0].woken_by == "unrecorded") is (end is not None and sleep.end is None)
