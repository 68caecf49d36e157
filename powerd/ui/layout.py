"""Words for people: times, spans, and text from strangers made fit for a terminal. Pure and light.

Tables of 80 columns: which column gives way, and which cell is coloured. Pure and light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime  # what is told from times has them already; a list of names need not pay

LINE_WIDTH: Final = 80
"""Cells in a line of a terminal that every text fits into."""
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
_WEEK: Final = 7
_OMIT_DAY_WITHIN: Final = 12 * _HOUR

Style: TypeAlias = Literal["strong", "good", "doubt", "bad", "dim"]
Paint: TypeAlias = Callable[[str, Style], str]
"""Gives a piece of text a colour, which takes no cells."""


def no_color(text: str, _style: Style) -> str:
    """No colour: for files, pipes and NO_COLOR."""
    return text


def join_lines(lines: Iterable[str]) -> str:
    """Lines as one text, each ended by a line break."""
    return "".join(line.rstrip() + "\n" for line in lines)


class VerbForms(NamedTuple):
    """An action in the forms that sentences need."""

    infinitive: str
    present_participle: str
    past_participle: str


VERB_FORMS: Final = {
    "suspend": VerbForms("suspend", "suspending", "suspended"),
    "hibernate": VerbForms("hibernate", "hibernating", "hibernated"),
    "hybrid-sleep": VerbForms("go to hybrid sleep", "going to hybrid sleep", "gone to hybrid sleep"),
    "suspend-then-hibernate": VerbForms(
        "suspend, then hibernate", "suspending, to hibernate later", "suspended, to hibernate later"
    ),
    "poweroff": VerbForms("power off", "powering off", "powered off"),
    "command": VerbForms("run the sleep command", "running the sleep command", "run the sleep command"),
}


def verb_forms(action: str) -> VerbForms:
    """How to say ``action``; a newer daemon's unknown one is said as it is."""
    return VERB_FORMS.get(action) or VerbForms(action, action, action)


def sanitize(text: str) -> str:
    """``text`` with every control, format and surrogate character replaced by U+FFFD.

    Host names are chosen by the clients: an escape sequence must not reach a terminal, nor a line
    break the journal, nor a change of writing direction a page.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def width(text: str) -> int:
    """The cells that ``text`` takes in a terminal (Unicode Standard Annex 11): wide 2, combining 0."""
    if text.isascii():
        return len(text)
    return sum(map(_char_cells, text))


def _char_cells(char: str) -> int:
    import unicodedata  # noqa: PLC0415 - nearly all host names are ASCII; only the others pay for it

    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def cut(text: str, cells: int) -> str:
    """``text`` shortened to ``cells``, its end shown as "…" where it was."""
    if width(text) <= cells:
        return text
    return text[: _fitting_length(text, cells - 1)] + "…"


def pad(text: str, cells: int) -> str:
    """``text``, cut or filled up to exactly ``cells``."""
    text = cut(text, cells)
    return text + " " * (cells - width(text))


def wrap(text: str, cells: int) -> Iterator[str]:
    """``text`` in lines of at most ``cells``, broken at spaces, and within a word only where it must be."""
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
    """``text`` from anywhere, made harmless, in lines that fit; each begins with ``indent`` spaces."""
    return (" " * indent + line for line in wrap(sanitize(text), LINE_WIDTH - indent))


def hanging_lines(first_prefix: str, text: str) -> Iterator[str]:
    """As paragraph(); the first line begins with ``start``, the others with as many cells of nothing."""
    cells = width(first_prefix)
    for n, line in enumerate(wrap(sanitize(text), LINE_WIDTH - cells)):
        yield (" " * cells if n else first_prefix) + line


def labelled_lines(
    cells: int, label: str, text: str, paint: Paint = no_color, style: Style | None = None
) -> Iterator[str]:
    """As hanging(), from a dim label of so many cells; ``style`` is the text's."""
    for n, line in enumerate(wrap(sanitize(text), LINE_WIDTH - cells)):
        yield paint(pad("" if n else label, cells), "dim") + (paint(line, style) if style else line)


def join_names(names: Sequence[str], limit: int) -> str:
    """The first of so many names, and how many there are besides: ``sda, sdb and 7 more``."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _fitting_length(text: str, cells: int) -> int:
    """How many of the first characters of ``text`` fit into ``cells``."""
    return sum(total <= cells for total in accumulate(map(_char_cells, text)))


def format_duration(seconds: float, max_units: int = 2) -> str:
    """A length of time in its ``parts`` largest units: ``12 s``, ``3 min``, ``2 h 14 min``, ``3 d 4 h``."""
    remaining = max(0, round(seconds))
    pieces: list[str] = []
    for size, unit in _UNITS:
        count, remaining = divmod(remaining, size)
        if count:
            pieces.append(f"{count} {unit}")
        elif pieces:
            break  # "1 h 5 s" would claim a precision that nobody reads
        if len(pieces) == max_units:
            break
    if pieces and pieces[0].endswith("min"):
        del pieces[1:]
    return " ".join(pieces) or "0 s"


def format_time(at: datetime, now: datetime) -> str:
    """A time as one says it today or tonight: ``20:58``, within a week ``Mon 20:58``, else with its date."""
    days = abs((at.date() - now.date()).days)
    if days == 0 or abs((at - now).total_seconds()) < _OMIT_DAY_WITHIN:
        return f"{at:%H:%M}"
    return f"{at:%a %H:%M}" if days < _WEEK else f"{at:%Y-%m-%d %H:%M}"


COLUMN_GAP: Final = 2
"""Cells between two columns."""
Row: TypeAlias = tuple[str, ...]


class TextTable(NamedTuple):
    """How a table looks; its columns go by their numbers, from 0.

    Attributes:
        header: what stands above each column.
        styled_column: the column whose cells have a style.
        shrinkable: see fitted().
    """

    header: Row
    styled_column: int
    shrinkable: Sequence[tuple[int, int]] = ()

    def format_lines(self, rows: Sequence[Row], styles: Sequence[Style | None], paint: Paint) -> list[str]:
        """The table, its head first.

        Args:
            rows: of as many cells as the head, harmless.
            styles: each row's; None = it has none.
            paint: gives colours.
        """
        widths = column_widths((self.header, *rows), self.shrinkable)
        lines = [paint(format_row(self.header, widths), "strong")]
        for row, style in zip(rows, styles, strict=True):
            cells = _padded_cells(row, widths)
            if style is not None:
                cells[self.styled_column] = paint(cells[self.styled_column], style)
            lines.append((" " * COLUMN_GAP).join(cells))
        return lines


def column_widths(rows: Sequence[Row], shrinkable: Sequence[tuple[int, int]] = ()) -> list[int]:
    """The width of each column: its widest cell's, unless it has to give way for a line to fit.

    Args:
        rows: at least one, all of as many cells.
        shrinkable: which columns give way, in turn, each with the cells that it keeps at least.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + COLUMN_GAP * (len(widths) - 1) - LINE_WIDTH
    for column, minimum in shrinkable:
        cells_removed = max(0, min(excess, widths[column] - minimum))
        widths[column] -= cells_removed
        excess -= cells_removed
    return widths


def format_row(row: Row, widths: Sequence[int]) -> str:
    """One row, each cell cut or filled up to its column's width."""
    return (" " * COLUMN_GAP).join(_padded_cells(row, widths))


def _padded_cells(row: Row, widths: Sequence[int]) -> list[str]:
    return [pad(cell, size) for cell, size in zip(row, widths, strict=True)]
