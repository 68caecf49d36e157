"""What smartctl found, read from its one answer: ``smartctl --json=o --all`` (smartctl(8), from 7.0).

Such a document holds values as JSON and, in ``smartctl.output``, the very lines that it would have printed.
State, exit status, logs and capabilities are taken from the JSON; the lines are pySMART's (smart_tables).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from powerd.helper.smart.pysmart_tables import Tables, UnreadableReportError, parse
from powerd.helper.smart.values import (
    MAX_TEXT,
    lookup,
    lookup_bool,
    lookup_int,
    lookup_text,
    parse_object,
    printable_text,
)
from powerd.smart.model import Counter, DriveProtocol, Fault, Health, SelfTest

_PROTOCOLS: Final[Mapping[str, DriveProtocol]] = {"ATA": "ata", "NVMe": "nvme", "SCSI": "scsi"}

_NVME_SHORT_MINUTES: Final = 2
"""Minutes that a short self-test of NVMe takes at most, and one of SCSI about."""
_FAILED: Final = frozenset({5, 6, 7})


def read_health(output: bytes, when: float) -> Health:
    """The Health in one answer of smartctl's.

    Args:
        output: what it wrote, ``--json=o``.
        when: POSIX time of the check.

    Raises:
        ReadingError: it is torn, no such answer, or of a drive that tells nothing.
    """
    report = _parse_report(output)
    faults = Fault(lookup_int(report, "smartctl", "exit_status") or 0)
    protocol = _PROTOCOLS.get(lookup_text(report, "device", "protocol") or "")
    if Fault.USAGE in faults or Fault.OPEN in faults or protocol is None:
        raise UnreadableReportError(f"smartctl could not ask the drive: {error_message(report)}")
    if lookup(report, "smart_support", "available") is False:
        raise UnreadableReportError("the drive has no SMART")
    tables = parse(report["smartctl"]["output"], protocol, faults)
    health = Health(
        checked_at=when,
        protocol=protocol,
        passed=_passed(report, tables),
        faults=faults,
        temperature=_temperature(report, tables),
        temperature_limit=_limit(report),
        power_on_hours=lookup_int(report, "power_on_time", "hours"),
        counters=tables.counters | _errors(report),
        attributes=tables.attributes,
        critical_warnings=tables.critical,
        spare=tables.spare,
        self_tests=_tests(report, tables),
        test_remaining_percent=_testing(report, tables),
        test_minutes=_minutes(report),
        incomplete_reason=_partial(report, faults),
    )
    if health.passed is None and not health.counters and health.temperature is None:
        raise UnreadableReportError(f"the drive tells nothing of its health: {error_message(report)}")
    return health


def left_asleep(report: Mapping[str, Any]) -> bool:
    """Whether smartctl left the drive alone because it sleeps (``-n standby``).

    The status for that is one of our choosing, but every number below 256 is some sum of faults as well.
    """
    return "Device is in " in error_message(report)


def error_message(report: Mapping[str, Any]) -> str:
    """Smartctl's own last word on what went wrong."""
    messages = lookup(report, "smartctl", "messages")
    rows = messages if isinstance(messages, list) else []
    texts = [string for each in rows if (string := lookup_text(each, "string"))]
    return printable_text(texts[-1]) if texts else "it does not say why"


def _parse_report(output: bytes) -> Mapping[str, Any]:
    """What smartctl told, as JSON and with its lines."""
    report = parse_object(output.decode("utf-8", "replace"))
    if report is None:
        raise UnreadableReportError("smartctl's answer is torn")
    if not isinstance(lookup(report, "smartctl", "output"), list):
        raise UnreadableReportError(
            "smartctl gave another answer than asked for; powerd needs version 7.0 or later"
        )
    return report


def _passed(report: Mapping[str, Any], tables: Tables) -> bool | None:
    """The drive's own verdict, in JSON or else in the lines."""
    passed = lookup_bool(report, "smart_status", "passed")
    return tables.passed if passed is None else passed


def _temperature(report: Mapping[str, Any], tables: Tables) -> int | None:
    """SCT or the attribute, as smartctl chose it; a raw value of 190 or 194 alone may hold three numbers."""
    current = lookup_int(report, "temperature", "current")
    return current if current is not None else tables.temperature


def _limit(report: Mapping[str, Any]) -> int | None:
    for key in ("op_limit_max", "drive_trip"):
        limit = lookup_int(report, "temperature", key)
        if limit is not None and limit > 0:
            return limit
    return None


def _errors(report: Mapping[str, Any]) -> dict[Counter, int]:
    """Entries ever made in an ATA drive's error log.

    Not in NVMe's: many drives enter each command that they do not know, be it the kernel's or one of those
    that smartctl reads them with, so that it grows with each check. Lost data is counted apart: MEDIA. A SAS
    drive has no such log, but counts what it has lost: UNCORRECTABLE.
    """
    for kind in ("extended", "summary"):
        if (count := lookup_int(report, "ata_smart_error_log", kind, "count")) is not None:
            return {Counter.ERRORS: count}
    return {}


def _testing(report: Mapping[str, Any], tables: Tables) -> int | None:
    """Percent that a running self-test still has to do."""
    remaining = lookup_int(report, "ata_smart_data", "self_test", "status", "remaining_percent")
    if remaining is not None:
        return remaining
    completed = lookup_int(report, "nvme_self_test_log", "current_self_test_completion_percent")
    if completed is not None:
        return 100 - completed
    return tables.testing


def _tests(report: Mapping[str, Any], tables: Tables) -> tuple[SelfTest, ...]:
    """NVMe's are taken from the JSON, for the heading of their lines is another one from smartctl 7.5 on."""
    rows = lookup(report, "nvme_self_test_log", "table")
    if not isinstance(rows, list):
        return tables.tests
    return tuple(_nvme_test(row) for row in rows if isinstance(row, dict))


def _nvme_test(row: Mapping[str, Any]) -> SelfTest:
    """An entry; the result is 0 = well, 5 to 7 = failed, else broken off (NVMe 1.4, figure 203)."""
    result = lookup_int(row, "self_test_result", "value")
    return SelfTest(
        printable_text(lookup_text(row, "self_test_code", "string") or "unknown"),
        printable_text(lookup_text(row, "self_test_result", "string") or "unknown"),
        True if result == 0 else False if result in _FAILED else None,
        lookup_int(row, "power_on_hours"),
    )


def _minutes(report: Mapping[str, Any]) -> tuple[int, int]:
    """How long self-tests take; of NVMe's long one smartctl does not tell.

    It knows NVMe's from 7.4 on, and then tells of their log where the drive has any.
    """
    if isinstance(lookup(report, "nvme_self_test_log"), dict):
        return _NVME_SHORT_MINUTES, 0
    polling = ("ata_smart_data", "self_test", "polling_minutes")
    short, long = lookup_int(report, *polling, "short"), lookup_int(report, *polling, "extended")
    if short is None and long is None:
        seconds = lookup_int(report, "scsi_extended_self_test_seconds")
        return (_NVME_SHORT_MINUTES, -(-seconds // 60)) if seconds else (0, 0)
    return short or 0, long or 0


def _partial(report: Mapping[str, Any], faults: Fault) -> str:
    return (
        f"not all of it could be read: {error_message(report)}"[:MAX_TEXT] if Fault.COMMAND in faults else ""
    )
