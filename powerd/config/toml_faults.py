"""Reads TOML, and suggests corrections of a text that is not TOML.

tomllib stops at the first error. A line with an error that has an obvious correction is corrected in memory,
so that one run also finds the errors behind it. A corrected text is never in force.

A message repeats text of a file only where it is a line of a configuration: a header, a comment, or a line
that sets an option that holds no secret. The journal has more readers than a file included by mistake.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from powerd.config.declare import OptionType
from powerd.config.suggestions import BOOLEANS, declared, hide_urls
from powerd.config.toml_positions import KeyParts, Scan, format_parts, scan

_MAX_FAULTS: Final = 20
_MAX_CORRECTED: Final = 100_000
"""Characters of a text that is corrected: each search for an error starts at the beginning, at 1 MB a
second."""
_MAX_LINE: Final = 2_000
"""Characters of a line that is corrected; the patterns take the square of it."""
_LINES_AFTER: Final = 20
"""A correction has to leave these lines without an error, or the first error in one of them."""
_POSITION: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_QUOTES: Final = dict.fromkeys(map(ord, "“”„‟«»″`´‘’‚‛′"), '"')  # noqa: RUF001 - these are the wrong characters
_ASSIGNMENT: Final = re.compile(
    r"""(\s*)("[^"]*"|'[^']*'|[\w.-]+)(\s*(?:==|:=|=>|=|:)\s*|\s+)(.*?)(\s+(?:#|//).*|\s*)"""
)
_KEY: Final = re.compile(r"""\s*("[^"]*"|'[^']*'|[\w.-]+)(?=\s*[=:]|\s)""")
_HEADER: Final = re.compile(r"\s*[\[({<]+\s*([\w.-]+)\s*[\])}>]*\s*[:;,]?\s*(?:#.*)?|([\w.]+)\]+")
_HEADER_BEGIN: Final = re.compile(r"\[+([\w.-]+)()\]+")
_COMMENT: Final = re.compile(r"\s*(?://|;|--|/\*|!|%|REM\b)(.*)")
_TOKEN: Final = re.compile(r""""[^"]*"|'[^']*'|[^\s,\[\]"']+""")
_SECRET: Final = re.compile(r"pass|token|secret|header|key", re.IGNORECASE)
_PATH: Final = re.compile(r"""[=:]\s*["']?(?:/|[A-Za-z]:\\)""")
_LONG_NUMBER: Final = re.compile(r"\d{4000}")
_MANUAL: Final = "powerd.toml(5) shows how each option is written"


class TomlFault(NamedTuple):
    """One error: its line from 1, the key path or "", and a clause."""

    line: int
    key: str
    clause: str


class _Repair(NamedTuple):
    """A corrected line, what was wrong with it, and what to do."""

    line: str
    what: str
    remedy: str


def find_faults(text: str) -> tuple[dict[str, Any] | None, str, list[TomlFault]]:
    """The errors of a text that tomllib does not read.

    Returns:
        The document of the corrected text, None if an error has no correction; the corrected text, with as
        many lines; the errors.
    """
    text, faults = f"{text.replace(chr(13) + chr(10), chr(10))}\n", list[TomlFault]()
    if not _is_configuration(text) and (error := _error_of(text)):
        fault = _explain_other(error, text.split("\n")[error.line - 1], "")
        what = "the file sets no option of powerd and is not TOML"
        return None, text, [fault._replace(clause=f"{what}: {fault.clause}")]
    while len(faults) < _MAX_FAULTS:
        error = _error_of(text)
        if error is None:
            return tomllib.loads(text), text, faults
        fault, repaired = _explain(text, error)
        faults.append(fault)
        if repaired is None or len(text) > _MAX_CORRECTED:
            break
        text = repaired
    return None, text, faults


def _is_configuration(text: str) -> bool:
    """Whether any line sets an option or is the header of a table of powerd, or all lines are comments."""
    table, is_comment = "", True
    for line in map(_visible, text.split("\n")):
        if header := _header_of(line):
            table = header
            if isinstance(declared().get(table), str):
                return True
        elif (key := _KEY.match(line)) and _sets_option(f"{table}.{_unquoted(key)}".lstrip("."), line):
            return True
        is_comment &= not line or line[0] == "#" or bool(_COMMENT.fullmatch(line))
    return is_comment


def _unquoted(key: re.Match[str]) -> str:
    return key[1].strip("\"'")


def _visible(line: str) -> str:
    """The begin of a line without white space around it and invisible characters."""
    return "".join(char for char in line[:_MAX_LINE] if unicodedata.category(char) != "Cf").strip()


def _header_of(line: str) -> str:
    """The name of the table of a header, also an incomplete one, or ""."""
    header = _HEADER.fullmatch(line) or _HEADER_BEGIN.match(line)
    return (header[1] or header[2]) if header else ""


def _sets_option(path: str, line: str) -> bool:
    """Whether this is the key path of an option, or of a table in braces."""
    kind = declared().get(path)
    return isinstance(kind, OptionType) or (kind is not None and "{" in line)


class _Error(NamedTuple):
    """tomllib's message; line and column from 1."""

    message: str
    line: int
    column: int


def _error_of(text: str) -> _Error | None:
    try:
        tomllib.loads(text)
    except RecursionError:
        return _Error("the values are nested too deeply", max(scan(text).lines.values(), default=1), 1)
    except ValueError as error:  # TOMLDecodeError, and int() on a number of thousands of digits
        message = str(error)
        position = _POSITION.search(message)
        if position is None:
            number = _LONG_NUMBER.search(text)
            line = text.count("\n", 0, number.start()) + 1 if number else 1
            return _Error("the number is too long", line, 1)
        end = position[1] is None
        line, column = (text.count("\n") + 1, 1) if end else (int(position[1]), int(position[2]))
        if end and (message.startswith("Unterminated") or "'" in message):  # a string without an end
            line = scan(text).last_line
        return _Error(message[: position.start()], line, column)
    return None


class _Place(NamedTuple):
    """The statement with an error, and some lines after it.

    Attributes:
        lines: the lines.
        at: the index of the line with the error.
    """

    lines: list[str]
    at: int

    def corrected(self, index: int, line: str) -> list[str] | None:
        """The lines with one replaced; None if the error is still there, or an earlier one."""
        lines = [*self.lines[:index], line, *self.lines[index + 1 :]]
        left = _error_of("\n".join(lines))
        return lines if left is None or left.line > self.at + 1 else None


def _explain(text: str, error: _Error) -> tuple[TomlFault, str | None]:
    """An error with its remedy, and the corrected text; None = there is no obvious correction."""
    lines = text.split("\n")
    line_text = lines[error.line - 1]
    before = scan("\n".join([*lines[: error.line - 1], line_text[: error.column - 1]]))
    if error.message.startswith("Cannot "):
        return _explain_duplicate(lines, error, before)
    start, end = min(before.statement, error.line) - 1, error.line + _LINES_AFTER
    place = _Place(lines[start:end], error.line - 1 - start)

    def join(corrected: list[str]) -> str:
        return "\n".join([*lines[:start], *corrected, *lines[end:]])

    if (closed := _close_list(place)) is not None:
        line = before.lines.get(before.last, error.line)
        clause = 'the "]" of this list is missing; add it'
        return TomlFault(line, format_parts(before.last), clause), join(closed)
    table = scan("\n".join(lines[: error.line - 1])).table
    first_word = _KEY.match(line_text)
    key, best = format_parts((*table, _unquoted(first_word))) if first_word else "", None
    if len(line_text) < _MAX_LINE:
        repairs = [each for each in _repairs(line_text, error.column) if each.line != line_text]
        best = _select(repairs, place, table)
    if best is not None:
        repair, corrected = best
        clause = f"{repair.what}; {repair.remedy or f'write {repair.line.strip()}'}"
        if not _may_be_shown(line_text, table, before.last if before.statement < error.line else ()):
            where = f"{error.message[:1].lower()}{error.message[1:]} in column {error.column}"
            clause = f"{repair.what if 'quotation mark' in repair.what else where}; {_MANUAL}"
        return TomlFault(error.line, key, hide_urls(clause)), join(corrected)
    if not line_text and error.line == len(lines):  # the end of the text
        error = error._replace(line=before.statement)
    return _explain_other(error, line_text, key), None


def _may_be_shown(line: str, table: KeyParts, list_key: KeyParts) -> bool:
    """Whether a line belongs to a configuration, and sets nothing that may be a secret.

    Args:
        line: the line.
        table: the table that it is in.
        list_key: the option in whose list it is; () = none.
    """
    line = _visible(line)
    if _COMMENT.fullmatch(line) or _header_of(line):
        return True
    word = _KEY.match(line)
    key = (*table, _unquoted(word)) if word and not list_key else list_key
    path = _without_indexes(key)
    is_secret = _SECRET.search(path) and not _PATH.search(line)
    return not is_secret and (bool(list_key) or _sets_option(path, line)) and path in declared()


def _select(repairs: list[_Repair], place: _Place, table: KeyParts) -> tuple[_Repair, list[str]] | None:
    """The first correction that gives a valid value, else the first after which the error is gone."""
    first = None
    for repair in repairs:
        corrected = place.corrected(place.at, repair.line)
        if corrected is not None:
            first = first or (repair, corrected)
            if _is_valid(repair.line, table):
                return repair, corrected
    return first


def _is_valid(line: str, table: KeyParts) -> bool:
    """Whether a line sets an option of this table to a valid value."""
    try:
        ((key, value),) = tomllib.loads(line).items()
        kind = declared().get(_without_indexes((*table, key)))
        if isinstance(kind, OptionType):
            kind.read(value)
            return True
    except ValueError:
        pass
    return False


def _without_indexes(parts: KeyParts) -> str:
    return ".".join(part for part in parts if isinstance(part, str))


def _repairs(line: str, column: int) -> Iterator[_Repair]:
    """Corrections of a line, the most probable first."""
    yield from _character_repairs(line)
    if match := _COMMENT.fullmatch(line):
        yield _Repair(f"#{match[1]}", 'a comment begins with "#"', "")
    if match := _HEADER.fullmatch(line):
        name = match[1] or match[2]
        header = declared().get(name)
        yield _Repair(
            header if isinstance(header, str) else f"[{name}]", "the header of a table is incomplete", ""
        )
    if match := _ASSIGNMENT.fullmatch(line):
        indent, key, sign, value, comment = match.groups()
        comment = comment.replace("//", "#", 1) if comment.lstrip().startswith("//") else comment
        sign = sign if sign.strip() == "=" else " = "
        what = "" if match[3].strip() == "=" else 'a key and its value are joined by one "="'
        if not value.strip():
            yield _Repair(f"#{line}", "the value is missing", 'write one, or put "#" before the line')
        else:
            yield _Repair(f"{indent}{key}{sign}{value}{comment}", what or 'a comment begins with "#"', "")
            for fixed, why in _value_repairs(value.strip()):
                yield _Repair(f"{indent}{key}{sign}{fixed}{comment}", what or why, "")
    elif line.strip():
        end = re.search(r"[\],\s]*$", line)
        text = f"{', '.join(_quoted_items(line))}{end[0] if end else ''}"
        yield _Repair(text, "the quotes of a list are incomplete", "")
    rest = line[column - 1 :].strip()
    if rest and column > 1:
        yield _Repair(
            f"{line[: column - 1]}# {rest}",
            f'"{rest}" is left over',
            "remove it, or begin a new line before it",
        )


def _character_repairs(line: str) -> Iterator[_Repair]:
    straight = line.translate(_QUOTES)
    if straight != line:
        wrong = next(char for char in line if ord(char) in _QUOTES)
        yield _Repair(straight, f"{wrong} is not a quotation mark of TOML", "")
    odd = [char for char in line if unicodedata.category(char) in {"Zs", "Cf", "Cc"} and char not in " \t"]
    if odd:
        plain = "".join(
            "" if unicodedata.category(char) != "Zs" and char in odd else " " if char in odd else char
            for char in line
        )
        name = unicodedata.name(odd[0], f"control character 0x{ord(odd[0]):02x}")
        remedy = f"replace it by a space: {plain.strip()}"
        yield _Repair(plain, f"column {line.index(odd[0]) + 1} has an invisible character ({name})", remedy)


def _value_repairs(value: str) -> Iterator[tuple[str, str]]:
    """Corrections of a value, and what was wrong with it."""
    lower, bare = value.lower(), value.strip("\"'")
    if lower in {"true", "false"}:
        yield lower, "true and false are written in lower case"
    if value.endswith((",", ";")):
        yield value.rstrip(",; "), f'a line does not end with "{value[-1]}"'
    if value.startswith("{"):
        return
    if value.startswith(('"', "[")) and "\\" in value:
        fixed = re.sub(r'"([^"\']*\\[^"\']*)"', r"'\1'", value)
        yield fixed, 'in double quotes "\\" begins an escape sequence'
    if value.startswith("["):
        yield f"[{', '.join(_quoted_items(value))}]", "quotes, commas or brackets of a list are missing"
    else:
        yield from _quoted_repairs(value, bare)
    if lower in BOOLEANS:
        yield str(BOOLEANS[lower]).lower(), f"{value} is not a value of TOML"
    if number := re.fullmatch(r"0*(\d+)(?:[,.](\d+))?\s*%?", value):
        yield number[1] + (f".{number[2]}" if number[2] else ""), "this is not a number of TOML"


def _quoted_repairs(value: str, bare: str) -> Iterator[tuple[str, str]]:
    """A value in quotation marks, and in a list; ``bare`` has none of its quotation marks."""
    marks = value.count('"') + value.count("'")
    if marks and marks % 2 == 0 and value[0] == value[-1]:
        return
    what = "a quotation mark is missing" if marks else "the quotation marks are missing"
    yield f'"{bare}"', what
    what = what if marks else "a list of strings is required"
    yield from ((f'["{bare}"]', what), (f"[{', '.join(_quoted_items(value))}]", what))


def _quoted_items(text: str) -> list[str]:
    return [each if each[0] in "\"'" else f'"{each}"' for each in _TOKEN.findall(text.partition(" #")[0])]


def _close_list(place: _Place) -> list[str] | None:
    """The lines with "]" at the end of the last line that is not a comment, if this corrects the error."""
    before = (n for n in range(place.at - 1, -1, -1) if place.lines[n].strip())
    previous = next((n for n in before if not place.lines[n].lstrip().startswith("#")), None)
    if previous is None:
        return None
    line = place.lines[previous]
    ends = (line, line.partition(" #")[0])  # the first one, if " #" is part of a string
    return next(
        filter(None, (place.corrected(previous, f"{end.rstrip().rstrip(',')}]") for end in ends)), None
    )


def _explain_duplicate(lines: list[str], error: _Error, before: Scan) -> tuple[TomlFault, str | None]:
    """A table or a key that exists already."""
    path = format_parts(before.last)
    is_header = lines[error.line - 1].lstrip().startswith("[")
    line = error.line if is_header else before.last_line
    first = scan("\n".join(lines[: line - 1])).lines.get(before.last, line)
    kind = declared().get(_without_indexes(before.last))
    if not is_header:
        end, clause = error.line, f"line {first} sets this too; remove one of them"
    elif isinstance(kind, str) and kind.startswith("[["):
        clause = f"line {first} has this table too; write {kind} above each"
        text = "\n".join([kind if each.strip() == kind[1:-1] else each for each in lines])
        left = _error_of(text)
        return TomlFault(line, path, clause), text if left is None or left.line > line else None
    else:
        end = next((n for n in range(line, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
        clause = f"line {first} has this table too; join them: move the lines below this header there"
    left_out = ["#"] * (end - line + 1)
    return TomlFault(line, path, clause), "\n".join([*lines[: line - 1], *left_out, *lines[end:]])


def _explain_other(error: _Error, line_text: str, key: str) -> TomlFault:
    """An error without an obvious correction."""
    message = error.message[:1].lower() + error.message[1:]
    if error.message == "Unterminated string":
        return TomlFault(error.line, key, "a string does not end; add the closing quotation marks")
    if line_text.lstrip().startswith("{"):
        return TomlFault(
            error.line,
            key,
            "TOML has no braces around a file; write each option on its own line: key = value",
        )
    if "{" in line_text:
        return TomlFault(error.line, key, f"{message}; write a table in braces on one line")
    if message.startswith("the "):
        return TomlFault(error.line, key, f"{message}; shorten it")
    return TomlFault(error.line, key, f"{message}; {_MANUAL}")
