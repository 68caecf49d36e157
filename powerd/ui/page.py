"""The status page: one HTML document made from the API's JSON values.

Everything can be read and done without the script, which renews the page by the events and shows countdowns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Final

from powerd.activity.view import effect_text, quantity, split_shown
from powerd.attribution.view.html import wakes_section
from powerd.attribution.view.table import use_sentences
from powerd.disks.view.html import disk_name, disks_section
from powerd.disks.view.table import STOPPED
from powerd.history.view.html import days_section, disk_texts
from powerd.presence.view_html import clients_section
from powerd.requests.view_html import server_controls
from powerd.smart.view.html import acknowledge_button, disk_health
from powerd.ui.html import (
    EMPTY,
    MIN_GROUP,
    READER,
    STYLE,
    Html,
    PageContext,
    button,
    controls,
    dots,
    item_list,
    join,
    key,
    note,
    row,
    section,
    state,
    template,
    two_lines,
    with_code,
)
from powerd.ui.journal import MESSAGE_IDS
from powerd.ui.layout import about_disk, format_duration, format_time, join_names
from powerd.ui.status import (
    alarm_sentence,
    counts_sentence,
    is_never,
    measured_reasons,
    next_sentence,
    reasons_title,
    state_sentence,
)

if TYPE_CHECKING:
    from powerd.history.view.schema import HistoryJson, TimelineJson
    from powerd.ui.schema import (
        AccessJson,
        ActivityJson,
        AlarmJson,
        ClientJson,
        DiskJson,
        ReasonJson,
        SmartDetailJson,
        SourceJson,
        StatusJson,
        WakeJson,
    )

REFRESH_SECONDS: Final = 30
"""Without scripts the page reloads itself so often; STARTING_REFRESH_SECONDS before the first decision."""
STARTING_REFRESH_SECONDS: Final = 2
SCRIPT: Final = template("page.js").replace("EVENTS", Html(json.dumps([*MESSAGE_IDS, "changed"])))
_PAGE: Final = template("page.html")
_ERROR: Final = Html('<p class="bad" role="alert">Error: {}</p>\n')
_ALARMS: Final = Html('<section id="alarms" aria-label="Alarms">\n{}</section>\n')
_ALARM: Final = Html(
    '<div id="{id}" class="notice {kind}" role="alert"><p><b>{name}: {text}</b> {since}</p>\n'
    "<p>{remedy}</p>\n{acknowledge}</div>\n"
)
_REASON: Final = Html('<li id="{}"><div class="reason"><b>{}</b> <span>{} {}</span> {}</div></li>\n')
_NAMES: Final = Html("<details><summary>Show all {}</summary>{}</details>")
_UNAVAILABLE: Final = Html('<span class="bad">unavailable: {}</span>')
_SINCE: Final = Html('<time datetime="{}">since {}</time>')
_COUNTDOWN: Final = Html('<p class="countdown" role="timer" data-until="{}">{}</p>\n')
_MAX_NAMES: Final = 3


def render_page(  # noqa: PLR0913 - the page shows all that the API has
    status: StatusJson,
    clients: list[ClientJson],
    drives: Sequence[SmartDetailJson] = (),
    wakes: Sequence[WakeJson] = (),
    accesses: Sequence[AccessJson] = (),
    *,
    timeline: TimelineJson | None = None,
    history: HistoryJson | None = None,
    page: PageContext = READER,
    zone: tzinfo | None = None,
) -> Html:
    """The document: state and controls, reasons, the last days, activities, clients, disks, who uses them.

    Args:
        status: of the API, as are the others.
        clients: all.
        drives: those with health data, in detail.
        wakes: of all disks.
        accesses: of all disks.
        timeline: of the last week; None = nothing is recorded.
        history: of the same time.
        page: its reader.
        zone: the time zone of the server; None = that of this process.
    """
    now = datetime.fromisoformat(status["now"])
    names = {disk["id"]: disk_name(disk) for disk in status["disks"]}
    reasons = measured_reasons(status, names)
    errors = {source["error"] for source in status["sources"]}
    sections = (
        *_reasons_sections(status, reasons, now),
        days_section(timeline, history, now.astimezone(zone), names) if timeline and history else EMPTY,
        _activity_section(status, names, now),
        clients_section(clients, counts_sentence(status["clients"]), now, errors, page),
        _disks_section(status, drives, accesses, history, page),
        wakes_section(status, wakes, names, now),
    )
    shown_state = status["state"].replace("-", " ")
    return _PAGE.format(
        base=page.base,
        nonce=page.nonce,
        notice=page.notice,
        logout=button(page, ("logout",), "Log out"),
        refresh_seconds=STARTING_REFRESH_SECONDS if status["state"] == "starting" else REFRESH_SECONDS,
        title=_title(status, shown_state),
        alarms=_alarms(status, names, now, page),
        style=STYLE,
        script=SCRIPT,
        version=status["version"],
        kind="error" if status["error"] else status["state"],
        heading=shown_state.capitalize(),
        next=with_code(next_sentence(status, time_left=False)),
        countdown=_countdown(status, now),
        summary=_summary(status),
        error=_ERROR.format(status["error"]) if status["error"] else EMPTY,
        controls=_controls(status, reasons, now, page),
        sections=join(sections),
        time=f"{now:%H:%M:%S}",
        now=status["now"],
    )


def _controls(status: StatusJson, reasons: list[ReasonJson], now: datetime, page: PageContext) -> Html:
    blockers = [each["subject"] for each in reasons if each["keeps_awake"]]
    return server_controls(status, blockers, now, page, can_sleep=not any(map(is_never, reasons)))


def _title(status: StatusJson, shown_state: str) -> str:
    """The title of the tab: alarms first."""
    alarms = status["alarms"]
    more = f" and {len(alarms) - 1} more" if len(alarms) > 1 else ""
    return (
        f"{alarms[0]['severity'].capitalize()}: {alarms[0]['subject']}{more} - {shown_state}"
        if alarms
        else shown_state
    )


def _alarms(status: StatusJson, disk_names: Mapping[str, str], now: datetime, page: PageContext) -> Html:
    """The alarms, with their remedies."""
    items = [_alarm(alarm, disk_names, now, page) for alarm in status["alarms"]]
    return _ALARMS.format(join(items)) if items else EMPTY


def _alarm(alarm: AlarmJson, disk_names: Mapping[str, str], now: datetime, page: PageContext) -> Html:
    kind, _, subject = alarm["id"].partition(" ")
    is_drive = kind == "drive"
    name = disk_names.get(subject, alarm["subject"]) if is_drive else alarm["subject"]
    acknowledge = controls(acknowledge_button(page, subject, name)) if is_drive else EMPTY
    return _ALARM.format(
        id=key("alarm", alarm["id"]),
        kind=alarm["severity"],
        name=name,
        since=_since(alarm["since"], now) if alarm["since"] else EMPTY,
        text=with_code(alarm["text"]),
        remedy=with_code(f"{alarm['remedy'][:1].upper()}{alarm['remedy'][1:]}."),
        acknowledge=acknowledge,
    )


def _since(since: str, now: datetime) -> Html:
    return _SINCE.format(since, format_time(datetime.fromisoformat(since), now))


def _summary(status: StatusJson) -> Html:
    """Since when the state has lasted, the next alarm, and the mode."""
    alarm = alarm_sentence(status)
    return dots(
        (
            state_sentence(status).capitalize() if status["since"] else "",
            {
                "observe": "observe mode: powerd changes nothing",
                "enforce": "enforce mode",
            }.get(status["mode"] or "", ""),
        )
    ) + (f". An alarm would wake the server {alarm}." if alarm else "")


def _countdown(status: StatusJson, now: datetime) -> Html:
    """The time until the planned action, which the script counts down."""
    at = status["decision"]["at_earliest"]
    if not at or not status["decision"]["action"]:
        return EMPTY
    left = (datetime.fromisoformat(at) - now).total_seconds()
    return _COUNTDOWN.format(at, f"in {format_duration(left)}" if left > 0 else "")


def _disks_section(
    status: StatusJson,
    drives: Sequence[SmartDetailJson],
    accesses: Sequence[AccessJson],
    history: HistoryJson | None,
    page: PageContext,
) -> Html:
    """Disks with their health and their week, and what keeps them from spinning down."""
    names = {disk["id"]: disk_name(disk) for disk in status["disks"]}
    stopped = {disk["id"] for disk in status["disks"] if disk["state"] in STOPPED}
    now, observing = datetime.fromisoformat(status["now"]), status["mode"] == "observe"
    named: list[DiskJson] = [{**disk, "device": names[disk["id"]]} for disk in status["disks"]]
    health = {
        drive["id"]: disk_health(
            drive,
            names.get(drive["id"], drive["device"]),
            now,
            page,
            observing=observing,
            stopped=drive["id"] in stopped,
        )
        for drive in drives
    }
    week = disk_texts(history) if history else {}
    return disks_section(
        status["disks"],
        now,
        page,
        health=health,
        week=week,
        notes=use_sentences(accesses, named, now),
        observing=observing,
    )


def _reasons_sections(status: StatusJson, reasons: list[ReasonJson], now: datetime) -> Iterator[Html]:
    """Blockers, remarks, and what sources report besides; the heading has the remark that no rule can act."""
    blockers = [each for each in reasons if each["keeps_awake"]]
    remarks = [each for each in reasons if not each["keeps_awake"] and not is_never(each)]
    yield _reasons_section("reasons", reasons_title(status), blockers, now)
    yield _reasons_section("remarks", "Remarks", remarks, now)
    yield _warnings_section(status["sources"], reasons)


def _reasons_section(id_: str, title: str, reasons: list[ReasonJson], now: datetime) -> Html:
    """A list of reasons; one that several subjects share is listed once, since the latest of them."""
    groups: dict[str, list[ReasonJson]] = {}
    for reason in reasons:
        groups.setdefault(reason["text"], []).append(reason)
    items = (_reason_item(id_, group, now) for group in groups.values())
    return section(id_, title, "", item_list(items)) if reasons else EMPTY


def _reason_item(id_: str, group: list[ReasonJson], now: datetime) -> Html:
    last = max(group, key=lambda reason: datetime.fromisoformat(reason["since"]))
    since = _since(last["since"], now)
    subjects = [reason["subject"] for reason in group]
    names = _NAMES.format(len(subjects), ", ".join(subjects)) if len(subjects) >= MIN_GROUP else EMPTY
    shown = join_names(subjects, _MAX_NAMES)
    return _REASON.format(
        key(id_, f"{subjects[0]} {last['text']}"), shown, with_code(last["text"]), names, since
    )


def _warnings_section(sources: list[SourceJson], reasons: list[ReasonJson]) -> Html:
    """Errors and warnings of sources that the reasons above do not show."""
    items = [*_source_warnings(sources, " ".join(reason["text"] for reason in reasons))]
    return section("warnings", "Warnings", "", item_list(items)) if items else EMPTY


def _source_warnings(sources: list[SourceJson], shown_text: str) -> Iterator[Html]:
    for each in sources:
        texts: list[str] = [warning for warning in each["warnings"] if warning not in shown_text]
        if each["error"] and each["error"] not in shown_text:
            texts.append(_UNAVAILABLE.format(each["error"]))
        for text in texts:
            yield _REASON.format(key("source", f"{each['id']} {text}"), each["id"], text, EMPTY, EMPTY)


def _activity_section(status: StatusJson, disk_names: Mapping[str, str], now: datetime) -> Html:
    """The measurements of the checks, and the checks without one."""
    if not status["activity"]:
        return EMPTY
    shown, others = split_shown(status["activity"])
    observing = status["mode"] == "observe"
    devices = {disk["id"]: disk["device"] for disk in status["disks"]}
    named: list[ActivityJson] = [
        {
            **each,
            "subject": disk_names.get(each["subject"] or "", each["subject"]),
            "text": about_disk(each["text"] or "", devices.get(each["subject"] or "")),
        }
        for each in shown
    ]
    rows = [_activity_row(each, now, observing=observing) for each in named]
    notes = [note(f"{title}: {', '.join(checks)}") for title, checks in others.items()]
    return section("activity", "Work in progress", "", item_list(rows) if rows else EMPTY, *notes)


def _activity_row(activity: ActivityJson, now: datetime, *, observing: bool) -> Html:
    value = quantity(activity["value"], activity["unit"])
    threshold = activity["threshold"]
    since = activity["since"]
    small = (
        "" if threshold is None else f"threshold {quantity(threshold, activity['unit'])}",
        f"since {format_time(datetime.fromisoformat(since), now)}" if since else "",
    )
    failed = activity["state"] == "failed"
    kind = "failed" if failed else "busy" if activity["keeps_awake"] else "ignored"
    subject = activity["subject"] or activity["check"]
    return row(
        key("activity", f"{activity['check']} {subject}"),
        subject,
        activity["text"] or "",
        state(effect_text(activity, observing=observing), kind),
        two_lines(value if value != "-" else "", dots(small)),
    )
