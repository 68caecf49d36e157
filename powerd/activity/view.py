"""The text of ``powerd activity``, made from the API's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.ui.layout import (
    Paint,
    Style,
    TextTable,
    format_duration,
    format_time,
    hanging_lines,
    join_lines,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import ActivityJson, StatusJson

_CHECK, _SUBJECT, _EFFECT = 0, 1, 4
_TABLE: Final = TextTable(
    ("CHECK", "SUBJECT", "VALUE", "THRESHOLD", "RESULT"),
    styled_column=_EFFECT,
    shrinkable=((_SUBJECT, 12), (_CHECK, 12)),
)
_PREFIXES: Final = ("", "k", "M", "G", "T")
_THOUSAND: Final = 1000
_WHOLE_FROM: Final = 100
"""Numbers from this on are shown without a fraction, others with two digits."""
_NOT_POLLED: Final = "not polled yet"


def activity_text(rows: list[ActivityJson], status: StatusJson, paint: Paint = no_color) -> str:
    """The output of ``powerd activity``: a table, then what goes on and why checks have no measurement."""
    if not rows:
        return "No activity check is enabled.\n"
    observing, now = status["mode"] == "observe", datetime.fromisoformat(status["now"])
    cells = [_row(row, observing=observing) for row in rows]
    lines = _TABLE.format_lines(cells, [_style(row) for row in rows], paint)
    notes = [line for row in rows for line in _note_lines(row, now, paint)]
    return join_lines([*lines, "", *notes] if notes else lines)


def poll_time_text(rows: list[ActivityJson]) -> str:
    """How long the polls have taken: all together, as they run side by side, and the slowest."""
    slowest = max(rows, key=lambda row: row["took"], default=None)
    if slowest is None:
        return ""
    checks = len({row["check"] for row in rows})
    text = (
        f"Polled {checks} checks side by side in {_seconds(slowest['took'])}; the slowest: {slowest['check']}"
    )
    return join_lines(["", *paragraph_lines(text)])


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def quantity(value: float | None, unit: str | None) -> str:
    """``4.2 MB/s``, ``23 %``, ``3 min``; "-" if there is no value. Bytes get a prefix of the SI."""
    if value is None:
        return "-"
    if unit == "s":
        return format_duration(value)
    prefix = 0
    if unit is not None and unit.startswith("B"):
        while abs(value) >= _THOUSAND and prefix + 1 < len(_PREFIXES):
            value, prefix = value / _THOUSAND, prefix + 1
    number = f"{value:.0f}" if abs(value) >= _WHOLE_FROM or value == int(value) else f"{value:.2g}"
    return f"{number} {_PREFIXES[prefix]}{unit}" if unit else number


def measured_text(row: ActivityJson) -> str:
    """The value and its threshold: ``4.2 MB/s, threshold 4 kB/s``; "" if there is no value."""
    if row["value"] is None:
        return ""
    threshold = quantity(row["threshold"], row["unit"])
    limit = "" if row["threshold"] is None else f", threshold {threshold}"
    return quantity(row["value"], row["unit"]) + limit


def effect_text(row: ActivityJson, *, observing: bool) -> str:
    """What a row means for the server."""
    if row["keeps_awake"]:
        effect = "would keep awake" if observing else "keeps awake"
        return effect if row["subject"] else f"{row['state'] or _NOT_POLLED}: {effect}"
    if row["subject"]:
        return "does not count"
    if row["state"] == "failed":
        return "failed, ignored"
    return "nothing" if row["state"] == "measured" else row["state"] or _NOT_POLLED


def split_shown(rows: list[ActivityJson]) -> tuple[list[ActivityJson], dict[str, list[str]]]:
    """The rows with something to show, and the checks of the others by what they have found."""
    shown: list[ActivityJson] = []
    others = dict[str, list[str]]()
    for row in rows:
        if row["subject"] or row["keeps_awake"] or row["state"] == "failed":
            shown.append(row)
        else:
            others.setdefault(effect_text(row, observing=False).capitalize(), []).append(row["check"])
    return shown, others


def _row(row: ActivityJson, *, observing: bool) -> tuple[str, ...]:
    value, unit = row["value"], row["unit"]
    return (
        sanitize(row["check"]),
        sanitize(row["subject"] or "-"),
        quantity(value, unit),
        quantity(row["threshold"], unit),
        effect_text(row, observing=observing),
    )


def _style(row: ActivityJson) -> Style:
    if row["state"] == "failed":
        return "bad"
    return "good" if row["keeps_awake"] else "dim"


def _note_lines(row: ActivityJson, now: datetime, paint: Paint) -> Iterator[str]:
    """What goes on if it keeps the server awake, or why the check has no measurement."""
    if not row["text"] or (row["subject"] and not row["keeps_awake"]):
        return
    since = f", since {format_time(datetime.fromisoformat(row['since']), now)}" if row["since"] else ""
    text = f"{row['subject'] or row['check']}: {row['text']}{since}"
    style: Style = "bad" if row["state"] == "failed" else "strong" if row["subject"] else "dim"
    yield from (paint(line, style) for line in hanging_lines("- ", text))
