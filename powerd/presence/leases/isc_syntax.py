"""Syntax of the files of ISC dhcpd and of OpenBSD's dhcpd: statements and nested blocks.

Sources: dhcpd.conf(5), dhcpd.leases(5), and what ``dhcpd -t`` accepts: white space and comments between any
two tokens, so that ``10 . 0 . 0 . 1`` is an address; strings with escapes, over several lines; keywords in
any case.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from powerd.presence.leases.fields import quote
from powerd.presence.leases.format import NUL_ERROR, ParseOutput, ParseResult

_MAX_STATEMENT: Final = 1 << 16
_MAX_DEPTH: Final = 32
_BLANK: Final = re.compile(r"(?>(?:\s++|#[^\n]*+\n)*)")
_STRING: Final = r'"(?>(?:[^"\\]++|\\.)*)"'
_LINE_STRING: Final = r'"(?>(?:[^"\\\n]++|\\.?+)*)(?:"|(?=\n))'
_STATEMENT: Final = r'((?>(?:[^;{}"#]++|%s|#[^\n]*+(?=\n))*))([;{}])'
_LEXEME: Final = r'(#[^\n]*+|\s++)|"(?>(?:[^"\\%s]++|\\.?+)*)"?+|[A-Za-z0-9_-]++|.'
_CONF_TOKEN: Final = re.compile(_LEXEME % "", re.DOTALL)
_LOG_TOKEN: Final = re.compile(_LEXEME % r"\n", re.DOTALL)
_NAME: Final = re.compile(r'[\w.:-]+|".*', re.ASCII | re.DOTALL)
_FIELDS: Final = frozenset(
    {
        *("ends", "binding state", "hardware", "client-hostname", "hostname", "fixed-address"),
        *("fixed-address6", "option host-name", "ddns-hostname", "deleted", "abandoned"),
    }
)
_MAX_NAME: Final = 1000
"""Characters in the head of a block; an IPv6 association's is the longest, with 4 + 130 octets of 3."""
_FIRST_WORDS: Final = frozenset(name.partition(" ")[0] for name in _FIELDS)
_ADJACENT_WORDS: Final = re.compile(r"(?<=[\w-])\n(?=[\w-])", re.ASCII)
_FIRST_WORD: Final = re.compile(r"[\w-]*+", re.ASCII)
_ESCAPE: Final = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-3][0-7]{0,2}|.)", re.DOTALL)
_ESCAPED: Final = {b"t": b"\t", b"r": b"\r", b"n": b"\n", b"b": b"\b"}


_CUT_OFF: Final = "the file ends within a statement or a block"


class Statement(NamedTuple):
    """One statement, or the head or the end of a block.

    Attributes:
        line: number of its first line.
        text: with its comments, without surrounding white space; may be empty before a brace.
        end: ``;``, ``{`` or ``}``.
    """

    line: int
    text: str
    end: str


@dataclass(slots=True)
class IscBlock:
    """An open block.

    Attributes:
        kind: from its head, in lower case, e.g. ``lease`` or ``host``.
        name: from its head, as one token, e.g. ``10.0.0.17`` or ``printer``.
        line: line number of its head.
        fields: the tokens of the last statement of each relevant kind, without those of its kind:
            ``{"binding state": ["active"]}``.
    """

    kind: str
    name: str
    line: int
    fields: dict[str, list[str]] = field(default_factory=dict)


_LOG_STATEMENT: Final = re.compile(_STATEMENT % _LINE_STRING, re.DOTALL)
_CONF_STATEMENT: Final = re.compile(_STATEMENT % _STRING, re.DOTALL)


def tokenize(text: str, token: re.Pattern[str] = _CONF_TOKEN) -> list[str]:
    """The tokens of a statement: words, strings with their quotes and escapes, and single characters."""
    return [match[0] for match in token.finditer(text) if match[1] is None]


class BlockReader(ABC):
    """Base class of parsers of nested blocks; a subclass interprets them.

    Args:
        source: path of the file.

    Attributes:
        block_kinds: the kinds of relevant blocks, in lower case.
        is_log: dhcpd appends to the file, and writes no newline within a string. An unpaired quote then ends
            with its line, and the last entry may still be being written.
        output: what has been found.
        open_blocks: outermost first; None for a block that is not relevant.
    """

    block_kinds: frozenset[str]
    is_log: bool = False

    def __init__(self, source: str) -> None:
        self.output = ParseOutput(source)
        self.open_blocks: list[IscBlock | None] = []
        self._statement = _LOG_STATEMENT if self.is_log else _CONF_STATEMENT
        self._token = _LOG_TOKEN if self.is_log else _CONF_TOKEN
        self._ignored_depth = 0  # open blocks below _MAX_DEPTH
        self._buffer = ""
        self._line = 1
        self._overlong = False

    @abstractmethod
    def handle_statement(self, statement: Statement) -> None:
        """Handle a statement, or the head of a block, that is not directly in a relevant block."""

    @abstractmethod
    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Handle a relevant block; ``parent`` is the relevant block directly around it."""

    @abstractmethod
    def allows_block(self, kind: str) -> bool:
        """Whether a block of this kind may begin here; if not, a block around it has lost its end."""

    def finish(self) -> ParseResult:
        """The content of the file. In a log, what its end cuts off is still being written and is left out."""
        if self.open_blocks or self._overlong or "\0" in self._buffer or self._tokenize(self._buffer):
            if self.is_log:
                self.output.cut_off = f"line {self._line}: {_CUT_OFF}"
            else:
                self.skip(self._line, _CUT_OFF)
                self._abandon_open_blocks()
        return self.output.result()

    def read_fast(self, buffer: str, at: int) -> int:
        """Parse common blocks from ``at`` on by a single expression, and return where they end."""
        del buffer
        return at

    def feed(self, text: str) -> None:
        """See FormatReader.feed()."""
        for statement in self._statements(text):
            if "\0" in statement.text:
                self.skip(statement.line, NUL_ERROR)
            block = self.open_blocks[-1] if self.open_blocks and not self._ignored_depth else None
            if statement.end == "{":
                self._open_block(statement)
            elif statement.end == "}":
                self._close_block(statement)
            elif block is None:
                self.handle_statement(statement)
            else:
                self._read_field(block, statement.text)

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
            self._line += buffer.count("\n", start, at)
            if match := _BLANK.match(buffer, at):
                self._skip_blank(match[0])
                at = match.end()
            match = self._statement.match(buffer, at)
            end = match.end() if match else len(buffer)
            if end - at > _MAX_STATEMENT:
                self.skip(self._line, "a statement is too long")
                self._overlong, end = True, at + _MAX_STATEMENT
            elif not match:
                break
            line, self._line = self._line, self._line + buffer.count("\n", at, end)
            at = end
            if match and not self._overlong:
                yield Statement(line, match[1].strip(), match[2])
        self._buffer = buffer[at:]

    def _skip_blank(self, text: str) -> None:
        """Count the lines of white space and comments; a NUL in a comment may stand for an entry."""
        if "\0" in text:
            for number, line in enumerate(text.split("\n"), self._line):
                if "\0" in line:
                    self.skip(number, NUL_ERROR)
        self._line += text.count("\n")

    def _open_block(self, statement: Statement) -> None:
        tokens = self._tokenize(statement.text)
        at = self._head_index(tokens)
        kind, name = (tokens[at].lower(), "".join(tokens[at + 1 :])) if at is not None else ("", "")
        if kind and self.open_blocks and not self.allows_block(kind):
            self._abandon_open_blocks()
        elif at:
            self.skip(statement.line, f"{quote(' '.join(tokens[:at]))} is not an entry")
        if len(self.open_blocks) == _MAX_DEPTH:
            self._ignored_depth += 1
        elif kind:
            self.open_blocks.append(IscBlock(kind, name, statement.line))
        else:
            self.handle_statement(statement)
            self.open_blocks.append(None)

    def _read_field(self, block: IscBlock, text: str) -> None:
        """Store the tokens of a statement that is relevant."""
        word = _FIRST_WORD.match(text)
        if word is None or word[0].lower() not in _FIRST_WORDS:
            return
        tokens = self._tokenize(text)
        for length in (1, 2):
            name = " ".join(tokens[:length]).lower()
            if name in _FIELDS:
                block.fields[name] = tokens[length:]

    def _tokenize(self, text: str) -> list[str]:
        return tokenize(text, self._token)

    def _head_index(self, tokens: list[str]) -> int | None:
        """Where the head of a relevant block begins: with its kind, followed by a name; None = nowhere."""
        name = ""
        for at in range(len(tokens) - 1, 0, -1):
            name = tokens[at] + name
            if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
                return None
            if tokens[at - 1].lower() in self.block_kinds:
                return at - 1
        return None

    def _abandon_open_blocks(self) -> None:
        """Close all blocks: the end of one is missing, and what it holds up to here counts."""
        while self.open_blocks:
            if block := self.open_blocks.pop():
                self.warn_block(block, "is not closed")
                self.handle_block(block, next(reversed(self.open_blocks), None))
        self._ignored_depth = 0

    def _close_block(self, statement: Statement) -> None:
        if self._ignored_depth:
            self._ignored_depth -= 1
        elif not self.open_blocks:
            self.output.warn(f"line {statement.line}", "a closing brace without an opening one")
        elif block := self.open_blocks.pop():
            if statement.text:
                self.warn_block(block, f"{quote(statement.text)} has no semicolon")
                self._read_field(block, statement.text)
            self.handle_block(block, next(reversed(self.open_blocks), None))

    def warn_block(self, block: IscBlock, error: str) -> None:
        """Describe a part of a block that cannot be parsed; the rest of the block counts."""
        self.output.warn(f"line {block.line}", f"{block.kind} {quote(block.name)}: {error}")

    def skip_block(self, block: IscBlock, error: str) -> None:
        """Count a block whose host is not known."""
        self.skip(block.line, f"{block.kind} {quote(block.name)}: {error}")

    def skip(self, line: int, error: str) -> None:
        """Count an entry that cannot be parsed."""
        self.output.skip(f"line {line}", error)


def join_tokens(tokens: list[str]) -> str:
    """An address, or another value of several tokens; two words stay apart, which makes it invalid."""
    return _ADJACENT_WORDS.sub(" ", "\n".join(tokens)).replace("\n", "")


def unquote(text: str) -> bytes:
    r"""A word or a quoted string, with its escapes (``\017``, ``\x0f``, ``\t``, ``\"``) replaced."""
    if text.startswith('"'):
        text = text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:]
    raw = text.encode(errors="replace")
    return _ESCAPE.sub(_unescape, raw) if b"\\" in raw else raw


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] == b"x" and len(code) > 1:
        return bytes((int(code[1:], 16),))
    return bytes((int(code, 8),)) if code.isdigit() and code < b"4" else _ESCAPED.get(code, code)


def unquote_text(text: str) -> str:
    """A word or a quoted string as text; bytes that are not UTF-8 become U+FFFD."""
    return unquote(text).decode(errors="replace")
