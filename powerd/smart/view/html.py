"""Health of drives on the status page: state, findings, important counters, and a small plot of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.disks.view.html import DiskHealth
from powerd.ui.html import EMPTY, Html, PageContext, button, facts, join, state, with_code
from powerd.ui.layout import format_duration, format_time

if TYPE_CHECKING:
    from powerd.ui.schema import SmartDetailJson

_FINDING: Final = Html('<p class="found {}">{}<small>{}</small></p>\n')
_ACKNOWLEDGED: Final = " (acknowledged)"
_CHECK_ERROR: Final = Html('<p class="found"><small>cannot be checked: {}</small></p>\n')
_COUNTER: Final = Html('<div class="plot"><small>{} {}</small>{}</div>\n')
_PLOT: Final = Html(
    '<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img">'
    '<title>{title}</title><polyline class="{kind}" points="{points}"/></svg>'
)
_WIDTH: Final = 300
_HEIGHT: Final = 36
_MARGIN: Final = 3
_MIN_POINTS: Final = 2
"""A plot needs this many checks."""
_MAX_POINTS: Final = 60
"""A longer history is reduced to this many points, the highest value of each interval."""
_MIN_TEMPERATURE_SPAN: Final = 15
"""Degrees that the temperature axis spans at least, so that small variations look small."""
_SHOWN_COUNTERS: Final = (
    ("reallocated", "bad sectors replaced"),
    ("pending", "unreadable"),
    ("uncorrectable", "lost"),
    ("reported", "failed reads"),
    ("crc", "transfers with CRC errors"),
    ("media", "damaged blocks"),
)


def disk_health(  # noqa: PLR0913 - what the page knows of the disk
    drive: SmartDetailJson,
    name: str,
    now: datetime,
    page: PageContext,
    *,
    observing: bool = False,
    stopped: bool = False,
) -> DiskHealth:
    """What the row of a disk shows of its health.

    Args:
        drive: of the API.
        name: of the disk on the page.
        now: the server's time.
        page: its reader.
        observing: in observe mode no check is made.
        stopped: the drive does not spin, so it is neither checked nor tested.
    """
    hours, celsius = drive["power_on_hours"], drive["temperature"]
    about = facts(
        {
            "Health": drive["health"] + _times(drive, now, "next would be" if observing else "next"),
            "Powered on for": "" if hours is None else format_duration(hours * 3600, max_units=1),
        }
    )
    temperatures = [(each["at"], each["temperature"]) for each in drive["history"]]
    plot = _plot(temperatures, "temperature")
    plots = [_COUNTER.format("temperature", _range_text(temperatures), plot)] if plot else []
    quiet = drive["health"] in {"ok", "note", "unknown"}
    return DiskHealth(
        EMPTY if quiet else state(drive["health"]),
        "" if celsius is None else f"{celsius} °C",
        join((about, *_finding_paragraphs(drive), *_counters(drive), *plots)),
        join(_buttons(drive, name, page, stopped=stopped)),
    )


def _buttons(drive: SmartDetailJson, name: str, page: PageContext, *, stopped: bool) -> Iterator[Html]:
    if not stopped:
        yield button(page, ("smart", drive["id"], "check"), "Check health", name=name)
    if not stopped and not drive["self_test_running"]:
        for kind in ("short", "long"):
            path = ("smart", drive["id"], "test")
            yield button(page, path, f"Start {kind} self-test", {"kind": kind}, name=name)
    if any(not finding["acknowledged"] for finding in drive["findings"]):
        yield acknowledge_button(page, drive["id"], name)


def acknowledge_button(page: PageContext, disk_id: str, name: str) -> Html:
    """The button that acknowledges the findings of a drive."""
    return button(page, ("smart", disk_id, "acknowledge"), "Acknowledge", name=name)


def _times(drive: SmartDetailJson, now: datetime, next_label: str) -> str:
    text = ", never checked"
    if drive["checked_at"]:
        text = f", checked {format_time(datetime.fromisoformat(drive['checked_at']), now)}"
    if drive["next_check_at"]:
        due = datetime.fromisoformat(drive["next_check_at"])
        text += f", {next_label} {'when it spins' if due <= now else format_time(due, now)}"
    return text + (", self-test running" if drive["self_test_running"] else "")


def _finding_paragraphs(drive: SmartDetailJson) -> Iterator[Html]:
    for finding in drive["findings"]:
        kind, suffix = ("note", _ACKNOWLEDGED) if finding["acknowledged"] else (finding["severity"], "")
        yield _FINDING.format(kind, finding["text"] + suffix, with_code(finding["advice"]))
    if drive["error"]:
        yield _CHECK_ERROR.format(drive["error"])


def _counters(drive: SmartDetailJson) -> Iterator[Html]:
    """Error counters that are not 0, each with a plot of its growth."""
    for name, label in _SHOWN_COUNTERS:
        count = drive["counters"].get(name, 0)
        if count:
            history = [(each["at"], each["counters"].get(name)) for each in drive["history"]]
            yield _COUNTER.format(f"{count:,}", label, _plot(history, label, "grown"))


def _range_text(temperatures: Sequence[tuple[str, int | None]]) -> str:
    known = [celsius for _, celsius in temperatures if celsius is not None]
    return f"{min(known)} to {max(known)} °C"


def _plot(values: Sequence[tuple[str, int | None]], what: str, kind: str = "") -> Html:
    """A line plot over time; empty for too few points, and for a counter that has not grown."""
    points = [(datetime.fromisoformat(at).timestamp(), value) for at, value in values if value is not None]
    if len(points) < _MIN_POINTS or (kind and len({value for _, value in points}) == 1):
        return EMPTY
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
    title = f"{what}: {low} to {high} in {len(points)} checks"
    return _PLOT.format(width=_WIDTH, height=_HEIGHT, title=title, kind=kind, points=drawn)
