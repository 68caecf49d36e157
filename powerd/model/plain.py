"""Health as plain JSON values and back: what travels between processes, and what is kept from day to day.

``from_plain`` believes nothing: a file may be torn, and a peer may be of another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, Final, TypeVar, get_args

from powerd.model.health import Attribute, Counter, Fault, Health, Protocol, SelfTest

_T = TypeVar("_T")
_MOST: Final = 256
"""Rows that a table may have; a drive has 30 attributes and 21 self-tests at most."""
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
    at = value.get("at")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise NotPlainError("at is no time")
    spoken = value.get("protocol")
    protocol = next((each for each in _PROTOCOLS if each == spoken), None)
    if protocol is None:
        raise NotPlainError("protocol is none that is known")
    return Health(
        at=float(at),
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
        table = self._value.get("counters", {})
        if not isinstance(table, dict):
            raise NotPlainError("counters is no object")
        known = {counter.value: counter for counter in Counter}
        return {known[name]: _whole(count) or 0 for name, count in table.items() if name in known}

    def rows(self, key: str, row: Callable[[object], _T]) -> tuple[_T, ...]:
        rows = self._value.get(key, [])
        if not isinstance(rows, list) or len(rows) > _MOST:
            raise NotPlainError(f"{key} is no list of at most {_MOST}")
        return tuple(row(each) for each in rows)


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
