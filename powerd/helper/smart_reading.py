"""What smartctl found, read from its one answer: ``smartctl --json=o --all`` (smartctl(8), from 7.0).

Such a document holds values as JSON and, in ``smartctl.output``, the very lines that it would have printed.
State, exit status, logs and capabilities are taken from the JSON; the lines are pySMART's (smart_tables).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from powerd.helper.smart_tables import ReadingError, Tables, parse
from powerd.helper.smart_values import LONG, at, document, line, text, truth, whole
from powerd.model import Counter, Fault, Health, Protocol, SelfTest

_PROTOCOLS: Final[Mapping[str, Protocol]] = {"ATA": "ata", "NVMe": "nvme", "SCSI": "scsi"}

_SHORT: Final = 2
"""Minutes that a short self-test of NVMe takes at most, and one of SCSI about."""
_FAILED: Final = frozenset({5, 6, 7})


def read(answer: bytes, when: float) -> Health:
    """The Health in one answer of smartctl's.

    Args:
        answer: what it wrote, ``--json=o``.
        when: POSIX time of the check.

    Raises:
        ReadingError: it is torn, no such answer, or of a drive that tells nothing.
    """
    told = _whole_answer(answer)
    faults = Fault(whole(told, "smartctl", "exit_status") or 0)
    protocol = _PROTOCOLS.get(text(told, "device", "protocol") or "")
    if Fault.USAGE in faults or Fault.OPEN in faults or protocol is None:
        raise ReadingError(f"smartctl could not ask the drive: {said(told)}")
    if at(told, "smart_support", "available") is False:
        raise ReadingError("the drive has no SMART")
    tables = parse(told["smartctl"]["output"], protocol, faults)
    health = Health(
        at=when,
        protocol=protocol,
        passed=_passed(told, tables),
        faults=faults,
        temperature=_temperature(told, tables),
        limit=_limit(told),
        hours=whole(told, "power_on_time", "hours"),
        counters=tables.counters | _errors(told),
        attributes=tables.attributes,
        critical=tables.critical,
        spare=tables.spare,
        tests=_tests(told, tables),
        testing=_testing(told, tables),
        minutes=_minutes(told),
        partial=_partial(told, faults),
    )
    if health.passed is None and not health.counters and health.temperature is None:
        raise ReadingError(f"the drive tells nothing of its health: {said(told)}")
    return health


def asleep(told: Mapping[str, Any]) -> bool:
    """Whether smartctl left the drive alone because it sleeps (``-n standby``).

    The status for that is one of our choosing, but every number below 256 is some sum of faults as well.
    """
    return "Device is in " in said(told)


def said(told: Mapping[str, Any]) -> str:
    """Smartctl's own last word on what went wrong."""
    messages = at(told, "smartctl", "messages")
    rows = messages if isinstance(messages, list) else []
    texts = [string for each in rows if (string := text(each, "string"))]
    return line(texts[-1]) if texts else "it does not say why"


def _whole_answer(answer: bytes) -> Mapping[str, Any]:
    """What smartctl told, as JSON and with its lines."""
    told = document(answer.decode("utf-8", "replace"))
    if told is None:
        raise ReadingError("smartctl's answer is torn")
    if not isinstance(at(told, "smartctl", "output"), list):
        raise ReadingError("smartctl gave another answer than asked for; powerd needs version 7.0 or later")
    return told


def _passed(told: Mapping[str, Any], tables: Tables) -> bool | None:
    """The drive's own verdict, in JSON or else in the lines."""
    passed = truth(told, "smart_status", "passed")
    return tables.passed if passed is None else passed


def _temperature(told: Mapping[str, Any], tables: Tables) -> int | None:
    """SCT or the attribute, as smartctl chose it; a raw value of 190 or 194 alone may hold three numbers."""
    current = whole(told, "temperature", "current")
    return current if current is not None else tables.temperature


def _limit(told: Mapping[str, Any]) -> int | None:
    for key in ("op_limit_max", "drive_trip"):
        limit = whole(told, "temperature", key)
        if limit is not None and limit > 0:
            return limit
    return None


def _errors(told: Mapping[str, Any]) -> dict[Counter, int]:
    """Entries ever made in an ATA drive's error log.

    Not in NVMe's: many drives enter each command that they do not know, be it the kernel's or one of those
    that smartctl reads them with, so that it grows with each check. Lost data is counted apart: MEDIA. A SAS
    drive has no such log, but counts what it has lost: UNCORRECTABLE.
    """
    for kind in ("extended", "summary"):
        if (count := whole(told, "ata_smart_error_log", kind, "count")) is not None:
            return {Counter.ERRORS: count}
    return {}


def _testing(told: Mapping[str, Any], tables: Tables) -> int | None:
    """Percent that a running self-test still has to do."""
    remaining = whole(told, "ata_smart_data", "self_test", "status", "remaining_percent")
    if remaining is not None:
        return remaining
    done = whole(told, "nvme_self_test_log", "current_self_test_completion_percent")
    if done is not None:
        return 100 - done
    return tables.testing


def _tests(told: Mapping[str, Any], tables: Tables) -> tuple[SelfTest, ...]:
    """NVMe's are taken from the JSON, for the heading of their lines is another one from smartctl 7.5 on."""
    rows = at(told, "nvme_self_test_log", "table")
    if not isinstance(rows, list):
        return tables.tests
    return tuple(_nvme_test(row) for row in rows if isinstance(row, dict))


def _nvme_test(row: Mapping[str, Any]) -> SelfTest:
    """An entry; the result is 0 = well, 5 to 7 = failed, else broken off (NVMe 1.4, figure 203)."""
    result = whole(row, "self_test_result", "value")
    return SelfTest(
        line(text(row, "self_test_code", "string") or "unknown"),
        line(text(row, "self_test_result", "string") or "unknown"),
        True if result == 0 else False if result in _FAILED else None,
        whole(row, "power_on_hours"),
    )


def _minutes(told: Mapping[str, Any]) -> tuple[int, int]:
    """How long self-tests take; of NVMe's long one smartctl does not tell.

    It knows NVMe's from 7.4 on, and then tells of their log where the drive has any.
    """
    if isinstance(at(told, "nvme_self_test_log"), dict):
        return _SHORT, 0
    polling = ("ata_smart_data", "self_test", "polling_minutes")
    short, long = whole(told, *polling, "short"), whole(told, *polling, "extended")
    if short is None and long is None:
        seconds = whole(told, "scsi_extended_self_test_seconds")
        return (_SHORT, -(-seconds // 60)) if seconds else (0, 0)
    return short or 0, long or 0


def _partial(told: Mapping[str, Any], faults: Fault) -> str:
    return f"not all of it could be read: {said(told)}"[:LONG] if Fault.COMMAND in faults else ""
