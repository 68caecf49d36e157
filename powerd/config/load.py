"""TOML -> frozen Options. All faults are found in one run, each one line with file, key path and remedy."""

from __future__ import annotations

import dataclasses
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from powerd.config.disks import disk_relations
from powerd.config.options import ClientClass, Options, SleepRule
from powerd.config.token import read_token

DEFAULT_PATH: Final = Path("/etc/powerd/powerd.toml")
_LONGEST_FAULT: Final = 400
T = TypeVar("T")


class ConfigError(Exception):
    """The configuration is unusable.

    Attributes:
        faults: one line each, with file, key path and remedy.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def load(path: Path | None = None) -> Options:
    """Read the configuration.

    Args:
        path: the file asked for; None = ``/etc/powerd/powerd.toml``, and the defaults where that is missing.

    Raises:
        ConfigError: the file is missing though asked for, unreadable, writable by all, no TOML, or at fault.
    """
    file = path or DEFAULT_PATH
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read()
    except FileNotFoundError:
        if path is None:
            return Options()
        raise ConfigError([f"{file}: there is no such file; check --config and POWERD_CONFIG"]) from None
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
        raise ConfigError(
            [f"{file}: everybody may write to it, and it can name commands; run: chmod o-w {file}"]
        )
    options = parse(content, str(file))
    _token(options, str(file))
    return options


def _token(options: Options, file: str) -> None:
    """See that the token can be used when it is needed."""
    try:
        if options.http.token_file:
            read_token(options.http.token_file)
    except ValueError as error:
        raise ConfigError([f"{file}: http.token_file: {_one_line(str(error))}"]) from None


def parse(content: bytes, file: str) -> Options:
    """Options of the TOML text in ``content``; ``file`` is named in faults.

    Raises:
        ConfigError: with every fault that was found.
    """
    try:
        data = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{file}: is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}"]
        ) from None
    except RecursionError:
        raise ConfigError([f"{file}: is no TOML: nested too deeply"]) from None
    except ValueError as error:  # TOMLDecodeError, and int()'s own where a number has thousands of digits
        raise ConfigError([f"{file}: is no TOML: {_one_line(str(error))}"]) from None
    faults: list[str] = []
    options = _table(Options, data, "", faults)
    _relations(options, faults)
    if faults:
        raise ConfigError([f"{file}: {_one_line(fault)}" for fault in faults])
    return options


def _one_line(fault: str) -> str:
    """``fault`` fit to be printed, whatever the file says: no control character, and not endless."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in fault)
    return text if len(text) <= _LONGEST_FAULT else f"{text[:_LONGEST_FAULT]}…"


def key_of(field: dataclasses.Field[Any]) -> str:
    """The key that users write: a field's name, less the underscore that keeps it off Python's words."""
    return field.name.rstrip("_")


def _table(row: type[T], data: Mapping[str, object], path: str, faults: list[str]) -> T:
    """One dataclass of a TOML table; what is at fault keeps its default and adds a line to ``faults``."""
    fields = {key_of(field): field for field in dataclasses.fields(row)}  # type: ignore[arg-type] # row is always a dataclass
    values: dict[str, Any] = {}
    for key, value in data.items():
        here = f"{path}{key}"
        field = fields.get(key)
        if field is None:
            faults.append(f"{here}: unknown key{_hint(key, path, tuple(fields))}")
        elif "row" in field.metadata:
            values[field.name] = _rows(field.metadata["row"], value, here, faults)
        elif "kind" in field.metadata:
            try:
                values[field.name] = field.metadata["kind"].read(value)
            except ValueError as error:
                faults.append(f"{here}: {error}")
        elif isinstance(value, dict):
            values[field.name] = _table(type(field.default), value, f"{here}.", faults)
        else:
            faults.append(f"{here}: a table is wanted: write [{here}] on a line of its own")
    return row(**values)


def _hint(key: str, path: str, known: tuple[str, ...]) -> str:
    """The nearest key that is known here, or all of them."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a configuration at fault pays for it

    close = get_close_matches(key, known, n=1, cutoff=0.5)
    return f'; did you mean "{path}{close[0]}"?' if close else f"; known here: {', '.join(known)}"


def _rows(row: type[T], value: object, path: str, faults: list[str]) -> tuple[T, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        faults.append(f"{path}: an array of tables is wanted: write [[{path}]] above each")
        return ()
    return tuple(_table(row, item, f"{path}[{n}].", faults) for n, item in enumerate(value, 1))


def _relations(options: Options, faults: list[str]) -> None:
    """Faults that only show when options are seen together."""
    for n, rule in enumerate(options.sleep, 1):
        _sleep_rule(rule, f"sleep[{n}]", faults)
    names: set[str] = set()
    for n, row in enumerate(options.clients.class_, 1):
        _client_class(row, f"clients.class[{n}]", names, faults)
    faults += disk_relations(options.disks)
    if options.clients.timeout > options.clients.every / 4:
        faults.append('clients.timeout: a sweep takes up to four of it and must fit into "clients.every"')


def _sleep_rule(rule: SleepRule, path: str, faults: list[str]) -> None:
    if rule.action == "command" and not rule.command:
        faults.append(f'{path}.command: action "command" needs one, e.g. ["/usr/local/sbin/goodnight"]')
    if rule.action != "command" and rule.command:
        faults.append(f'{path}.command: is only run with action = "command"; this rule\'s is "{rule.action}"')


def _client_class(row: ClientClass, path: str, names: set[str], faults: list[str]) -> None:
    if not row.name:
        faults.append(f"{path}.name: every class needs one")
    elif row.name in names:
        faults.append(f'{path}.name: "{row.name}" is the name of two classes')
    names.add(row.name)
    if not row.match:
        faults.append(f'{path}.match: the class fits nobody; name at least one pattern, e.g. ["*phone*"]')
