"""Findings of a check: the drive's overall state, and what has become worse since the previous check.

A current condition (overall assessment, thresholds, temperature, unreadable sectors) is a finding while it
lasts. Other counters and logs are findings by their growth, so an old fault is reported once and not daily.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from powerd.smart.model import (
    Attribute,
    Counter,
    DriveProtocol,
    Fault,
    Finding,
    Health,
    Sample,
    SelfTest,
    Severity,
)

RATED_LOADS: Final = 300_000
"""Head loads that desktop and NAS drives are rated for; some are rated for twice as many."""
_EXPECTED_LIFE: Final = 3 * 365 * 86400.0
"""Seconds; a drive whose head loads will reach their rating sooner parks too often."""
_DAY: Final = 86400.0
_DEFAULT_TEMPERATURE_LIMIT: Final[dict[DriveProtocol, int]] = {"ata": 55, "scsi": 60, "nvme": 75}
"""Degrees Celsius that cause a warning if the drive reports no limit; hard drives are rated to 60 or 65."""
_WORN_OUT: Final = 100
_WEAR_NOTE: Final = 90
_MONTH: Final = 30 * _DAY
_MAX_MONTHLY_WEAR: Final = 5
"""Percent of its rated life that a drive may use up in a month: at that rate it lasts 20 months."""
_REPLACE_ADVICE: Final = "copy what you need from it now, and replace it"


class GrowthRule(NamedTuple):
    """The finding for the growth of a counter."""

    severity: Severity
    singular: str
    plural: str
    advice: str


_GROWTH_RULES: Final[dict[Counter, GrowthRule]] = {
    Counter.REALLOCATED: GrowthRule(
        Severity.WARNING,
        "it has replaced one more bad sector",
        "it has replaced {n} more bad sectors",
        "check your backup; replace the drive if the number keeps growing",
    ),
    Counter.PENDING: GrowthRule(
        Severity.ALARM,
        "one more sector cannot be read",
        "{n} more sectors cannot be read",
        "check your backup, and run a long self-test: powerd smart DISK --test long",
    ),
    Counter.UNCORRECTABLE: GrowthRule(
        Severity.ALARM,
        "one more sector is lost for good",
        "{n} more sectors are lost for good",
        _REPLACE_ADVICE,
    ),
    Counter.REPORTED: GrowthRule(
        Severity.ALARM,
        "it could not read what it was asked for once more",
        "it could not read what it was asked for {n} more times",
        "check your backup, and run a long self-test: powerd smart DISK --test long",
    ),
    Counter.CRC: GrowthRule(
        Severity.WARNING,
        "one more transfer arrived garbled",
        "{n} more transfers arrived garbled",
        "change its cable, or plug it into another port; the drive itself may be well",
    ),
    Counter.MEDIA: GrowthRule(
        Severity.ALARM,
        "it has found one more block damaged",
        "it has found {n} more blocks damaged",
        _REPLACE_ADVICE,
    ),
    Counter.ERRORS: GrowthRule(
        Severity.NOTE,
        "its error log has one more entry",
        "its error log has {n} more entries",
        "look at it: smartctl -l error",
    ),
}
_FIRST_COUNT_TEXT: Final[dict[Counter, str]] = {
    Counter.REALLOCATED: "it has replaced {n} bad sectors so far",
    Counter.PENDING: "{n} of its sectors cannot be read",
    Counter.UNCORRECTABLE: "{n} of its sectors are lost for good",
    Counter.REPORTED: "it could not read what it was asked for {n} times so far",
    Counter.CRC: "{n} transfers arrived garbled so far",
    Counter.MEDIA: "it has found {n} blocks damaged so far",
    Counter.ERRORS: "its error log has {n} entries",
}
_CURRENT_COUNTERS: Final = frozenset({Counter.PENDING, Counter.UNCORRECTABLE})
"""Counters of a current condition: a drive is not healthy unless they are 0."""


def findings_of(
    previous: Health | None, latest: Health, samples: Sequence[Sample] = ()
) -> tuple[Finding, ...]:
    """The findings of a check, the most severe first.

    Args:
        previous: the check before; None = there was none.
        latest: the check.
        samples: of all recorded checks, oldest first.
    """
    findings = [
        *_overall_health(latest),
        *_attributes(previous, latest),
        *_nvme(latest),
        *_wear(latest, samples),
        *_counters(previous, latest),
        *_tests(previous, latest),
        *_temperature(latest),
        *_loads(previous, latest),
        *_partial(latest),
    ]
    return tuple(sorted(findings, key=lambda finding: -finding.severity))


def new_findings(previous: Sequence[Finding], current: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of ``current`` to notify: of a new kind, or changed and not less severe than before."""
    notified = {(finding.kind, finding.severity, finding.text) for finding in previous}
    worst = {finding.kind: finding.severity for finding in previous}
    return tuple(
        each
        for each in current
        if (each.kind, each.severity, each.text) not in notified
        and each.severity >= worst.get(each.kind, Severity.NOTE)
    )


def _overall_health(latest: Health) -> Iterator[Finding]:
    if latest.passed is False or Fault.FAILING in latest.faults:
        yield Finding("verdict", Severity.ALARM, "the drive itself says that it is failing", _REPLACE_ADVICE)


def _attributes(previous: Health | None, latest: Health) -> Iterator[Finding]:
    known = {each.number: each.failed for each in previous.attributes} if previous else {}
    for each in latest.attributes:
        kind = f"attribute {each.number}"
        if each.failed == "now":
            severity = Severity.ALARM if each.prefail else Severity.WARNING
            advice = _REPLACE_ADVICE if each.prefail else "it is old; plan its replacement"
            # without the value, which changes daily
            text = f"{_attribute_label(each)} is at or below {each.threshold}, where it fails"
            yield Finding(kind, severity, text, advice)
        elif each.failed == "past" and known.get(each.number) is None:
            text = f"{_attribute_label(each)} was at {each.worst} once, and fails at {each.threshold}"
            yield Finding(kind, Severity.NOTE, text, "nothing, if what caused it is over, such as heat")


def _attribute_label(attribute: Attribute) -> str:
    return f"{attribute.name.replace('_', ' ')} ({attribute.number})"


def _nvme(latest: Health) -> Iterator[Finding]:
    for warning in latest.critical_warnings:
        yield Finding(f"critical {warning}", Severity.ALARM, f"it warns: {warning}", _REPLACE_ADVICE)
    if latest.spare is not None and latest.spare[0] < latest.spare[1]:
        text = f"only {latest.spare[0]} % of its spare blocks are left, and it asks for {latest.spare[1]} %"
        yield Finding("spare", Severity.ALARM, text, _REPLACE_ADVICE)
    worn = latest.counters.get(Counter.WORN, 0)
    if worn >= _WEAR_NOTE:
        severity = Severity.WARNING if worn >= _WORN_OUT else Severity.NOTE
        # in tens, so that it is notified again when it matters, and not for every percent
        text = f"{worn // 10 * 10} % of the life that it is rated for is used up"
        yield Finding("worn", severity, text, "plan its replacement")


def _wear(latest: Health, samples: Sequence[Sample]) -> Iterator[Finding]:
    """Fast wear; the finding lasts another month, or a rate near the limit would be notified weekly."""
    if Counter.WORN not in latest.counters:
        return
    known = [
        (each.checked_at, each.counters[Counter.WORN])
        for each in samples
        if Counter.WORN in each.counters and 0 <= latest.checked_at - each.checked_at <= 2 * _MONTH
    ]
    if any(
        b - a > _MAX_MONTHLY_WEAR and start < end <= start + _MONTH for start, a in known for end, b in known
    ):
        text = (
            f"it has used up more than {_MAX_MONTHLY_WEAR} % of the life that it is rated for within a month"
        )
        yield Finding("wear", Severity.NOTE, text, "find out what writes so much: smartctl -A tells how much")


def _counters(previous: Health | None, latest: Health) -> Iterator[Finding]:
    for counter, rule in _GROWTH_RULES.items():
        count = latest.counters.get(counter, 0)
        known = previous.counters.get(counter) if previous else None
        if known is None and count:
            # without a previous check nothing has grown: a count is reported once, and not as an alarm
            severity = min(rule.severity, Severity.WARNING)
            yield Finding(counter, severity, _FIRST_COUNT_TEXT[counter].format(n=count), rule.advice)
        elif known is not None and count > known:
            n = count - known
            text = rule.singular if n == 1 else rule.plural.format(n=n)
            yield Finding(counter, rule.severity, f"{text}, {count} in all", rule.advice)
        elif count and counter in _CURRENT_COUNTERS:
            yield Finding(counter, Severity.WARNING, _FIRST_COUNT_TEXT[counter].format(n=count), rule.advice)


def _tests(previous: Health | None, latest: Health) -> Iterator[Finding]:
    new = [
        test
        for test in _new_entries(previous.self_tests if previous else (), latest.self_tests)
        if test.passed is False
    ]
    if new:
        when = f" at {new[0].hours} hours of its life" if new[0].hours is not None else ""
        text = f"its self-test failed{when}: {new[0].kind}: {new[0].status}"
        yield Finding("self-test", Severity.ALARM if previous else Severity.WARNING, text, _REPLACE_ADVICE)


def _new_entries(previous: Sequence[SelfTest], current: Sequence[SelfTest]) -> Sequence[SelfTest]:
    """Entries that are new in the log, which holds 21, newest first."""
    known = list(previous)
    for skipped in range(len(current)):
        if list(current[skipped:]) == known[: len(current) - skipped]:
            return current[:skipped]
    return current


def _temperature(latest: Health) -> Iterator[Finding]:
    if latest.temperature is None:
        return
    limit = latest.temperature_limit or _DEFAULT_TEMPERATURE_LIMIT[latest.protocol]
    if latest.temperature >= limit:
        text = f"it is at {limit} °C or more"  # the exact value would be a new finding each day
        yield Finding("temperature", Severity.WARNING, text, "give it air: clean the filters, check the fans")


def _loads(previous: Health | None, latest: Health) -> Iterator[Finding]:
    count, known = (
        latest.counters.get(Counter.LOADS),
        previous.counters.get(Counter.LOADS) if previous else None,
    )
    advice = (
        "raise its APM level or its idle timer: [[disks.rule]] apm = 254, or idle3ctl for a WD Green or Red"
    )
    if count is not None and count >= RATED_LOADS:
        text = f"its heads have been loaded more than the {RATED_LOADS:,} times that drives are rated for"
        yield Finding("loads", Severity.WARNING, text, advice)
    elif (
        previous is not None
        and count is not None
        and known is not None
        and latest.checked_at - previous.checked_at >= _DAY / 2
    ):
        rate = (count - known) / (latest.checked_at - previous.checked_at)
        if rate > 0 and (RATED_LOADS - count) / rate < _EXPECTED_LIFE:
            text = f"it loads its heads so often that the rated {RATED_LOADS:,} times are over in three years"
            yield Finding("loads", Severity.NOTE, text, advice)


def _partial(latest: Health) -> Iterator[Finding]:
    if latest.incomplete_reason:
        yield Finding(
            "partial", Severity.NOTE, latest.incomplete_reason, "see what smartctl --all says of it"
        )
