"""HTML fragments of the status page. ``Html.format()`` sanitizes and escapes every value that is not Html.

markupsafe costs 0.06 MB and 4 ms. Jinja2 would cost 3.1 MB more after the first page view, and 60 ms in which
the event loop is blocked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote
from zlib import crc32

from markupsafe import Markup

from powerd.core.dataclass import dataclass
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


@dataclass(frozen=True, slots=True)
class PageContext:
    """The reader of the page, and its address.

    Attributes:
        csrf: the hidden field ``csrf`` of each form, or the header ``X-CSRF-Token``; None = no session.
        nonce: of the script, as in the header Content-Security-Policy.
        base: the path of the page, which ends with "/".
        may_write: the reader may change something.
        login_url: where the form with the field ``secret`` is sent; "" = the reader cannot log in, or has.
        notice: the result of the last form, which is shown once; "" = none.
    """

    csrf: str | None = None
    nonce: str = ""
    base: str = "/"
    may_write: bool = False
    login_url: str = ""
    notice: str = ""


READER: Final = PageContext()
"""A reader who may not change anything."""
EMPTY: Final = Html()
MIN_GROUP: Final = 4
"""Number of equal rows from which they are shown as one that opens."""
_SECTION: Final = Html('<section id="{}">\n<h2>{}{}</h2>\n{}</section>\n')
_SUMMARY: Final = Html(" <small>{}</small>")
_LIST: Final = Html('<ul class="card">\n{}</ul>\n')
_LINE: Final = Html('<li id="{}"><div class="line">{}</div></li>\n')
_DETAILS: Final = Html(
    '<li id="{}"><details><summary class="line">{}</summary><div class="more">\n{}</div></details></li>\n'
)
_NAME: Final = Html('<span class="name"><b>{}</b> {}</span>\n')
_SMALL: Final = Html("<small>{}</small>")
_STATE: Final = Html('<span class="state {}">{}</span> ')
_STATES: Final = Html('<span class="states">{}</span>\n')
_INFO: Final = Html('<span class="info">{}</span>')
_FACTS: Final = Html('<dl class="facts">{}</dl>\n')
_FACT: Final = Html("<div><dt>{}</dt> <dd>{}</dd></div>\n")
_FORM: Final = Html('<form method="post" action="{}">{}<button{}>{}</button></form>\n')
_HIDDEN: Final = Html('<input type="hidden" name="{}" value="{}">')
_LABEL: Final = Html(' aria-label="{}"')
_CONTROLS: Final = Html('<div class="controls">{}</div>\n')
_NOWRAP: Final = Html('<span class="nowrap">{}</span>')
_CODE: Final = Html("<code>{}</code>")
_NOTE: Final = Html('<p class="note">{}</p>\n')


def template(name: str) -> Html:
    """The text of a file in ``templates/``."""
    return Html((_TEMPLATES / name).read_text())


STYLE: Final = template("style.css")


def join(parts: Iterable[str], separator: Html = EMPTY) -> Html:
    """All parts, one after the other; a part that is not Html is escaped."""
    return separator.join(map(Html.escape, parts))


def dots(parts: Iterable[str]) -> Html:
    """The parts that are not empty, with dots between; no line ends within a part."""
    return join((_NOWRAP.format(part) for part in parts if part), Html(" · "))


def with_code(text: str) -> Html:
    """A text in which `` `commands` `` are marked, so that none of them is broken at a hyphen."""
    return join(_CODE.format(part) if n % 2 else part for n, part in enumerate(text.split("`")))


def key(kind: str, name: str) -> str:
    """The id of an element, the same in each version of the page; ``name`` may have any characters."""
    return f"{kind}-{crc32(name.encode(errors='surrogatepass')):08x}"


def section(id_: str, title: str, summary: str, *parts: str) -> Html:
    """A section of the page with its title, and a summary beside it."""
    return _SECTION.format(id_, title, _SUMMARY.format(summary) if summary else EMPTY, join(parts))


def item_list(items: Iterable[str]) -> Html:
    """A list of ``<li>`` elements: results of row()."""
    return _LIST.format(join(items))


def note(text: str) -> Html:
    """A paragraph below a list."""
    return _NOTE.format(text)


def row(  # noqa: PLR0913 - the parts of a row
    id_: str, name: str, about: str, state: str, info: str, *, more: str = EMPTY
) -> Html:
    """A row: a name with details, a state, and information; ``more`` is shown when it is opened."""
    line = _NAME.format(name, _SMALL.format(about) if about else EMPTY)
    line += _STATES.format(state) if state else EMPTY
    line += _INFO.format(info) if info else EMPTY
    return _DETAILS.format(id_, line, more) if more else _LINE.format(id_, line)


def state(text: str, kind: str = "") -> Html:
    """The state of a row; ``kind`` is its class, otherwise the text."""
    return _STATE.format(kind or text, text)


def two_lines(text: str, small_text: str) -> Html:
    """A line, and a smaller one below if there is one."""
    return Html.escape(text) + (Html(" ") + _SMALL.format(small_text) if small_text else EMPTY)


def facts(values: Mapping[str, str]) -> Html:
    """A list of names and values; those without a value are omitted."""
    shown = [(name, value) for name, value in values.items() if value]
    return _FACTS.format(join(_FACT.format(name, value) for name, value in shown)) if shown else EMPTY


def button(  # noqa: PLR0913 - a form has as many sides
    page: PageContext,
    path: Sequence[str],
    label: str,
    fields: Mapping[str, str] | None = None,
    *,
    name: str = "",
    method: str = "POST",
) -> Html:
    """A form of one button, which works without scripts; empty if the reader may not write.

    Args:
        page: its reader.
        path: the segments of the path below ``/api``.
        label: the text of the button.
        fields: the fields of the request.
        name: of what the button acts on, for screen readers.
        method: DELETE has the alias POST URL/delete, because a form has GET and POST only.
    """
    if not page.may_write:
        return EMPTY
    segments = (*path, "delete") if method == "DELETE" else path
    action = f"{page.base}api/" + "/".join(quote(sanitize(part), safe="") for part in segments)
    return _FORM.format(
        action,
        join(_hidden_fields(page, fields or {})),
        _LABEL.format(f"{label}: {name}") if name else EMPTY,
        label,
    )


def _hidden_fields(page: PageContext, fields: Mapping[str, str]) -> Iterator[Html]:
    if page.csrf:
        yield _HIDDEN.format("csrf", page.csrf)
    for name, value in fields.items():
        yield _HIDDEN.format(name, value)


def controls(*buttons: str) -> Html:
    """Buttons side by side; empty without buttons."""
    shown = join(buttons)
    return _CONTROLS.format(shown) if shown else EMPTY
