"""Turns what the checks have measured into blockers, and into a report for users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from powerd.activity.model import (
    ACTIVITY,
    Activity,
    ActivityFacts,
    ActivityReport,
    ActivityRow,
    CheckResult,
    CheckState,
)
from powerd.config.activity_options import ConfiguredCheck
from powerd.config.options import Options
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason, unavailable_reason
from powerd.core.snapshot import SourceId
from powerd.core.time import Moment, add_seconds

_MAX_AGE_IN_POLLS: Final = 3
"""Age in poll intervals from which a reading is stale."""
_NOT_POLLED: Final = "has not been polled yet"


def required_sources(options: Options) -> Mapping[SourceId, float]:
    """The source of the checks, and the age above which its reading is stale; {} if no check runs."""
    return {ACTIVITY: _MAX_AGE_IN_POLLS * options.clients.every} if options.activity.enabled_checks else {}


def assess(context: Context) -> Assessment:
    """Activities above their threshold are blockers, as are checks that fail or have not been polled yet."""
    results, options = context.snapshot.part(ActivityFacts).results, context.options.activity
    rows: list[ActivityRow] = []
    blockers: list[UndatedReason] = []
    remarks: list[UndatedReason] = []
    for check in options.enabled_checks:
        result = results.get(check.id)
        own_rows = list(_rows(check, result, context))
        rows += own_rows
        if result is None or result.state is CheckState.FAILED:
            blocks = own_rows[0].keeps_awake
            reason = unavailable_reason(check.id, own_rows[0].reason, context.memory, context.now)
            (blockers if blocks else remarks).append(reason._replace(blocks_sleep=blocks))
        blockers += (
            UndatedReason(row.activity.subject, row.activity.text, since=row.since)
            for row in own_rows
            if row.activity is not None and row.keeps_awake
        )
    if not options.enabled_checks or not context.is_reliable(ACTIVITY):
        blockers, remarks = [], []  # decide() adds the blocker of a source that is not reliable
    return Assessment(blockers=tuple(blockers), remarks=tuple(remarks), parts=(ActivityReport(tuple(rows)),))


def _rows(check: ConfiguredCheck, result: CheckResult | None, context: Context) -> Iterator[ActivityRow]:
    """The rows of one check, at least one."""
    if result is None:
        yield ActivityRow(check.id, None, None, _NOT_POLLED, keeps_awake=True)
        return
    failed = result.state is CheckState.FAILED
    if failed or not result.activities:
        blocks = failed and context.options.activity.error_policy(check) == "awake"
        yield ActivityRow(check.id, None, result.state, result.reason, blocks, took=result.took)
    for activity in result.activities:
        since = _since(activity, context)
        yield ActivityRow(check.id, activity, result.state, "", activity.keeps_awake, since, result.took)


def _since(activity: Activity, context: Context) -> Moment | None:
    """When an activity began: the same Moment as in the last decision, as the clocks drift."""
    if activity.since is None:
        return None
    known = context.memory.reasons_since.get((activity.subject, activity.text))
    if known is not None and known.mono == activity.since:
        return known
    return add_seconds(context.now, activity.since - context.now.mono)
