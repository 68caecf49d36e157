"""Clients on the status page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from textwrap import dedent
from typing import TYPE_CHECKING, Final

from powerd.presence.view import (
    ALWAYS_ON,
    always_on,
    evidence,
    ignore_lines,
    label,
    limit_text,
    match_pattern,
    shared_macs,
    source,
)
from powerd.ui.html import (
    EMPTY,
    MIN_GROUP,
    Html,
    PageContext,
    button,
    controls,
    dots,
    facts,
    item_list,
    join,
    key,
    note,
    row,
    section,
    state,
    two_lines,
)
from powerd.ui.layout import format_time

if TYPE_CHECKING:
    from powerd.ui.schema import ClientJson

_LINES: Final = Html('<p class="note">{}</p>\n<pre tabindex="0">{}</pre>\n')
_NESTED: Final = Html('<ul class="nested">\n{}</ul>\n')
_NO_CLIENT: Final = "No client is known yet."
_STATE_TEXTS: Final = {"unknown": "may be here", "dozing": "dozing"}


def clients_section(
    clients: list[ClientJson], counts: str, now: datetime, errors: set[str | None], page: PageContext
) -> Html:
    """A row for each client; many clients of one state are one row that opens.

    Args:
        clients: of the API, in its order.
        counts: how many are present.
        now: the server's time.
        errors: errors of sources, which the page shows elsewhere.
        page: its reader.
    """
    if not clients:
        return section("clients", "Clients", "", note(_NO_CLIENT))
    groups: dict[tuple[bool, str, str], list[ClientJson]] = {}
    for client in clients:
        alone = client["keeps_awake"] and client["state"] in {"present", "dozing"}
        reason = client["reason"] if client["state"] == "unknown" and client["keeps_awake"] else ""
        kind = (not client["keeps_awake"], client["state"], client["id"] if alone else reason)
        groups.setdefault(kind, []).append(client)
    shared = shared_macs(clients)
    rows = (_rows(group, shared, now, errors, page) for _, group in sorted(groups.items(), key=_is_ignored))
    return section("clients", "Clients", counts, item_list(rows), _suggestion(clients, shared))


def _is_ignored(group: tuple[tuple[bool, str, str], list[ClientJson]]) -> bool:
    (ignored, _, _), _ = group
    return ignored


def _rows(
    group: list[ClientJson],
    shared: frozenset[str | None],
    now: datetime,
    errors: set[str | None],
    page: PageContext,
) -> Html:
    rows = join(_row(client, shared, now, errors, page) for client in group)
    if len(group) < MIN_GROUP:
        return rows
    first = group[0]
    reason = first["reason"] if first["state"] == "unknown" and first["reason"] not in errors else ""
    id_ = key("clients", f"{first['keeps_awake']} {first['state']} {reason}")
    return row(id_, f"{len(group)} clients", reason, _state(first), "", more=_NESTED.format(rows))


def _state(client: ClientJson) -> Html:
    """The state. A client that is ignored has the colour of none."""
    if not client["keeps_awake"]:
        return state(f"ignored, {client['state']}", "ignored")
    return state(_STATE_TEXTS.get(client["state"], client["state"]), client["state"])


def _row(
    client: ClientJson,
    shared: frozenset[str | None],
    now: datetime,
    errors: set[str | None],
    page: PageContext,
) -> Html:
    """One client: its names, its state and when it was last seen; opened, all that is known about it."""
    name = label(client)
    seen = format_time(datetime.fromisoformat(client["last_seen"]), now) if client["last_seen"] else "never"
    rtt = f" {client['rtt_ms']:g} ms" if client["rtt_ms"] is not None and client["on_link"] else ""
    reason = "" if client["reason"] in errors else client["reason"]
    address = client["address"] if client["name"] else client["mac"]
    info = two_lines(f"seen {seen}" if client["last_seen"] else "never seen", f"{evidence(client)}{rtt}")
    more = facts(
        {
            "Why": reason,
            "Limit": limit_text(client) if client["keeps_awake"] else "",
            "Maker": client["maker"] or "",
            "MAC address": (client["mac"] or "") if client["name"] else "",
            "Known from": source(client),
            "Class": client["class"] or "",
            "Remark": client["remark"] or "",
        }
    )
    if client["mac"] and client["state"] != "present":
        wake = button(page, ("wake",), "Wake", {"host": client["mac"]}, name=name)
        more += controls(wake)
    return row(
        key("client", client["id"]),
        name,
        dots([address or ""]),
        _state(client),
        info,
        more=more + _to_paste(client, shared),
    )


def _to_paste(client: ClientJson, shared: frozenset[str | None]) -> Html:
    """Lines of configuration that ignore or name the client; the page never edits the configuration."""
    match = f"match = {json.dumps(match_pattern(client, shared), ensure_ascii=False)}"
    name = client["name"] or "living room TV"
    naming = _toml(
        "To name it:", ("[[clients.name]]", match, f"name = {json.dumps(name, ensure_ascii=False)}")
    )
    if not client["keeps_awake"]:
        return naming
    return _toml("To ignore it, in the configuration:", ["[clients]", *_dedented([client], shared)]) + naming


def _toml(title: str, lines: Iterable[str]) -> Html:
    return _LINES.format(title, Html("\n").join(map(Html.escape, lines)))


def _dedented(clients: list[ClientJson], shared: frozenset[str | None]) -> list[str]:
    return dedent("\n".join(ignore_lines(clients, shared))).splitlines()


def _suggestion(clients: list[ClientJson], shared: frozenset[str | None]) -> Html:
    """The configuration line that ignores the clients that are always on."""
    suggested = always_on(clients)
    return _toml(ALWAYS_ON, _dedented(suggested, shared)) if suggested else EMPTY
