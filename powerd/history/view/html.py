"""The record on the status page: strips of the last day and of the week, sleeps, and what disks did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.history.view.table import named_blockers
from powerd.ui.html import EMPTY, Html, dots, item_list, join, key, note, row, section, two_lines
from powerd.ui.layout import action_verb, counted, format_duration, format_time, join_names

if TYPE_CHECKING:
    from powerd.history.view.schema import DiskHistoryJson, HistoryJson, SegmentJson, SleepJson, TimelineJson

_WEEK: Final = 7
_DAY: Final = 86_400.0
_HOUR: Final = 3600.0
_WIDTH: Final = 1440
"""Units of a strip; of a day each is a minute."""
_MIN_WIDTH: Final = 2
"""Units of a segment that has a tooltip, and is listed; shorter ones are drawn only."""
_MAX_LISTED: Final = 30
_MAX_BLOCKERS: Final = 8
_MAX_SLEEPS: Final = 14
_MAX_NAMES: Final = 3
_STATES: Final = {
    "awake": "awake",
    "idle": "idle",
    "would": "would be asleep",
    "asleep": "asleep",
    "off": "off",
}
"""The classes of the style, and their names."""
_STRIP: Final = Html(
    '<svg class="strip" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>\n'
)
_RECT: Final = Html('<rect class="{}" x="{}" width="{}" height="10"><title>{}</title></rect>')
_PATH: Final = Html('<path class="{}" d="{}"/>')
_TICKS: Final = Html('<div class="ticks" aria-hidden="true">{}</div>\n')
_TICK: Final = Html("<span>{}</span>")
_KEY: Final = Html('<span class="key {}">{}</span> ')
_KEYS: Final = Html('<p class="note keys">{}</p>\n')
_DAY_ROW: Final = Html('<div class="day"><span>{}</span>{}<small>{}</small></div>\n')
_DETAILS: Final = Html('<details class="more-days"><summary>{}</summary>\n{}</details>\n')
_SEGMENTS: Final = Html('<ul class="segments">{}</ul>\n')
_SEGMENT: Final = Html("<li>{} to {}: {}</li>\n")

_TITLE: Final = Html("<h3>{}</h3>\n")
_RESULTS: Final = {
    "slept": "slept",
    "would-sleep": "would have slept",
    "called-off": "called off",
    "failed": "failed",
}


class _Stretch(NamedTuple):
    """A segment in POSIX seconds; ``state`` is a class of the style."""

    begin: float
    end: float
    state: str
    text: str


def days_section(
    timeline: TimelineJson,
    history: HistoryJson,
    now: datetime,
    disk_names: Mapping[str, str] = MappingProxyType({}),
) -> Html:
    """The section of the page; empty before anything has been recorded for a few minutes.

    Args:
        timeline: of the last week, or of as much as is recorded.
        history: of the same time.
        now: the server's time.
        disk_names: the name of each disk by its id.
    """
    parts = [_part(each, disk_names) for each in timeline["segments"]]
    end = now.timestamp()
    if not parts or end - parts[0].begin < _MIN_WIDTH * 60:
        return EMPTY
    day = _clipped(parts, end - _DAY, end)
    shown_states = {part.state for part in parts}
    keys = (_KEY.format(state, name) for state, name in _STATES.items() if state in shown_states)
    return section(
        "days",
        "Last 24 hours",
        dots(_sums(day)),
        _day_strip(day, end - _DAY, now),
        _KEYS.format(join(keys)),
        _DETAILS.format("What happened", _segments(day, now)),
        _DETAILS.format("Last 7 days", join(_week(parts, now)) + _lists(history, disk_names, now)),
    )


def disk_texts(history: HistoryJson) -> dict[str, str]:
    """What each disk has done, by its id: time spinning, spin-downs, and wakes with their culprits."""
    return {disk["disk"]: _disk_text(disk) for disk in history["disks"]}


def _disk_text(disk: DiskHistoryJson) -> str:
    names = [
        f"{each['owner'] or each['unit'] or each['comm'] or 'unknown'} ({each['wakes']})"
        for each in disk["culprits"]
    ]
    by = f" by {join_names(names, _MAX_NAMES)}" if names else ""
    spinning = format_duration(disk["spinning"], max_units=1)
    spin_downs, wakes = counted(disk["spin_downs"], "spin-down"), counted(disk["wakes"], "wake")
    return f"spinning for {spinning}, {spin_downs}, {wakes}{by}"


def _part(segment: SegmentJson, disk_names: Mapping[str, str]) -> _Stretch:
    state = "would" if segment["would_sleep"] else segment["state"]
    begin, end = (datetime.fromisoformat(at).timestamp() for at in (segment["begin"], segment["end"]))
    by = f": {', '.join(disk_names.get(each, each) for each in segment['by'])}" if segment["by"] else ""
    return _Stretch(begin, end, state, f"{_STATES[state]}{by}")


def _clipped(parts: Iterable[_Stretch], begin: float, end: float) -> list[_Stretch]:
    """The parts within a time."""
    return [
        part._replace(begin=max(part.begin, begin), end=min(part.end, end))
        for part in parts
        if part.begin < end and part.end > begin
    ]


def _sums(parts: Iterable[_Stretch]) -> list[str]:
    """``awake 14 h``, ``asleep 8 h``."""
    sums: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        sums[part.state] += part.end - part.begin
    return [
        f"{name} {format_duration(sums[state], max_units=1)}"
        for state, name in _STATES.items()
        if sums[state]
    ]


def _day_strip(parts: Sequence[_Stretch], begin: float, now: datetime) -> Html:
    rects = (
        _RECT.format(part.state, round(x), width, f"{_span(part, now)}: {part.text}")
        if (width := round((part.end - part.begin) / 60)) >= _MIN_WIDTH
        else EMPTY
        for part in parts
        for x in ((part.begin - begin) / 60,)
    )
    ticks = (_TICK.format(_clock(now.timestamp() - hours * _HOUR, now)) for hours in (24, 18, 12, 6))
    label = f"The last 24 hours: {', '.join(_sums(parts))}"
    return _STRIP.format(_WIDTH, label, join(rects)) + _TICKS.format(join((*ticks, _TICK.format("now"))))


def _span(part: _Stretch, now: datetime) -> str:
    return " to ".join(_clock(edge, now) for edge in (part.begin, part.end))


def _clock(at: float, now: datetime) -> str:
    return f"{datetime.fromtimestamp(at, now.tzinfo):%H:%M}"


def _segments(parts: Sequence[_Stretch], now: datetime) -> Html:
    """The same as a list, newest first."""
    long = [part for part in reversed(parts) if part.end - part.begin >= _MIN_WIDTH * 60]
    rows = (
        _SEGMENT.format(_clock(part.begin, now), _clock(part.end, now), part.text)
        for part in long[:_MAX_LISTED]
    )
    more = len(long) - _MAX_LISTED
    return _SEGMENTS.format(join(rows)) + (note(f"and {more} more: /api/timeline") if more > 0 else EMPTY)


def _week(parts: Sequence[_Stretch], now: datetime) -> Iterator[Html]:
    """A strip for each day of the week, today first; a shape for each state, without tooltips."""
    for days in range(_WEEK):
        date = (now - timedelta(days=days)).date()
        begin, end = (
            datetime.combine(each, time(), now.tzinfo).timestamp()
            for each in (date, date + timedelta(days=1))
        )
        shown = _clipped(parts, begin, min(end, now.timestamp()))
        if shown:
            shapes: defaultdict[str, list[str]] = defaultdict(list)
            for part in shown:
                x, width = (round(seconds / 60) for seconds in (part.begin - begin, part.end - part.begin))
                shapes[part.state].append(f"M{x} 0h{max(width, 1)}v10h-{max(width, 1)}z")
            paths = (_PATH.format(state, "".join(drawn)) for state, drawn in shapes.items())
            sums = _sums(shown)
            name = f"{date:%a %d %b}"
            strip = _STRIP.format(round((end - begin) / 60), f"{name}: {', '.join(sums)}", join(paths))
            yield _DAY_ROW.format(name, strip, dots(sums))


def _lists(history: HistoryJson, disk_names: Mapping[str, str], now: datetime) -> Html:
    """What kept the server awake the longest, and its sleeps."""
    blockers = [
        row(
            key("blocked", f"{each['kind']} {each['subject']}"),
            name,
            text,
            "",
            format_duration(each["seconds"]),
        )
        for each, name, text in named_blockers(
            history["blockers"][:_MAX_BLOCKERS], history["disks"], disk_names
        )
    ]
    sleeps = [_sleep_row(each, now) for each in history["sleeps"][:_MAX_SLEEPS]]
    shown = EMPTY
    if blockers:
        shown += _TITLE.format("What kept the server awake the longest") + item_list(blockers)
    if sleeps:
        shown += _TITLE.format("Sleeps and attempts") + item_list(sleeps)
    return shown


def _ending(woken_by: str | None) -> str:
    if woken_by == "unrecorded":
        return "at the latest: its end is unknown"
    return f"ended by {woken_by}" if woken_by else ""


def _sleep_row(sleep: SleepJson, now: datetime) -> Html:
    begin = datetime.fromisoformat(sleep["begin"])
    until = f" to {format_time(datetime.fromisoformat(sleep['end']), now)}" if sleep["end"] else ""
    came_at = format_time(datetime.fromisoformat(sleep["came_at"]), now) if sleep["came_at"] else ""
    about = (
        f"called off by {sleep['called_off_by']}" if sleep["called_off_by"] else "",
        _ending(sleep["woken_by"]),
        sleep["detail"] or "",
        f"at {came_at} came {sleep['came']}" if sleep["came"] else "",
    )
    return row(
        key("sleep", sleep["begin"]),
        f"{format_time(begin, now)}{until}",
        "; ".join(filter(None, about)),
        "",
        two_lines(f"{_RESULTS[sleep['result']]}", action_verb(sleep["action"])),
    )
