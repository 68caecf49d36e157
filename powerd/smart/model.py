"""A drive's health as it reports it, its history, and findings."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from powerd.core.codec import PRINTABLE, ROW, Key, PosixTime, length, span
from powerd.core.dataclass import dataclass
from powerd.disks.model import DiskId

DriveProtocol: TypeAlias = Literal["ata", "nvme", "scsi"]
MAX_TEXT: Final = 200
"""Characters of a text from a drive or smartctl."""
MAX_ROWS: Final = 256
"""Rows of a table; a drive has at most 30 attributes and 21 self-tests."""
MAX_SAMPLES: Final = 400
"""Samples of a record: a year of daily checks, and a month."""
DriveText: TypeAlias = Annotated[str, PRINTABLE, length(0, MAX_TEXT)]
FindingText: TypeAlias = Annotated[str, PRINTABLE, length(0, 1000)]


class Fault(enum.IntFlag):
    """The bits of smartctl's exit status (smartctl(8), RETURN VALUES)."""

    USAGE = 1
    OPEN = 2
    COMMAND = 4
    FAILING = 8
    PREFAIL = 16
    PAST = 32
    ERROR_LOG = 64
    SELF_TEST_LOG = 128


_NONE: Final = Fault(0)


NVME_WARNINGS: Final = (
    "its spare blocks run out",
    "its temperature is out of bounds",
    "it has become unreliable",
    "the media are read-only",
    "its power-loss backup has failed",
    "its persistent memory is unreliable or read-only",
)
"""Bits of NVMe's critical warning (NVM Express Base Specification 2.0, figure 207)."""


class Counter(enum.StrEnum):
    """Counters whose growth is significant; powerd.smart.counters says which numbers are such counts."""

    REALLOCATED = "reallocated"
    """Sectors, or blocks of an SSD, replaced by spare ones (SCSI: grown defects)."""
    PENDING = "pending"
    """Sectors that could not be read and wait to be rewritten; may decrease."""
    UNCORRECTABLE = "uncorrectable"
    """ATA: sectors that the drive's own scan could not read; may decrease. SCSI: total uncorrected errors."""
    REPORTED = "reported"
    """Reads that failed and were reported to the host."""
    CRC = "crc"
    """Transfers with a checksum error, mostly because of the cable."""
    MEDIA = "media"
    """NVMe: media and data integrity errors."""
    WORN = "worn"
    """SSDs: percentage of the rated life that is used up; may exceed 100."""
    ERRORS = "errors"
    """Entries ever made in the drive's error log."""
    STARTS = "starts"
    """Spin-ups (SCSI: start-stop cycles)."""
    LOADS = "loads"
    """Head loads (SCSI: load-unload cycles)."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of an ATA drive's attribute table.

    Attributes:
        number, name: 5, ``Reallocated_Sector_Ct``.
        value, worst, threshold: normalised; the attribute fails if ``value <= threshold``.
        raw: the raw value as text, because vendors pack several numbers into one.
        prefail: its failure predicts that of the drive within 24 hours; otherwise it indicates age.
        failed: ``now``, ``past``, or None = never.
    """

    number: int
    name: DriveText
    value: int | None
    worst: int | None
    threshold: int | None
    raw: DriveText
    prefail: bool
    failed: Literal["now", "past"] | None = None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One entry of a drive's self-test log.

    Attributes:
        kind: as the drive names it: ``Short offline``, ``Extended offline``.
        status: the result as the drive words it.
        passed: None = aborted, or not reported.
        hours: power-on hours at its end; None = not reported.
    """

    kind: DriveText
    status: DriveText
    passed: bool | None
    hours: int | None


@dataclass(frozen=True, slots=True)
class Health:
    """One complete check of a drive.

    Attributes:
        checked_at: POSIX time of the check.
        protocol: the drive's.
        passed: the drive's overall assessment; None = not reported.
        faults: smartctl's exit status.
        temperature: degrees Celsius; None = not reported.
        temperature_limit: the drive's own limit for it; None = not reported.
        power_on_hours: None = not reported.
        counters: those that are reported.
        attributes: ATA only.
        critical_warnings: of NVMe, of NVME_WARNINGS.
        spare: NVMe: available spare and its threshold, percent.
        self_tests: the self-test log, newest first.
        test_remaining_percent: of a running self-test; None = none is running.
        test_minutes: duration of the short and of the long self-test, as reported; 0 = there is none.
        incomplete_reason: what could not be read, one sentence; "" = nothing.
        solid_state: the drive has no spindle; None = unknown.
        rated_loads: how often the heads may be loaded, by the drive or its kind; 0 = unknown.
    """

    checked_at: Annotated[PosixTime, Key("at")]
    protocol: DriveProtocol
    passed: bool | None = None
    faults: Annotated[Fault, span(0, 0xFF)] = _NONE
    temperature: int | None = None
    temperature_limit: Annotated[int | None, Key("limit")] = None
    power_on_hours: Annotated[int | None, Key("hours")] = None
    counters: Mapping[Counter, int] = field(default_factory=lambda: MappingProxyType({}))
    attributes: Annotated[tuple[Annotated[Attribute, ROW], ...], length(0, MAX_ROWS)] = ()
    critical_warnings: Annotated[tuple[DriveText, ...], length(0, MAX_ROWS), Key("critical")] = ()
    spare: tuple[int, int] | None = None
    self_tests: Annotated[tuple[Annotated[SelfTest, ROW], ...], length(0, MAX_ROWS), Key("tests")] = ()
    test_remaining_percent: Annotated[int | None, Key("testing")] = None
    test_minutes: Annotated[tuple[int, int], Key("minutes")] = (0, 0)
    incomplete_reason: Annotated[DriveText, Key("partial")] = ""
    solid_state: bool | None = None
    rated_loads: int = 0


class Severity(enum.IntEnum):
    """Severity of a finding."""

    NOTE = 0
    """For information."""
    WARNING = 1
    """Needs action within days."""
    ALARM = 2
    """Needs action now: data may be lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of a check.

    Attributes:
        kind: its stable identity, so that it is notified once: ``verdict``, ``pending``, ``attribute 5``.
        severity: its severity.
        text: a sentence for people, without the disk's name.
        advice: what to do; commands in it name ``DISK``.
    """

    kind: FindingText
    severity: Severity
    text: FindingText
    advice: FindingText

    def advice_for(self, device: str) -> str:
        """The advice with the device name of the disk."""
        return self.advice.replace(" DISK ", f" {device} ")


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of an older check that is kept for plots.

    Attributes:
        checked_at: POSIX time of the check.
        passed, temperature, counters: as in Health.
    """

    checked_at: PosixTime
    passed: bool | None
    temperature: int | None
    counters: Mapping[Counter, int]


@dataclass(frozen=True, slots=True)
class SmartRecord:
    """The history of one drive over checks and restarts.

    Attributes:
        known_since: POSIX time; the first check is due from then on.
        last, previous: the latest check and the one before it; None = there was none.
        samples: of all checks, oldest first, with the latest.
        test_started_at: POSIX times of the last start of each kind of self-test, ``short`` and ``long``.
        notified_findings: the findings that stand; they were notified, and none is notified twice.
        acknowledged: the kinds of those that a person has acknowledged.
        device_type: by which smartctl reached the drive; "" = unknown.
        woken_at: POSIX time at which the drive was last woken for a check that then failed; 0 = never.
    """

    known_since: Annotated[PosixTime, Key("known")]
    last: Health | None = None
    previous: Annotated[Health | None, Key("before")] = None
    samples: Annotated[tuple[Annotated[Sample, ROW], ...], length(0, MAX_SAMPLES)] = ()
    test_started_at: Annotated[Mapping[str, PosixTime], Key("tested")] = field(
        default_factory=lambda: MappingProxyType({})
    )
    notified_findings: Annotated[tuple[Annotated[Finding, ROW], ...], length(0, MAX_ROWS), Key("told")] = ()
    device_type: Annotated[DriveText, Key("kind")] = ""
    woken_at: Annotated[PosixTime, Key("woken")] = 0.0
    acknowledged: frozenset[FindingText] = frozenset()


@dataclass(frozen=True, slots=True)
class SmartReport:
    """One drive's health, as shown to people.

    Attributes:
        disk: the drive.
        record: its history.
        findings: those that stand, the most severe first.
        next_check_at: when the next check is due; None = never.
        testing: a self-test is running.
        check_error: why the drive could not be checked; "" = it could, or it was not tried.
        acknowledged: the kinds of the findings that a person has acknowledged.
    """

    disk: DiskId
    record: SmartRecord
    findings: tuple[Finding, ...]
    next_check_at: datetime | None
    testing: bool = False
    check_error: str = ""
    acknowledged: frozenset[str] = frozenset()

    @property
    def severity(self) -> Severity | None:
        """The highest severity of the findings, a note if all are acknowledged; None = there is none."""
        open_findings = (each.severity for each in self.findings if each.kind not in self.acknowledged)
        return max(open_findings, default=Severity.NOTE if self.findings else None)

    @property
    def healthy(self) -> bool | None:
        """Whether no finding is more severe than a note; None = the drive was never checked."""
        return None if self.record.last is None else self.severity in {None, Severity.NOTE}


@dataclass(frozen=True, slots=True)
class SmartFacts:
    """The stored health history of each drive with SMART."""

    smart_history: Mapping[DiskId, SmartRecord] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class SmartReports:
    """The health of each drive with SMART."""

    smart: Mapping[DiskId, SmartReport] = field(default_factory=lambda: MappingProxyType({}))
