"""Writes Options as TOML: the effective configuration, and the commented sample in config/powerd.toml."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Collection, Iterator
from typing import Any, Final

from powerd.activity.check import CheckKind
from powerd.activity.registry import find_kind, own_names
from powerd.config.activity_options import ActivityOptions, ConfiguredCheck
from powerd.config.disk_options import DiskRule, parse_disk_pattern
from powerd.config.load import key_of
from powerd.config.options import ClientClass, ClientName, Options, SleepRule
from powerd.config.values import parse_client_pattern, parse_window

_WIDTH: Final = 100
_MANUAL_WIDTH: Final = 80
_EXAMPLES: Final[dict[type, object]] = {
    ClientClass: ClientClass(name="phone", match=(parse_client_pattern("*phone*"),), absent_after=900.0),
    ClientName: ClientName(match=parse_client_pattern("aa:bb:cc:dd:ee:ff"), name="living room TV"),
    SleepRule: SleepRule(action="poweroff", during=(parse_window("00:00-08:00"),), idle_for=600.0),
    DiskRule: DiskRule(
        match=(parse_disk_pattern("ata-WDC_WD20EFRX*"),),
        spin_down_after=3600.0,
        method="timer",
        max_spin_downs_per_day=12,
        apm=127,
        usb=False,
    ),
}
_HEADER: Final = """\
# powerd: every key is optional. Remove the "#" before a line without a space after it to set the key.
# Such a line shows the default; one that ends with "# example" shows an example value instead,
# and names the default. A table whose header has a "#" does not exist by default.
# Durations: "90s", "20min", "1h30min", "7d". Windows: "00:00-08:00", "Fri,Sat 01:30-10:00" (local time,
# may run past midnight). Patterns: an IP, a CIDR, a MAC or a host name, with "*".
# `powerd check` reports every error in this file; `powerd config` prints it with all defaults.
"""


def effective_toml(options: Options) -> str:
    """``options`` as TOML that parses to the same Options."""
    lines = list(_assignments(options))
    for field in _nested_tables(options):
        value = getattr(options, field.name)
        lines += _table_toml(key_of(field), value, [])
        if isinstance(value, ActivityOptions):
            lines += _checks_toml(value.checks)
    return "\n".join(lines).strip() + "\n"


def _table_toml(path: str, value: Any, lines: list[str]) -> list[str]:  # noqa: ANN401 - a table or rows of tables
    rows = value if isinstance(value, tuple) else (value,)
    for row in rows:
        lines += ["", f"[[{path}]]" if isinstance(value, tuple) else f"[{path}]", *_assignments(row)]
        for field in _nested_tables(row):
            _table_toml(f"{path}.{key_of(field)}", getattr(row, field.name), lines)
    return lines


def _checks_toml(checks: tuple[ConfiguredCheck, ...]) -> Iterator[str]:
    for check in checks:
        path = f"activity.{check.kind}"
        yield from ("", f"[[{path}]]" if check.name else f"[{path}]")
        yield from _assignments(check.settings)
        yield from _assignments(check.options)


def sample_toml() -> str:
    """The commented sample configuration, generated from the declarations."""
    lines = [_HEADER]
    lines += _sample_table(Options(), "")
    return "\n".join(lines).rstrip() + "\n"


def _sample_table(table: Any, path: str, width: int = _WIDTH) -> Iterator[str]:  # noqa: ANN401 - any table of options
    for field in dataclasses.fields(table):
        key, value = key_of(field), getattr(table, field.name)
        if "checks" in field.metadata:
            continue  # _sample_checks()
        if "row" in field.metadata:
            row = field.metadata["row"]
            yield ""
            yield from comment_lines(field.metadata["doc"], width)
            yield f"#[[{path}{key}]]"
            yield from _sample_table(_EXAMPLES[row], f"{path}{key}.")
        elif "kind" in field.metadata:
            yield from comment_lines(field.metadata["doc"], width)
            yield f"#{_assignment(field, value)}{_example_mark(field, value)}"
        else:
            yield ""
            yield from comment_lines(_summary(value), _WIDTH)
            yield f"[{path}{key}]"
            yield from _sample_table(value, f"{path}{key}.")
            if isinstance(value, ActivityOptions):
                yield from _sample_checks()


def _example_mark(field: dataclasses.Field[Any], value: object) -> str:
    """A comment that names the default of an option, if ``value`` is another one."""
    if value == field.default:
        return ""
    if field.default in (None, "", ()):
        return "  # example; not set by default"
    return f"  # example; default: {field.metadata['kind'].show(field.default)}"


def _sample_checks() -> Iterator[str]:
    """The table of each check of powerd: those that are on by default, and the others commented out."""
    kinds = sorted([find_kind(name) for name in own_names()], key=lambda kind: not kind.default_on)
    for kind in kinds:
        yield ""
        yield from comment_lines(kind.summary, _WIDTH)
        yield from _sample_check(kind)


def _sample_check(kind: CheckKind, width: int = _WIDTH) -> Iterator[str]:
    path = f"[activity.{kind.name}]"
    yield path if kind.default_on else f"#[{path}]" if kind.many else f"#{path}"
    if kind.many:
        yield f'#name = "{kind.name}"  # example; not set by default'
    yield from _sample_table(kind.options() if kind.example is None else kind.example, "", width)


def _manual_lines(paragraph: str, width: int) -> list[str]:
    text = " ".join(paragraph.replace("``", "`").split())
    return textwrap.wrap(text, width, subsequent_indent="  " if text.startswith("- ") else "")


def check_manual(name: str, width: int = _MANUAL_WIDTH) -> str:
    """What a check counts, and its options as in the sample configuration.

    Args:
        name: of a check, or of a configured one, ``http:jellyfin``.
        width: columns of a line of text.

    Raises:
        ValueError: there is no such check; one clause.
    """
    kind = find_kind(name.partition(":")[0])
    default = "on by default" if kind.default_on else "on request"
    paragraphs = [*re.split(r"\n\n|\n(?=- )", kind.manual), f"This check is {default}."]
    text = [line for paragraph in paragraphs for line in ("", *_manual_lines(paragraph, width))]
    return "\n".join([*text[1:], "", *_sample_check(kind, width)]) + "\n"


def comment_lines(text: str, width: int = _MANUAL_WIDTH) -> list[str]:
    """Text as lines of comments of at most ``width`` columns."""
    return textwrap.wrap(text, width, initial_indent="# ", subsequent_indent="# ")


def _summary(table: Any) -> str:  # noqa: ANN401 - any table of options
    return (type(table).__doc__ or "").strip().splitlines()[0]


def _assignments(table: Any) -> Iterator[str]:  # noqa: ANN401 - any table of options
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        if "kind" in field.metadata and value is not None:
            yield _assignment(field, value)


def _assignment(field: dataclasses.Field[Any], value: object) -> str:
    return f"{key_of(field)} = {field.metadata['kind'].show(value)}"


def _nested_tables(table: Any) -> list[dataclasses.Field[Any]]:  # noqa: ANN401 - any table of options
    return [field for field in dataclasses.fields(table) if not {"kind", "checks"} & field.metadata.keys()]


def commented_options(table: Any, keys: Collection[str]) -> Iterator[str]:  # noqa: ANN401 - any table of options
    """The options ``keys`` of a table, each below its documentation."""
    for field in dataclasses.fields(table):
        if field.name in keys:
            yield from comment_lines(field.metadata["doc"])
            yield _assignment(field, getattr(table, field.name))
