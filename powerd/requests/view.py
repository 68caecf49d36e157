"""The text of ``powerd keep``, ``sleep`` and ``wake``, made from the API's JSON."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Final

from powerd.requests.model import UNREADABLE
from powerd.ui.layout import (
    COLUMN_GAP,
    Paint,
    action_verb,
    column_widths,
    cut,
    format_duration,
    format_row,
    format_time,
    hanging_lines,
    join_lines,
    line_width,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import AcceptedSleepJson, KeepAwakeJson, SleepRequestJson, WakeOnLanJson

_HEADER: Final = ("ID", "UNTIL", "LEFT")
"""Columns of one line each; the reason that follows may be wrapped."""


def keep_created_text(keep: KeepAwakeJson) -> str:
    """The text of ``powerd keep 2h``: the end, and how to end it earlier."""
    return _paragraphs(
        f"Kept awake until {_end_text(keep, keep['since'])}{_reason_suffix(keep)}.",
        f"To end it earlier: powerd keep --drop {keep['id']}",
        *_warnings(keep),
    )


def keep_dropped_text(keep: KeepAwakeJson) -> str:
    """The text of ``powerd keep --drop``."""
    return _paragraphs(f"Ended keep-awake request {keep['id']}{_reason_suffix(keep)}.", *_warnings(keep))


def keep_list_text(keeps: list[KeepAwakeJson], now: str, paint: Paint = no_color) -> str:
    """The text of ``powerd keep --list``: a row for each keep and hold."""
    if not keeps:
        return _paragraphs("There are no keep-awake requests.")
    rows = [(sanitize(keep["id"]), _end_text(keep, now), _remaining_text(keep, now)) for keep in keeps]
    widths, gap = column_widths((_HEADER, *rows)), " " * COLUMN_GAP
    lines = [paint(cut(format_row(_HEADER, widths) + gap + "BECAUSE", line_width()), "strong")]
    for keep, row in zip(keeps, rows, strict=True):
        lines += hanging_lines(format_row(row, widths) + gap, keep["because"] or "-")
    return join_lines(lines)


def sleep_accepted_text(accepted: AcceptedSleepJson) -> str:
    """The text of ``powerd sleep``: what it waits for, and how to cancel it."""
    since, until = datetime.fromisoformat(accepted["since"]), datetime.fromisoformat(accepted["until"])
    lines = list(paragraph_lines(_next_step_text(accepted, since)))
    for reason in accepted["waits_for"]:
        lines += hanging_lines("  ", f"{reason['subject']}: {reason['text']}")
    lines += paragraph_lines(f"The request ends at {format_time(until, since)} at the latest.")
    return join_lines([*lines, *paragraph_lines("To cancel it: powerd sleep --cancel")])


def _next_step_text(accepted: AcceptedSleepJson, since: datetime) -> str:
    """The first line of ``powerd sleep``: when the server sleeps, or what it waits for."""
    would = accepted["mode"] == "observe"
    end = ":" if accepted["waits_for"] else "."
    if accepted["action"] is None or accepted["at_earliest"] is None:
        will = "In observe mode: would sleep" if would else "Will sleep"
        return (
            f"{will} as soon as {'none of this' if accepted['waits_for'] else 'nothing'} keeps it awake{end}"
        )
    at = datetime.fromisoformat(accepted["at_earliest"])
    seconds = (at - since).total_seconds()
    when = f"at {format_time(at, since)} (in {format_duration(seconds)})" if seconds >= 1 else "now"
    return f"{'In observe mode: would' if would else 'Will'} {action_verb(accepted['action'])} {when}{end}"


def sleep_cancelled_text(request: SleepRequestJson) -> str:
    """The text of ``powerd sleep --cancel``."""
    since = datetime.fromisoformat(request["since"])
    return _paragraphs(f"Called off: the request to sleep of {format_time(since, since)}.")


def wake_on_lan_text(result: WakeOnLanJson) -> str:
    """The text of ``powerd wake``: the host, and where magic packets were sent."""
    host_text = result["host"] if result["host"] == result["mac"] else f"{result['host']} ({result['mac']})"
    destinations = ", ".join(f"{packet['to']} ({packet['link']})" for packet in result["sent"])
    return _paragraphs(f"Sent three magic packets for {host_text} to {destinations}.")


def _paragraphs(*texts: str) -> str:
    return join_lines(chain.from_iterable(map(paragraph_lines, texts)))


def _warnings(keep: KeepAwakeJson) -> tuple[str, ...]:
    return (f"Warning: this is forgotten at a restart. {keep['not_stored']}",) if keep["not_stored"] else ()


def _reason_suffix(keep: KeepAwakeJson) -> str:
    return f": {keep['because']}" if keep["because"] else ""


def _end_text(keep: KeepAwakeJson, now: str) -> str:
    """The end of the request, relative to ``now``."""
    if keep["until"] is None:
        return "dropped" if keep["id"] == UNREADABLE else "command ends"
    return format_time(datetime.fromisoformat(keep["until"]), datetime.fromisoformat(now))


def _remaining_text(keep: KeepAwakeJson, now: str) -> str:
    if keep["until"] is None:
        return "-"
    return format_duration(
        (datetime.fromisoformat(keep["until"]) - datetime.fromisoformat(now)).total_seconds()
    )
