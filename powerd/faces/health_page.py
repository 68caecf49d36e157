"""The drives' health on the status page: verdict, findings, key counters, and a small plot of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from powerd.faces.health_shapes import SmartDetailJson
from powerd.faces.html import cell, row, safe, section, table
from powerd.faces.words import clock, span

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
_POINTS: Final = 2
"""So many checks make a line ..."""
_MOST_POINTS: Final = 60
"""... and of so many, the highest of each few is drawn: a year of days would be a smear."""
_CALM: Final = 15
"""Degrees that a plot of temperature spans at least: one that stays within three is nearly flat."""
_MATTERS: Final = (
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
    ill = sum(drive["health"] in {"warning", "alarm"} for drive in drives)
    title = f"Health: {ill} of {len(drives)} drives with findings" if ill else "Health of drives"
    return section(title, table(("Drive", "Health", "Temperature"), rows))


def _row(drive: SmartDetailJson, now: datetime, coming: str) -> str:
    age = f"{span(drive['hours'] * 3600, parts=1)} on" if drive["hours"] is not None else ""
    about = " · ".join(filter(None, (drive["model"], drive["serial"], age)))
    word = f'<span class="{drive["health"]}">{drive["health"]}</span>'
    celsius = "-" if drive["temperature"] is None else f"{drive['temperature']} °C"
    warmth = [(each["at"], each["temperature"]) for each in drive["history"]]
    health = (cell(word, _times(drive, now, coming)), *_found(drive), *_counters(drive))
    return row(drive["device"], about, "".join(health), celsius + _plot(warmth, "temperature"))


def _times(drive: SmartDetailJson, now: datetime, coming: str) -> str:
    said = "never checked"
    if drive["checked"]:
        said = f"checked {clock(datetime.fromisoformat(drive['checked']), now)}"
    if drive["due"]:
        due = datetime.fromisoformat(drive["due"])
        said += f", {coming} {'when it spins' if due <= now else clock(due, now)}"
    return said + (", tests itself now" if drive["testing"] else "")


def _found(drive: SmartDetailJson) -> Iterator[str]:
    for finding in drive["findings"]:
        yield (
            f'<p class="found"><span class="{finding["severity"]}">{safe(finding["text"])}</span>'
            f"<small>{safe(finding['advice'])}</small></p>"
        )
    if drive["why"]:
        yield f'<p class="found"><small>cannot be checked: {safe(drive["why"])}</small></p>'


def _counters(drive: SmartDetailJson) -> Iterator[str]:
    """Counters that ought to be 0 and are not, each with how it has grown."""
    for name, said in _MATTERS:
        count = drive["counters"].get(name, 0)
        if count:
            grown = [(each["at"], each["counters"].get(name)) for each in drive["history"]]
            yield f'<p class="found"><small>{count:,} {said}</small>{_plot(grown, said, "grown")}</p>'


def _plot(values: Sequence[tuple[str, int | None]], what: str, kind: str = "") -> str:
    """A line over time; "" where there are too few points, or all are the same and say nothing of growth."""
    points = [(datetime.fromisoformat(at).timestamp(), value) for at, value in values if value is not None]
    if len(points) < _POINTS or (kind and len({value for _, value in points}) == 1):
        return ""
    heights = [value for _, value in points]
    low, high = min(heights), max(heights)
    few = -(-len(points) // _MOST_POINTS)
    tops = [max(points[n : n + few], key=lambda point: point[1]) for n in range(0, len(points), few)]
    begin, across = tops[0][0], max(tops[-1][0] - tops[0][0], 1)
    spread = max(high - low, 1 if kind else _CALM)
    drawn = " ".join(
        f"{(time - begin) / across * _WIDTH:.1f},"
        f"{_HEIGHT - _MARGIN - (value - low) / spread * (_HEIGHT - 2 * _MARGIN):.1f}"
        for time, value in tops
    )
    label = f"{what}: {low} to {high} in {len(points)} checks"
    mark = f' class="{kind}"' if kind else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img">'
        f'<title>{safe(label)}</title><polyline{mark} points="{drawn}"/></svg>'
    )
