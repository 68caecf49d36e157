"""Health, and records of it, as plain JSON values and back: what travels between processes, and what is kept.

``from_plain`` believes nothing: a file may be torn, and a peer may be of another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, Final, TypeVar, get_args

from powerd.model.health import (
    Attribute,
    Counter,
    Fault,
    Finding,
    Health,
    Protocol,
    Record,
    Sample,
    SelfTest,
    Severity,
)

_T = TypeVar("_T")
_MOST: Final = 256
"""Rows that a table may have; a drive has 30 attributes and 21 self-tests at most."""
_LATEST: Final = 1e11
"""POSIX time of the year 5138; what claims to be later is garbage."""
SAMPLES: Final = 400
"""Samples that a record may have: a year of daily checks, and a month."""
_FAILED: Final = ("now", "past", None)
_PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
_LONG: Final = 200
"""Characters that a text may have."""


class NotPlainError(ValueError):
    """It is no Health; says what is wrong with it."""


def to_plain(health: Health) -> dict[str, Any]:
    """As values that JSON has."""
    return {
        "at": health.at,
        "protocol": health.protocol,
        "passed": health.passed,
        "faults": int(health.faults),
        "temperature": health.temperature,
        "limit": health.limit,
        "hours": health.hours,
        "counters": {counter.value: count for counter, count in health.counters.items()},
        "attributes": [list(astuple(each)) for each in health.attributes],
        "critical": list(health.critical),
        "spare": health.spare and list(health.spare),
        "tests": [list(astuple(each)) for each in health.tests],
        "testing": health.testing,
        "minutes": list(health.minutes),
        "partial": health.partial,
    }


def from_plain(value: object) -> Health:
    """The Health that ``to_plain`` was given; a key that is missing is as before there was such a key.

    Raises:
        NotPlainError: it is none.
    """
    if not isinstance(value, dict):
        raise NotPlainError("a check is an object")
    take = _Taking(value)
    spoken = value.get("protocol")
    protocol = next((each for each in _PROTOCOLS if each == spoken), None)
    if protocol is None:
        raise NotPlainError("protocol is none that is known")
    return Health(
        at=_time(value.get("at")),
        protocol=protocol,
        passed=take.truth("passed"),
        faults=Fault((take.whole("faults") or 0) & 0xFF),
        temperature=take.whole("temperature"),
        limit=take.whole("limit"),
        hours=take.whole("hours"),
        counters=take.counters(),
        attributes=take.rows("attributes", _attribute),
        critical=take.rows("critical", _text),
        spare=take.pair("spare"),
        tests=take.rows("tests", _test),
        testing=take.whole("testing"),
        minutes=take.pair("minutes") or (0, 0),
        partial=_text(value.get("partial", "")),
    )


def record_to_plain(record: Record) -> dict[str, Any]:
    """As values that JSON has."""
    return {
        "known": record.known,
        "last": record.last and to_plain(record.last),
        "before": record.before and to_plain(record.before),
        "samples": [
            [each.at, each.passed, each.temperature, {str(key): n for key, n in each.counters.items()}]
            for each in record.samples
        ],
        "tested": dict(record.tested),
        "told": [[each.kind, int(each.severity), each.text, each.advice] for each in record.told],
        "kind": record.kind,
        "woken": record.woken,
    }


def record_from_plain(value: object) -> Record:
    """The Record that ``record_to_plain`` was given.

    Raises:
        NotPlainError: it is none.
    """
    if not isinstance(value, dict):
        raise NotPlainError("a record is an object")
    take = _Taking(value)
    last, before, tested = value.get("last"), value.get("before"), value.get("tested", {})
    if not isinstance(tested, dict):
        raise NotPlainError("tested is no object")
    return Record(
        known=_time(value.get("known")),
        last=None if last is None else from_plain(last),
        before=None if before is None else from_plain(before),
        samples=take.rows("samples", _sample, SAMPLES),
        tested={str(kind): _time(at) for kind, at in tested.items()},
        told=take.rows("told", _finding),
        kind=_text(value.get("kind", "")),
        woken=_time(value.get("woken", 0.0)),
    )


class _Taking:
    """Takes checked values out of an object."""

    def __init__(self, value: Mapping[str, object]) -> None:
        self._value = value

    def truth(self, key: str) -> bool | None:
        return _truth(self._value.get(key))

    def whole(self, key: str) -> int | None:
        return _whole(self._value.get(key))

    def pair(self, key: str) -> tuple[int, int] | None:
        match self._value.get(key):
            case None:
                return None
            case [one, other]:
                return _whole(one) or 0, _whole(other) or 0
        raise NotPlainError(f"{key} is no pair")

    def counters(self) -> dict[Counter, int]:
        return _counters(self._value.get("counters", {}))

    def rows(self, key: str, row: Callable[[object], _T], most: int = _MOST) -> tuple[_T, ...]:
        rows = self._value.get(key, [])
        if not isinstance(rows, list) or len(rows) > most:
            raise NotPlainError(f"{key} is no list of at most {most}")
        return tuple(row(each) for each in rows)


def _counters(table: object) -> dict[Counter, int]:
    if not isinstance(table, dict):
        raise NotPlainError("counters is no object")
    known = {counter.value: counter for counter in Counter}
    return {known[name]: _whole(count) or 0 for name, count in table.items() if name in known}


def _sample(row: object) -> Sample:
    match row:
        case [at, passed, temperature, counters]:
            return Sample(_time(at), _truth(passed), _whole(temperature), _counters(counters))
    raise NotPlainError("a sample has four values")


def _finding(row: object) -> Finding:
    match row:
        case [kind, (0 | 1 | 2) as severity, text, advice] if not isinstance(severity, bool):
            return Finding(_text(kind), Severity(severity), _text(text), _text(advice))
    raise NotPlainError("a finding has four values")


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        raise NotPlainError("a time is a number")
    return float(value)


def _attribute(row: object) -> Attribute:
    match row:
        case [int(number), name, value, worst, threshold, raw, bool(prefail), failed] if failed in _FAILED:
            numbers = _whole(value), _whole(worst), _whole(threshold)
            return Attribute(number, _text(name), *numbers, _text(raw), prefail, failed)
    raise NotPlainError("an attribute has eight values")


def _test(row: object) -> SelfTest:
    match row:
        case [kind, status, passed, hours]:
            return SelfTest(_text(kind), _text(status), _truth(passed), _whole(hours))
    raise NotPlainError("a self-test has four values")


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONG or not value.isprintable():
        raise NotPlainError(f"a text is printable and has at most {_LONG} characters")
    return value


def _truth(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise NotPlainError("a verdict is true, false or null")
    return value


def _whole(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise NotPlainError("a number is whole")
    return value
