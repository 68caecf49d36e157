"""What ``powerd smart`` says, made from the API's JSON; 80 columns. Pure and light."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from powerd.faces.columns import Table
from powerd.faces.health_shapes import SmartDetailJson, SmartJson
from powerd.faces.words import (
    LINE,
    Paint,
    Style,
    clock,
    cut,
    harmless,
    joined,
    labelled,
    pad,
    paragraph,
    plain,
    span,
)

HEALTH: Final[dict[str, Style]] = {
    "ok": "good",
    "note": "good",
    "warning": "doubt",
    "alarm": "bad",
    "unknown": "dim",
}
_MODEL, _HEALTH = 1, 2
_TABLE: Final = Table(
    ("DISK", "MODEL", "HEALTH", "TEMP", "AGE", "CHECKED", "NEXT"), coloured=_HEALTH, gives=((_MODEL, 8),)
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
_ROW: Final = 28
_labelled = partial(labelled, 14)

DUE: Final = "due"
OBSERVING: Final = (
    "This is observe mode: no drive is checked by itself; `powerd smart DISK --check` reads one that "
    "is awake."
)


def smarts_text(
    drives: list[SmartJson], now: datetime, paint: Paint = plain, *, observing: bool = False
) -> str:
    """What ``powerd smart`` prints: a row for each drive, then what was found on any."""
    if not drives:
        return "No drive here tells of its health.\n"
    rows = [_row(drive, now) for drive in drives]
    styles = [HEALTH[drive["health"]] for drive in drives]
    lines = _TABLE.lines(rows, styles, paint)
    for drive in drives:
        lines += _found(drive, paint, with_name=True)
    if observing:
        lines += ["", *paragraph(OBSERVING)]
    return joined(lines)


def smart_text(drive: SmartDetailJson, now: datetime, paint: Paint = plain) -> str:
    """What ``powerd smart DISK`` prints: verdict, findings, counters, self-tests, attributes."""
    title = " ".join(filter(None, (drive["device"], drive["model"], drive["serial"])))
    lines = [paint(cut(harmless(title), LINE), "strong")]
    lines += _labelled("health", _sentence(drive, now), paint, HEALTH[drive["health"]])
    if drive["temperature"] is not None:
        lines += _labelled("temperature", _temperatures(drive), paint)
    if drive["hours"] is not None:
        lines += _labelled("powered on", span(drive["hours"] * 3600), paint)
    coming = _next(drive["due"], now)
    lines += _labelled("next check", "when it spins anyway" if coming == DUE else coming, paint)
    lines += _found(drive, paint, with_name=False)
    counters = [(name, drive["counters"][name]) for name in _COUNTERS if name in drive["counters"]]
    if counters:
        lines += ["", paint("Counters", "strong")]
        lines += [f"  {pad(_COUNTERS[name], _ROW + 2)}  {count:>12,}" for name, count in counters]
    lines += _tests(drive, paint)
    lines += _attributes(drive, paint)
    return joined(lines)


def begun_text(drive: SmartJson, kind: str) -> str:
    """What ``powerd smart --test`` prints."""
    name = cut(harmless(drive["device"]), 16)
    return joined(paragraph(f"{name} tests itself ({kind}); `powerd smart {name}` shows what came of it."))


def _row(drive: SmartJson, now: datetime) -> tuple[str, ...]:
    return (
        cut(harmless(drive["device"]), 16),
        harmless(drive["model"] or "-"),
        drive["health"] + (" (testing)" if drive["testing"] else ""),
        "-" if drive["temperature"] is None else f"{drive['temperature']} °C",
        "-" if drive["hours"] is None else span(drive["hours"] * 3600, parts=1),
        _when(drive["checked"], now),
        _next(drive["due"], now),
    )


def _found(drive: SmartJson, paint: Paint, *, with_name: bool) -> Iterator[str]:
    """Findings with what to do, and why it could not be checked."""
    name = f"{drive['device']}: " if with_name else ""
    for finding in drive["findings"]:
        style = HEALTH[finding["severity"]]
        yield ""
        yield from (paint(line, style) for line in paragraph(f"{name}{finding['text']}"))
        yield from paragraph(finding["advice"], 2)
    if drive["why"]:
        yield from ("", *paragraph(f"{name}cannot be checked: {drive['why']}"))


def _sentence(drive: SmartDetailJson, now: datetime) -> str:
    if drive["checked"] is None:
        return "unknown: it has never been checked"
    said = {True: "the drive says that it is well", False: "the drive says that it is failing"}
    own = said[drive["passed"]] if drive["passed"] is not None else "the drive gives no verdict"
    testing = ", and tests itself now" if drive["testing"] else ""
    return f"{drive['health']}: {own}, checked {_when(drive['checked'], now)}{testing}"


def _temperatures(drive: SmartDetailJson) -> str:
    known = [each["temperature"] for each in drive["history"] if each["temperature"] is not None]
    between = f", between {min(known)} and {max(known)} °C so far" if len(known) > 1 else ""
    return f"{drive['temperature']} °C{between}"


def _when(time: str | None, now: datetime) -> str:
    """A time of the API's as one says it."""
    if time is None:
        return "never"
    return clock(datetime.fromisoformat(time), now)


def _next(time: str | None, now: datetime) -> str:
    """As _when(), and DUE where it has come: a drive that sleeps is waited for."""
    return DUE if time is not None and datetime.fromisoformat(time) <= now else _when(time, now)


def _tests(drive: SmartDetailJson, paint: Paint) -> Iterator[str]:
    if not drive["tests"]:
        return
    yield from ("", paint("Self-tests, newest first", "strong"))
    for test in drive["tests"][:5]:
        hours = "-" if test["hours"] is None else f"at {test['hours']:,} h"
        style: Style = "bad" if test["passed"] is False else "good" if test["passed"] else "dim"
        kind, status = pad(harmless(test["kind"]), 18), harmless(test["status"])
        yield f"  {kind}  {pad(hours, 12)}  {paint(cut(status, LINE - 36), style)}"


def _attributes(drive: SmartDetailJson, paint: Paint) -> Iterator[str]:
    if not drive["attributes"]:
        return
    head = f"  {pad('Attribute', _ROW)}  {'VALUE':>5}  {'WORST':>5}  {'FAILS':>5}  RAW"
    yield from ("", paint(head, "strong"))
    for each in drive["attributes"]:
        name = pad(f"{each['id']:3d} {harmless(each['name']).replace('_', ' ')}", _ROW)
        numbers = "  ".join(
            f"{'-' if number is None else number:>5}"
            for number in (each["value"], each["worst"], each["threshold"])
        )
        line = cut(f"  {name}  {numbers}  {harmless(each['raw'])}", LINE)
        yield paint(line, "bad") if each["failed"] == "now" else line
