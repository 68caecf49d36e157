"""Reads a drive's health from a report of ``smartctl --json=o --all`` (smartctl(8), since 7.0).

The report has values in JSON and, in ``smartctl.output``, the lines that smartctl would print. State, exit
status, logs and capabilities are taken from the JSON; the lines are parsed by pySMART (pysmart_tables).
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
"""Minutes that a short self-test takes: of NVMe at most, of SCSI about."""
_FAILED: Final = frozenset({5, 6, 7})


def read_health(output: bytes, when: float) -> Health:
    """The health in a report.

    Args:
        output: of smartctl, with ``--json=o``.
        when: POSIX time of the check.

    Raises:
        UnreadableReportError: the report is truncated or of another kind, or the drive reports nothing.
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
    """Whether smartctl has left the drive alone because it is in standby (``-n standby``).

    The exit status for that is configurable, but every number below 256 is also a sum of faults.
    """
    return "Device is in " in error_message(report)


def error_message(report: Mapping[str, Any]) -> str:
    """The last error message of smartctl."""
    messages = lookup(report, "smartctl", "messages")
    rows = messages if isinstance(messages, list) else []
    texts = [string for each in rows if (string := lookup_text(each, "string"))]
    return printable_text(texts[-1]) if texts else "it does not say why"


def _parse_report(output: bytes) -> Mapping[str, Any]:
    """The report as JSON, with its lines."""
    report = parse_object(output.decode("utf-8", "replace"))
    if report is None:
        raise UnreadableReportError("smartctl's answer is torn")
    if not isinstance(lookup(report, "smartctl", "output"), list):
        raise UnreadableReportError(
            "smartctl gave another answer than asked for; powerd needs version 7.0 or later"
        )
    return report


def _passed(report: Mapping[str, Any], tables: Tables) -> bool | None:
    """The drive's overall assessment, from the JSON or the lines."""
    passed = lookup_bool(report, "smart_status", "passed")
    return tables.passed if passed is None else passed


def _temperature(report: Mapping[str, Any], tables: Tables) -> int | None:
    """From SCT or the attribute, as smartctl chose; a raw value of 190 or 194 may hold three numbers."""
    current = lookup_int(report, "temperature", "current")
    return current if current is not None else tables.temperature


def _limit(report: Mapping[str, Any]) -> int | None:
    for key in ("op_limit_max", "drive_trip"):
        limit = lookup_int(report, "temperature", key)
        if limit is not None and limit > 0:
            return limit
    return None


def _errors(report: Mapping[str, Any]) -> dict[Counter, int]:
    """Count of entries in an ATA drive's error log.

    The log of NVMe is not counted: many drives enter each unknown command, of the kernel or of smartctl, so
    it grows with each check; lost data has a counter of its own, MEDIA. A SAS drive has no such log, but
    the counter UNCORRECTABLE.
    """
    for kind in ("extended", "summary"):
        if (count := lookup_int(report, "ata_smart_error_log", kind, "count")) is not None:
            return {Counter.ERRORS: count}
    return {}


def _testing(report: Mapping[str, Any], tables: Tables) -> int | None:
    """Percent of a running self-test that remain."""
    remaining = lookup_int(report, "ata_smart_data", "self_test", "status", "remaining_percent")
    if remaining is not None:
        return remaining
    completed = lookup_int(report, "nvme_self_test_log", "current_self_test_completion_percent")
    if completed is not None:
        return 100 - completed
    return tables.testing


def _tests(report: Mapping[str, Any], tables: Tables) -> tuple[SelfTest, ...]:
    """From the JSON for NVMe, because the heading of the lines differs since smartctl 7.5."""
    rows = lookup(report, "nvme_self_test_log", "table")
    if not isinstance(rows, list):
        return tables.tests
    return tuple(_nvme_test(row) for row in rows if isinstance(row, dict))


def _nvme_test(row: Mapping[str, Any]) -> SelfTest:
    """An entry; result 0 = passed, 5 to 7 = failed, others = aborted (NVMe 1.4, figure 203)."""
    result = lookup_int(row, "self_test_result", "value")
    return SelfTest(
        printable_text(lookup_text(row, "self_test_code", "string") or "unknown"),
        printable_text(lookup_text(row, "self_test_result", "string") or "unknown"),
        True if result == 0 else False if result in _FAILED else None,
        lookup_int(row, "power_on_hours"),
    )


def _minutes(report: Mapping[str, Any]) -> tuple[int, int]:
    """Minutes that the short and the long self-test take; smartctl does not report those of NVMe's long one.

    smartctl supports the self-tests of NVMe since 7.4; a drive that has them has a log of them.
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
