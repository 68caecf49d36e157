"""Loads TOML into frozen Options. One run finds all errors; each is one line with file, key path and remedy.

The token for writing over TCP is in a file of its own. It is read at each use, so a new token applies at
once, and no printed configuration contains it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from powerd.activity.check import CheckKind
from powerd.activity.registry import find_kind
from powerd.config.activity_options import (
    ActivityOptions,
    CheckSettings,
    ConfiguredCheck,
    NamedCheckSettings,
    default_checks,
)
from powerd.config.declare import InvalidCombination
from powerd.config.disk_options import invalid_disk_combinations
from powerd.config.http_options import invalid_http_combinations
from powerd.config.include import Document
from powerd.config.mqtt_options import invalid_mqtt_combinations
from powerd.config.options import ClientClass, ClientName, Options, SleepRule
from powerd.config.password import read_password_hash, read_secret
from powerd.config.problems import Clause, Problem, Severity, in_order, make_problem


def invalid_combinations(options: Options) -> Iterator[InvalidCombination]:
    """Errors of options that are valid by themselves but not together."""
    for n, rule in enumerate(options.sleep, 1):
        yield from _check_sleep_rule(rule, f"sleep[{n}].")
    names: set[str] = set()
    for n, row in enumerate(options.clients.class_, 1):
        yield from _check_client_class(row, f"clients.class[{n}].", names)
    yield from _invalid_names(options.clients.name)
    yield from invalid_disk_combinations(options.disks)
    yield from invalid_http_combinations(options.http)
    yield from invalid_mqtt_combinations(options.mqtt)
    if options.clients.timeout > options.clients.every / 4:
        keys = ("clients.timeout", "clients.every")
        yield InvalidCombination(
            keys, "a sweep takes up to four times this, and must fit into clients.every; shorten it"
        )


def _check_sleep_rule(rule: SleepRule, path: str) -> Iterator[InvalidCombination]:
    keys = (f"{path}command", f"{path}action")
    if rule.action == "command" and not rule.command:
        yield InvalidCombination(
            keys, 'action "command" requires a command; write it like command = ["/usr/local/sbin/goodnight"]'
        )
    if rule.action != "command" and rule.command:
        yield InvalidCombination(
            keys, f'is not used by action "{rule.action}"; write action = "command", or remove the command'
        )


def _check_client_class(row: ClientClass, path: str, names: set[str]) -> Iterator[InvalidCombination]:
    if not row.name:
        yield InvalidCombination(
            (f"{path}name",), 'every class requires a name; write name = "…" below the header'
        )
    elif row.name in names:
        yield InvalidCombination((f"{path}name",), f'"{row.name}" is the name of two classes; rename one')
    names.add(row.name)
    if not row.match:
        text = 'the class matches no client; add at least one pattern, e.g. ["*phone*"]'
        yield InvalidCombination((f"{path}match",), text)


def _invalid_names(rows: Sequence[ClientName]) -> Iterator[InvalidCombination]:
    for number, row in enumerate(rows, 1):
        for key, is_set in (("match", str(row.match) != "*"), ("name", bool(row.name))):
            if not is_set:
                text = f'every row requires it; write {key} = "…" below the header'
                yield InvalidCombination((f"clients.name[{number}].{key}",), text)


_MIN_TOKEN_LENGTH: Final = 16
_CREATE_TOKEN_HINT: Final = "create it with: (umask 027; openssl rand -hex 32 > {file})"  # noqa: S105 - a command, no password


def read_token(path: str) -> str:
    """The token in ``path``, without surrounding white space.

    Raises:
        ValueError: the file cannot be read, or others can read it, or it contains no token; one clause with
        the remedy.
    """
    file = Path(path)
    remedy = _CREATE_TOKEN_HINT.format(file=file)
    token = read_secret(file, remedy).decode("ascii", errors="replace")
    if len(token) < _MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            f"{file} must contain one word of {_MIN_TOKEN_LENGTH} or more ASCII characters; {remedy}"
        )
    return token


DEFAULT_PATH: Final = Path("/etc/powerd/powerd.toml")
T = TypeVar("T")


class ConfigError(Exception):
    """The configuration is invalid.

    Attributes:
        faults: every error of it.
    """

    def __init__(self, faults: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def load(path: Path | None = None, *, check_secrets: bool = True) -> Options:
    """Read the configuration.

    Args:
        path: the requested file; None = ``/etc/powerd/powerd.toml``, and the defaults if it is missing.
        check_secrets: whether the token and the password must be usable.

    Raises:
        ConfigError: the requested file is missing, or the file is unreadable, not a regular file, too large,
            world-writable, not TOML, or invalid.
    """
    file, document = path or DEFAULT_PATH, Document()
    try:
        document.add_file(file)
    except FileNotFoundError:
        if path is None:
            return Options()
        clause = "no such file; check --config and POWERD_CONFIG"
        raise ConfigError([make_problem((str(file), None), "", clause)]) from None
    if not check_secrets:
        return _read_document(document, str(file))
    return _read_document(document, str(file), _secret_faults)


def _secret_faults(options: Options) -> list[Clause]:
    """Why the token and the password cannot be used."""
    http, faults = options.http, list[Clause]()
    try:
        if http.token_file:
            read_token(http.token_file)
    except ValueError as error:
        faults.append(("http.token_file", str(error)))
    try:
        if http.login == "password" and http.password_file:
            read_password_hash(http.password_file)
    except ValueError as error:
        faults.append(("http.password_file", str(error)))
    return faults


def locate_clauses(file: Path, clauses: Iterable[Clause], severity: Severity) -> list[Problem]:
    """Clauses about a valid configuration, with their files and lines.

    Args:
        file: the configuration file; it may be missing.
        clauses: the key and the text of each.
        severity: of all of them.
    """
    document = Document()
    found = list(clauses)
    if found:
        with suppress(FileNotFoundError):
            document.add_file(file)
    return in_order(
        make_problem(document.locate(key, str(file)), key, clause, severity) for key, clause in found
    )


def empty_sleep_rules(file: Path) -> list[int]:
    """The numbers, from 1, of the sleep rules of a valid configuration that set no option."""
    document = Document()
    with suppress(FileNotFoundError):
        document.add_file(file)
    return [number for number, row in enumerate(document.data.get("sleep", ()), 1) if not row]


def parse(content: bytes, file: str) -> Options:
    """Parse the TOML text in ``content``; ``file`` is its name in errors.

    Raises:
        ConfigError: contains every error.
    """
    document = Document()
    document.add(content, Path(file))
    return _read_document(document, file)


def _read_document(
    document: Document, file: str, more_faults: Callable[[Options], Sequence[Clause]] = lambda _: ()
) -> Options:
    """The options of the merged files; ``more_faults`` returns what else is wrong with them."""
    faults: list[Clause] = []
    options = _read_table(Options, document.data, "", faults)
    known = {key for key, _ in faults}
    faults += [(keys[0], text) for keys, text in invalid_combinations(options) if known.isdisjoint(keys)]
    faults += more_faults(options)
    if document.faults or faults:
        found = (make_problem(document.locate(key, file), key, text) for key, text in faults)
        raise ConfigError(in_order([*document.faults, *found]))
    return options


def key_of(field: dataclasses.Field[Any]) -> str:
    """The key in the file: the name of the field without the underscore that avoids a keyword."""
    return field.name.rstrip("_")


def _read_table(row: type[T], data: Mapping[str, object], path: str, faults: list[Clause]) -> T:
    """One dataclass from a TOML table. An invalid value keeps its default and adds an error to ``faults``."""
    return row(**_read_fields((row,), data, path, faults))


def _read_fields(
    rows: Sequence[type[Any]], data: Mapping[str, object], path: str, faults: list[Clause]
) -> dict[str, Any]:
    """The valid values of a TOML table that has the fields of several dataclasses, by field."""
    fields = {key_of(field): field for row in rows for field in dataclasses.fields(row)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        key_path = f"{path}{key}"
        field = fields.get(key)
        if field is None:
            faults.append((key_path, f"unknown key; {_key_suggestion(key, path, tuple(fields))}"))
        elif "row" in field.metadata:
            values[field.name] = _read_table_array(field.metadata["row"], value, key_path, faults)
        elif "kind" in field.metadata:
            try:
                values[field.name] = field.metadata["kind"].read(value)
            except ValueError as error:
                faults += _with_remedies(error, field, key_path, value)
        elif isinstance(value, dict) and key_path == "activity":
            values[field.name] = _read_activity(value, faults)
        elif isinstance(value, dict):
            values[field.name] = _read_table(type(field.default), value, f"{key_path}.", faults)
        else:
            faults.append((key_path, _table_wanted(key_path, value)))
    return values


def _table_wanted(path: str, value: object) -> str:
    """The clause about a value in place of a table."""
    instead = f"instead of [[{path}]]" if isinstance(value, list) else "on a line of its own"
    return f"must be a table; write [{path}] {instead}"


def _tables_wanted(path: str, value: object) -> str:
    """The clause about a value in place of an array of tables."""
    instead = f"instead of [{path}]" if isinstance(value, dict) else "above each"
    return f"must be an array of tables; write [[{path}]] {instead}"


def _key_suggestion(key: str, path: str, known: tuple[str, ...]) -> str:
    from powerd.config.suggestions import key_suggestion  # noqa: PLC0415 - only for an invalid configuration

    return key_suggestion(key, path, known)


def _with_remedies(
    error: ValueError, field: dataclasses.Field[Any], key_path: str, value: object
) -> Iterator[Clause]:
    """The clauses of an invalid value; with the value that was probably intended, if that is known."""
    from powerd.config.suggestions import hide_urls, value_suggestion  # noqa: PLC0415 - only for an invalid configuration

    intended = value_suggestion(field.metadata["kind"], value)
    for clause in error.args:
        what = clause.partition("; ")[0]
        suggestion = hide_urls(f"{what}; write {key_of(field)} = {intended}")
        yield key_path, clause if intended is None else suggestion


def _read_table_array(row: type[T], value: object, path: str, faults: list[Clause]) -> tuple[T, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        faults.append((path, _tables_wanted(path, value)))
        return ()
    return tuple(_read_table(row, item, f"{path}[{n}].", faults) for n, item in enumerate(value, 1))


_ON_ERROR: Final = "on_error"


def _read_activity(data: Mapping[str, object], faults: list[Clause]) -> ActivityOptions:
    """``[activity]``: its own options, and the tables of the checks by their names."""
    own = {key: value for key, value in data.items() if key == _ON_ERROR}
    tables: dict[str, list[ConfiguredCheck]] = {check.kind: [check] for check in default_checks()}
    for name, value in data.items():
        if name == _ON_ERROR:
            continue
        try:
            kind = find_kind(name)
        except ValueError as error:
            faults.append((f"activity.{name}", error.args[0]))
            continue
        path = f"activity.{name}"
        if kind.many:
            tables[name] = _read_check_list(kind, value, path, faults)
        elif isinstance(value, dict):
            tables[name] = _read_check(kind, CheckSettings, value, path, faults)
        else:
            faults.append((path, _table_wanted(path, value)))
    checks = tuple([check for name in sorted(tables) for check in tables[name]])
    return replace(_read_table(ActivityOptions, own, "activity.", faults), checks=checks)


def _read_check_list(
    kind: CheckKind, value: object, path: str, faults: list[Clause]
) -> list[ConfiguredCheck]:
    """The checks of an array of tables; each has a name of its own."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        faults.append((path, _tables_wanted(path, value)))
        return []
    checks: dict[str, ConfiguredCheck] = {}
    for n, item in enumerate(value, 1):
        for check in _read_check(kind, NamedCheckSettings, item, f"{path}[{n}]", faults):
            if not check.name:
                faults.append(
                    (
                        f"{path}[{n}].name",
                        'every table of this check requires a name; write name = "…" below the header',
                    )
                )
            elif check.name in checks:
                faults.append((f"{path}[{n}].name", f'"{check.name}" is the name of two tables; rename one'))
            checks[check.name] = check
    return list(checks.values())


def _read_check(
    kind: CheckKind,
    settings: type[CheckSettings],
    data: Mapping[str, object],
    path: str,
    faults: list[Clause],
) -> list[ConfiguredCheck]:
    """The check of one table; [] if its options are invalid."""
    common = {field.name for field in dataclasses.fields(settings)}
    values = _read_fields((settings, kind.options), data, f"{path}.", faults)
    try:
        options = kind.options(**{key: value for key, value in values.items() if key not in common})
    except ValueError as error:
        options_of_kind = dataclasses.fields(kind.options)
        if not any(key_of(each) in data and each.name not in values for each in options_of_kind):
            faults += ((path, clause) for clause in error.args)  # not because of an invalid value
        return []
    return [
        ConfiguredCheck(kind.name, settings(**{key: values[key] for key in values if key in common}), options)
    ]
