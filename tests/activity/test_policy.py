"""Activities and failing checks keep the server awake; nothing that a check reports leads to a sleep."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from core.snapshot_strategies import T0, idle_memory, make_snapshot, moment, silent, situations
from facts import assess_all, changed, decide
from fakes.checks import BELOW, WORKS, activity_options
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.model import (
    ACTIVITY,
    Activity,
    ActivityFacts,
    ActivityReport,
    CheckId,
    CheckResult,
    CheckState,
)
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import Sleep
from powerd.core.snapshot import Decision, Memory, Snapshot
from powerd.core.time import Moment, Reading, Unavailable

NOW = moment()
OPTIONS = parse(
    b'mode = "enforce"\n[awake]\nafter_start = "0s"\n'
    b'[[sleep]]\naction = "suspend"\nidle_for = "10min"\nwarn = "0s"',
    "test",
)
IDLE = idle_memory(NOW, 3600.0)
FAILED = CheckResult(T0, CheckState.FAILED, reason="connection refused")


def decided(result: CheckResult | None, on_error: str = "awake", **of_checks: str) -> Decision:
    """The decision without a present client when the check "a" has this result."""
    options = replace(OPTIONS, activity=activity_options(["a"], on_error, **of_checks))
    facts = ActivityFacts({} if result is None else {CheckId("a"): result})
    return decide(make_snapshot({1: silent(T0, T0 - 9999)}, at=T0).with_parts(facts), IDLE, options, NOW)


def measured(*activities: Activity) -> CheckResult:
    return CheckResult(T0, CheckState.MEASURED, activities)


def blockers(decision: Decision) -> dict[str, str]:
    return {reason.subject: reason.text for reason in decision.reasons if reason.blocks_sleep}


@pytest.mark.parametrize(
    "result",
    [
        measured(),
        measured(BELOW),
        CheckResult(T0, CheckState.NOT_APPLICABLE, reason="no PSI"),
        CheckResult(T0, CheckState.DEFERRED),
    ],
)
def test_nothing_going_on(result: CheckResult) -> None:
    assert [type(action) for action in decided(result).actions] == [Sleep]


def test_an_activity_above_its_threshold() -> None:
    decision = decided(measured(BELOW, replace(WORKS, since=T0 - 100)))
    assert decision.phase == "awake"
    (reason,) = [reason for reason in decision.reasons if reason.blocks_sleep]
    assert (reason.subject, reason.text, reason.since.mono) == ("backup", "copies", T0 - 100)


def test_an_activity_keeps_its_date_although_the_wall_clock_drifts() -> None:
    began = measured(replace(WORKS, since=T0 - 100))
    first = decided(began)
    later = replace(NOW, mono=T0 + 60, wall=NOW.wall + timedelta(seconds=60.3))
    options = replace(OPTIONS, activity=activity_options(["a"]))
    snapshot = make_snapshot({}, at=T0 + 60).with_parts(ActivityFacts({CheckId("a"): began}))
    second = decide(snapshot, first.memory, options, later)
    dates = [[each.since for each in one.reasons if each.subject == "backup"] for one in (first, second)]
    assert dates[0] == dates[1]
    again = changed(snapshot, results={CheckId("a"): measured(replace(WORKS, since=T0 + 50))})
    third = decide(again, second.memory, options, later)
    assert [each.since.mono for each in third.reasons if each.subject == "backup"] == [T0 + 50]


@pytest.mark.parametrize(("result", "text"), [(FAILED, "connection refused"), (None, "not been polled")])
def test_a_check_without_a_measurement(result: CheckResult | None, text: str) -> None:
    decision = decided(result)
    assert decision.phase == "awake"
    assert text in blockers(decision)["a"]


def test_a_failed_check_blocks_also_if_it_has_measured_something() -> None:
    decision = decided(replace(FAILED, activities=(BELOW,)))
    assert "connection refused" in blockers(decision)["a"]


@pytest.mark.parametrize(
    ("on_error", "of_check", "awake"),
    [
        ("awake", {}, True),
        ("ignore", {}, False),
        ("awake", {"a": "ignore"}, False),
        ("ignore", {"a": "awake"}, True),
    ],
)
def test_what_a_failure_means(on_error: str, of_check: dict[str, str], awake: bool) -> None:  # noqa: FBT001 - a case
    decision = decided(FAILED, on_error, **of_check)
    assert bool(blockers(decision)) is awake
    assert [reason.text for reason in decision.reasons if reason.subject == "a"] == ["connection refused"]


def test_a_check_that_never_ran_is_not_ignored() -> None:
    assert decided(None, "ignore").phase == "awake"


@pytest.mark.parametrize("status", [None, Unavailable(T0, "no answer"), Reading(T0 - 181, ())])
def test_a_source_without_a_reading(status: Reading[tuple[str, ...]] | Unavailable | None) -> None:
    snapshot = make_snapshot({1: silent(T0, T0 - 9999)}, at=T0)
    sources = {key: each for key, each in snapshot.sources.items() if key != ACTIVITY}
    snapshot = replace(snapshot, sources=sources if status is None else {**sources, ACTIVITY: status})
    assert list(blockers(decide(snapshot, IDLE, OPTIONS, NOW))) == [ACTIVITY]
    old = {key: measured(WORKS) for key in snapshot.part(ActivityFacts).results}
    assert list(blockers(decide(changed(snapshot, results=old), IDLE, OPTIONS, NOW))) == [ACTIVITY]
    without = replace(OPTIONS, activity=activity_options([]))
    assert not blockers(decide(snapshot, IDLE, without, NOW)), "no check runs"


def test_the_report_has_every_check_and_every_activity() -> None:
    options = replace(OPTIONS, activity=activity_options(["a", "b", "c", "d"]))
    results = {CheckId("a"): measured(WORKS, BELOW), CheckId("b"): FAILED, CheckId("d"): measured()}
    facts = ActivityFacts(results)
    snapshot = make_snapshot({}, at=T0).with_parts(facts)
    rows = assess_all(snapshot, IDLE, options, NOW).part(ActivityReport).rows
    assert [(row.check, row.activity, row.keeps_awake) for row in rows] == [
        ("a", WORKS, True),
        ("a", BELOW, False),
        ("b", None, True),
        ("c", None, True),
        ("d", None, False),
    ]


_activities = st.builds(Activity, st.just("x"), st.just("works"), keeps_awake=st.booleans())
_results = st.one_of(
    st.builds(
        CheckResult, st.just(T0), st.just(CheckState.MEASURED), st.lists(_activities, max_size=2).map(tuple)
    ),
    st.builds(CheckResult, st.just(T0), st.sampled_from(CheckState)),
)


@given(situations(), st.none() | _results)
def test_one_more_check_never_leads_to_a_sleep(
    situation: tuple[Snapshot, Memory, Options, Moment], result: CheckResult | None
) -> None:
    snapshot, memory, options, now = situation
    before = decide(snapshot, memory, options, now)
    more = activity_options(["more"]).checks
    options = replace(options, activity=replace(options.activity, checks=(*options.activity.checks, *more)))
    results = snapshot.part(ActivityFacts).results
    if result is not None:
        results = {**results, CheckId("more"): result}
    after = decide(snapshot.with_parts(ActivityFacts(results)), memory, options, now)
    assert {each for each in after.actions if each.irreversible} <= set(before.actions)
    if result is None or result.keeps_awake or result.state is CheckState.FAILED:
        assert not any(each.irreversible for each in after.actions)


@given(situations(), st.integers(0, 99), _activities | st.none())
def test_one_more_activity_or_failure_of_a_check_never_leads_to_a_sleep(
    situation: tuple[Snapshot, Memory, Options, Moment], index: int, activity: Activity | None
) -> None:
    snapshot, memory, options, now = situation
    before = decide(*situation)
    results = dict(snapshot.part(ActivityFacts).results)
    check = sorted(results)[index % len(results)]
    old = results[check]
    results[check] = (
        replace(old, state=CheckState.FAILED)
        if activity is None
        else replace(old, activities=(*old.activities, activity))
    )
    after = decide(changed(snapshot, results=results), memory, options, now)
    assert {each for each in after.actions if each.irreversible} <= set(before.actions)
