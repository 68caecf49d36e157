"""Tables of 80 columns: which column gives way, and which cell is coloured. Pure and light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from powerd.faces.words import LINE, Paint, Style, pad, width

GAP: Final = 2
"""Cells between two columns."""
Row: TypeAlias = tuple[str, ...]


class Table(NamedTuple):
    """How a table looks; its columns go by their numbers, from 0.

    Attributes:
        head: what stands above each column.
        coloured: the column whose cells have a style.
        gives: see fitted().
    """

    head: Row
    coloured: int
    gives: Sequence[tuple[int, int]] = ()

    def lines(self, rows: Sequence[Row], styles: Sequence[Style | None], paint: Paint) -> list[str]:
        """The table, its head first.

        Args:
            rows: of as many cells as the head, harmless.
            styles: each row's; None = it has none.
            paint: gives colours.
        """
        widths = fitted((self.head, *rows), self.gives)
        lines = [paint(line(self.head, widths), "strong")]
        for row, style in zip(rows, styles, strict=True):
            cells = _padded(row, widths)
            if style is not None:
                cells[self.coloured] = paint(cells[self.coloured], style)
            lines.append((" " * GAP).join(cells))
        return lines


def fitted(rows: Sequence[Row], gives: Sequence[tuple[int, int]] = ()) -> list[int]:
    """The width of each column: its widest cell's, unless it has to give way for a line to fit.

    Args:
        rows: at least one, all of as many cells.
        gives: which columns give way, in turn, each with the cells that it keeps at least.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    over = sum(widths) + GAP * (len(widths) - 1) - LINE
    for column, least in gives:
        given = max(0, min(over, widths[column] - least))
        widths[column] -= given
        over -= given
    return widths


def line(row: Row, widths: Sequence[int]) -> str:
    """One row, each cell cut or filled up to its column's width."""
    return (" " * GAP).join(_padded(row, widths))


def _padded(row: Row, widths: Sequence[int]) -> list[str]:
    return [pad(cell, size) for cell, size in zip(row, widths, strict=True)]
