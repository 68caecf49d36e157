"""Tables of 80 columns: which column gives way, and which cell is coloured. Pure and light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from powerd.faces.words import LINE_WIDTH, Paint, Style, pad, width

COLUMN_GAP: Final = 2
"""Cells between two columns."""
Row: TypeAlias = tuple[str, ...]


class TextTable(NamedTuple):
    """How a table looks; its columns go by their numbers, from 0.

    Attributes:
        head: what stands above each column.
        coloured: the column whose cells have a style.
        gives: see fitted().
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
        gives: which columns give way, in turn, each with the cells that it keeps at least.
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
