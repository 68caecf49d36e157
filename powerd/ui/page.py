"""The status page: one plain document from the API's JSON values, no script, nothing from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import dedent
from typing import Final

from powerd.disks.view.html import disks_section
from powerd.presence.view import ALWAYS_ON, always_on, evidence, ignore_lines, label, last_seen, source
from powerd.smart.view.api import SmartDetailJson
from powerd.smart.view.html import HEALTH_STYLE, health_section
from powerd.ui.api import ClientJson, ReasonJson, SourceJson, StatusJson
from powerd.ui.html import cell, escape_line, item_list, row, section, table
from powerd.ui.layout import format_time
from powerd.ui.status import (
    alarm_sentence,
    counts_sentence,
    displayed_reasons,
    next_sentence,
    reasons_title,
    state_sentence,
)

REFRESH_SECONDS: Final = 30
"""Seconds after which the page loads itself anew; STARTING while there is nothing to see yet."""
STARTING_REFRESH_SECONDS: Final = 2

STYLE: Final = (
    """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1a1d21; --soft: #5c6570;
  --line: #dde1e6; --good: #146c36; --doubt: #8a5200; --bad: #b3261e; --accent: #2457a6 }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1d2125; --ink: #e6e8ea;
  --soft: #9ba4ae; --line: #32383e; --good: #6fd08f; --doubt: #f0b35a; --bad: #ff8a80; --accent: #8db8f7 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main, header, footer { max-width: 56rem; margin: 0 auto; padding: 0 1rem }
header { display: flex; justify-content: space-between; align-items: baseline; padding-top: 1.25rem;
  color: var(--soft); font-size: .875rem }
header b { color: var(--ink); font-size: 1rem }
.now { border-left: .375rem solid var(--accent); padding: .125rem 0 .125rem 1rem; margin: 1.5rem 0 2rem }
.now.idle { border-color: var(--good) }
.now.warning, .now.going-down { border-color: var(--doubt) }
.now.trouble { border-color: var(--bad) }
h1 { font-size: clamp(1.375rem, 4.5vw, 2rem); line-height: 1.25; margin: 0 0 .375rem; text-wrap: balance }
.now p { margin: 0; color: var(--soft) }
h2 { font-size: 1rem; margin: 0 0 .5rem }
section { margin: 0 0 2rem }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .625rem; overflow: hidden }
ul { list-style: none; margin: 0; padding: 0 }
li { display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .625rem 1rem }
li + li, tbody tr { border-top: 1px solid var(--line) }
li b { flex: 0 0 12rem; overflow-wrap: anywhere }
li span { flex: 1 1 14rem; overflow-wrap: anywhere }
small, time { color: var(--soft); font-size: .875rem }
li time { white-space: nowrap }
table { width: 100%; border-collapse: collapse; table-layout: fixed }
th, td { text-align: left; vertical-align: top; padding: .5rem 1rem; font-weight: normal }
thead th { color: var(--soft); font-size: .875rem; padding-bottom: .25rem }
th, td { overflow-wrap: anywhere }
thead th:first-child { width: 42% }
thead th:last-child { width: 9rem }
tbody th { font-weight: 600 }
td small, th small { display: block; font-weight: normal }
.present, .standby, .sleeping, .suspended { color: var(--good); font-weight: 600 }
.hung { color: var(--bad); font-weight: 600 }
.unknown, .unsupported { color: var(--doubt); font-weight: 600 }
.absent, .void { color: var(--soft) }
.now .bad, .bad { color: var(--bad) }
pre { margin: 0; padding: .75rem 1rem; overflow-x: auto; font-size: .875rem }
p.note { margin: .5rem 0; color: var(--soft); font-size: .875rem }
footer { padding-bottom: 2rem; color: var(--soft); font-size: .875rem }
a { color: var(--accent) }
@media (max-width: 36rem) { th, td { padding: .5rem } li, tr > :first-child { padding-left: .75rem }
  li b { flex-basis: 100% } thead th:first-child { width: 38% } thead th:last-child { width: 27% } }
"""
    + HEALTH_STYLE
)


def render_page(status: StatusJson, clients: list[ClientJson], drives: Sequence[SmartDetailJson] = ()) -> str:
    """The whole document: what it does and what comes next, why, who is home, and what is wrong."""
    now = datetime.fromisoformat(status["now"])
    reasons = displayed_reasons(status)
    parts = [
        _summary(status),
        _reasons_section(reasons_title(status), [reason for reason in reasons if reason["keeps_awake"]], now),
        _reasons_section("Worth knowing", [each for each in reasons if not each["keeps_awake"]], now),
        _warnings_section(status["sources"], reasons),
        _clients_section(clients, status, now),
        disks_section(status["disks"], now),
        health_section(drives, now, observing=status["mode"] == "observe"),
    ]
    seconds = STARTING_REFRESH_SECONDS if status["state"] == "starting" else REFRESH_SECONDS
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="refresh" content="{seconds}">\n'
        f"<title>{escape_line(status['state'].replace('-', ' '))} - powerd</title>\n"
        f"<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{''.join(parts)}</main>\n"
        f"<footer>As of {now:%H:%M:%S}, renewed every {seconds} s. For programs: "
        '<a href="/api/status">/api/status</a>, <a href="/api/clients">/api/clients</a>, '
        '<a href="/api/disks">/api/disks</a>, <a href="/api/smart">/api/smart</a></footer>\n'
        "</body>\n</html>\n"
    )


def _summary(status: StatusJson) -> str:
    """One sentence: what it does, and what comes next."""
    state = status["state"].replace("-", " ").capitalize()
    next_text = next_sentence(status)
    kind = "trouble" if status["trouble"] else status["state"]
    mode = {
        "observe": "Observe mode: it decides and explains, but touches nothing.",
        "enforce": "Enforce mode: it acts on what it decides.",
    }.get(status["mode"] or "", "")
    since = state_sentence(status).capitalize() + "." if status["since"] else ""
    alarm = alarm_sentence(status)
    alarm_text = f"An alarm would wake it {alarm}." if alarm else ""
    trouble = (
        f'<p class="bad" role="alert">Trouble: {escape_line(status["trouble"])}</p>\n'
        if status["trouble"]
        else ""
    )
    return (
        f"<header><b>powerd</b><span>{escape_line(status['version'])}</span></header>\n<main>\n"
        f'<div class="now {escape_line(kind)}">\n<h1>{escape_line(state)}: '
        f"{escape_line(next_text[0].lower() + next_text[1:])}</h1>\n"
        f"<p>{escape_line(' '.join(filter(None, (since, alarm_text, mode))))}</p>\n{trouble}</div>\n"
    )


def _reasons_section(title: str, reasons: list[ReasonJson], now: datetime) -> str:
    if not reasons:
        return ""
    lines = (
        _list_item(
            reason["subject"],
            f"<span>{escape_line(reason['text'])}</span>{_since_element(reason['since'], now)}",
        )
        for reason in reasons
    )
    return section(title, item_list(lines))


def _since_element(since: str, now: datetime) -> str:
    return (
        f'<time datetime="{escape_line(since)}">since '
        f"{format_time(datetime.fromisoformat(since), now)}</time>"
    )


def _warnings_section(sources: list[SourceJson], reasons: list[ReasonJson]) -> str:
    """What cannot look, and what those that can complain of, unless that is told above."""
    lines = [*_source_warnings(sources, " ".join(reason["text"] for reason in reasons))]
    return section("Warnings", item_list(lines)) if lines else ""


def _source_warnings(sources: list[SourceJson], shown_text: str) -> Iterator[str]:
    for source_json in sources:
        if source_json["blind"] and source_json["blind"] not in shown_text:
            yield _list_item(
                source_json["id"],
                f'<span class="bad">cannot look: {escape_line(source_json["blind"])}</span>',
            )
        for warning in source_json["warnings"]:
            if warning not in shown_text:
                yield _list_item(source_json["id"], f"<span>{escape_line(warning)}</span>")


def _list_item(subject: str, content: str) -> str:
    return f"<li><b>{escape_line(subject)}</b>{content}</li>\n"


def _clients_section(clients: list[ClientJson], status: StatusJson, now: datetime) -> str:
    if not clients:
        return section("Clients", '<p class="void">No client is known yet.</p>\n')
    shown_errors = {source["blind"] for source in status["sources"]}
    client_table = table(
        ("Client", "State", "Last seen"), (_client_row(client, now, shown_errors) for client in clients)
    )
    return section(
        f"Clients: {counts_sentence(status['clients'])}", client_table, _ignore_suggestion(clients)
    )


def _client_row(client: ClientJson, now: datetime, shown_errors: set[str | None]) -> str:
    """One client in three cells: who, whether it is there, when it was last heard."""
    details = " · ".join(
        filter(None, (client["address"] if client["name"] else client["mac"], source(client)))
    )
    explanations = (
        None if client["keeps_awake"] else "never counts",
        None if client["why"] in shown_errors else client["why"],
    )
    rtt = f" {client['rtt_ms']:g} ms" if client["rtt_ms"] is not None and client["on_link"] else ""
    return row(
        label(client),
        details,
        cell(
            f'<span class="{client["state"]}">{client["state"]}</span>', "; ".join(filter(None, explanations))
        ),
        cell(last_seen(client, now), evidence(client) + rtt),
    )


def _ignore_suggestion(clients: list[ClientJson]) -> str:
    """The line of configuration that stops counting what is always on."""
    suggested = always_on(clients)
    if not suggested:
        return ""
    lines = dedent("\n".join(map(escape_line, ignore_lines(suggested))))
    return f'<p class="note">{ALWAYS_ON}</p>\n<pre class="card">{lines}</pre>\n'
