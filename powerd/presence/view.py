"""The output of ``powerd clients``, rendered from the API's JSON: a table and notes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.ui.layout import (
    COLUMN_GAP,
    Paint,
    Row,
    Style,
    TextTable,
    column_widths,
    cut,
    format_duration,
    join_lines,
    join_names,
    line_width,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import ClientJson, SourceJson, StatusJson

_COLUMNS: Final = ("NAME", "ADDRESS", "STATE", "LAST SEEN", "EVIDENCE", "CLASS", "MAKER", "SOURCE")
_OPTIONAL: Final = frozenset({"CLASS", "MAKER"})
"""Columns that are left out if no client has a value."""
_SHRINKABLE: Final = (("MAKER", 16), ("NAME", 14))
_SHRINKABLE_FURTHER: Final = (("MAKER", 6), ("ADDRESS", 15), ("CLASS", 8), ("NAME", 8))
_GROUPED_STATES: Final = ("unknown", "absent")
_MAX_ROWS: Final = 8
"""Clients of such a state that are listed; more share a line."""
_EVIDENCE_TEXT: Final = {"icmp": "ICMP", "arp": "ARP", "wifi": "Wi-Fi"}
_NOTHING: Final = "-"
_STYLES: Final[dict[str, Style]] = {"present": "good", "dozing": "good", "unknown": "doubt", "absent": "dim"}
_MAX_NAMES: Final = 3
"""Names that a note lists; it counts the others."""
_MAX_NAME: Final = 30
"""Cells of a name in a note."""
ALWAYS_ON: Final = "Always on, so probably no personal device. To ignore, under [clients]:"


def clients_text(
    clients: list[ClientJson], status: StatusJson, paint: Paint = no_color, *, every: bool = False
) -> str:
    """The output of ``powerd clients``: a table, then notes on some of its rows.

    ``every``: no clients share a line.
    """
    listed, groups = (clients, {}) if every else _split_groups(clients)
    rows = [_row(client, datetime.fromisoformat(status["now"])) for client in listed]
    titles = _titles(rows)
    lines = [] if clients else ["No client is known yet."]
    if listed:
        lines += _table(rows, titles, [_STYLES[client["state"]] for client in listed], paint)
    for state, names in groups.items():
        text = f"{len(names)} clients are {state}: {join_names(names, _MAX_NAMES)}"
        lines += paragraph_lines(f"{text}; `powerd clients --all` lists them")
    if listed and "SOURCE" not in titles:
        lines += ["", *_labels_lines("Known from ", _labels_by((source(each), each) for each in listed))]
    lines += _notes(clients, {source["error"] for source in status["sources"]}, paint)
    lines += _source_messages(status["sources"], paint)
    return join_lines(lines)


def evidence(client: ClientJson) -> str:
    """The kind of the last evidence; ``ICMP only`` for a client behind a router."""
    if not client["on_link"]:
        return "ICMP only"
    how = client["evidence"]
    return _EVIDENCE_TEXT.get(how, how) if how else "-"


def last_seen(client: ClientJson, now: datetime) -> str:
    """The age of the last evidence, ``12 s ago``."""
    if client["last_seen"] is None:
        return "never"
    age = now - datetime.fromisoformat(client["last_seen"])
    return f"{format_duration(age.total_seconds(), max_units=1)} ago"


def source(client: ClientJson) -> str:
    """What names the client, and whether that source is stale."""
    return (client["source"] or "-") + (" (stale)" if client["stale"] else "")


def label(client: ClientJson) -> str:
    """The name of the client, else its address, else its MAC."""
    return sanitize(client["name"] or client["address"] or client["id"])


def _titles(rows: list[Row]) -> tuple[str, ...]:
    """The columns of the table; SOURCE is left out if the table would have to cut it."""
    titles = tuple(
        title
        for n, title in enumerate(_COLUMNS)
        if title not in _OPTIONAL or any(row[n] != _NOTHING for row in rows)
    )
    widths = column_widths(_select(titles, rows), _shrinkable(titles, _SHRINKABLE))
    fits = sum(widths) + COLUMN_GAP * (len(widths) - 1) <= line_width()
    return titles if fits else titles[:-1]


def _select(titles: tuple[str, ...], rows: list[Row]) -> list[Row]:
    """The titles, and the cells of these columns."""
    columns = [_COLUMNS.index(title) for title in titles]
    return [titles, *(tuple(row[n] for n in columns) for row in rows)]


def _shrinkable(titles: tuple[str, ...], widths: Iterable[tuple[str, int]]) -> list[tuple[int, int]]:
    """As column_widths() takes them."""
    return [(titles.index(title), least) for title, least in widths if title in titles]


def _table(rows: list[Row], titles: tuple[str, ...], styles: list[Style], paint: Paint) -> list[str]:
    shrinkable = _shrinkable(titles, (*_SHRINKABLE, *_SHRINKABLE_FURTHER))
    return TextTable(titles, titles.index("STATE"), shrinkable).format_lines(
        _select(titles, rows)[1:], styles, paint
    )


def _labels_lines(prefix: str, labels: Mapping[str, list[str]]) -> Iterator[str]:
    """``Known from dhcpd.leases: tv, laptop, phone and 4 more`` for each text."""
    for text, names in labels.items():
        yield from paragraph_lines(f"{prefix}{text}: {join_names(names, _MAX_NAMES)}")


def _row(client: ClientJson, now: datetime) -> Row:
    state: str = client["state"]
    return (
        sanitize(client["name"] or _NOTHING),
        sanitize(client["address"] or client["mac"] or _NOTHING),
        state if client["keeps_awake"] else f"({state})",
        last_seen(client, now),
        sanitize(evidence(client)),
        sanitize(client["class"] or _NOTHING),
        sanitize(client["maker"] or _NOTHING),
        sanitize(source(client)),
    )


def _split_groups(clients: list[ClientJson]) -> tuple[list[ClientJson], dict[str, list[str]]]:
    """The clients to list, and the labels of the others by state."""
    groups = {
        state: members
        for state in _GROUPED_STATES
        if len(members := [each for each in clients if each["state"] == state]) > _MAX_ROWS
    }
    listed = [each for each in clients if each["state"] not in groups]
    return listed, {state: [cut(label(each), _MAX_NAME) for each in group] for state, group in groups.items()}


def _notes(clients: list[ClientJson], reported: set[str | None], paint: Paint) -> Iterator[str]:
    """Why clients are unknown, what marks in the table mean, and the option that ignores always-on clients.

    ``reported`` are the errors of sources, which are shown separately.
    """
    for reason, names in _unknown_by_reason(clients).items():
        if reason in reported:
            continue
        text = f"Unknown: {join_names(names, _MAX_NAMES)}: {reason}"
        yield from ("", *(paint(line, "doubt") for line in paragraph_lines(text)))
    for remark, names in _labels_by(
        (client["remark"], client) for client in clients if client["remark"]
    ).items():
        yield from ("", *paragraph_lines(f"{join_names(names, _MAX_NAMES)}: {remark}"))
    if any(not client["keeps_awake"] for client in clients):
        yield from ("", *paragraph_lines("(in brackets): never keeps the server awake"))
    if any(not client["on_link"] for client in clients):
        text = "ICMP only: behind a router; a client there that drops ICMP cannot be detected"
        yield from ("", *paragraph_lines(text))
    yield from _limit_notes(clients)
    if ids := always_on(clients):
        yield from ("", *paragraph_lines(ALWAYS_ON), *ignore_lines(ids, shared_macs(clients)))


def _limit_notes(clients: list[ClientJson]) -> Iterator[str]:
    """After which silence clients are absent, and why."""
    texts = _labels_by((limit_text(client), client) for client in clients if client["keeps_awake"])
    texts.pop("", None)
    if texts:
        yield ""
    for text, names in texts.items():
        yield from paragraph_lines(f"{join_names(names, _MAX_NAMES)}: {text}")


def limit_text(client: ClientJson) -> str:
    """``absent after 17 min (longest nap 14 min 30 s)``; empty if the configuration sets the limit."""
    limit = client["limit"]
    if limit is None:
        return ""
    if limit["basis"] == "naps":
        reason = f"longest nap {_minutes_and_seconds(limit['longest_nap'] or 0.0)}"
    elif limit["basis"] == "answers":
        reason = "it never naps"
    elif limit["basis"] == "start":
        reason = "naps are not known well enough yet"
    else:
        reason = "it was absent by its limit lately, and was there"
    if limit["surprises"]:
        reason += f"; so far {limit['surprises']} such surprise" + ("s" if limit["surprises"] > 1 else "")
    return f"absent after {format_duration(client['absent_after'])} ({reason})"


def _minutes_and_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def _unknown_by_reason(clients: list[ClientJson]) -> dict[str, list[str]]:
    """Labels of the unknown clients that block sleep, by reason."""
    unknown = (client for client in clients if client["state"] == "unknown" and client["keeps_awake"])
    return _labels_by((client["reason"], client) for client in unknown)


def _labels_by(clients: Iterable[tuple[str | None, ClientJson]]) -> dict[str, list[str]]:
    """Labels of clients by the text that comes with each."""
    labels: dict[str, list[str]] = {}
    for text, client in clients:
        labels.setdefault(text or "", []).append(cut(label(client), _MAX_NAME))
    return labels


def always_on(clients: list[ClientJson]) -> list[ClientJson]:
    """Clients that keep the server awake although they are probably no personal devices, such as lamps."""
    return [client for client in clients if client["always_on"] and client["keeps_awake"]]


def shared_macs(clients: Iterable[ClientJson]) -> frozenset[str | None]:
    """The MAC addresses that several clients have, as behind a repeater."""
    counts = Counter(client["mac"] for client in clients)
    return frozenset(mac for mac, count in counts.items() if count > 1)


def match_pattern(client: ClientJson, shared: frozenset[str | None]) -> str:
    """The pattern that matches this client only: its MAC, or its address if it shares that MAC.

    Never its name: clients choose their names, and two of them may be an "iPhone".
    """
    return (client["mac"] if client["mac"] not in shared else None) or client["address"] or client["id"]


def ignore_lines(clients: list[ClientJson], shared: frozenset[str | None]) -> Iterator[str]:
    """TOML to paste: ``ignore = ["aa:bb:cc:dd:ee:ff"]  # lamp``; ``shared`` as in match_pattern()."""
    quoted = [
        (json.dumps(match_pattern(client, shared), ensure_ascii=False), cut(label(client), _MAX_NAME))
        for client in clients
    ]
    if len(quoted) == 1:
        [(pattern, name)] = quoted
        yield f"    ignore = [{pattern}]  # {name}"
        return
    yield "    ignore = ["
    for pattern, name in quoted:
        yield f"        {pattern},  # {name}"
    yield "    ]"


def _source_messages(sources: list[SourceJson], paint: Paint) -> Iterator[str]:
    """The errors of the unavailable sources and the warnings of the others."""
    errors = [(source["id"], error) for source in sources if (error := source["error"])]
    warnings = [(source["id"], warning) for source in sources for warning in source["warnings"]]
    for title, messages in ((paint("Unavailable:", "bad"), errors), (paint("Warnings:", "doubt"), warnings)):
        if messages:
            yield from ("", title)
        for name, message in messages:
            yield from paragraph_lines(f"{name}: {message}", 2)
