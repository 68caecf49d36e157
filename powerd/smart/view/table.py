"""What ``powerd smart`` says, made from the API's JSON; 80 columns. Pure and light."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from powerd.smart.view.api import SmartDetailJson, SmartJson
from powerd.ui.layout import (
    LINE_WIDTH,
    Paint,
    Style,
    TextTable,
    cut,
    format_duration,
    format_time,
    join_lines,
    labelled_lines,
    no_color,
    pad,
    paragraph_lines,
    sanitize,
)

HEALTH_STYLES: Final[dict[str, Style]] = {
    "ok": "good",
    "note": "good",
    "warning": "doubt",
    "alarm": "bad",
    "unknown": "dim",
}
_MODEL_COLUMN, _HEALTH_COLUMN = 1, 2
_TABLE: Final = TextTable(
    ("DISK", "MODEL", "HEALTH", "TEMP", "AGE", "CHECKED", "NEXT"),
    styled_column=_HEALTH_COLUMN,
    shrinkable=((_MODEL_COLUMN, 8),),
)
_COUNTERS: Final = {
    "reallocated": "bad sectors replaced",
    "pending": "sectors that cannot be read",
    "uncorrectable": "sectors lost for good",
    "reported": "reads that failed",
    "crc": "transfers that arrived garbled",
    "media": "blocks found damaged",
    "worn": "% of the rated life used up",
    "errors": "entries in the error log",
    "starts": "spin-ups",
    "loads": "head loads",
}
"""The counters that matter, in the order in which they do."""
_NAME_WIDTH: Final = 28
_labelled = partial(labelled_lines, 14)

DUE: Final = "due"
OBSERVING: Final = (
    "This is observe mode: no drive is checked by itself; `powerd smart DISK --check` reads one that "
    "is awake."
)


def smart_table_text(
    drives: list[SmartJson], now: datetime, paint: Paint = no_color, *, observing: bool = False
) -> str:
    """What ``powerd smart`` prints: a row for each drive, then what was found on any."""
    if not drives:
        return "No drive here tells of its health.\n"
    rows = [_row(drive, now) for drive in drives]
    styles = [HEALTH_STYLES[drive["health"]] for drive in drives]
    lines = _TABLE.format_lines(rows, styles, paint)
    for drive in drives:
        lines += _finding_lines(drive, paint, with_name=True)
    if observing:
        lines += ["", *paragraph_lines(OBSERVING)]
    return join_lines(lines)


def smart_text(drive: SmartDetailJson, now: datetime, paint: Paint = no_color) -> str:
    """What ``powerd smart DISK`` prints: verdict, findings, counters, self-tests, attributes."""
    title = " ".join(filter(None, (drive["device"], drive["model"], drive["serial"])))
    lines = [paint(cut(sanitize(title), LINE_WIDTH), "strong")]
    lines += _labelled("health", _verdict_text(drive, now), paint, HEALTH_STYLES[drive["health"]])
    if drive["temperature"] is not None:
        lines += _labelled("temperature", _temperatures(drive), paint)
    if drive["hours"] is not None:
        lines += _labelled("powered on", format_duration(drive["hours"] * 3600), paint)
    next_check = _due_text(drive["due"], now)
    lines += _labelled("next check", "when it spins anyway" if next_check == DUE else next_check, paint)
    lines += _finding_lines(drive, paint, with_name=False)
    counters = [(name, drive["counters"][name]) for name in _COUNTERS if name in drive["counters"]]
    if counters:
        lines += ["", paint("Counters", "strong")]
        lines += [f"  {pad(_COUNTERS[name], _NAME_WIDTH + 2)}  {count:>12,}" for name, count in counters]
    lines += _tests(drive, paint)
    lines += _attributes(drive, paint)
    return join_lines(lines)


def self_test_text(drive: SmartJson, kind: str) -> str:
    """What ``powerd smart --test`` prints."""
    name = cut(sanitize(drive["device"]), 16)
    return join_lines(
        paragraph_lines(f"{name} tests itself ({kind}); `powerd smart {name}` shows what came of it.")
    )


def _row(drive: SmartJson, now: datetime) -> tuple[str, ...]:
    return (
        cut(sanitize(drive["device"]), 16),
        sanitize(drive["model"] or "-"),
        drive["health"] + (" (testing)" if drive["testing"] else ""),
        "-" if drive["temperature"] is None else f"{drive['temperature']} °C",
        "-" if drive["hours"] is None else format_duration(drive["hours"] * 3600, max_units=1),
        _time_text(drive["checked"], now),
        _due_text(drive["due"], now),
    )


def _finding_lines(drive: SmartJson, paint: Paint, *, with_name: bool) -> Iterator[str]:
    """Findings with what to do, and why it could not be checked."""
    name = f"{drive['device']}: " if with_name else ""
    for finding in drive["findings"]:
        style = HEALTH_STYLES[finding["severity"]]
        yield ""
        yield from (paint(line, style) for line in paragraph_lines(f"{name}{finding['text']}"))
        yield from paragraph_lines(finding["advice"], 2)
    if drive["why"]:
        yield from ("", *paragraph_lines(f"{name}cannot be checked: {drive['why']}"))


def _verdict_text(drive: SmartDetailJson, now: datetime) -> str:
    if drive["checked"] is None:
        return "unknown: it has never been checked"
    verdicts = {True: "the drive says that it is well", False: "the drive says that it is failing"}
    own = verdicts[drive["passed"]] if drive["passed"] is not None else "the drive gives no verdict"
    testing = ", and tests itself now" if drive["testing"] else ""
    return f"{drive['health']}: {own}, checked {_time_text(drive['checked'], now)}{testing}"


def _temperatures(drive: SmartDetailJson) -> str:
    known = [each["temperature"] for each in drive["history"] if each["temperature"] is not None]
    range_text = f", between {min(known)} and {max(known)} °C so far" if len(known) > 1 else ""
    return f"{drive['temperature']} °C{range_text}"


def _time_text(time: str | None, now: datetime) -> str:
    """A time of the API's as one says it."""
    if time is None:
        return "never"
    return format_time(datetime.fromisoformat(time), now)


def _due_text(time: str | None, now: datetime) -> str:
    """As _when(), and DUE where it has come: a drive that sleeps is waited for."""
    return DUE if time is not None and datetime.fromisoformat(time) <= now else _time_text(time, now)


def _tests(drive: SmartDetailJson, paint: Paint) -> Iterator[str]:
    if not drive["tests"]:
        return
    yield from ("", paint("Self-tests, newest first", "strong"))
    for test in drive["tests"][:5]:
        hours = "-" if test["hours"] is None else f"at {test['hours']:,} h"
        style: Style = "bad" if test["passed"] is False else "good" if test["passed"] else "dim"
        kind, status = pad(sanitize(test["kind"]), 18), sanitize(test["status"])
        yield f"  {kind}  {pad(hours, 12)}  {paint(cut(status, LINE_WIDTH - 36), style)}"


def _attributes(drive: SmartDetailJson, paint: Paint) -> Iterator[str]:
    if not drive["attributes"]:
        return
    head = f"  {pad('Attribute', _NAME_WIDTH)}  {'VALUE':>5}  {'WORST':>5}  {'FAILS':>5}  RAW"
    yield from ("", paint(head, "strong"))
    for each in drive["attributes"]:
        name = pad(f"{each['id']:3d} {sanitize(each['name']).replace('_', ' ')}", _NAME_WIDTH)
        numbers = "  ".join(
            f"{'-' if number is None else number:>5}"
            for number in (each["value"], each["worst"], each["threshold"])
        )
        line = cut(f"  {name}  {numbers}  {sanitize(each['raw'])}", LINE_WIDTH)
        yield paint(line, "bad") if each["failed"] == "now" else line
