"""A configuration that is being written, and TOML text for its values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from powerd.config.declare import toml_string
from powerd.config.load import ConfigError, parse
from powerd.config.values import format_duration


@dataclass(slots=True)
class ImportedConfig:
    """A configuration that is being written.

    Attributes:
        tables: assignments by the header of their table, ``[clients]``; "" = without a table.
        blocks: whole tables of a list, as TOML.
        notes: what could not be carried over, one sentence each.
    """

    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def set(self, table: str, key: str, value: str) -> None:
        """Assign TOML text to a key, or note why powerd does not accept it."""
        error = find_error(f"[{table}]\n{key} = {value}\n")
        if error:
            self.notes.append(f"{table}.{key} = {value}: {error}")
        else:
            self.tables.setdefault(f"[{table}]", {})[key] = value

    def add(self, table: str, **assignments: str) -> None:
        """Add a table of a list, or note why powerd does not accept it."""
        block = "\n".join([f"[[{table}]]", *(f"{key} = {value}" for key, value in assignments.items())])
        error = find_error(block)
        if error:
            self.notes.append(f"{error}: {block.replace(chr(10), '; ')}")
        else:
            self.blocks.append(block)

    def render(self, origin: str) -> str:
        """The configuration as TOML; what could not be carried over is in comments."""
        lines = [f'# From {_printable(origin)}. powerd observes only, until this file says: mode = "enforce"']
        for header, assignments in self.tables.items():
            lines += ["", header, *(f"{key} = {value}" for key, value in assignments.items())]
        for block in self.blocks:
            lines += ["", block]
        if self.notes:
            lines += ["", "# Not carried over:", *(f"# - {_printable(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def _printable(text: str) -> str:
    """The text in one line that a TOML comment may hold."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def find_error(toml: str) -> str:
    """Why powerd does not accept a configuration; "" = it does."""
    try:
        parse(toml.encode(), "import")
    except ConfigError as error:
        return error.faults[0].message
    return ""


def toml_strings(values: Iterable[str]) -> str:
    """A list of strings as TOML."""
    return "[" + ", ".join(toml_string(value) for value in values) + "]"


def shell_argv(command: str) -> str:
    """The argv of a command that a shell interprets."""
    return toml_strings(["/bin/sh", "-c", command])


def toml_duration(seconds: str) -> str:
    """Seconds as TOML; text that is not a number is left for the error."""
    try:
        return toml_string(format_duration(float(seconds)))
    except ValueError:
        return toml_string(seconds)
