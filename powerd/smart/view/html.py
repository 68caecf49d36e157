"""The drives' health on the status page: verdict, findings, key counters, and a small plot of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from powerd.smart.view.api import SmartDetailJson
from powerd.ui.html import cell, escape_line, row, section, table
from powerd.ui.layout import format_duration, format_time

HEALTH_STYLE: Final = """
td .ok, td .note { color: var(--good); font-weight: 600 }
td .warning { color: var(--doubt); font-weight: 600 }
td .alarm { color: var(--bad); font-weight: 600 }
td .found .note { color: inherit; font-weight: normal }
.found { margin: .25rem 0 0; overflow-wrap: anywhere }
svg { display: block; width: 100%; height: 2.25rem; margin: .25rem 0 }
svg polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke }
svg .grown { stroke: var(--bad) }
"""
_WIDTH: Final = 300
_HEIGHT: Final = 36
_MARGIN: Final = 3
_MIN_POINTS: Final = 2
"""So many checks make a line ..."""
_MAX_POINTS: Final = 60
"""... and of so many, the highest of each few is drawn: a year of days would be a smear."""
_MIN_TEMPERATURE_SPAN: Final = 15
"""Degrees that a plot of temperature spans at least: one that stays within three is nearly flat."""
_SHOWN_COUNTERS: Final = (
    ("reallocated", "bad sectors replaced"),
    ("pending", "unreadable"),
    ("uncorrectable", "lost"),
    ("reported", "failed reads"),
    ("crc", "garbled transfers"),
    ("media", "damaged blocks"),
)


def health_section(drives: Sequence[SmartDetailJson], now: datetime, *, observing: bool = False) -> str:
    """The section of the page; "" where no drive tells of its health."""
    if not drives:
        return ""
    rows = (_row(drive, now, "would be next" if observing else "next") for drive in drives)
    with_findings = sum(drive["health"] in {"warning", "alarm"} for drive in drives)
    title = (
        f"Health: {with_findings} of {len(drives)} drives with findings"
        if with_findings
        else "Health of drives"
    )
    return section(title, table(("Drive", "Health", "Temperature"), rows))


def _row(drive: SmartDetailJson, now: datetime, next_label: str) -> str:
    age = f"{format_duration(drive['hours'] * 3600, max_units=1)} on" if drive["hours"] is not None else ""
    subtitle = " · ".join(filter(None, (drive["model"], drive["serial"], age)))
    status = f'<span class="{drive["health"]}">{drive["health"]}</span>'
    celsius = "-" if drive["temperature"] is None else f"{drive['temperature']} °C"
    temperatures = [(each["at"], each["temperature"]) for each in drive["history"]]
    health = (cell(status, _times(drive, now, next_label)), *_finding_paragraphs(drive), *_counters(drive))
    return row(drive["device"], subtitle, "".join(health), celsius + _plot(temperatures, "temperature"))


def _times(drive: SmartDetailJson, now: datetime, next_label: str) -> str:
    text = "never checked"
    if drive["checked"]:
        text = f"checked {format_time(datetime.fromisoformat(drive['checked']), now)}"
    if drive["due"]:
        due = datetime.fromisoformat(drive["due"])
        text += f", {next_label} {'when it spins' if due <= now else format_time(due, now)}"
    return text + (", tests itself now" if drive["testing"] else "")


def _finding_paragraphs(drive: SmartDetailJson) -> Iterator[str]:
    for finding in drive["findings"]:
        yield (
            f'<p class="found"><span class="{finding["severity"]}">{escape_line(finding["text"])}</span>'
            f"<small>{escape_line(finding['advice'])}</small></p>"
        )
    if drive["why"]:
        yield f'<p class="found"><small>cannot be checked: {escape_line(drive["why"])}</small></p>'


def _counters(drive: SmartDetailJson) -> Iterator[str]:
    """Counters that ought to be 0 and are not, each with how it has grown."""
    for name, label in _SHOWN_COUNTERS:
        count = drive["counters"].get(name, 0)
        if count:
            history = [(each["at"], each["counters"].get(name)) for each in drive["history"]]
            yield f'<p class="found"><small>{count:,} {label}</small>{_plot(history, label, "grown")}</p>'


def _plot(values: Sequence[tuple[str, int | None]], what: str, kind: str = "") -> str:
    """A line over time; "" where there are too few points, or all are the same and say nothing of growth."""
    points = [(datetime.fromisoformat(at).timestamp(), value) for at, value in values if value is not None]
    if len(points) < _MIN_POINTS or (kind and len({value for _, value in points}) == 1):
        return ""
    heights = [value for _, value in points]
    low, high = min(heights), max(heights)
    step = -(-len(points) // _MAX_POINTS)
    peaks = [max(points[n : n + step], key=lambda point: point[1]) for n in range(0, len(points), step)]
    begin, duration = peaks[0][0], max(peaks[-1][0] - peaks[0][0], 1)
    value_range = max(high - low, 1 if kind else _MIN_TEMPERATURE_SPAN)
    drawn = " ".join(
        f"{(time - begin) / duration * _WIDTH:.1f},"
        f"{_HEIGHT - _MARGIN - (value - low) / value_range * (_HEIGHT - 2 * _MARGIN):.1f}"
        for time, value in peaks
    )
    label = f"{what}: {low} to {high} in {len(points)} checks"
    mark = f' class="{kind}"' if kind else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img">'
        f'<title>{escape_line(label)}</title><polyline{mark} points="{drawn}"/></svg>'
    )
