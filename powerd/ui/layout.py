"""Text for terminals: times, durations, wrapping, tables, and sanitizing of foreign text.

Every CLI command imports this module, so it imports little.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime  # importing it takes 3 ms, which not every command needs

LINE_WIDTH: Final = 80
"""Cells of a line in a pipe or a file."""
_MIN_LINE_WIDTH: Final = 40
"""Cells of a line below which texts are not readable; a narrower terminal breaks the lines itself."""
_MIN_TEXT: Final = 20
"""Cells beside a prefix with fewer of which its text begins on the next line."""
_TEXT_INDENT: Final = 4
"""Cells by which a text below its prefix is indented."""
_ROW_INDENT: Final = 2
"""Cells by which lines that continue a row of a table are indented."""
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
_WEEK: Final = 7
_OMIT_DAY_WITHIN: Final = 12 * _HOUR

Style: TypeAlias = Literal["strong", "good", "doubt", "bad", "dim"]
Paint: TypeAlias = Callable[[str, Style], str]
"""Colours a text. Colours take no cells."""


def no_color(text: str, _style: Style) -> str:
    """Leave the text as it is: for files, pipes and NO_COLOR."""
    return text


def line_width() -> int:
    """Cells of a line: as many as $COLUMNS says, the terminal has, or 80 in a pipe or a file; at least 40."""
    columns = 0
    with suppress(ValueError):
        columns = int(os.environ.get("COLUMNS", ""))
    if columns <= 0:
        with suppress(OSError):
            columns = os.get_terminal_size(1).columns  # sys.stdout is None if it is closed
    return max(columns, _MIN_LINE_WIDTH) if columns > 0 else LINE_WIDTH


def join_lines(lines: Iterable[str]) -> str:
    """One text of all lines, each ended by a line break."""
    return "".join(line.rstrip() + "\n" for line in lines)


_ACTION_VERBS: Final = {
    "hybrid-sleep": "go to hybrid sleep",
    "suspend-then-hibernate": "suspend, then hibernate",
    "poweroff": "power off",
    "command": "run the sleep command",
}


def action_verb(action: str) -> str:
    """The verb of an action in the infinitive; an unknown action is its own verb."""
    return _ACTION_VERBS.get(action, action)


def sanitize(text: str) -> str:
    """Replace every control, format and surrogate character of ``text`` by U+FFFD.

    Host names are chosen by the clients: an escape sequence must not reach a terminal, nor a line
    break the journal, nor a change of writing direction a page.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def width(text: str) -> int:
    """Number of cells of ``text`` in a terminal (Unicode Standard Annex 11): wide 2, combining 0."""
    if text.isascii():
        return len(text)
    return sum(map(_char_cells, text))


def _char_cells(char: str) -> int:
    import unicodedata  # noqa: PLC0415 - nearly all host names are ASCII; only the others pay for it

    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def cut(text: str, cells: int) -> str:
    """``text`` shortened to ``cells``; "…" replaces what was cut off."""
    if width(text) <= cells:
        return text
    return text[: _fitting_length(text, cells - 1)] + "…"


def pad(text: str, cells: int) -> str:
    """``text`` cut or padded to exactly ``cells``."""
    text = cut(text, cells)
    return text + " " * (cells - width(text))


def wrap(text: str, cells: int) -> Iterator[str]:
    """Lines of at most ``cells``, broken at spaces, and within a word only if the word is too long."""
    line = ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if width(candidate) <= cells:
            line = candidate
            continue
        if line:
            yield line
        line = word
        while width(line) > cells:
            head = max(1, _fitting_length(line, cells))
            yield line[:head]
            line = line[head:]
    yield line


def paragraph_lines(text: str, indent: int = 0) -> Iterator[str]:
    """``text``, sanitized and wrapped; each line begins with ``indent`` spaces."""
    return (" " * indent + line for line in wrap(sanitize(text), line_width() - indent))


def hanging_lines(first_prefix: str, text: str) -> Iterator[str]:
    """As paragraph_lines(). The first line begins with ``first_prefix``, the others with spaces.

    If there is too little space beside the prefix, the text follows below it.
    """
    cells = width(first_prefix)
    if line_width() - cells < _MIN_TEXT:
        yield cut(first_prefix.rstrip(), line_width())
        yield from paragraph_lines(text, _TEXT_INDENT)
        return
    for n, line in enumerate(wrap(sanitize(text), line_width() - cells)):
        yield (" " * cells if n else first_prefix) + line


def labelled_lines(
    cells: int, label: str, text: str, paint: Paint = no_color, style: Style | None = None
) -> Iterator[str]:
    """As hanging_lines(), after a dim label of ``cells`` cells; ``style`` is that of the text."""
    for n, line in enumerate(wrap(sanitize(text), line_width() - cells)):
        yield paint(pad("" if n else label, cells), "dim") + (paint(line, style) if style else line)


def counted(count: int, noun: str) -> str:
    """A number of things: ``1 disk``, ``2 disks``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def about_disk(text: str, device: str | None) -> str:
    """A clause about a disk for a row that is headed by its name: ``sda is written`` without ``sda``."""
    return text if device is None else text.removeprefix(f"{device} ")


def join_names(names: Sequence[str], limit: int) -> str:
    """The first ``limit`` names, and the number of the others: ``sda, sdb and 7 more``."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _fitting_length(text: str, cells: int) -> int:
    """Number of leading characters of ``text`` that fit into ``cells``."""
    return sum(total <= cells for total in accumulate(map(_char_cells, text)))


def format_duration(seconds: float, max_units: int = 2) -> str:
    """A duration in its ``max_units`` largest units: ``12 s``, ``3 min``, ``2 h 14 min``, ``3 d 4 h``."""
    remaining = max(0, round(seconds))
    pieces: list[str] = []
    for size, unit in _UNITS:
        count, remaining = divmod(remaining, size)
        if count:
            pieces.append(f"{count} {unit}")
        elif pieces:
            break  # not "1 h 5 s"
        if len(pieces) == max_units:
            break
    if pieces and pieces[0].endswith("min"):
        del pieces[1:]
    return " ".join(pieces) or "0 s"


def format_time(at: datetime, now: datetime) -> str:
    """``20:58`` today or within 12 hours, ``Mon 20:58`` within a week, otherwise with the date."""
    days = abs((at.date() - now.date()).days)
    if days == 0 or abs((at - now).total_seconds()) < _OMIT_DAY_WITHIN:
        return f"{at:%H:%M}"
    return f"{at:%a %H:%M}" if days < _WEEK else f"{at:%Y-%m-%d %H:%M}"


COLUMN_GAP: Final = 2
"""Cells between two columns."""
Row: TypeAlias = tuple[str, ...]


class TextTable(NamedTuple):
    """Layout of a table. Columns are numbered from 0.

    Attributes:
        header: the title of each column.
        styled_column: the column whose cells have a style.
        shrinkable: as for column_widths().
    """

    header: Row
    styled_column: int
    shrinkable: Sequence[tuple[int, int]] = ()

    def format_lines(self, rows: Sequence[Row], styles: Sequence[Style | None], paint: Paint) -> list[str]:
        """The header and the rows: a line each, or several lines each if not all columns fit into one.

        Args:
            rows: sanitized cells, as many as the header has.
            styles: one per row; None = no style.
            paint: colours a text.
        """
        widths, breaks = column_widths((self.header, *rows), self.shrinkable), frozenset[int]()
        if _total(widths) > line_width():
            most = line_width() - _ROW_INDENT
            widths = [min(each, most) for each in widths]
            whole = [min(each, most) for each in column_widths((self.header, *rows))]
            breaks = _line_breaks(whole)
            if len(_line_breaks(widths)) < len(breaks):
                breaks = _line_breaks(widths)
                self._widen(widths, whole, breaks)
            else:
                widths = whole
        lines = [paint(_join_cells(_padded_cells(self.header, widths), breaks), "strong")]
        for row, style in zip(rows, styles, strict=True):
            cells = _padded_cells(row, widths)
            if style is not None:
                cells[self.styled_column] = paint(cells[self.styled_column], style)
            lines.append(_join_cells(cells, breaks))
        return lines

    def _widen(self, widths: list[int], whole: Sequence[int], breaks: Collection[int]) -> None:
        """Give columns that were reduced the space that is left in their lines of a row."""
        for column, _ in reversed(self.shrinkable):
            first = max((each for each in breaks if each <= column), default=0)
            after = min((each for each in breaks if each > column), default=len(widths))
            left = line_width() - _ROW_INDENT * bool(first) - _total(widths[first:after])
            widths[column] += max(0, min(left, whole[column] - widths[column]))


def column_widths(rows: Sequence[Row], shrinkable: Sequence[tuple[int, int]] = ()) -> list[int]:
    """Width of each column: that of its widest cell, reduced where a line would not fit.

    Args:
        rows: at least one; all have the same number of cells.
        shrinkable: the columns that are reduced, in this order, each with its minimum width.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    excess = _total(widths) - line_width()
    for column, minimum in shrinkable:
        cells_removed = max(0, min(excess, widths[column] - minimum))
        widths[column] -= cells_removed
        excess -= cells_removed
    return widths


def _total(widths: Sequence[int]) -> int:
    """Cells of a line with columns of these widths."""
    return sum(widths) + COLUMN_GAP * (len(widths) - 1)


def _line_breaks(widths: Sequence[int]) -> frozenset[int]:
    """The columns before which a line of a row that does not fit ends."""
    breaks, used = set[int](), 0
    for column, cells in enumerate(widths):
        if column and used + COLUMN_GAP + cells > line_width():
            breaks.add(column)
            used = _ROW_INDENT + cells
        else:
            used += cells + COLUMN_GAP * bool(column)
    return frozenset(breaks)


def format_row(row: Row, widths: Sequence[int]) -> str:
    """One row, each cell cut or padded to the width of its column."""
    return _join_cells(_padded_cells(row, widths))


def _join_cells(cells: Iterable[str], breaks: Collection[int] = ()) -> str:
    """The line or the lines of a row."""
    text = ""
    for column, cell in enumerate(cells):
        gap = f"\n{' ' * _ROW_INDENT}" if column in breaks else " " * COLUMN_GAP * bool(column)
        text = (text.rstrip() if column in breaks else text) + gap + cell
    return text


def _padded_cells(row: Row, widths: Sequence[int]) -> list[str]:
    return [pad(cell, size) for cell, size in zip(row, widths, strict=True)]
