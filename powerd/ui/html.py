"""HTML fragments of the status page. ``Html.format()`` sanitizes and escapes every value that is not Html.

markupsafe costs 0.06 MB and 4 ms. Jinja2 would cost 3.1 MB more after the first page view, and 60 ms in which
the event loop is blocked.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from markupsafe import Markup

from powerd.ui.layout import sanitize

_TEMPLATES: Final = Path(__file__).with_name("templates")


class Html(Markup):
    """Markup whose ``escape()`` also replaces control characters, which host names may contain."""

    __slots__ = ()

    @classmethod
    def escape(cls, s: object, /) -> Html:
        """``s`` unchanged if it is markup, otherwise its text, sanitized and escaped."""
        if hasattr(s, "__html__"):
            return cls(s.__html__())
        return cls(super().escape(sanitize(str(s))))


EMPTY: Final = Html()
_SECTION: Final = Html("<section>\n<h2>{}</h2>\n{}</section>\n")
_LIST: Final = Html('<ul class="card">\n{}</ul>\n')
_TABLE: Final = Html(
    '<div class="card"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n'
)
_HEADER_CELL: Final = Html('<th scope="col">{}</th>')
_ROW: Final = Html('<tr><th scope="row">{}<small>{}</small></th>{}</tr>\n')
_CELL: Final = Html("<td>{}</td>")
_TWO_LINES: Final = Html("{}<small>{}</small>")


def template(name: str) -> Html:
    """The text of a file in ``templates/``."""
    return Html((_TEMPLATES / name).read_text())


def join(parts: Iterable[str]) -> Html:
    """All parts, one after the other; a part that is not Html is escaped."""
    return EMPTY.join(map(Html.escape, parts))


def section(title: str, *parts: str) -> Html:
    """A section of the page with its title."""
    return _SECTION.format(title, join(parts))


def item_list(items: Iterable[str]) -> Html:
    """A list of ``<li>`` elements."""
    return _LIST.format(join(items))


def table(header: Iterable[str], rows: Iterable[str]) -> Html:
    """A table; ``rows`` are results of row()."""
    return _TABLE.format(join(map(_HEADER_CELL.format, header)), join(rows))


def row(name: str, details: str, *cells: str) -> Html:
    """A table row: the header cell with its name and details, and the other cells."""
    return _ROW.format(name, details, join(map(_CELL.format, cells)))


def cell(text: str, small_text: str) -> Html:
    """Content of a cell: a line, and a smaller line below."""
    return _TWO_LINES.format(text, small_text)
