"""What the sections of the status page are made of: text made fit for HTML, sections, lists, tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from powerd.ui.layout import sanitize


def escape_line(text: str) -> str:
    """A line of text from anywhere as HTML text or attribute: no markup, no control characters."""
    return escape(sanitize(text))


def section(title: str, *parts: str) -> str:
    """A part of the page under its title; ``parts`` are HTML."""
    return f"<section>\n<h2>{escape_line(title)}</h2>\n{''.join(parts)}</section>\n"


def item_list(lines: Iterable[str]) -> str:
    """A list of ``<li>``."""
    return f'<ul class="card">\n{"".join(lines)}</ul>\n'


def table(header: Iterable[str], rows: Iterable[str]) -> str:
    """A table; ``rows`` are of row()."""
    titles = "".join(f'<th scope="col">{escape_line(title)}</th>' for title in header)
    return (
        f'<div class="card"><table>\n<thead><tr>{titles}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def row(name: str, details: str, *cells: str) -> str:
    """A row: whom it is about, as text, and other cells, as HTML."""
    rest = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape_line(name)}<small>{escape_line(details)}</small></th>{rest}</tr>\n'


def cell(html: str, small_text: str) -> str:
    """What is in a cell: HTML, and small text below it."""
    return f"{html}<small>{escape_line(small_text)}</small>"
