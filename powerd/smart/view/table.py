"""The text of ``powerd smart``, made from the API's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from powerd.ui.layout import (
    Paint,
    Style,
    TextTable,
    cut,
    format_duration,
    format_time,
    join_lines,
    labelled_lines,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import SmartDetailJson, SmartJson

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
_ATTRIBUTES: Final = TextTable(
    ("  Attribute", "VALUE", "WORST", "FAILS", "RAW"), styled_column=0, shrinkable=((4, 12), (0, 24))
)
_SELF_TESTS: Final = TextTable(("", "", ""), styled_column=2, shrinkable=((2, 24),))
_COUNTERS: Final = {
    "reallocated": "bad sectors replaced",
    "pending": "sectors that cannot be read",
    "uncorrectable": "sectors lost for good",
    "reported": "reads that failed",
    "crc": "transfers with CRC errors",
    "media": "media errors",
    "worn": "% of the rated life used up",
    "errors": "entries in the error log",
    "starts": "spin-ups",
    "loads": "head loads",
}
"""The shown counters, the most important first."""
_labelled = partial(labelled_lines, 14)

DUE: Final = "due"
OBSERVING: Final = (
    "Observe mode: no drive is checked automatically; `powerd smart DISK --check` checks a drive that "
    "is spinning."
)


def smart_table_text(
    drives: list[SmartJson], now: datetime, paint: Paint = no_color, *, observing: bool = False
) -> str:
    """The text of ``powerd smart``: a row for each drive, then the findings."""
    if not drives:
        return "No drive has health data.\n"
    rows = [_row(drive, now) for drive in drives]
    styles = [HEALTH_STYLES[drive["health"]] for drive in drives]
    lines = _TABLE.format_lines(rows, styles, paint)
    for drive in drives:
        lines += _finding_lines(drive, paint, with_name=True)
    if observing:
        lines += ["", *paragraph_lines(OBSERVING)]
    return join_lines(lines)


def smart_text(drive: SmartDetailJson, now: datetime, paint: Paint = no_color) -> str:
    """The text of ``powerd smart DISK``: health, findings, counters, self-tests, attributes."""
    title = " ".join(filter(None, (drive["device"], drive["model"], drive["serial"])))
    lines = [paint(line, "strong") for line in paragraph_lines(title)]
    lines += _labelled("health", _overall_health(drive, now), paint, HEALTH_STYLES[drive["health"]])
    if drive["temperature"] is not None:
        lines += _labelled("temperature", _temperatures(drive), paint)
    if drive["power_on_hours"] is not None:
        lines += _labelled("powered on", format_duration(drive["power_on_hours"] * 3600), paint)
    next_check = _due_text(drive["next_check_at"], now)
    lines += _labelled("next check", "when it spins" if next_check == DUE else next_check, paint)
    lines += _finding_lines(drive, paint, with_name=False)
    counters = [(name, drive["counters"][name]) for name in _COUNTERS if name in drive["counters"]]
    if counters:
        lines += ["", paint("Counters", "strong")]
        names = max(len(_COUNTERS[name]) for name, _ in counters)
        numbers = max(len(f"{count:,}") for _, count in counters)
        lines += [f"  {_COUNTERS[name]:{names}}  {count:>{numbers},}" for name, count in counters]
    lines += _tests(drive, paint)
    lines += _attributes(drive, paint)
    return join_lines(lines)


def self_test_started_text(drive: SmartJson, kind: str) -> str:
    """The text of ``powerd smart --test``."""
    name = cut(sanitize(drive["device"]), 16)
    return join_lines(
        paragraph_lines(f"{name}: self-test started ({kind}); `powerd smart {name}` shows the result.")
    )


def _row(drive: SmartJson, now: datetime) -> tuple[str, ...]:
    return (
        cut(sanitize(drive["device"]), 16),
        sanitize(drive["model"] or "-"),
        drive["health"] + (" (testing)" if drive["self_test_running"] else ""),
        "-" if drive["temperature"] is None else f"{drive['temperature']} °C",
        "-"
        if drive["power_on_hours"] is None
        else format_duration(drive["power_on_hours"] * 3600, max_units=1),
        _time_text(drive["checked_at"], now),
        _due_text(drive["next_check_at"], now),
    )


def _finding_lines(drive: SmartJson, paint: Paint, *, with_name: bool) -> Iterator[str]:
    """Findings with advice, and why the drive could not be checked."""
    name = f"{drive['device']}: " if with_name else ""
    for finding in drive["findings"]:
        style = "dim" if finding["acknowledged"] else HEALTH_STYLES[finding["severity"]]
        text = f"{name}{finding['text']}{' (acknowledged)' if finding['acknowledged'] else ''}"
        yield ""
        yield from (paint(line, style) for line in paragraph_lines(text))
        yield from paragraph_lines(finding["advice"], 2)
    if drive["health"] in {"warning", "alarm"} and not with_name:
        yield ""
        yield from paragraph_lines(
            "Findings stand until you acknowledge them: powerd smart "
            f"{cut(sanitize(drive['device']), 16)} --acknowledge"
        )
    if drive["error"]:
        yield from ("", *paragraph_lines(f"{name}cannot be checked: {drive['error']}"))


def _overall_health(drive: SmartDetailJson, now: datetime) -> str:
    if drive["checked_at"] is None:
        return "unknown: the drive has never been checked"
    health_texts = {
        True: "the drive reports that it is healthy",
        False: "the drive reports that it is failing",
    }
    own = (
        health_texts[drive["passed"]]
        if drive["passed"] is not None
        else "the drive reports no overall health"
    )
    testing = "; a self-test is running" if drive["self_test_running"] else ""
    return f"{drive['health']}: {own}, checked {_time_text(drive['checked_at'], now)}{testing}"


def _temperatures(drive: SmartDetailJson) -> str:
    known = [each["temperature"] for each in drive["history"] if each["temperature"] is not None]
    range_text = f", between {min(known)} and {max(known)} °C so far" if len(known) > 1 else ""
    return f"{drive['temperature']} °C{range_text}"


def _time_text(time: str | None, now: datetime) -> str:
    """A time of the API, relative to ``now``."""
    if time is None:
        return "never"
    return format_time(datetime.fromisoformat(time), now)


def _due_text(time: str | None, now: datetime) -> str:
    """As _time_text(), but DUE for a time that has passed: the check waits until the drive spins."""
    return DUE if time is not None and datetime.fromisoformat(time) <= now else _time_text(time, now)


def _tests(drive: SmartDetailJson, paint: Paint) -> Iterator[str]:
    if not drive["self_tests"]:
        return
    tests = drive["self_tests"][:5]
    rows = [
        (
            f"  {sanitize(test['kind'])}",
            "-" if test["power_on_hours"] is None else f"at {test['power_on_hours']:,} h",
            sanitize(test["status"]),
        )
        for test in tests
    ]
    styles: list[Style] = [
        "bad" if test["passed"] is False else "good" if test["passed"] else "dim" for test in tests
    ]
    _, *lines = _SELF_TESTS.format_lines(rows, styles, paint)
    yield from ("", paint("Self-tests, newest first", "strong"), *lines)


def _attributes(drive: SmartDetailJson, paint: Paint) -> Iterator[str]:
    """A table, in which an attribute that fails now is red."""
    if not drive["attributes"]:
        return
    rows = [
        (
            f"  {each['id']:3d} {sanitize(each['name']).replace('_', ' ')}",
            *(
                f"{'-' if number is None else number:>5}"
                for number in (each["value"], each["worst"], each["threshold"])
            ),
            sanitize(each["raw"]),
        )
        for each in drive["attributes"]
    ]
    header, *lines = _ATTRIBUTES.format_lines(rows, [None] * len(rows), no_color)
    yield from ("", paint(header, "strong"))
    for each, line in zip(drive["attributes"], lines, strict=True):
        yield paint(line, "bad") if each["failed"] == "now" else line
