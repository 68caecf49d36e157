"""Health, and records of it, as plain JSON values and back: what travels between processes, and what is kept.

``from_plain`` believes nothing: a file may be torn, and a peer may be of another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, Final, TypeVar, get_args

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
    SmartRecord,
)

_T = TypeVar("_T")
_MAX_ROWS: Final = 256
"""Rows that a table may have; a drive has 30 attributes and 21 self-tests at most."""
_MAX_POSIX_TIME: Final = 1e11
"""POSIX time of the year 5138; what claims to be later is garbage."""
MAX_SAMPLES: Final = 400
"""Samples that a record may have: a year of daily checks, and a month."""
_FAILED_VALUES: Final = ("now", "past", None)
_PROTOCOLS: Final[tuple[DriveProtocol, ...]] = get_args(DriveProtocol)
_MAX_TEXT: Final = 200
"""Characters that a text may have."""


class MalformedHealthError(ValueError):
    """It is no Health; says what is wrong with it."""


def health_to_json(health: Health) -> dict[str, Any]:
    """As values that JSON has."""
    return {
        "at": health.checked_at,
        "protocol": health.protocol,
        "passed": health.passed,
        "faults": int(health.faults),
        "temperature": health.temperature,
        "limit": health.temperature_limit,
        "hours": health.power_on_hours,
        "counters": {counter.value: count for counter, count in health.counters.items()},
        "attributes": [list(astuple(each)) for each in health.attributes],
        "critical": list(health.critical_warnings),
        "spare": health.spare and list(health.spare),
        "tests": [list(astuple(each)) for each in health.self_tests],
        "testing": health.test_remaining_percent,
        "minutes": list(health.test_minutes),
        "partial": health.incomplete_reason,
    }


def health_from_json(value: object) -> Health:
    """The Health that ``to_plain`` was given; a key that is missing is as before there was such a key.

    Raises:
        NotPlainError: it is none.
    """
    if not isinstance(value, dict):
        raise MalformedHealthError("a check is an object")
    fields = _FieldReader(value)
    protocol_text = value.get("protocol")
    protocol = next((each for each in _PROTOCOLS if each == protocol_text), None)
    if protocol is None:
        raise MalformedHealthError("protocol is none that is known")
    return Health(
        checked_at=_posix_time(value.get("at")),
        protocol=protocol,
        passed=fields.boolean("passed"),
        faults=Fault((fields.integer("faults") or 0) & 0xFF),
        temperature=fields.integer("temperature"),
        temperature_limit=fields.integer("limit"),
        power_on_hours=fields.integer("hours"),
        counters=fields.counters(),
        attributes=fields.rows("attributes", _attribute),
        critical_warnings=fields.rows("critical", _text),
        spare=fields.pair("spare"),
        self_tests=fields.rows("tests", _test),
        test_remaining_percent=fields.integer("testing"),
        test_minutes=fields.pair("minutes") or (0, 0),
        incomplete_reason=_text(value.get("partial", "")),
    )


def record_to_json(record: SmartRecord) -> dict[str, Any]:
    """As values that JSON has."""
    return {
        "known": record.known_since,
        "last": record.last and health_to_json(record.last),
        "before": record.previous and health_to_json(record.previous),
        "samples": [
            [
                each.checked_at,
                each.passed,
                each.temperature,
                {str(key): n for key, n in each.counters.items()},
            ]
            for each in record.samples
        ],
        "tested": dict(record.test_started_at),
        "told": [
            [each.kind, int(each.severity), each.text, each.advice] for each in record.notified_findings
        ],
        "kind": record.device_type,
        "woken": record.woken_at,
    }


def record_from_json(value: object) -> SmartRecord:
    """The Record that ``record_to_plain`` was given.

    Raises:
        NotPlainError: it is none.
    """
    if not isinstance(value, dict):
        raise MalformedHealthError("a record is an object")
    fields = _FieldReader(value)
    last, previous, test_started_at = value.get("last"), value.get("before"), value.get("tested", {})
    if not isinstance(test_started_at, dict):
        raise MalformedHealthError("tested is no object")
    return SmartRecord(
        known_since=_posix_time(value.get("known")),
        last=None if last is None else health_from_json(last),
        previous=None if previous is None else health_from_json(previous),
        samples=fields.rows("samples", _sample, MAX_SAMPLES),
        test_started_at={str(kind): _posix_time(at) for kind, at in test_started_at.items()},
        notified_findings=fields.rows("told", _finding),
        device_type=_text(value.get("kind", "")),
        woken_at=_posix_time(value.get("woken", 0.0)),
    )


class _FieldReader:
    """Takes checked values out of an object."""

    def __init__(self, value: Mapping[str, object]) -> None:
        self._value = value

    def boolean(self, key: str) -> bool | None:
        return _boolean(self._value.get(key))

    def integer(self, key: str) -> int | None:
        return _integer(self._value.get(key))

    def pair(self, key: str) -> tuple[int, int] | None:
        match self._value.get(key):
            case None:
                return None
            case [one, other]:
                return _integer(one) or 0, _integer(other) or 0
        raise MalformedHealthError(f"{key} is no pair")

    def counters(self) -> dict[Counter, int]:
        return _counters(self._value.get("counters", {}))

    def rows(self, key: str, parse: Callable[[object], _T], maximum: int = _MAX_ROWS) -> tuple[_T, ...]:
        rows = self._value.get(key, [])
        if not isinstance(rows, list) or len(rows) > maximum:
            raise MalformedHealthError(f"{key} is no list of at most {maximum}")
        return tuple(parse(each) for each in rows)


def _counters(table: object) -> dict[Counter, int]:
    if not isinstance(table, dict):
        raise MalformedHealthError("counters is no object")
    known = {counter.value: counter for counter in Counter}
    return {known[name]: _integer(count) or 0 for name, count in table.items() if name in known}


def _sample(row: object) -> Sample:
    match row:
        case [at, passed, temperature, counters]:
            return Sample(_posix_time(at), _boolean(passed), _integer(temperature), _counters(counters))
    raise MalformedHealthError("a sample has four values")


def _finding(row: object) -> Finding:
    match row:
        case [kind, (0 | 1 | 2) as severity, text, advice] if not isinstance(severity, bool):
            return Finding(_text(kind), Severity(severity), _text(text), _text(advice))
    raise MalformedHealthError("a finding has four values")


def _posix_time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_POSIX_TIME:
        raise MalformedHealthError("a time is a number")
    return float(value)


def _attribute(row: object) -> Attribute:
    match row:
        case [int(number), name, value, worst, threshold, raw, bool(prefail), failed] if (
            failed in _FAILED_VALUES
        ):
            numbers = _integer(value), _integer(worst), _integer(threshold)
            return Attribute(number, _text(name), *numbers, _text(raw), prefail, failed)
    raise MalformedHealthError("an attribute has eight values")


def _test(row: object) -> SelfTest:
    match row:
        case [kind, status, passed, hours]:
            return SelfTest(_text(kind), _text(status), _boolean(passed), _integer(hours))
    raise MalformedHealthError("a self-test has four values")


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise MalformedHealthError(f"a text is printable and has at most {_MAX_TEXT} characters")
    return value


def _boolean(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise MalformedHealthError("a verdict is true, false or null")
    return value


def _integer(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise MalformedHealthError("a number is whole")
    return value
