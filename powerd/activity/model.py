"""Work in progress: what the checks have measured, and how the decision reports it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, NamedTuple, NewType

from powerd.core.dataclass import dataclass
from powerd.core.snapshot import SourceId
from powerd.core.time import Moment

ACTIVITY: Final = SourceId("activity")
CheckId = NewType("CheckId", str)
"""A configured check: ``sessions``, or ``http:jellyfin`` for one of a list."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that a check has measured.

    Attributes:
        subject: the person, disk, unit, client or file concerned.
        text: a clause for people, without a number that changes from poll to poll: "alice, over SSH from
            10.0.0.44, runs rsync since 21:10".
        keeps_awake: whether it keeps the server awake; False = below its threshold, and worth showing.
        value, unit, threshold: the measured value, its unit and the threshold in the same unit.
        since: CLOCK_MONOTONIC at which it began; None = unknown.
        wake_at: POSIX time at which the server must wake up; None = it need not.
    """

    subject: str
    text: str
    keeps_awake: bool
    value: float | None = None
    unit: str = ""
    threshold: float | None = None
    since: float | None = None
    wake_at: float | None = None


class CheckState(enum.StrEnum):
    """What the last poll of a check led to."""

    MEASURED = "measured"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    """This machine does not have the interface that the check reads."""
    DEFERRED = "polled before a sleep"
    """The check is polled only when a sleep is near, and has not been polled yet."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The last result of a check.

    Attributes:
        at: CLOCK_MONOTONIC of the poll.
        state: what the poll led to.
        activities: what it has measured; () = nothing is going on. Of a failed poll: those of the last
            measurement that have a ``wake_at``.
        reason: why there is no measurement, one sentence.
        took: seconds that the poll has taken.
    """

    at: float
    state: CheckState
    activities: tuple[Activity, ...] = ()
    reason: str = ""
    took: float = 0.0

    @property
    def keeps_awake(self) -> bool:
        """Whether an activity keeps the server awake."""
        return any(each.keeps_awake for each in self.activities)


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """The last result of each configured check."""

    results: Mapping[CheckId, CheckResult] = field(default_factory=lambda: MappingProxyType({}))


class ActivityRow(NamedTuple):
    """One row of the report: an activity, or a check that has found none. A tuple, which is made quickly.

    Attributes:
        check: the check.
        activity: what it has measured; None = nothing, or the check has no measurement.
        state: of the check; None = it has not been polled yet.
        reason: why the check has no measurement.
        keeps_awake: whether this row keeps the server awake.
        since: when the activity began; None = unknown.
        took: seconds that the last poll of the check has taken.
    """

    check: CheckId
    activity: Activity | None
    state: CheckState | None
    reason: str
    keeps_awake: bool
    since: Moment | None = None
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class ActivityReport:
    """What all checks have found, for users."""

    rows: tuple[ActivityRow, ...] = ()
