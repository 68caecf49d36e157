"""The severities, texts and advice of findings, for each counter, warning and attribute of a drive."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from powerd.smart.counters import is_temperature
from powerd.smart.model import NVME_WARNINGS, Attribute, Counter, Health, Severity

REPLACE_ADVICE: Final = "copy what you need from it now, and replace it"
AIR_ADVICE: Final = "improve its cooling: clean the filters, check the fans"
TEST_ADVICE: Final = "check your backup, and run a long self-test: `powerd smart DISK --test long`"
GROWTH_ADVICE: Final = "check your backup; replace the drive if the number keeps growing"
CABLE_ADVICE: Final = "change its cable, or plug it into another port; the drive itself may be well"
LOADS_ADVICE: Final = (
    "raise its APM level or its idle timer: [[disks.rule]] apm = 254, or idle3ctl for a WD Green or Red"
)


class CounterWords(NamedTuple):
    """The findings for one counter.

    Attributes:
        growth: the severity if it has grown.
        first: the severity of a count at the first check; None = it is not a finding, because it may be old.
        grown: the text for growth; "{n}" is the number, "{s}" its plural ending.
        so_far: the text for a count at the first check, or for one of a current condition.
        advice: what to do.
    """

    growth: Severity
    first: Severity | None
    grown: str
    so_far: str
    advice: str


COUNTER_WORDS: Final[dict[Counter, CounterWords]] = {
    Counter.REALLOCATED: CounterWords(
        Severity.WARNING,
        Severity.WARNING,
        "it has replaced {n} more bad sector{s}",
        "it has replaced {n} bad sector{s} so far",
        GROWTH_ADVICE,
    ),
    Counter.PENDING: CounterWords(
        Severity.ALARM,
        Severity.WARNING,
        "{n} more sector{s} cannot be read",
        "{n} of its sectors cannot be read",
        TEST_ADVICE,
    ),
    Counter.UNCORRECTABLE: CounterWords(
        Severity.ALARM,
        Severity.WARNING,
        "its own scan could not read {n} more sector{s}",
        "its own scan could not read {n} sector{s}",
        TEST_ADVICE,
    ),
    Counter.REPORTED: CounterWords(
        Severity.ALARM,
        Severity.WARNING,
        "it could not read requested data {n} more time{s}",
        "it could not read requested data {n} time{s} so far",
        TEST_ADVICE,
    ),
    Counter.CRC: CounterWords(
        Severity.WARNING,
        Severity.NOTE,
        "{n} more transfer{s} arrived damaged",
        "{n} transfer{s} arrived damaged so far",
        CABLE_ADVICE,
    ),
    Counter.MEDIA: CounterWords(
        Severity.ALARM,
        Severity.WARNING,
        "it has found {n} more block{s} damaged",
        "it has found {n} block{s} damaged so far",
        GROWTH_ADVICE,
    ),
    Counter.ERRORS: CounterWords(
        Severity.NOTE,
        Severity.NOTE,
        "its error log has {n} more entr{ies}",
        "its error log has {n} entr{ies}",
        "see smartctl -l error",
    ),
}
_SCSI_UNCORRECTABLE: Final = CounterWords(
    Severity.ALARM, None, "it could not read or write {n} more time{s}", "", TEST_ADVICE
)
"""SCSI drives count errors since they were made, and not sectors that cannot be read now."""
_SSD_COUNTERS: Final = {
    Counter.REALLOCATED: CounterWords(
        Severity.WARNING,
        Severity.NOTE,
        "it has replaced {n} more bad block{s}",
        "it has replaced {n} bad block{s} so far",
        GROWTH_ADVICE,
    ),
    Counter.UNCORRECTABLE: CounterWords(
        Severity.ALARM,
        Severity.NOTE,
        "it could not correct {n} more error{s}",
        "it could not correct {n} error{s} so far",
        TEST_ADVICE,
    ),
}
"""An SSD replaces blocks as it wears, counts those that were bad when new, and counts errors as SCSI does."""
CURRENT_COUNTERS: Final = frozenset({Counter.PENDING, Counter.UNCORRECTABLE})
"""Counters of a current condition of a hard drive, which is not healthy unless they are 0."""


FULL_TESTS: Final = ("extended", "background long", "long")
"""Beginnings of the names of self-tests of the whole surface (ATA, SCSI, NVMe)."""


class NvmeWords(NamedTuple):
    """The finding for one bit of NVMe's critical warning."""

    kind: str
    severity: Severity
    advice: str


NVME_SPARE, NVME_TEMPERATURE, _, _, _, _ = NVME_WARNINGS
NVME_WORDS: Final = dict(
    zip(
        NVME_WARNINGS,
        (
            NvmeWords("spare", Severity.ALARM, REPLACE_ADVICE),
            NvmeWords("temperature", Severity.WARNING, AIR_ADVICE),
            NvmeWords("unreliable", Severity.ALARM, REPLACE_ADVICE),
            NvmeWords("read-only", Severity.ALARM, REPLACE_ADVICE),
            NvmeWords(
                "power-loss",
                Severity.WARNING,
                "a power failure may cost what was written last: use a UPS, and plan its replacement",
            ),
            NvmeWords("persistent-memory", Severity.WARNING, "replace it if something uses that memory"),
        ),
        strict=True,
    )
)
_ATTRIBUTE_ADVICE: Final = (
    (re.compile(r".*CRC.*"), CABLE_ADVICE),
    (re.compile(r"Load_Cycle_Count"), LOADS_ADVICE),
    (re.compile(r"Spin_(Up|Retry).*"), "check its power supply and connectors, and your backup"),
    (
        re.compile(r"End-to-End_Error.*"),
        "data were damaged within the drive: compare them with your backup, and replace it",
    ),
    (re.compile(r"G-Sense.*|.*Shock.*|Free_Fall.*"), "mount it so that nothing shakes it"),
    (
        re.compile(r".*(Wear|Life|Erase|Rsvd|Resrvd|Spare|Reserve).*"),
        "it is worn: copy what you need from it, and replace it",
    ),
    (re.compile(r"(Power_(On|Cycle)|Start_Stop).*"), "it is old; plan its replacement"),
)
"""What to do about an attribute at its threshold, by its name in drivedb.h."""
_OTHER_ADVICE: Final = "check your backup, and look up what its maker says of this value"


def attribute_advice(attribute: Attribute) -> str:
    """What to do about an attribute that is, or was, at its threshold."""
    if is_temperature(attribute):
        return AIR_ADVICE
    fitting = (advice for pattern, advice in _ATTRIBUTE_ADVICE if pattern.fullmatch(attribute.name))
    predicts_failure = attribute.prefail and attribute.failed == "now"
    return next(fitting, REPLACE_ADVICE if predicts_failure else _OTHER_ADVICE)


def counter_words(counter: Counter, latest: Health) -> CounterWords:
    """The texts for a counter of this kind of drive."""
    if counter is Counter.UNCORRECTABLE and latest.protocol == "scsi":
        return _SCSI_UNCORRECTABLE
    return (_SSD_COUNTERS if latest.solid_state else COUNTER_WORDS).get(counter, COUNTER_WORDS[counter])
