"""The line of each key of a TOML text (https://toml.io/en/v1.0.0), which tomllib does not return.

The text is scanned only if there is something to report about it.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

KeyParts: TypeAlias = tuple[str | int, ...]
"""The way from the document to a value: keys, and indexes of arrays from 0."""
_BLANK: Final = re.compile(r"(?>(?:[ \t\r\n]+|#[^\n]*)*)")
KEY: Final = re.compile(r"""[ \t]*("(?>(?:[^"\\\n]|\\.)*)"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
"""One part of a key, with the white space around it."""
_SCALAR: Final = re.compile(
    r'''"""(?>(?:[^"\\]|\\.|"{1,2}(?!"))*)"{3,5}'''
    r"""|'''(?>(?:[^']|'{1,2}(?!'))*)'{3,5}"""
    r"""|"(?>(?:[^"\\\n]|\\.)*)"|'[^'\n]*'|[^"',\]}#\r\n][^,\]}#\r\n]*""",
    re.DOTALL,
)


class Scan(NamedTuple):
    """What a scan has found, up to the first error of an invalid text.

    Attributes:
        lines: the line, from 1, of each key, table and array element.
        table: the last table.
        last: the last key, or the last table if no key follows.
        last_line: the line of ``last``, which is another one than in ``lines`` if that has been there before.
        statement: the line in which the last statement begins.
    """

    lines: dict[KeyParts, int]
    table: KeyParts
    last: KeyParts
    last_line: int
    statement: int


def scan(text: str) -> Scan:
    """Scan a TOML text."""
    scanner = _Scanner(text)
    with suppress(ValueError, RecursionError):
        scanner.scan()
    return Scan(scanner.lines, scanner.table, scanner.last, scanner.last_line, scanner.statement)


def key_lines(text: str) -> dict[KeyParts, int]:
    """The line, from 1, of each key, table and array element; up to the first error of an invalid text."""
    return scan(text).lines


def format_parts(parts: KeyParts) -> str:
    """``clients.class[1].name``, with indexes from 1."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyParts, int] = {}
        self.table: KeyParts = ()
        self.last: KeyParts = ()
        self.last_line = 1
        self.statement = 1
        self._text = text
        self._position = 0
        self._line = 1
        self._counted = 0
        self._rows: dict[KeyParts, int] = {}
        self._headers: set[KeyParts] = set()

    def scan(self) -> None:
        """Scan the whole text.

        Raises:
            ValueError: the text is not TOML.
        """
        while self._skip_blank():
            self.statement = self._current_line()
            if self._take("[["):
                self.table = self._row(self._key())
            elif self._take("["):
                self.table = self._table(self._key())
            else:
                self._pair(self.table)
                continue
            if not self._take("]"):
                raise ValueError
            self._take("]")

    def _row(self, parts: list[str]) -> KeyParts:
        path = (*self._resolve(parts[:-1]), parts[-1])
        index = self._rows[path] = self._rows.get(path, -1) + 1
        self._record(path)
        self._record((*path, index))
        return (*path, index)

    def _table(self, parts: list[str]) -> KeyParts:
        path = self._resolve(parts)
        if path not in self._headers:
            self._headers.add(path)
            self.lines[path] = self._current_line()
        return path

    def _resolve(self, parts: list[str]) -> KeyParts:
        """The table of a header: in an array of tables its last row."""
        path: KeyParts = ()
        for part in parts:
            path = (*path, part)
            self._record(path)
            if path in self._rows:
                path = (*path, self._rows[path])
        return path

    def _pair(self, table: KeyParts) -> None:
        for part in self._key():
            table = (*table, part)
            self._record(table)
        if not self._take("="):
            raise ValueError
        self._value(table)

    def _key(self) -> list[str]:
        parts = []
        while True:
            match = KEY.match(self._text, self._position)
            if match is None:
                raise ValueError
            self._position = match.end()
            quoted = match[1].startswith(('"', "'"))
            parts.append(tomllib.loads(f"key = {match[1]}")["key"] if quoted else match[1])
            if not self._take("."):
                return parts

    def _value(self, path: KeyParts) -> None:
        self._skip_blank()
        if self._take("["):
            index = 0
            while self._skip_blank() and not self._take("]"):
                self._record((*path, index))
                self._value((*path, index))
                index += 1
                self._skip_blank()
                self._take(",")
        elif self._take("{"):
            while self._skip_blank() and not self._take("}"):
                self._pair(path)
                self._skip_blank()
                self._take(",")
        else:
            match = _SCALAR.match(self._text, self._position)
            if match is None:
                raise ValueError
            self._position = match.end()

    def _take(self, token: str) -> bool:
        found = self._text.startswith(token, self._position)
        self._position += len(token) if found else 0
        return found

    def _skip_blank(self) -> bool:
        """Skip white space, newlines and comments; False at the end of the text."""
        match = _BLANK.match(self._text, self._position)
        self._position = match.end() if match else self._position
        return self._position < len(self._text)

    def _record(self, path: KeyParts) -> None:
        line = self._current_line()
        self.lines.setdefault(path, line)
        if isinstance(path[-1], str):
            self.last, self.last_line = path, line

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line
