"""Variations of the configuration that a replay of the record can evaluate, and a few to try."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from powerd.config.options import AwakeOptions, ClientClass, ClientOptions, Options, SleepRule
from powerd.config.values import ClientPattern, format_duration, is_address
from powerd.history.model import Interval

_OF_RULES: Final = ("idle_for", "during", "action", "dozing", "warn")
_OF_AWAKE: Final = ("after_start", "after_resume")
_OF_CLIENTS: Final = ("ignore", "absent_after")
_OF_CLASSES: Final = ("match", "absent_after", "keeps_awake")
_NAMES: Final = (*_OF_RULES, *_OF_AWAKE, *_OF_CLIENTS)
_TABLES: Final = {"sleep": _OF_RULES, "awake": _OF_AWAKE, "clients": _OF_CLIENTS}
_IDLE_FOR: Final = (300.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0)
_AFTER_RESUME: Final = (120.0, 300.0)


def vary(options: Options, assignments: Sequence[str]) -> Options:
    """The configuration with other values.

    Args:
        options: the configuration.
        assignments: each ``KEY=VALUE``: a key of _NAMES, which is that of every sleep rule, or with its table
            (``awake.after_resume``, ``sleep.idle_for``; ``sleep.2.idle_for`` is that of the second rule),
            or one of _OF_CLASSES with its class (``class.phone.keeps_awake``); a value as in the file, or a
            string without its quotes.

    Raises:
        ValueError: an option cannot be varied, or has no such value; one sentence.
    """
    for assignment in assignments:
        try:
            options = _assign(options, assignment)
        except ValueError as error:
            raise ValueError(f"--set {assignment.partition('=')[0].strip()}: {error}") from None
    return options


def _assign(options: Options, assignment: str) -> Options:
    key, separator, text = (each.strip() for each in assignment.partition("="))
    if not separator:
        raise ValueError('write it like --set idle_for="15min"')
    *table, name = key.split(".")
    if "class" in table[:2]:
        return _assign_to_class(options, ".".join(table).partition("class")[2].lstrip("."), name, text)
    number = table.pop() if len(table) == 2 and table[0] == "sleep" else ""  # noqa: PLR2004 - sleep.N.NAME
    _require(name, _TABLES.get(table[0], ()) if len(table) == 1 else () if table else _NAMES, _NAMES)
    if name in _OF_CLIENTS:
        clients = replace(options.clients, **{name: _read(ClientOptions, name, text)})
        return replace(options, clients=clients)
    if name in _OF_AWAKE:
        return replace(options, awake=replace(options.awake, **{name: _read(AwakeOptions, name, text)}))
    value = _read(SleepRule, name, text)
    if number and not (number.isascii() and number.isdecimal() and 1 <= int(number) <= len(options.sleep)):
        raise ValueError(f"there are {len(options.sleep)} sleep rules; the first is sleep.1")
    rules = [
        replace(rule, **{name: value}) if not number or n == int(number) else rule
        for n, rule in enumerate(options.sleep, 1)
    ]
    return replace(options, sleep=tuple(rules))


def _assign_to_class(options: Options, class_name: str, name: str, text: str) -> Options:
    _require(name, _OF_CLASSES, _OF_CLASSES)
    rows = options.clients.class_
    if class_name not in {row.name for row in rows}:
        names = ", ".join(row.name for row in rows) or "none"
        raise ValueError(f"there is no class {class_name!r}; the classes of clients are: {names}")
    value = _read(ClientClass, name, text)
    classes = tuple(replace(row, **{name: value}) if row.name == class_name else row for row in rows)
    return replace(options, clients=replace(options.clients, class_=classes))


def _require(name: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Require that an option can be varied."""
    if name not in names:
        known_names = ", ".join(known)
        raise ValueError(f"the record does not show the effect of another value; vary one of {known_names}")


def needs_others(before: ClientOptions, after: ClientOptions) -> bool:
    """Whether clients count that did not count before: the record does not have them."""
    others = {*after.ignore, *(each for row in after.class_ if not row.keeps_awake for each in row.match)}
    return not others.issuperset(
        (*before.ignore, *(each for row in before.class_ if not row.keeps_awake for each in row.match))
    )


def _read(table: type[Any], name: str, text: str) -> Any:  # noqa: ANN401 - of the option's type
    """The value of an option as in the file; a string needs no quotes, and may stand for a list of one."""
    kind = next(field.metadata["kind"] for field in fields(table) if field.name == name)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    try:
        return kind.read(value)
    except ValueError:
        if isinstance(kind.read([]) if name in {"during", "ignore", "match"} else None, tuple) and isinstance(
            value, str
        ):
            return kind.read([value])
        raise


def suggestions(options: Options, *, has_dozed: bool) -> Iterator[str]:
    """Assignments to try: other idle times, a shorter time awake after a wake-up, dozing clients."""
    for seconds in _IDLE_FOR:
        if any(rule.idle_for != seconds for rule in options.sleep):
            yield f'idle_for = "{format_duration(seconds)}"'
    for seconds in _AFTER_RESUME:
        if seconds < options.awake.after_resume:
            yield f'after_resume = "{format_duration(seconds)}"'
    if has_dozed and any(rule.dozing == "counts" for rule in options.sleep):
        yield 'dozing = "ignored"'


def counting(clients: ClientOptions) -> Callable[[Interval], bool]:
    """Whether a recorded client counts by ``ignore`` and by its class; others do."""

    def counts(interval: Interval) -> bool:
        if interval.subject.kind != "client":
            return True
        if any(_matches(each, interval) for each in clients.ignore):
            return False
        row = class_of(clients, interval)
        return row is None or row.keeps_awake

    return counts


def class_of(clients: ClientOptions, interval: Interval) -> ClientClass | None:
    """The class of a recorded client; None = none matches."""
    return next((row for row in clients.class_ if any(_matches(each, interval) for each in row.match)), None)


def _matches(pattern: ClientPattern, interval: Interval) -> bool:
    addresses = tuple(filter(is_address, (interval.subject.id, interval.subject.name)))
    return pattern.matches(addresses, interval.subject.id, interval.subject.name or None)
