"""``python -m powerd.helper.smart.reader``: a report of smartctl on stdin becomes a Health on stdout.

The report is that of ``smartctl --json=o --all`` (smartctl(8), since 7.0). It has values in JSON and, in
``smartctl.output``, the lines that smartctl would print. State, exit status, logs and capabilities are taken
from the JSON; the lines are parsed by pySMART (pysmart_tables). powerd.smart.counters defines the meaning of
the numbers.

One process per report: pySMART costs 14 MB, changes its process, and may raise or loop on what a drive's
firmware reports. It has no device open, and takes no arguments.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from powerd.core.codec import CodecError, encode
from powerd.helper.smart.pysmart_tables import Tables, UnreadableReportError, parse
from powerd.helper.smart.report import (
    MAX_TEXT,
    error_message,
    lookup,
    lookup_bool,
    lookup_int,
    lookup_text,
    parse_object,
    printable_text,
)
from powerd.smart import counters
from powerd.smart.model import Counter, DriveProtocol, Fault, Health, SelfTest

_PROTOCOLS: Final[Mapping[str, DriveProtocol]] = {"ATA": "ata", "NVMe": "nvme", "SCSI": "scsi"}

_NVME_SHORT_MINUTES: Final = 2
"""Minutes that a short self-test takes: of NVMe at most, of SCSI about."""
_FAILED: Final = frozenset({5, 6, 7})
_MAX_INPUT: Final = 1 << 20
"""Bytes of a report: a full one has 60 kB, and one that is cut off here is truncated."""
_MAX_WEAR: Final = 255
_SPECIFIED_LOADS: Final = re.compile(r"Specified load-unload count over device lifetime: +([0-9]{1,9})$")
_WARNING_LIMIT: Final = re.compile(r"Warning +Comp\. Temp\. Threshold: +([0-9]{1,3}) Celsius")
_STATISTICS_WEAR: Final = re.compile(r"0x07 +0x008 +1 +([0-9]{1,3}) .*Percentage Used Endurance Indicator")
"""Device Statistics, Solid State Device Statistics page (ACS-3); smartctl has it in JSON since 7.4 only."""
_FORM_FACTOR: Final = re.compile(r"Form Factor: +(.+)")
_ROTATION: Final = re.compile(r"Rotation Rate: +(Solid State Device|[0-9]+ rpm)")


def main() -> int:
    """Write ``{"health": …}``, or ``{"error": "…"}`` if there is none.

    Returns:
        The exit status: 0, or 1 without a health.
    """
    warnings.simplefilter("ignore")  # those of pySMART are for its developers
    output = sys.stdin.buffer.read(_MAX_INPUT)
    try:
        # The caller sets the time of the check.
        reply: dict[str, object] = {"health": encode(read_health(output, 0.0))}
    except (UnreadableReportError, CodecError) as error:
        reply = {"error": str(error)}
    sys.stdout.write(json.dumps(reply) + "\n")
    return 0 if "health" in reply else 1


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
        raise UnreadableReportError(f"smartctl could not query the drive: {error_message(report)}")
    if lookup(report, "smart_support", "available") is False:
        raise UnreadableReportError("the drive has no SMART")
    lines = [str(line) for line in report["smartctl"]["output"]]
    tables = parse(lines, protocol, faults)
    solid_state = _solid_state(report, lines, tables, protocol)
    hours = counters.credible_hours(lookup_int(report, "power_on_time", "hours"))
    health = Health(
        checked_at=when,
        protocol=protocol,
        passed=_passed(report, tables),
        faults=faults,
        temperature=_temperature(report, tables),
        temperature_limit=_limit(report, lines),
        power_on_hours=hours,
        counters=_counters(report, lines, tables, protocol, solid_state=solid_state),
        attributes=tables.attributes,
        critical_warnings=tables.critical,
        spare=tables.spare,
        self_tests=_tests(report, tables, hours if protocol == "ata" else None),
        test_remaining_percent=_testing(report, tables),
        test_minutes=_minutes(report),
        incomplete_reason=_partial(report, faults),
        solid_state=solid_state,
        rated_loads=0 if solid_state else _rated_loads(report, lines, protocol),
    )
    if health.passed is None and not health.counters and health.temperature is None:
        if lookup(report, "smart_support", "enabled") is False:
            raise UnreadableReportError(
                "SMART is switched off in the drive; to switch it on: smartctl --smart=on DEVICE"
            )
        raise UnreadableReportError(f"the drive reports no health data: {error_message(report)}")
    return health


def _parse_report(output: bytes) -> Mapping[str, Any]:
    """The report as JSON, with its lines."""
    report = parse_object(output.decode("utf-8", "replace"))
    if report is None:
        raise UnreadableReportError("smartctl's output is incomplete")
    if not isinstance(lookup(report, "smartctl", "output"), list):
        raise UnreadableReportError(
            "smartctl printed something other than the requested report; powerd needs version 7.0 or later"
        )
    return report


def _passed(report: Mapping[str, Any], tables: Tables) -> bool | None:
    """The drive's overall assessment, from the JSON or the lines."""
    passed = lookup_bool(report, "smart_status", "passed")
    return tables.passed if passed is None else passed


def _solid_state(
    report: Mapping[str, Any], lines: list[str], tables: Tables, protocol: DriveProtocol
) -> bool | None:
    rate = lookup_int(report, "rotation_rate")
    if rate is None and (line := _first(_ROTATION, lines)):
        rate = 0 if line.startswith("Solid") else 1
    if protocol == "nvme" or rate is not None:
        return protocol == "nvme" or rate == 0
    return counters.is_solid_state(tables.attributes)


def _counters(
    report: Mapping[str, Any],
    lines: list[str],
    tables: Tables,
    protocol: DriveProtocol,
    *,
    solid_state: bool | None,
) -> dict[Counter, int]:
    known = tables.counters | _errors(report)
    wear = lookup_int(report, "endurance_used", "current_percent")
    if protocol == "ata":
        known |= counters.counters_of(tables.attributes, solid_state=solid_state)
        statistics = _first(_STATISTICS_WEAR, lines)
        wear = counters.wear_of(tables.attributes, int(statistics) if statistics else None, wear)
        wear = wear if solid_state else None
    elif protocol == "scsi" and wear is None:  # smartctl 7.2 and 7.3
        wear = lookup_int(report, "scsi_percentage_used_endurance_indicator")
    if wear is not None and 0 <= wear <= _MAX_WEAR:
        known.setdefault(Counter.WORN, wear)
    return known


def _temperature(report: Mapping[str, Any], tables: Tables) -> int | None:
    """From SCT or the attribute, as smartctl chose; a raw value of 190 or 194 may hold three numbers."""
    reported = counters.credible_temperature(lookup_int(report, "temperature", "current"))
    if reported is not None:
        return reported
    return counters.credible_temperature(tables.temperature) or counters.temperature_of(tables.attributes)


def _limit(report: Mapping[str, Any], lines: list[str]) -> int | None:
    """The drive's own limit; smartctl has that of NVMe in the lines only before 7.4."""
    reported = [lookup_int(report, "temperature", key) for key in ("op_limit_max", "drive_trip")]
    line = _first(_WARNING_LIMIT, lines)
    limits = map(counters.credible_temperature_limit, (*reported, int(line) if line else None))
    return next(filter(None, limits), None)


def _rated_loads(report: Mapping[str, Any], lines: list[str], protocol: DriveProtocol) -> int:
    if protocol == "scsi":
        return int(_first(_SPECIFIED_LOADS, lines) or 0)
    form_factor = lookup_text(report, "form_factor", "name") or _first(_FORM_FACTOR, lines)
    return counters.rated_loads(lookup_text(report, "model_name") or "", form_factor)


def _first(pattern: re.Pattern[str], lines: list[str]) -> str:
    """The first group of the first line that matches; "" = none does."""
    return next((match[1] for line in lines if (match := pattern.match(line))), "")


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


def _tests(report: Mapping[str, Any], tables: Tables, ata_hours: int | None) -> tuple[SelfTest, ...]:
    """From the JSON for NVMe, because the heading of the lines differs since smartctl 7.5."""
    rows = lookup(report, "nvme_self_test_log", "table")
    if not isinstance(rows, list):
        hours = counters.self_test_hours([test.hours for test in tables.tests], ata_hours)
        return tuple(replace(test, hours=at) for test, at in zip(tables.tests, hours, strict=True))
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


if __name__ == "__main__":
    sys.exit(main())
