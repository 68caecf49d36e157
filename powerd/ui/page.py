"""The status page: one HTML document made from the API's JSON values, without scripts or external files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import dedent
from typing import Final

from powerd.activity.view import effect_text, quantity, split_shown
from powerd.attribution.view.table import (
    MAX_GROUPS,
    MAX_NAME,
    MAX_PATH,
    WakeGroup,
    group_wakes,
    process_text,
    use_sentences,
    watch_text,
)
from powerd.disks.view.html import disks_section
from powerd.disks.view.table import standby_summary
from powerd.presence.view import (
    ALWAYS_ON,
    always_on,
    evidence,
    ignore_lines,
    label,
    last_seen,
    limit_text,
    source,
)
from powerd.smart.view.html import health_section
from powerd.ui.html import EMPTY, Html, cell, item_list, join, row, section, table, template
from powerd.ui.layout import cut, format_duration, format_time, sanitize
from powerd.ui.schema import (
    AccessJson,
    ActivityJson,
    ClientJson,
    ReasonJson,
    SmartDetailJson,
    SourceJson,
    StatusJson,
    WakeJson,
)
from powerd.ui.status import (
    alarm_sentence,
    counts_sentence,
    displayed_reasons,
    next_sentence,
    reasons_title,
    state_sentence,
)

REFRESH_SECONDS: Final = 30
"""The page reloads itself at this interval; STARTING_REFRESH_SECONDS before the first decision."""
STARTING_REFRESH_SECONDS: Final = 2
STYLE: Final = template("style.css")
_PAGE: Final = template("page.html")
_ERROR: Final = Html('<p class="bad" role="alert">Error: {}</p>\n')
_ITEM: Final = Html("<li><b>{}</b>{}</li>\n")
_TEXT: Final = Html("<span>{}</span>")
_UNAVAILABLE: Final = Html('<span class="bad">unavailable: {}</span>')
_SINCE: Final = Html('<time datetime="{}">since {}</time>')
_STATE: Final = Html('<span class="{0}">{0}</span>')
_NO_CLIENT: Final = Html('<p class="void">No client is known yet.</p>\n')
_NOTE: Final = Html('<p class="note">{}</p>\n')
_SUGGESTION: Final = Html('<p class="note">{}</p>\n<pre class="card">{}</pre>\n')


def render_page(
    status: StatusJson,
    clients: list[ClientJson],
    drives: Sequence[SmartDetailJson] = (),
    wakes: Sequence[WakeJson] = (),
    accesses: Sequence[AccessJson] = (),
) -> Html:
    """The document: state, reasons, warnings, activities, clients, disks, who uses them, and their health."""
    now = datetime.fromisoformat(status["now"])
    reasons = displayed_reasons(status)
    sections = (
        _reasons_section(reasons_title(status), [reason for reason in reasons if reason["keeps_awake"]], now),
        _reasons_section("Remarks", [reason for reason in reasons if not reason["keeps_awake"]], now),
        _warnings_section(status["sources"], reasons),
        _activity_section(status, now),
        _clients_section(clients, status, now),
        disks_section(status["disks"], now),
        _wakes_section(status, wakes, accesses, now),
        health_section(drives, now, observing=status["mode"] == "observe"),
    )
    state, next_text = status["state"].replace("-", " "), next_sentence(status)
    return _PAGE.format(
        refresh_seconds=STARTING_REFRESH_SECONDS if status["state"] == "starting" else REFRESH_SECONDS,
        title=state,
        style=STYLE,
        version=status["version"],
        kind="error" if status["error"] else status["state"],
        heading=f"{state.capitalize()}: {next_text[0].lower()}{next_text[1:]}",
        summary=_summary(status),
        error=join(_ERROR.format(each) for each in (status["error"], status["reload_error"]) if each),
        sections=join(sections),
        time=f"{now:%H:%M:%S}",
    )


def _summary(status: StatusJson) -> str:
    """Since when the state has lasted, the next alarm, and the mode."""
    since = f"{state_sentence(status).capitalize()}." if status["since"] else ""
    alarm = alarm_sentence(status)
    alarm_text = f"An alarm would wake the server {alarm}." if alarm else ""
    mode = {
        "observe": "Observe mode: powerd decides and explains, and changes nothing.",
        "enforce": "Enforce mode: powerd executes its decisions.",
    }.get(status["mode"] or "", "")
    return " ".join(filter(None, (since, alarm_text, mode)))


def _reasons_section(title: str, reasons: list[ReasonJson], now: datetime) -> Html:
    if not reasons:
        return EMPTY
    return section(title, item_list(_reason_item(reason, now) for reason in reasons))


def _reason_item(reason: ReasonJson, now: datetime) -> Html:
    since = _SINCE.format(reason["since"], format_time(datetime.fromisoformat(reason["since"]), now))
    return _ITEM.format(reason["subject"], _TEXT.format(reason["text"]) + since)


def _warnings_section(sources: list[SourceJson], reasons: list[ReasonJson]) -> Html:
    """Errors and warnings of sources that the reasons above do not show."""
    items = [*_source_warnings(sources, " ".join(reason["text"] for reason in reasons))]
    return section("Warnings", item_list(items)) if items else EMPTY


def _source_warnings(sources: list[SourceJson], shown_text: str) -> Iterator[Html]:
    for each in sources:
        if each["error"] and each["error"] not in shown_text:
            yield _ITEM.format(each["id"], _UNAVAILABLE.format(each["error"]))
        for warning in each["warnings"]:
            if warning not in shown_text:
                yield _ITEM.format(each["id"], _TEXT.format(warning))


def _activity_section(status: StatusJson, now: datetime) -> Html:
    """What the checks have measured, and which of them have no measurement."""
    if not status["activity"]:
        return EMPTY
    shown, others = split_shown(status["activity"])
    observing = status["mode"] == "observe"
    rows = [_activity_row(each, now, observing=observing) for each in shown]
    tables = [table(("Activity", "Measured", "Verdict"), rows)] if rows else []
    notes = [_NOTE.format(f"{title}: {', '.join(checks)}") for title, checks in others.items()]
    return section("Work in progress", *tables, *notes)


def _activity_row(activity: ActivityJson, now: datetime, *, observing: bool) -> Html:
    since = activity["since"]
    since_text = f"since {format_time(datetime.fromisoformat(since), now)}" if since else ""
    value = quantity(activity["value"], activity["unit"])
    threshold = activity["threshold"]
    limit = "" if threshold is None else f"threshold {quantity(threshold, activity['unit'])}"
    return row(
        activity["subject"] or activity["check"],
        activity["text"] or "",
        cell(value, limit),
        cell(effect_text(activity, observing=observing), since_text),
    )


def _wakes_section(
    status: StatusJson, wakes: Sequence[WakeJson], accesses: Sequence[AccessJson], now: datetime
) -> Html:
    """Who has woken the disks, and who uses them; empty if no disk can be spun down."""
    if status["watch"] is None or not (wakes or standby_summary(status["disks"])):
        return EMPTY
    groups = group_wakes(wakes, now)
    rows = [_wake_group_row(group, now) for group in groups[:MAX_GROUPS]]
    parts = (
        [table(("Woken by", "How often", "Last"), rows)]
        if rows
        else [_NOTE.format("No wake of a disk is recorded yet.")]
    )
    notes = [f"and {len(groups) - MAX_GROUPS} more: /api/wakes"] if len(groups) > MAX_GROUPS else []
    notes += [*use_sentences(accesses, status["disks"], now), f"Level {watch_text(status['watch'])}"]
    return section("Who wakes the disks", *parts, *map(_NOTE.format, notes))


def _wake_group_row(group: WakeGroup, now: datetime) -> Html:
    last = group.last
    where = cut(sanitize(group.where), MAX_PATH)
    slept = (
        "" if last["slept_for"] is None else f"had slept {format_duration(last['slept_for'], max_units=1)}"
    )
    return row(
        cut(sanitize(group.name), MAX_NAME),
        " · ".join(filter(None, (group.disk, last["comm"] and process_text(last), where))),
        cell(group.frequency, "; ".join(filter(None, (last["op"], last["sure"], last["explanation"])))),
        cell(format_time(datetime.fromisoformat(last["at"]), now), slept),
    )


def _clients_section(clients: list[ClientJson], status: StatusJson, now: datetime) -> Html:
    if not clients:
        return section("Clients", _NO_CLIENT)
    shown_errors = {each["error"] for each in status["sources"]}
    rows = (_client_row(client, now, shown_errors) for client in clients)
    return section(
        f"Clients: {counts_sentence(status['clients'])}",
        table(("Client", "State", "Last seen"), rows),
        _ignore_suggestion(clients),
    )


def _client_row(client: ClientJson, now: datetime, shown_errors: set[str | None]) -> Html:
    """One client in three cells: its names and source, its state, and when it was last seen."""
    address = client["address"] if client["name"] else client["mac"]
    explanations = (
        None if client["keeps_awake"] else "ignored",
        None if client["reason"] in shown_errors else client["reason"],
        limit_text(client) if client["keeps_awake"] else None,
    )
    rtt = f" {client['rtt_ms']:g} ms" if client["rtt_ms"] is not None and client["on_link"] else ""
    return row(
        label(client),
        " · ".join(filter(None, (address, source(client)))),
        cell(_STATE.format(client["state"]), "; ".join(filter(None, explanations))),
        cell(last_seen(client, now), evidence(client) + rtt),
    )


def _ignore_suggestion(clients: list[ClientJson]) -> Html:
    """The configuration line that ignores the clients that are always on."""
    suggested = always_on(clients)
    if not suggested:
        return EMPTY
    lines = dedent("\n".join(ignore_lines(suggested))).splitlines()
    return _SUGGESTION.format(ALWAYS_ON, Html("\n").join(map(Html.escape, lines)))
