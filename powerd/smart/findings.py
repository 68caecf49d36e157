"""Findings of a check: the drive's overall state, and what has become worse since the previous check.

A current condition (overall assessment, thresholds, temperature, unreadable sectors) is a finding while it
lasts. Other counters and logs are findings by their growth. A warning or an alarm stands until a person
acknowledges it (``standing_findings``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from powerd.smart.counters import RATED_LOADS, is_temperature
from powerd.smart.finding_rules import (
    AIR_ADVICE,
    CABLE_ADVICE,
    COUNTER_WORDS,
    CURRENT_COUNTERS,
    FULL_TESTS,
    LOADS_ADVICE,
    NVME_SPARE,
    NVME_TEMPERATURE,
    NVME_WORDS,
    REPLACE_ADVICE,
    TEST_ADVICE,
    NvmeWords,
    attribute_advice,
    counter_words,
)
from powerd.smart.model import (
    Attribute,
    Counter,
    Fault,
    Finding,
    Health,
    Sample,
    SelfTest,
    Severity,
    SmartRecord,
)

_EXPECTED_LIFE: Final = 3 * 365 * 86400.0
"""Seconds; a drive whose head loads will reach their rating sooner parks too often."""
_DAY: Final = 86400.0
_MIN_RATE_TIME: Final = 7 * _DAY
"""Seconds that a rate of head loads is computed over at least."""
_HDD_LIMIT, _SSD_LIMIT, _NVME_LIMIT, _SCSI_LIMIT = 55, 70, 75, 60
"""Degrees Celsius that cause a warning if the drive reports no limit: hard drives are rated to 60 or 65, SATA
SSDs to 70, NVMe drives slow themselves down from 80 on.
"""
_WORN_OUT: Final = 99
"""Percent; the value of most SATA SSDs ends at 1 % left."""
_WEAR_NOTE: Final = 90
_COUNT: Final = re.compile(r"\bone\b|\d[\d,]*")
"""The count in the text of a finding, as _number() writes it."""
_MONTH: Final = 30 * _DAY
_MAX_MONTHLY_WEAR: Final = 5
"""Percent of its rated life that a drive may use up in a month: at that rate it lasts 20 months."""


def findings_of_record(record: SmartRecord) -> tuple[tuple[Finding, ...], frozenset[str]]:
    """The findings of a drive that stand, and the kinds of those that a person has acknowledged."""
    if record.last is None:
        return (), frozenset()
    current = findings_of(record.previous, record.last, record.samples)
    return standing_findings(current, record.notified_findings, record.acknowledged)


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
        *_worn(latest),
        *_fast_wear(latest, samples),
        *_counters(previous, latest),
        *_tests(previous, latest),
        *_temperature(latest),
        *_loads(latest, samples),
        *_partial(latest),
    ]
    return tuple(sorted(findings, key=lambda finding: -finding.severity))


def standing_findings(
    current: Sequence[Finding], known: Sequence[Finding], acknowledged: Collection[str]
) -> tuple[tuple[Finding, ...], frozenset[str]]:
    """The findings that stand, the most severe first, and the kinds of those that a person has acknowledged.

    A warning or an alarm stands until it is acknowledged, also if the next check no longer has it: a defect
    is not repaired because the next check does not show it. A finding that is acknowledged stands only while
    the check has it, and is a new one if it changes without becoming less severe, unless only its count has
    fallen.

    Args:
        current: the findings of the latest check.
        known: the findings that stood before it.
        acknowledged: the kinds of ``known`` that were acknowledged.
    """
    before = {each.kind: each for each in known}
    found = {
        each.kind: each
        for each in known
        if each.severity >= Severity.WARNING and each.kind not in acknowledged
    }
    quiet: set[str] = set()
    for each in current:
        old = before.get(each.kind)
        if each.kind in acknowledged and old is not None and _covers(old, each):
            quiet.add(each.kind)
        if each.kind not in found or each.severity >= found[each.kind].severity:
            found[each.kind] = each
    in_order = {each.kind: found[each.kind] for each in (*current, *found.values())}
    return tuple(sorted(in_order.values(), key=lambda finding: -finding.severity)), frozenset(quiet)


def _covers(known: Finding, finding: Finding) -> bool:
    """Whether a finding is not news after another one of its kind."""
    same = finding.text == known.text or _is_smaller_count(known, finding)
    return (same and finding.severity == known.severity) or finding.severity < known.severity


def _is_smaller_count(known: Finding, finding: Finding) -> bool:
    """Whether a count of a current condition has fallen; stored findings hold it only in their text."""
    if finding.kind not in CURRENT_COUNTERS or finding.severity is not Severity.WARNING:  # an alarm is growth
        return False
    counts = [_COUNT.search(each.text) for each in (known, finding)]
    before, now = (int(each[0].replace("one", "1").replace(",", "")) if each else 0 for each in counts)
    return 0 < now < before


def new_findings(previous: Sequence[Finding], current: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of ``current`` to notify: of a new kind, or changed and not less severe than before."""
    return tuple(
        each
        for each in current
        if not any(_covers(known, each) for known in previous if known.kind == each.kind)
    )


def _overall_health(latest: Health) -> Iterator[Finding]:
    """The drive's own assessment; NVMe's is its critical warning, whose bits have findings of their own."""
    if (latest.passed is False or Fault.FAILING in latest.faults) and not latest.critical_warnings:
        yield Finding("verdict", Severity.ALARM, "the drive reports that it is failing", REPLACE_ADVICE)


def _attributes(previous: Health | None, latest: Health) -> Iterator[Finding]:
    known = {each.number: each.failed for each in previous.attributes} if previous else {}
    for each in latest.attributes:
        kind = f"attribute {each.number}"
        if each.failed == "now" and not is_temperature(each):
            advice = attribute_advice(each)
            severity = Severity.ALARM if each.prefail and advice != CABLE_ADVICE else Severity.WARNING
            # without the value, which changes daily
            text = f"{_attribute_label(each)} is at or below {each.threshold}, where it fails"
            yield Finding(kind, severity, text, advice)
        elif each.failed == "past" and known.get(each.number) is None:
            text = f"{_attribute_label(each)} was at {each.worst} once, and fails at {each.threshold}"
            advice = f"nothing, if its cause is over; otherwise {attribute_advice(each)}"
            yield Finding(kind, Severity.NOTE, text, advice)


def _attribute_label(attribute: Attribute) -> str:
    return f"{attribute.name.replace('_', ' ')} ({attribute.number})"


def _nvme(latest: Health) -> Iterator[Finding]:
    for warning in latest.critical_warnings:
        words = NVME_WORDS.get(warning, NvmeWords(f"critical {warning}", Severity.ALARM, REPLACE_ADVICE))
        if warning not in {NVME_SPARE, NVME_TEMPERATURE}:
            yield Finding(words.kind, words.severity, f"its warning: {warning}", words.advice)
    few = latest.spare is not None and latest.spare[0] < latest.spare[1]
    if few or NVME_SPARE in latest.critical_warnings:
        text = f"its warning: {NVME_SPARE}"
        if few and latest.spare is not None:
            text = f"{latest.spare[0]} % of its spare blocks are left; its threshold is {latest.spare[1]} %"
        yield Finding("spare", Severity.ALARM, text, REPLACE_ADVICE)


def _worn(latest: Health) -> Iterator[Finding]:
    worn = latest.counters.get(Counter.WORN, 0)
    if worn >= _WORN_OUT:
        text = "the life that it is rated for is used up"
        yield Finding("worn", Severity.WARNING, text, "check your backup, and plan its replacement")
    elif worn >= _WEAR_NOTE:
        text = f"{_WEAR_NOTE} % or more of its rated life is used up"
        yield Finding("worn", Severity.NOTE, text, "plan its replacement")


def _fast_wear(latest: Health, samples: Sequence[Sample]) -> Iterator[Finding]:
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
        text = f"it has used up more than {_MAX_MONTHLY_WEAR} % of its rated life within a month"
        yield Finding(
            "wear", Severity.NOTE, text, "find the program that writes so much; smartctl -A shows the amount"
        )


def _counters(previous: Health | None, latest: Health) -> Iterator[Finding]:
    for counter in COUNTER_WORDS:
        words, count = counter_words(counter, latest), latest.counters.get(counter, 0)
        known = previous.counters.get(counter) if previous else None
        current = words.first is Severity.WARNING and counter in CURRENT_COUNTERS
        if known is not None and count > known:
            text = f"{_number(words.grown, count - known)}, {count:,} in all"
            yield Finding(counter, words.growth, text, words.advice)
        elif count and words.first is not None and (known is None or current):
            # without a previous check nothing has grown: a count is reported once, and not as an alarm
            yield Finding(counter, words.first, _number(words.so_far, count), words.advice)


def _number(text: str, n: int) -> str:
    return text.format(n="one" if n == 1 else f"{n:,}", s="" if n == 1 else "s", ies="y" if n == 1 else "ies")


def _tests(previous: Health | None, latest: Health) -> Iterator[Finding]:
    """The newest failure in the log, unless a test of the same kind, or an extended one, has passed since."""
    new = _new_entries(previous.self_tests if previous else (), latest.self_tests)
    for n, test in enumerate(new):
        later_ok = [each.kind for each in new[:n] if each.passed]
        if test.passed is False and not any(
            kind == test.kind or kind.lower().startswith(FULL_TESTS) for kind in later_ok
        ):
            when = f" at {test.hours:,} hours of its life" if test.hours is not None else ""
            text = f"its self-test failed{when}: {test.kind}: {test.status}"
            # a failure in the log of a drive that is new to powerd may be years old
            severity, advice = (
                (Severity.ALARM, REPLACE_ADVICE) if previous else (Severity.WARNING, TEST_ADVICE)
            )
            yield Finding("self-test", severity, text, advice)
            return


def _new_entries(previous: Sequence[SelfTest], current: Sequence[SelfTest]) -> Sequence[SelfTest]:
    """Entries that are new in the log, which holds 21, newest first."""
    known = list(previous)
    for skipped in range(len(current)):
        if list(current[skipped:]) == known[: len(current) - skipped]:
            return current[:skipped]
    return current


def _temperature(latest: Health) -> Iterator[Finding]:
    """One finding, by the limit or the drive's own warning; without the value, which changes daily."""
    limit = latest.temperature_limit or _default_temperature_limit(latest)
    failing = next(
        (each for each in latest.attributes if each.failed == "now" and is_temperature(each)), None
    )
    if latest.temperature is not None and latest.temperature >= limit:
        text = f"it is at {limit} °C or more"
    elif NVME_TEMPERATURE in latest.critical_warnings:
        text = f"its warning: {NVME_TEMPERATURE}"
    elif failing is not None:
        text = f"its warning: {_attribute_label(failing)} is at or below {failing.threshold}"
    else:
        return
    yield Finding("temperature", Severity.WARNING, text, AIR_ADVICE)


def _default_temperature_limit(latest: Health) -> int:
    if latest.protocol == "nvme":
        return _NVME_LIMIT
    if latest.solid_state:
        return _SSD_LIMIT
    return _SCSI_LIMIT if latest.protocol == "scsi" else _HDD_LIMIT


def _loads(latest: Health, samples: Sequence[Sample]) -> Iterator[Finding]:
    """Head loads beyond the rating, or at a rate that soon exhausts it."""
    count, rated = latest.counters.get(Counter.LOADS), latest.rated_loads or RATED_LOADS
    if count is not None and count >= rated:
        text = (
            f"its heads have been loaded more than the {rated:,} times that drives of its kind are rated for"
        )
        yield Finding("loads", Severity.WARNING, text, LOADS_ADVICE)
    elif count is not None and (rated - count) < _monthly_load_rate(latest, samples) * _EXPECTED_LIFE:
        text = f"it loads its heads so often that the rated {rated:,} times are over in three years"
        yield Finding("loads", Severity.NOTE, text, LOADS_ADVICE)


def _monthly_load_rate(latest: Health, samples: Sequence[Sample]) -> float:
    """Head loads per second over a month, the highest rate of those that end within the last month.

    The use of a drive differs from day to day, and with the rate of a day the note would come and go.
    """
    known = [
        (each.checked_at, each.counters[Counter.LOADS])
        for each in samples
        if Counter.LOADS in each.counters and 0 <= latest.checked_at - each.checked_at <= 2 * _MONTH
    ]
    months = (
        (next((start, a) for start, a in known if start >= end - _MONTH), (end, b))
        for end, b in known
        if end >= latest.checked_at - _MONTH
    )
    rates = ((b - a) / (end - start) for (start, a), (end, b) in months if end - start >= _MIN_RATE_TIME)
    return max(rates, default=0.0)


def _partial(latest: Health) -> Iterator[Finding]:
    if latest.incomplete_reason:
        yield Finding("partial", Severity.NOTE, latest.incomplete_reason, "see smartctl --all")
