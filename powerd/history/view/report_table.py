"""The text of ``powerd report``, and its table of comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.history.view.table import named_blockers
from powerd.ui.layout import (
    Paint,
    counted,
    format_duration,
    hanging_lines,
    join_lines,
    join_names,
    no_color,
    pad,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.history.view.schema import DiskHistoryJson, EnergyJson, ReportJson, SleepJson

_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_DAYS: Final = 2
"""Days from which a period is given in days."""
_MAX_ROWS: Final = 10
_MAX_NAMES: Final = 5
_SHORTEST: Final = 60.0
"""Seconds from which a row is listed."""
_LABEL: Final = 14
_NO_WATTS: Final = "unknown; set watts = { awake = 38, asleep = 2 } in [history], and price, to see it"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet executes; names of clients are chosen by others."""


def report_text(report: ReportJson, paint: Paint = no_color) -> str:
    """The text of ``powerd report``."""
    lines = list(_summary(report))
    for problem in report["problems"]:
        lines += paragraph_lines(f"Not all of it is read: {sanitize(problem)}.")
    if report["false_sleeps"]:
        title = "Somebody came within minutes of these sleeps, and was probably there:"
        lines += ["", *(paint(line, "doubt") for line in paragraph_lines(title))]
        for sleep in report["false_sleeps"][:_MAX_ROWS]:
            lines += _false_lines(sleep)
    rows = [each for each in report["blockers"] if each["seconds"] >= _SHORTEST][:_MAX_ROWS]
    if rows:
        title = "Kept awake by (hours, and those in which nothing else did):"
        lines += ["", *(paint(line, "strong") for line in paragraph_lines(title))]
        for row, name, text in named_blockers(rows, report["disks"]):
            prefix = f"  {_hours(row['seconds']):>9}  {_hours(row['alone']):>9}  "
            lines += hanging_lines(prefix, f"{name}: {text}")
    if report["disks"]:
        lines += ["", paint("Disks:", "strong")]
        for disk in report["disks"]:
            lines += hanging_lines(
                f"  {pad(sanitize(disk['device'] or disk['disk']), 8)}  ", _disk_text(disk)
            )
    return join_lines(lines)


def _summary(report: ReportJson) -> Iterator[str]:
    since, until = datetime.fromisoformat(report["since"]), datetime.fromisoformat(report["until"])
    days = (until - since).total_seconds() / _DAY
    period = f"{days:.0f} days" if days >= _DAYS else format_duration(days * _DAY, 1)
    yield from paragraph_lines(f"Since {since:%a %Y-%m-%d %H:%M} ({period}):")
    for name, text in _figures(report):
        yield from hanging_lines(f"  {pad(name, _LABEL)}", text)


def _figures(report: ReportJson) -> Iterator[tuple[str, str]]:
    asleep, would_sleep = report["asleep"], report["would_sleep"]
    yield "awake", _hours(report["awake"])
    failed = f"; {counted(report['failed'], 'attempt')} failed" if report["failed"] else ""
    unknown = report["woken_by"].get("unrecorded", 0)
    at_most = f", at most: the end of {unknown} of them is unknown" if unknown else ""
    yield "asleep", f"{_hours(asleep['seconds'])} in {counted(asleep['count'], 'sleep')}{at_most}{failed}"
    if would_sleep["count"]:
        text = f"{_hours(would_sleep['seconds'])} in {counted(would_sleep['count'], 'sleep')}"
        yield "would sleep", f"{text}, in observe mode"
    if report["unrecorded"] >= _SHORTEST:
        yield "not recorded", f"{_hours(report['unrecorded'])}, in which powerd did not run"
    energy = report["energy"]
    yield "energy", _NO_WATTS if energy is None else _energy_text(energy)
    causes = {cause: count for cause, count in report["woken_by"].items() if cause != "unrecorded"}
    if causes:
        yield "woken by", _counts(causes)
    if report["called_off"]:
        count = sum(report["called_off"].values())
        yield "called off", f"{counted(count, 'warning')}, by {_counts(report['called_off'])}"


def _energy_text(energy: EnergyJson) -> str:
    text = f"{energy['kwh']:.1f} kWh{_money(energy['cost'])}"
    text += f"; saved {energy['saved_kwh']:.1f} kWh{_money(energy['saved'])}"
    if energy["would_save_kwh"]:
        text += f"; would save {energy['would_save_kwh']:.1f} kWh{_money(energy['would_save'])}"
    return text


def _money(amount: float | None) -> str:
    return "" if amount is None else f" ({amount:.2f})"


def _hours(seconds: float) -> str:
    """``212.4 h``: hours are what a reader compares."""
    return f"{seconds / _HOUR:.1f} h"


def _counts(counts: Mapping[str, int]) -> str:
    return join_names([f"{sanitize(name)} {count}" for name, count in counts.items()], _MAX_NAMES)


def _false_lines(sleep: SleepJson) -> Iterator[str]:
    begin = datetime.fromisoformat(sleep["begin"])
    after = (datetime.fromisoformat(sleep["came_at"] or sleep["begin"]) - begin).total_seconds()
    yield from hanging_lines(
        f"  {begin:%a %d %b %H:%M}  ", f"{sleep['came']}, {format_duration(after, 1)} later"
    )


def _disk_text(disk: DiskHistoryJson) -> str:
    text = f"{_hours(disk['spinning'])} spinning, {_hours(disk['standby'])} in standby"
    if not disk["wakes"]:
        return text
    culprits = {
        each["owner"] or each["unit"] or each["comm"] or "unknown": each["wakes"] for each in disk["culprits"]
    }
    return f"{text}; woken {counted(disk['wakes'], 'time')}: {_counts(culprits)}"


def report_csv(report: ReportJson) -> str:
    """The figures of the report, one a line: figure, subject, detail, value, unit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("figure", "subject", "detail", "value", "unit"))
    for figure, subject, detail, value, unit in _csv_rows(report):
        writer.writerow((figure, _cell(subject), _cell(detail), round(value, 3), unit))
    return out.getvalue()


def _cell(text: str) -> str:
    text = sanitize(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_rows(report: ReportJson) -> Iterator[tuple[str, str, str, float, str]]:
    period = f"{report['since']}/{report['until']}"  # ISO 8601-1, 5.5.1
    asleep, would_sleep, energy = report["asleep"], report["would_sleep"], report["energy"]
    yield "awake", "", period, report["awake"] / _HOUR, "h"
    yield "asleep", "", period, asleep["seconds"] / _HOUR, "h"
    yield "would sleep", "", period, would_sleep["seconds"] / _HOUR, "h"
    yield "not recorded", "", period, report["unrecorded"] / _HOUR, "h"
    yield "sleeps", "", period, asleep["count"], ""
    yield "would-be sleeps", "", period, would_sleep["count"], ""
    yield "failed attempts", "", period, report["failed"], ""
    if energy is not None:
        yield "energy", "", period, energy["kwh"], "kWh"
        yield "energy saved", "", period, energy["saved_kwh"], "kWh"
        yield "energy it would save", "", period, energy["would_save_kwh"], "kWh"
        for figure, amount in (
            ("cost", energy["cost"]),
            ("cost saved", energy["saved"]),
            ("cost it would save", energy["would_save"]),
        ):
            if amount is not None:
                yield figure, "", period, amount, ""
    for cause, count in report["woken_by"].items():
        yield "woken by", cause, "", count, ""
    for who, count in report["called_off"].items():
        yield "called off", who, "", count, ""
    for sleep in report["false_sleeps"]:
        yield "false sleep", sleep["came"] or "", sleep["begin"], sleep["asleep"] / _HOUR, "h"
    for row in report["blockers"]:
        yield "kept awake", row["subject"], row["text"], row["seconds"] / _HOUR, "h"
        yield "kept awake alone", row["subject"], row["text"], row["alone"] / _HOUR, "h"
    for disk in report["disks"]:
        name = disk["device"] or disk["disk"]
        yield "spinning", name, disk["disk"], disk["spinning"] / _HOUR, "h"
        yield "in standby", name, disk["disk"], disk["standby"] / _HOUR, "h"
        for each in disk["culprits"]:
            culprit = each["owner"] or each["unit"] or each["comm"] or "unknown"
            yield "disk woken", name, culprit, each["wakes"], ""
