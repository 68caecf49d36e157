"""Journal entries: one for each transition, and none for a decision without changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from facts import changed
from ui.statuses import HOSTILE_NAME, NOW, STATUSES, at, decision, make_status
from ui.transitions import ABSENT, HOME, OFF, UNKNOWN, person, wake_storm, woken

from powerd import __version__
from powerd.activity.model import (
    ActivityFacts,
    ActivityReport,
    ActivityRow,
    CheckId,
    CheckResult,
    CheckState,
)
from powerd.core.actions import CancelWarning, CompletedAction, WarnUsers
from powerd.core.snapshot import Reason, Status
from powerd.core.time import Reading
from powerd.power.model import NetworkCard, ShutdownInProgress, WakeEvent, WakeupCause
from powerd.presence.model import ClientState, ClientStatus, ProbeState
from powerd.ui.events import TransitionDetector, shown_values
from powerd.ui.journal import MESSAGE_IDS, make_entry


def has_terms(lines: list[str], expected: list[tuple[str, ...]]) -> bool:
    """Whether there is one line for each tuple, with its terms; the wording is in golden/transitions.txt."""
    return len(lines) == len(expected) and all(
        all(term in line for term in terms) for line, terms in zip(lines, expected, strict=True)
    )


def emitted(*rounds: Status) -> list[str]:
    """The lines of the last round."""
    detector = TransitionDetector()
    for each in rounds[:-1]:
        detector.entries(each)
    return [line.message for line in detector.entries(rounds[-1])]


@pytest.mark.parametrize("name", [name for name in STATUSES if STATUSES[name]])
def test_a_quiet_round_gives_nothing(name: str) -> None:
    given = STATUSES[name]
    assert given is not None
    detector = TransitionDetector()
    assert detector.entries(given)
    later = replace(given, now=at(60))
    assert detector.entries(given) == detector.entries(later) == []


def test_the_first_decision_is_a_line() -> None:
    (line,) = TransitionDetector().entries(make_status("awake", reasons=(Reason("tv", "is home", NOW),)))
    assert has_terms([line.message], [(__version__, "enforce", "tv", "is home")])
    assert line.fields["POWERD_EVENT"] == "start"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (make_status("awake"), make_status("idle"), [("idle",)]),
        (make_status("idle"), make_status("awake", reasons=(*HOME, *HOME)), [("awake", "tv", "1 more")]),
        (make_status("awake", reasons=HOME), make_status("awake"), []),
        (make_status("going-down"), make_status("idle"), []),
        (make_status("warning", mode="observe"), make_status("going-down", mode="observe"), []),
    ],
)
def test_phases(before: Status, after: Status, expected: list[tuple[str, ...]]) -> None:
    assert has_terms(emitted(before, after), expected)


def test_a_phase_names_its_cause() -> None:
    detector = TransitionDetector()
    detector.entries(make_status("idle"))
    [line] = detector.entries(make_status("awake", reasons=HOME))
    assert line.fields == {
        "MESSAGE_ID": MESSAGE_IDS["phase"],
        "POWERD_EVENT": "phase",
        "POWERD_SUBJECT": "tv",
        "POWERD_REASON": "is home",
    }


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([[person(1)], [person(1, ABSENT, "silent")]], [("host-1", "absent", "silent")]),
        ([[person(1, ABSENT, "silent")], [person(1)]], [("host-1", "present", "answers ping")]),
        ([[], [person(1)]], [("host-1", "present", "answers ping")]),
        ([[], [person(1, ABSENT, "silent")]], []),
        ([[person(1)], []], []),
        ([[person(1)], [], [person(1)]], [("host-1", "present", "answers ping")]),
        ([[person(1)], [person(1, UNKNOWN, "silent lately")]], []),
        (
            [[person(1)], [person(1, UNKNOWN, "silent lately")], [person(1)]],
            [],
        ),
        (
            [[person(1)], [person(1, UNKNOWN, "silent lately")], [person(1, ABSENT, "silent")]],
            [("host-1", "absent", "silent")],
        ),
        ([[person(1)], [replace(person(1, UNKNOWN), probe=ProbeState.SKIPPED)]], []),
        ([[person(1)], [person(1, UNKNOWN, "no route")]], [("host-1", "unknown", "no route")]),
        (
            [[person(1)], [person(1, UNKNOWN, "no route")], [person(1)]],
            [("host-1", "present", "answers ping")],
        ),
        ([[person(1)], [replace(person(1, ABSENT), blocks_sleep=False)]], []),
    ],
)
def test_clients(rounds: list[list[ClientStatus]], expected: list[tuple[str, ...]]) -> None:
    assert has_terms(emitted(*(make_status(statuses=people) for people in rounds)), expected)


def test_a_clients_line_has_its_fields() -> None:
    detector = TransitionDetector()
    detector.entries(make_status(statuses=[person(1, ABSENT)]))
    [line] = detector.entries(make_status(statuses=[person(1)]))
    assert line.fields == {
        "MESSAGE_ID": MESSAGE_IDS["client"],
        "POWERD_EVENT": "client",
        "POWERD_CLIENT": "02:00:00:00:00:01",
        "POWERD_SUBJECT": "host-1",
        "POWERD_REASON": "answers ping",
    }
    assert line.priority == 6


def test_many_clients_share_a_line() -> None:
    few = [person(n) for n in range(3)]
    assert len(emitted(make_status(), make_status(statuses=few))) == 3
    many = [person(n) for n in range(30)]
    lines = emitted(make_status(), make_status(statuses=many))
    assert has_terms(lines, [("30", "present", "host-0, host-1, host-2 and 27 more")])
    assert "host-3" not in lines[0]


def with_checks(**states: CheckState) -> Status:
    given = make_status()
    results = {CheckId(name): CheckResult(NOW.mono, state, reason="why") for name, state in states.items()}
    rows = tuple(
        ActivityRow(name, None, each.state, each.reason, keeps_awake=False) for name, each in results.items()
    )
    return replace(
        given,
        snapshot=given.snapshot.with_parts(ActivityFacts(results)),
        decision=given.decision.with_parts(ActivityReport(rows)),
    )


def test_a_check_that_does_not_apply_is_one_line_for_ever() -> None:
    ok, missing = CheckState.MEASURED, CheckState.NOT_APPLICABLE
    first, second = with_checks(a=ok, b=missing, c=missing), with_checks(a=missing, b=missing, c=ok)
    (line,) = emitted(make_status(), first)
    assert "b, c" in line
    (line,) = emitted(make_status(), first, second)
    assert ": a;" in line
    assert emitted(make_status(), first, second, first) == []


def test_a_failed_check_is_one_line_at_failure_and_one_at_recovery() -> None:
    ok, failed = with_checks(a=CheckState.MEASURED), with_checks(a=CheckState.FAILED)
    assert emitted(ok, failed) == ["a: why"]
    assert emitted(ok, failed, failed) == []
    assert has_terms(emitted(ok, failed, ok), [("a: ", "again")])


def test_a_failed_source_is_one_line_at_failure_and_one_at_recovery() -> None:
    seen = make_status(statuses=[person(n) for n in range(30)])
    unavailable = make_status(statuses=[person(n, UNKNOWN, "no socket") for n in range(30)], why="no socket")
    assert emitted(seen, unavailable) == ["clients: no socket"]
    assert emitted(seen, unavailable, unavailable) == []
    assert has_terms(emitted(seen, unavailable, seen), [("clients: ", "again")])
    left = make_status(statuses=[person(0, ABSENT, "silent"), *(person(n) for n in range(1, 30))])
    expected = [("clients: ", "again"), ("host-0", "absent", "silent")]
    assert has_terms(emitted(seen, unavailable, left), expected)


def test_another_reason_for_the_same_failure_is_no_transition() -> None:
    assert emitted(make_status(why="no socket"), make_status(why="no route")) == []


def test_another_reason_with_a_date_of_its_own_is_not_a_louder_one() -> None:
    later = replace(
        make_status(why="no socket"), decision=decision("awake", (Reason("clients", "no socket!", at(9)),))
    )
    assert emitted(make_status(why="no socket"), later) == []


def test_a_source_that_is_unavailable_from_the_start_is_reported() -> None:
    assert "clients: no socket" in emitted(make_status(why="no socket"))


def test_a_failure_at_the_start_has_one_entry() -> None:
    unavailable = make_status(why="no socket")
    failed = replace(unavailable, decision=decision("awake", (Reason("clients", "no socket", NOW),)))
    assert [text.count("no socket") for text in emitted(failed)] == [0, 1]
    other = replace(unavailable, decision=decision("awake", (Reason("tv", "is home", NOW),)))
    assert "is home" in emitted(other)[0]


def test_a_failure_whose_severity_has_risen_is_reported_once_more() -> None:
    unavailable = make_status(why="no socket")
    loud = replace(unavailable, decision=decision("awake", (Reason("clients", "STILL no socket", NOW),)))
    detector = TransitionDetector()
    detector.entries(unavailable)
    [line] = detector.entries(loud)
    assert (line.message, line.priority) == ("clients: STILL no socket", 3)
    assert detector.entries(loud) == []


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            CompletedAction(OFF, NOW.mono, ok=True, message="powered off", started_at=NOW.mono),
            [("powered off", "22 min")],
        ),
        (
            CompletedAction(OFF, NOW.mono, ok=False, message="somebody inhibits it", started_at=NOW.mono),
            [("not power off", "somebody inhibits it")],
        ),
        (CompletedAction(WarnUsers(0, "poweroff", 60), NOW.mono, ok=True, message="announced"), []),
        (
            CompletedAction(WarnUsers(0, "poweroff", 60), NOW.mono, ok=False, message="no terminal"),
            [("announce", "is to power off", "no terminal")],
        ),
        (CompletedAction(CancelWarning(0, "poweroff", ""), NOW.mono, ok=True, message="announced"), []),
        (
            CompletedAction(CancelWarning(0, "poweroff", ""), NOW.mono, ok=False, message="no terminal"),
            [("announce", "is not to power off", "no terminal")],
        ),
    ],
)
def test_results(result: CompletedAction, expected: list[tuple[str, ...]]) -> None:
    before, after = make_status("idle"), make_status("idle", result=result)
    assert has_terms(emitted(before, after), expected)
    assert emitted(before, after, after) == []
    again = replace(result, ended_at=result.ended_at + 900)
    lines = emitted(before, after, make_status("idle", result=again))
    assert has_terms(lines, expected), "a second one that came to the same is news"


def test_hostile_text_breaks_no_line() -> None:
    given = STATUSES["evil"]
    assert given is not None
    for line in TransitionDetector().entries(given):
        assert line.message.isprintable()
        assert all(value.isprintable() for value in line.fields.values())
    assert make_entry("client", HOSTILE_NAME, client=HOSTILE_NAME).message.isprintable()


def test_an_ended_sleep_is_reported_once_with_its_duration_and_cause() -> None:
    detector = TransitionDetector()
    before = make_status("idle")
    detector.entries(before)
    assert detector.entries(woken(before, None)) == [], "not before it is known by what"
    waking = WakeEvent(
        NOW.mono + 3, WakeupCause.ALARM, "wake-up source 00:04 (rtc_cmos); the alarm was for backup.timer"
    )
    known = woken(before, waking, 3)
    (shown,) = detector.entries(known)
    assert has_terms([shown.message], [("8 h", "alarm", waking.detail)])
    assert shown.fields == {
        "MESSAGE_ID": MESSAGE_IDS["woke"],
        "POWERD_EVENT": "woke",
        "POWERD_SUBJECT": "sleep",
        "POWERD_REASON": waking.detail,
        "POWERD_CAUSE": "alarm",
        "POWERD_SLEPT": "28800",
    }
    assert detector.entries(known) == []
    assert detector.entries(woken(before, waking, 60)) == []


@pytest.mark.parametrize(
    ("why", "term"),
    [
        (WakeupCause.NETWORK, "network"),
        (WakeupCause.BUTTON, "button"),
        (WakeupCause.UNKNOWN, "unknown"),
    ],
)
def test_each_cause_is_reported(why: WakeupCause, term: str) -> None:
    before = make_status("idle")
    assert has_terms(emitted(before, woken(before, WakeEvent(NOW.mono, why))), [("8 h", term)])


def test_a_sleep_that_no_clock_shows_is_reported_too() -> None:
    before = make_status("idle")
    waking = WakeEvent(NOW.mono, WakeupCause.ALARM, clock_advanced=False)
    after = replace(before, snapshot=changed(before.snapshot, wake_event=waking))
    assert has_terms(emitted(before, after), [("less than a second", "alarm")])


def events(*rounds: Status) -> list[tuple[str, str | None]]:
    detector = TransitionDetector()
    lines = [line for each in rounds for line in detector.entries(each)]
    return [(line.fields["POWERD_EVENT"], line.fields.get("POWERD_REASON")) for line in lines]


def test_a_sleep_is_a_warning_a_suspend_and_a_wake_up_each_with_its_cause() -> None:
    quiet = Reason("sleep rule 1", "quiet", NOW, blocks_sleep=False)
    event = Reason("sleep", "about to suspend", NOW)
    before = make_status("idle")
    scenario = [before, make_status("warning", reasons=(quiet,)), make_status("going-down", reasons=(event,))]
    after = woken(make_status("awake", reasons=HOME), WakeEvent(NOW.mono + 2, WakeupCause.NETWORK))
    assert events(*scenario, after)[1:] == [
        ("warning", quiet.text),
        ("going-down", event.text),
        ("woke", "by the network"),
        ("phase", "is home"),
    ]


def test_a_wake_storm_is_reported_once() -> None:
    before, after = wake_storm()
    assert has_terms(emitted(before, after), [("3 times", "1 h")])
    assert emitted(before, after, replace(after, now=at(60))) == []
    assert any("3 times" in line for line in emitted(after)), "by what the boots before have left"


def test_a_sleep_that_somebody_else_requests_is_reported_in_observe_mode_too() -> None:
    event = Reason("sleep", "another program puts the server to sleep", NOW)
    before, after = make_status(mode="observe"), make_status("going-down", mode="observe", reasons=(event,))
    left = replace(after, snapshot=changed(after.snapshot, shutdown=ShutdownInProgress(NOW.mono, "sleep")))
    assert events(before, left)[1:] == [("going-down", event.text)]
    assert events(before, after)[1:] == [], "the result of the action reports what would have been done"


@pytest.mark.parametrize("blocks_sleep", [False, True])
def test_a_broker_that_cannot_be_reached_is_reported_once(*, blocks_sleep: bool) -> None:
    def given(seconds: float) -> Status:
        return make_status(reasons=(Reason("mqtt", "login refused", at(-seconds), blocks_sleep),))

    detector = TransitionDetector()
    detector.entries(given(0))
    assert detector.entries(given(59)) == [], "after a wake-up the network takes a moment"
    (entry,) = detector.entries(given(60))
    assert (entry.message, entry.priority) == ("mqtt: login refused", 4)
    assert detector.entries(given(120)) == []


def test_what_the_machine_s_own_sources_warn_of_is_reported_once() -> None:
    cannot = Reason("logind", "rule 1 fails", NOW, blocks_sleep=False)
    unarmed = Reason("eth0, eth1", "only its power button wakes the server", NOW, blocks_sleep=False)
    passing = Reason("wake", "sleeps until 06:28 at most", NOW, blocks_sleep=False)
    clients = Reason("tv", "is always on", NOW, blocks_sleep=False)
    given = make_status(reasons=(*HOME, cannot, unarmed, passing, clients))
    cards = {name: Reading(NOW.mono, NetworkCard(name, "g", "")) for name in ("eth0", "eth1")}
    given = replace(given, snapshot=changed(given.snapshot, network_cards=cards))
    detector = TransitionDetector()
    _, first, second = detector.entries(given)
    assert (first.message, first.priority) == ("logind: rule 1 fails", 4)
    assert (second.fields["POWERD_EVENT"], second.fields["POWERD_SUBJECT"]) == ("remark", "eth0, eth1")
    detector.entries(make_status())
    assert detector.entries(given) == []


class CountingReasons(tuple[Reason, ...]):
    """Reasons that count how often they are iterated."""

    __slots__ = ()
    iterations = 0

    def __iter__(self) -> Iterator[Reason]:
        type(self).iterations += 1
        return super().__iter__()


@pytest.mark.parametrize("count", [2, 500])
def test_the_reasons_are_read_as_often_for_many_unknown_clients_as_for_two(count: int) -> None:
    people = tuple(person(n, UNKNOWN, "no route") for n in range(count))
    given = make_status(statuses=people)
    reasons = CountingReasons(given.decision.reasons)
    CountingReasons.iterations = 0
    entries = TransitionDetector().entries(replace(given, decision=replace(given.decision, reasons=reasons)))
    assert CountingReasons.iterations <= 5
    assert any(entry.fields["POWERD_EVENT"] == "client" for entry in entries)


def test_an_open_page_is_renewed_by_a_new_state_and_not_by_a_new_measurement() -> None:
    here = person(1)
    status = make_status("awake", (here,))
    later = make_status("awake", (replace(here, last_seen=at(5), rtt=0.1, since=at(5)),))
    assert shown_values(later) == shown_values(status)
    for changed_status in (
        make_status("idle", (here,)),
        make_status("awake", (person(1, ClientState.ABSENT),)),
    ):
        assert shown_values(changed_status) != shown_values(status)
