"""What two checks of a drive say together: the drive's verdict, and what has become worse since the last one.

Pure. What is so now (verdict, thresholds, temperature, unreadable sectors) is a finding as long as it is so;
other counters and logs are by their *growth*, so that an old fault is told once, not daily.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from powerd.model import Attribute, Counter, Fault, Finding, Health, Protocol, Sample, SelfTest, Severity

RATED_LOADS: Final = 300_000
"""Head loads that desktop and NAS drives are rated for; some are rated for twice as many."""
_LIFE: Final = 3 * 365 * 86400.0
"""A drive whose loads will reach their rating sooner than in so many seconds parks too often."""
_DAY: Final = 86400.0
_WARM: Final[dict[Protocol, int]] = {"ata": 55, "scsi": 60, "nvme": 75}
"""Degrees Celsius at which to warn where the drive tells no limit; hard drives are rated to 60 or 65."""
_WORN_OUT: Final = 100
_WEARING: Final = 90
_MONTH: Final = 30 * _DAY
_MONTHLY: Final = 5
"""Percent of its rated life that a drive may use up in a month: at that rate it lasts for 20 months."""
_BACKUP: Final = "copy what you need from it now, and replace it"


class Grown(NamedTuple):
    """What the growth of a counter means."""

    severity: Severity
    one: str
    many: str
    advice: str


_GROWTH: Final[dict[Counter, Grown]] = {
    Counter.REALLOCATED: Grown(
        Severity.WARNING,
        "it has replaced one more bad sector",
        "it has replaced {n} more bad sectors",
        "check your backup; replace the drive if the number keeps growing",
    ),
    Counter.PENDING: Grown(
        Severity.ALARM,
        "one more sector cannot be read",
        "{n} more sectors cannot be read",
        "check your backup, and run a long self-test: powerd smart DISK --test long",
    ),
    Counter.UNCORRECTABLE: Grown(
        Severity.ALARM,
        "one more sector is lost for good",
        "{n} more sectors are lost for good",
        _BACKUP,
    ),
    Counter.REPORTED: Grown(
        Severity.ALARM,
        "it could not read what it was asked for once more",
        "it could not read what it was asked for {n} more times",
        "check your backup, and run a long self-test: powerd smart DISK --test long",
    ),
    Counter.CRC: Grown(
        Severity.WARNING,
        "one more transfer arrived garbled",
        "{n} more transfers arrived garbled",
        "change its cable, or plug it into another port; the drive itself may be well",
    ),
    Counter.MEDIA: Grown(
        Severity.ALARM,
        "it has found one more block damaged",
        "it has found {n} more blocks damaged",
        _BACKUP,
    ),
    Counter.ERRORS: Grown(
        Severity.NOTE,
        "its error log has one more entry",
        "its error log has {n} more entries",
        "look at it: smartctl -l error",
    ),
}
_FIRST: Final[dict[Counter, str]] = {
    Counter.REALLOCATED: "it has replaced {n} bad sectors so far",
    Counter.PENDING: "{n} of its sectors cannot be read",
    Counter.UNCORRECTABLE: "{n} of its sectors are lost for good",
    Counter.REPORTED: "it could not read what it was asked for {n} times so far",
    Counter.CRC: "{n} transfers arrived garbled so far",
    Counter.MEDIA: "it has found {n} blocks damaged so far",
    Counter.ERRORS: "its error log has {n} entries",
}
_STANDING: Final = frozenset({Counter.PENDING, Counter.UNCORRECTABLE})
"""Counters that tell what is so now, not what once was: a drive with one that is not 0 is not well."""


def compare(before: Health | None, now: Health, samples: Sequence[Sample] = ()) -> tuple[Finding, ...]:
    """What is to be told of a check, weightiest first.

    Args:
        before: the check before it; None = there was none.
        now: the check.
        samples: of all that are remembered, oldest first.
    """
    found = [
        *_verdict(now),
        *_attributes(before, now),
        *_nvme(now),
        *_wear(now, samples),
        *_counters(before, now),
        *_tests(before, now),
        *_temperature(now),
        *_loads(before, now),
        *_partial(now),
    ]
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def news(before: Sequence[Finding], now: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those of ``now`` that have not been told: of a new kind, or other than before and no less grave."""
    told = {(finding.kind, finding.severity, finding.text) for finding in before}
    worst = {finding.kind: finding.severity for finding in before}
    return tuple(
        each
        for each in now
        if (each.kind, each.severity, each.text) not in told
        and each.severity >= worst.get(each.kind, Severity.NOTE)
    )


def _verdict(now: Health) -> Iterator[Finding]:
    if now.passed is False or Fault.FAILING in now.faults:
        yield Finding("verdict", Severity.ALARM, "the drive itself says that it is failing", _BACKUP)


def _attributes(before: Health | None, now: Health) -> Iterator[Finding]:
    known = {each.number: each.failed for each in before.attributes} if before else {}
    for each in now.attributes:
        kind = f"attribute {each.number}"
        if each.failed == "now":
            severity = Severity.ALARM if each.prefail else Severity.WARNING
            advice = _BACKUP if each.prefail else "it is old; plan its replacement"
            text = f"{_called(each)} is at or below {each.threshold}, where it fails"  # as of the temperature
            yield Finding(kind, severity, text, advice)
        elif each.failed == "past" and known.get(each.number) is None:
            text = f"{_called(each)} was at {each.worst} once, and fails at {each.threshold}"
            yield Finding(kind, Severity.NOTE, text, "nothing, if what caused it is over, such as heat")


def _called(attribute: Attribute) -> str:
    return f"{attribute.name.replace('_', ' ')} ({attribute.number})"


def _nvme(now: Health) -> Iterator[Finding]:
    for warning in now.critical:
        yield Finding(f"critical {warning}", Severity.ALARM, f"it warns: {warning}", _BACKUP)
    if now.spare is not None and now.spare[0] < now.spare[1]:
        text = f"only {now.spare[0]} % of its spare blocks are left, and it asks for {now.spare[1]} %"
        yield Finding("spare", Severity.ALARM, text, _BACKUP)
    worn = now.counters.get(Counter.WORN, 0)
    if worn >= _WEARING:
        severity = Severity.WARNING if worn >= _WORN_OUT else Severity.NOTE
        # By tens, so that it is told again when it matters and not with every percent.
        text = f"{worn // 10 * 10} % of the life that it is rated for is used up"
        yield Finding("worn", severity, text, "plan its replacement")


def _wear(now: Health, samples: Sequence[Sample]) -> Iterator[Finding]:
    """Wear that goes on fast; it stands for another month, or a rate about the limit would be told weekly."""
    if Counter.WORN not in now.counters:
        return
    known = [
        (each.at, each.counters[Counter.WORN])
        for each in samples
        if Counter.WORN in each.counters and 0 <= now.at - each.at <= 2 * _MONTH
    ]
    if any(b - a > _MONTHLY and begin < end <= begin + _MONTH for begin, a in known for end, b in known):
        text = f"it has used up more than {_MONTHLY} % of the life that it is rated for within a month"
        yield Finding("wear", Severity.NOTE, text, "find out what writes so much: smartctl -A tells how much")


def _counters(before: Health | None, now: Health) -> Iterator[Finding]:
    for counter, grown in _GROWTH.items():
        count = now.counters.get(counter, 0)
        known = before.counters.get(counter) if before else None
        if known is None and count:
            # Without a yesterday nothing has grown; an old count is told once, and not as an alarm.
            severity = min(grown.severity, Severity.WARNING)
            yield Finding(counter, severity, _FIRST[counter].format(n=count), grown.advice)
        elif known is not None and count > known:
            n = count - known
            text = grown.one if n == 1 else grown.many.format(n=n)
            yield Finding(counter, grown.severity, f"{text}, {count} in all", grown.advice)
        elif count and counter in _STANDING:
            yield Finding(counter, Severity.WARNING, _FIRST[counter].format(n=count), grown.advice)


def _tests(before: Health | None, now: Health) -> Iterator[Finding]:
    new = [test for test in _newer(before.tests if before else (), now.tests) if test.passed is False]
    if new:
        when = f" at {new[0].hours} hours of its life" if new[0].hours is not None else ""
        text = f"its self-test failed{when}: {new[0].kind}: {new[0].status}"
        yield Finding("self-test", Severity.ALARM if before else Severity.WARNING, text, _BACKUP)


def _newer(before: Sequence[SelfTest], now: Sequence[SelfTest]) -> Sequence[SelfTest]:
    """Entries that were not in the log before. It holds 21, newest first, and forgets the oldest."""
    known = list(before)
    for skipped in range(len(now)):
        if list(now[skipped:]) == known[: len(now) - skipped]:
            return now[:skipped]
    return now


def _temperature(now: Health) -> Iterator[Finding]:
    if now.temperature is None:
        return
    limit = now.limit or _WARM[now.protocol]
    if now.temperature >= limit:
        text = f"it is at {limit} °C or more"  # the very number would be another finding each day
        yield Finding("temperature", Severity.WARNING, text, "give it air: clean the filters, check the fans")


def _loads(before: Health | None, now: Health) -> Iterator[Finding]:
    count, known = now.counters.get(Counter.LOADS), before.counters.get(Counter.LOADS) if before else None
    advice = (
        "raise its APM level or its idle timer: [[disks.rule]] apm = 254, or idle3ctl for a WD Green or Red"
    )
    if count is not None and count >= RATED_LOADS:
        text = f"its heads have been loaded more than the {RATED_LOADS:,} times that drives are rated for"
        yield Finding("loads", Severity.WARNING, text, advice)
    elif before is not None and count is not None and known is not None and now.at - before.at >= _DAY / 2:
        rate = (count - known) / (now.at - before.at)
        if rate > 0 and (RATED_LOADS - count) / rate < _LIFE:
            text = f"it loads its heads so often that the rated {RATED_LOADS:,} times are over in three years"
            yield Finding("loads", Severity.NOTE, text, advice)


def _partial(now: Health) -> Iterator[Finding]:
    if now.partial:
        yield Finding("partial", Severity.NOTE, now.partial, "see what smartctl --all says of it")
