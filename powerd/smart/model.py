"""What a drive says of its own health, and what a careful owner makes of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from powerd.core.codec import PRINTABLE, ROW, Key, length, span
from powerd.disks.disk_id import DiskId

DriveProtocol: TypeAlias = Literal["ata", "nvme", "scsi"]
MAX_TEXT: Final = 200
"""Characters of a text that a drive or smartctl has given."""
MAX_ROWS: Final = 256
"""Rows of a table; a drive has at most 30 attributes and 21 self-tests."""
MAX_SAMPLES: Final = 400
"""Samples of a record: a year of daily checks, and a month."""
DriveText: TypeAlias = Annotated[str, PRINTABLE, length(0, MAX_TEXT)]
FindingText: TypeAlias = Annotated[str, PRINTABLE, length(0, 1000)]
PosixTime: TypeAlias = Annotated[float, span(-1e11, 1e11)]
"""Seconds since 1970; the limit is the year 5138."""


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


class Counter(enum.StrEnum):
    """Counts that only grow, and whose growth means something."""

    REALLOCATED = "reallocated"
    """Sectors that the drive has replaced by spare ones (ATA 5; SCSI: grown defects)."""
    PENDING = "pending"
    """Sectors that could not be read and wait to be written again (ATA 197); may fall."""
    UNCORRECTABLE = "uncorrectable"
    """Sectors given up (ATA 198; SCSI: total uncorrected errors)."""
    REPORTED = "reported"
    """Reads that failed and were reported to the computer (ATA 187)."""
    CRC = "crc"
    """Transfers that arrived garbled: the cable, mostly (ATA 199)."""
    MEDIA = "media"
    """NVMe: media and data integrity errors."""
    WORN = "worn"
    """NVMe: percentage of the rated life that is used up; may pass 100."""
    ERRORS = "errors"
    """Entries ever made in the drive's error log."""
    STARTS = "starts"
    """Spin-ups (ATA 4; SCSI: start-stop cycles)."""
    LOADS = "loads"
    """Head loads (ATA 193; SCSI: load-unload cycles)."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of an ATA drive's attribute table.

    Attributes:
        number, name: e.g. 5, ``Reallocated_Sector_Ct``.
        value, worst, threshold: normalised; the attribute fails where ``value <= threshold``.
        raw: the drive's own number, as text: vendors pack several into one.
        prefail: its failing predicts the drive's within 24 hours; else it tells of age.
        failed: ``now``, ``past`` or never.
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
        kind: as the drive calls it: ``Short offline``, ``Extended offline``.
        status: in its words.
        passed: None = it was broken off, or says neither.
        hours: power-on hours of the drive when it ended; None = not told.
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
        protocol: what it speaks.
        passed: its own verdict; None = it gives none.
        faults: smartctl's exit status.
        temperature: degrees Celsius; None = not told.
        temperature_limit: the drive's own limit for it; None = not told.
        power_on_hours: power-on hours; None = not told.
        counters: those that it tells.
        attributes: ATA only.
        critical_warnings: NVMe's critical warnings in words (NVM Express Base Specification, SMART log,
            byte 0).
        spare: NVMe: available spare, and its threshold, percent.
        self_tests: its self-test log, newest first.
        test_remaining_percent: percent that a self-test still has to run; None = none runs.
        test_minutes: how long its short and its long self-test take, as it says; 0 = it has none.
        incomplete_reason: what could not be read, one sentence; "" = nothing.
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


class Severity(enum.IntEnum):
    """How much a finding matters."""

    NOTE = 0
    """Worth knowing."""
    WARNING = 1
    """Worth acting on within days."""
    ALARM = 2
    """Act now: data may be lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check has found.

    Attributes:
        kind: what it is about, stable, so that it is told once: ``verdict``, ``pending``, ``attribute 5``.
        severity: see there.
        text: a sentence that a person understands, without the disk's name.
        advice: what to do.
    """

    kind: FindingText
    severity: Severity
    text: FindingText
    advice: FindingText


@dataclass(frozen=True, slots=True)
class Sample:
    """What is kept of an older check, for plots.

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
    """What is remembered of one drive, from check to check and over restarts.

    Attributes:
        known: POSIX time since when the drive has been known; its first check is due from then on.
        last, previous: the latest check and the one before it; None = there was none.
        samples: of all checks, oldest first, the latest among them.
        test_started_at: POSIX times at which a self-test of each kind, ``short`` and ``long``, was last
            begun.
        notified_findings: findings that have been told, so that none is told twice.
        device_type: the device type by which smartctl reached it; "" = unknown.
        woken_at: POSIX time at which it was last woken for a check that then failed; 0 = never.
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


@dataclass(frozen=True, slots=True)
class SmartReport:
    """One drive's health, as people are shown it.

    Attributes:
        disk: which.
        record: all that is remembered of it.
        findings: of its latest check, weightiest first.
        next_check_at: when the next check is wanted; None = never.
        testing: a self-test runs.
        check_error: why it could not be checked; "" = it could, or has not been tried.
    """

    disk: DiskId
    record: SmartRecord
    findings: tuple[Finding, ...]
    next_check_at: datetime | None
    testing: bool = False
    check_error: str = ""

    @property
    def healthy(self) -> bool | None:
        """Whether nothing graver than a note was found; None = it has never been checked."""
        if self.record.last is None:
            return None
        return all(finding.severity is Severity.NOTE for finding in self.findings)
