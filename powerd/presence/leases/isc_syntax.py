"""The syntax that ISC dhcpd's files share: statements and blocks (dhcpd.conf(5), dhcpd.leases(5))."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from powerd.presence.leases.fields import quote
from powerd.presence.leases.format import ParseErrors, ParseResult

STRING: Final = r'"(?>(?:[^"\\\n]++|\\.?+)*)"'
"""A quoted string. It ends with its line at the latest: an unpaired quote spoils no more than that."""
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
        line: on which it begins.
        text: without comments and white space around it; may be empty before a brace.
        end: ``;``, ``{`` or ``}``.
    """

    line: int
    text: str
    end: str


@dataclass(slots=True)
class IscBlock:
    """A block that is open.

    Attributes:
        kind, name: from its head as written, e.g. ``lease`` and ``10.0.0.17``, ``host`` and ``printer``.
        line: of its head.
        fields: statements of interest, the last of each kind: ``{"binding state": "active"}``.
    """

    kind: str
    name: str
    line: int
    fields: dict[str, str] = field(default_factory=dict)


class BlockReader(ABC):
    """A Reader of nested blocks; what they mean is its heirs' business.

    Attributes:
        head_pattern: matches at the end of the head of a block of interest: its kind and its name.
        errors: what was passed over.
        open_blocks: blocks that are open, outermost first; None for one of no interest.
    """

    head_pattern: re.Pattern[str]

    def __init__(self) -> None:
        self.errors = ParseErrors()
        self.open_blocks: list[IscBlock | None] = []
        self._ignored_depth = 0  # blocks open below the deepest that are followed
        self._buffer = ""
        self._line = 1
        self._overlong = False

    @abstractmethod
    def handle_statement(self, statement: Statement) -> None:
        """Take a statement, or the head of a block, that is not directly in a block of interest."""

    @abstractmethod
    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Take a block of interest that is complete; ``parent``: that of interest directly around it."""

    @abstractmethod
    def allows_block(self, kind: str) -> bool:
        """Whether a block of that kind may be where we are; if not, one around it has lost its end."""

    @abstractmethod
    def finish(self) -> ParseResult:
        """All that was understood; what is still open at the end of the file is still being written."""

    def read_fast(self, buffer: str, at: int) -> int:
        """Take as many whole blocks from ``at`` on as are easily read, and say where they end."""
        del buffer
        return at

    def feed(self, text: str) -> None:
        """Take the next piece; see Reader."""
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
        """Cut off what is complete, and keep the rest for the next piece."""
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
                self.errors.add(self._line, "a statement is too long")
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
            self.errors.add(statement.line, f"{quote(statement.text[: match.start()])} is no entry")
        if len(self.open_blocks) == _MAX_DEPTH:
            self._ignored_depth += 1
        elif match:
            self.open_blocks.append(IscBlock(match[1], match[2], statement.line))
        else:
            self.handle_statement(statement)
            self.open_blocks.append(None)

    def _abandon_open_blocks(self) -> None:
        """Close all blocks: one of them has lost its end, and a new one has begun."""
        unclosed = next((block for block in self.open_blocks if block), None)
        if unclosed:
            self.errors.add(unclosed.line, f"{unclosed.kind} {quote(unclosed.name)} is not closed")
        self.open_blocks.clear()
        self._ignored_depth = 0

    def _close_block(self, statement: Statement) -> None:
        if self._ignored_depth:
            self._ignored_depth -= 1
        elif not self.open_blocks:
            self.errors.add(statement.line, "a closing brace without an opening one")
        elif block := self.open_blocks.pop():
            if statement.text:
                self.add_error(block, f"{quote(statement.text)} has no semicolon")
            else:
                self.handle_block(block, self.open_blocks[-1] if self.open_blocks else None)

    def add_error(self, block: IscBlock, error: str) -> None:
        """Pass over a block."""
        self.errors.add(block.line, f"{block.kind} {quote(block.name)}: {error}")


def unquote(text: str) -> bytes:
    r"""A word or a quoted string with its escapes (``\017``, ``\"``) undone."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    raw = text.encode(errors="replace")
    return _ESCAPE.sub(_unescape, raw) if b"\\" in raw else raw


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes((int(code, 8) & 0xFF,)) if len(code) > 1 else code


def unquote_text(text: str) -> str:
    """As unquote, as text."""
    return unquote(text).decode(errors="replace")


def _strip_comments(text: str) -> str:
    if "#" in text:
        text = _COMMENT.sub(lambda match: match[1] or "", text)
    return text.strip()
