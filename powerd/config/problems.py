"""What is wrong with a configuration: one value for each error and warning, with its place and its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from powerd.core.dataclass import dataclass

Severity: TypeAlias = Literal["error", "warning", "note"]
Clause: TypeAlias = tuple[str, str]
"""Key path of an option, and one clause: what is wrong, and after the first ``; `` the remedy."""
_MAX_CLAUSE_LENGTH: Final = 400
_CLAUSE: Final = re.compile(r'((?:"[^"]*"|[^";]|"|;(?! ))*)(?:; (.*))?')


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of a configuration, or a warning about it. ``str()`` is one line.

    Attributes:
        file: the file that contains it.
        line: its line, from 1; None = it concerns the whole file, or an option that no file sets.
        key: key path of the option, e.g. ``clients.class[2].name``; "" = none.
        text: what is wrong.
        remedy: what to do; "" = the text says it.
        severity: an error prevents the start of the daemon; a note is about the machine.
    """

    file: str
    line: int | None
    key: str
    text: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"

    @property
    def message(self) -> str:
        """The line without its place."""
        key = f"{self.key}: " if self.key else ""
        return f"{key}{self.text}{f'; {self.remedy}' if self.remedy else ''}"


def make_problem(
    place: tuple[str, int | None], key: str, clause: str, severity: Severity = "error"
) -> Problem:
    """A Problem at a file and line.

    Args:
        place: file, and line from 1 or None.
        key: as in Problem.
        clause: text and remedy as in Clause. It quotes the file, so control characters are escaped, and its
            length is limited.
        severity: as in Problem.
    """
    text, remedy = map(_printable, _split(clause))
    return Problem(_printable(place[0]), place[1], _printable(key), text, remedy, severity)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """The problems by file, in the order in which the files occur, and by line."""
    found = list(problems)
    files = {file: number for number, file in enumerate(dict.fromkeys(each.file for each in found))}
    return sorted(found, key=lambda each: (files[each.file], each.line or 0))


def _split(clause: str) -> tuple[str, str]:
    """Text and remedy, which is "" if there is none."""
    match = _CLAUSE.fullmatch(clause)
    if match is not None and match[2]:
        return match[1], match[2]
    text, _, remedy = clause.rpartition("; ")  # a quoted text has an odd number of quotation marks
    return (text, remedy) if text else (clause, "")


def _printable(text: str) -> str:
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return shown if len(shown) <= _MAX_CLAUSE_LENGTH else f"{shown[:_MAX_CLAUSE_LENGTH]}…"
