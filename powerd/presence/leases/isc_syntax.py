"""Syntax of ISC dhcpd's files: statements and nested blocks (dhcpd.conf(5), dhcpd.leases(5))."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from powerd.presence.leases.fields import quote
from powerd.presence.leases.format import ParseOutput, ParseResult

STRING: Final = r'"(?>(?:[^"\\\n]++|\\.?+)*)"'
"""A quoted string. It ends with its line at the latest, which limits the damage of an unpaired quote."""
_MAX_STATEMENT: Final = 1 << 16
_MAX_DEPTH: Final = 32
_BLANK: Final = re.compile(r"(?>(?:\s++|#[^\n]*+\n)*)")
_STATEMENT: Final = re.compile(
    r'((?>(?:[^;{}"#]++|"(?>(?:[^"\\\n]++|\\.?+)*)(?:"|(?=\n))|#[^\n]*+(?=\n))*))([;{}])'
)
_COMMENT: Final = re.compile(r'("(?>(?:[^"\\\n]++|\\.?+)*)(?:"|(?=\n)|\Z))|#[^\n]*+')
_FIELD: Final = re.compile(
    r"(ends|binding\s+state|hardware|client-hostname|fixed-address6?|option\s+host-name|ddns-hostname|deleted)"
    r"(?![\w-])\s*(.*)",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


class Statement(NamedTuple):
    """One statement, or the head or the end of a block.

    Attributes:
        line: number of its first line.
        text: without comments and surrounding white space; may be empty before a brace.
        end: ``;``, ``{`` or ``}``.
    """

    line: int
    text: str
    end: str


@dataclass(slots=True)
class IscBlock:
    """An open block.

    Attributes:
        kind, name: from its head as written, e.g. ``lease`` and ``10.0.0.17``, ``host`` and ``printer``.
        line: line number of its head.
        fields: the last statement of each relevant kind: ``{"binding state": "active"}``.
    """

    kind: str
    name: str
    line: int
    fields: dict[str, str] = field(default_factory=dict)


class BlockReader(ABC):
    """Base class of parsers of nested blocks; a subclass interprets them.

    Args:
        source: path of the file.

    Attributes:
        head_pattern: matches the end of the head of a relevant block: its kind and its name.
        output: what has been found.
        open_blocks: outermost first; None for a block that is not relevant.
    """

    head_pattern: re.Pattern[str]

    def __init__(self, source: str) -> None:
        self.output = ParseOutput(source)
        self.open_blocks: list[IscBlock | None] = []
        self._ignored_depth = 0  # open blocks below _MAX_DEPTH
        self._buffer = ""
        self._line = 1
        self._overlong = False

    @abstractmethod
    def handle_statement(self, statement: Statement) -> None:
        """Handle a statement, or the head of a block, that is not directly in a relevant block."""

    @abstractmethod
    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Handle a complete relevant block; ``parent`` is the relevant block directly around it."""

    @abstractmethod
    def allows_block(self, kind: str) -> bool:
        """Whether a block of this kind may begin here; if not, a block around it has lost its end."""

    def finish(self) -> ParseResult:
        """The content of the file; a block that is open at its end is still being written and is left out."""
        return self.output.result()

    def read_fast(self, buffer: str, at: int) -> int:
        """Parse common blocks from ``at`` on by a single expression, and return where they end."""
        del buffer
        return at

    def feed(self, text: str) -> None:
        """See FormatReader.feed()."""
        for statement in self._statements(text):
            block = self.open_blocks[-1] if self.open_blocks and not self._ignored_depth else None
            if statement.end == "{":
                self._open_block(statement)
            elif statement.end == "}":
                self._close_block(statement)
            elif block is None:
                self.handle_statement(statement)
            elif match := _FIELD.match(statement.text):
                block.fields[" ".join(match[1].split())] = match[2]

    def _statements(self, text: str) -> Iterator[Statement]:
        """Yield the complete statements and keep the rest for the next piece."""
        buffer, at = self._buffer + text, 0
        while True:
            start = at
            if self._overlong:
                at = buffer.find("\n", at) + 1 or len(buffer)
                self._overlong = at == start or buffer[at - 1] != "\n"
            elif not self.open_blocks:
                at = self.read_fast(buffer, at)
            if match := _BLANK.match(buffer, at):
                at = match.end()
            self._line += buffer.count("\n", start, at)
            match = _STATEMENT.match(buffer, at)
            end = match.end() if match else len(buffer)
            if end - at > _MAX_STATEMENT:
                self.skip(self._line, "a statement is too long")
                self._overlong, end = True, at + _MAX_STATEMENT
            elif not match:
                break
            line, self._line = self._line, self._line + buffer.count("\n", at, end)
            at = end
            if match and not self._overlong:
                yield Statement(line, _strip_comments(match[1]), match[2])
        self._buffer = buffer[at:]

    def _open_block(self, statement: Statement) -> None:
        match = self.head_pattern.search(statement.text)
        if match and self.open_blocks and not self.allows_block(match[1]):
            self._abandon_open_blocks()
        elif match and match.start():
            self.skip(statement.line, f"{quote(statement.text[: match.start()])} is no entry")
        if len(self.open_blocks) == _MAX_DEPTH:
            self._ignored_depth += 1
        elif match:
            self.open_blocks.append(IscBlock(match[1], match[2], statement.line))
        else:
            self.handle_statement(statement)
            self.open_blocks.append(None)

    def _abandon_open_blocks(self) -> None:
        """Close all blocks: a new one begins where none may, so the end of one is missing."""
        unclosed = next((block for block in self.open_blocks if block), None)
        if unclosed:
            self.skip(unclosed.line, f"{unclosed.kind} {quote(unclosed.name)} is not closed")
        self.open_blocks.clear()
        self._ignored_depth = 0

    def _close_block(self, statement: Statement) -> None:
        if self._ignored_depth:
            self._ignored_depth -= 1
        elif not self.open_blocks:
            self.skip(statement.line, "a closing brace without an opening one")
        elif block := self.open_blocks.pop():
            if statement.text:
                self.skip_block(block, f"{quote(statement.text)} has no semicolon")
            else:
                self.handle_block(block, self.open_blocks[-1] if self.open_blocks else None)

    def skip_block(self, block: IscBlock, error: str) -> None:
        """Count a block that cannot be parsed."""
        self.skip(block.line, f"{block.kind} {quote(block.name)}: {error}")

    def skip(self, line: int, error: str) -> None:
        """Count an entry that cannot be parsed."""
        self.output.skip(f"line {line}", error)


def unquote(text: str) -> bytes:
    r"""A word or a quoted string, with its escapes (``\017``, ``\"``) replaced."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    raw = text.encode(errors="replace")
    return _ESCAPE.sub(_unescape, raw) if b"\\" in raw else raw


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes((int(code, 8) & 0xFF,)) if len(code) > 1 else code


def unquote_text(text: str) -> str:
    """A word or a quoted string as text; bytes that are not UTF-8 become U+FFFD."""
    return unquote(text).decode(errors="replace")


def _strip_comments(text: str) -> str:
    if "#" in text:
        text = _COMMENT.sub(lambda match: match[1] or "", text)
    return text.strip()
