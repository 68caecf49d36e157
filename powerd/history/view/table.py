"""The text of ``powerd history``, and of the trial in observe mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from powerd.ui.layout import (
    Paint,
    Style,
    about_disk,
    action_verb,
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
    from powerd.history.view.schema import BlockerJson, DiskHistoryJson, HistoryJson, SleepJson, TrialJson

_DONE: Final = {
    "suspend": "suspended",
    "hibernate": "hibernated",
    "hybrid-sleep": "in hybrid sleep",
    "suspend-then-hibernate": "suspended, then hibernated",
    "poweroff": "off",
    "command": "asleep by the command",
    "sleep": "asleep",
    "shutdown": "shut down",
    "reboot": "rebooted",
}
_CAUSES: Final = {
    "alarm": "woken by the alarm",
    "network": "woken by the network",
    "button": "woken by a button",
    "unknown": "woken by an unknown cause",
}
_MAX_ROWS: Final = 10
"""Rows of what kept the server awake."""
_MAX_NAMES: Final = 3
_HOUR: Final = 3600.0
_SHORTEST: Final = 60.0
"""Seconds from which a reason is listed."""


def history_text(history: HistoryJson, paint: Paint = no_color) -> str:
    """The text of ``powerd history``: sleeps by day, the disks, and what kept the server awake."""
    since = datetime.fromisoformat(history["since"])
    lines = [*paragraph_lines(f"Since {since:%a %Y-%m-%d %H:%M}:")]
    for problem in history["problems"]:
        lines += paragraph_lines(f"Not all of it is read: {sanitize(problem)}.")
    if not history["sleeps"]:
        lines += paragraph_lines("no sleep is recorded, and no attempt.")
    for sleep in reversed(history["sleeps"]):
        lines += _sleep_lines(sleep, paint)
    if history["trial"] is not None:
        lines += ["", *paragraph_lines(trial_sentence(history["trial"], history["since"], history["until"]))]
    disks = [each for each in history["disks"] if each["spin_downs"] or each["wakes"]]
    if disks:
        lines += ["", paint("Disks:", "strong")]
        for disk in disks:
            lines += hanging_lines(
                f"  {pad(sanitize(disk['device'] or disk['disk']), 8)}  ", _disk_text(disk)
            )
    rows = [each for each in history["blockers"] if each["seconds"] >= _SHORTEST][:_MAX_ROWS]
    if rows:
        lines += ["", paint("Kept awake by:", "strong")]
        for row, name, text in named_blockers(rows, history["disks"]):
            lines += hanging_lines(f"  {pad(format_duration(row['seconds']), 12)}  ", f"{name}: {text}")
    return join_lines(lines)


def named_blockers(
    blockers: Iterable[BlockerJson],
    disks: Iterable[DiskHistoryJson],
    disk_names: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[BlockerJson, str, str]]:
    """Each blocker with its name and its text: disks by the names given, or by their devices."""
    devices = {disk["disk"]: disk["device"] or disk["disk"] for disk in disks}
    for each in blockers:
        device = devices.get(each["subject"])
        name = disk_names.get(each["subject"], device or each["subject"])
        yield each, name, about_disk(each["text"], device)


def trial_text(history: HistoryJson) -> str:
    """The end of ``powerd why`` in observe mode; "" = no would-be sleep."""
    if history["trial"] is None:
        return ""
    return join_lines(
        ["", *paragraph_lines(trial_sentence(history["trial"], history["since"], history["until"]))]
    )


def trial_sentence(trial: TrialJson, since: str, until: str) -> str:
    """The would-be sleeps, and who came during them: one sentence."""
    days = round((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() / 86400)
    period = "In the last 24 hours" if days <= 1 else f"In the last {days} days"
    in_nights = "1 night" if trial["night_count"] == 1 else f"{trial['night_count']} nights"
    text = f"{period} it would have slept {_hours(trial['seconds'])} in {in_nights}"
    false = [each for each in trial["came"] if each["false"]]
    later = [each for each in trial["came"] if not each["false"]]
    if not trial["came"]:
        return f"{text}; nobody came during them."
    if later:
        text += f"; {len(later)} of these sleeps ended when it was needed: {_arrivals(later)}"
    if false:
        text += (
            f"; {_times(len(false))} somebody came within minutes, and was probably there: {_arrivals(false)}"
        )
    return f"{text}."


def _hours(seconds: float) -> str:
    """``41 h``; users compare nights by hours."""
    return f"{seconds / _HOUR:.0f} h" if seconds >= 2 * _HOUR else format_duration(seconds)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _arrivals(sleeps: list[SleepJson]) -> str:
    """``anna-phone (Tue 23:14), backup.service (Wed 02:00) and 3 more``, the latest first."""
    names = []
    for each in reversed(sleeps):
        at = datetime.fromisoformat(each["came_at"] or each["begin"])
        names.append(f"{(each['came'] or '?').partition(': ')[0]} ({at:%a %H:%M})")
    return join_names(names, _MAX_NAMES)


def _sleep_lines(sleep: SleepJson, paint: Paint) -> Iterator[str]:
    begin = datetime.fromisoformat(sleep["begin"])
    end = None if sleep["end"] is None else datetime.fromisoformat(sleep["end"])
    text, style = _sleep_text(sleep)
    until = "" if end is None else f" - {end:%H:%M}"
    for line in hanging_lines(f"  {pad(f'{begin:%a %d %b %H:%M}{until}', 24)}  ", text):
        yield paint(line, style) if style else line


def _sleep_text(sleep: SleepJson) -> tuple[str, Style | None]:
    verb = action_verb(sleep["action"])
    rule = "another program" if sleep["rule"] is None else f"sleep rule {sleep['rule']}"
    if sleep["result"] == "called-off":
        return f"warning called off ({rule}): {sleep['called_off_by'] or 'no reason is known'}", "dim"
    if sleep["result"] == "failed":
        return f"could not {verb} ({rule}): {sleep['detail']}", "bad"
    if sleep["result"] == "would-sleep":
        return _would_be_text(sleep, f"would {verb} ({rule})")
    return _slept_text(sleep, f"{_DONE.get(sleep['action'], verb)} ({rule})")


def _would_be_text(sleep: SleepJson, text: str) -> tuple[str, Style | None]:
    if sleep["end"] is None:
        return f"{text}, and would still sleep", None
    if sleep["woken_by"] == "unrecorded":
        return f"{text}: {_at_most(sleep)}", None
    ends = {"alarm": "until its alarm", "needed": f"until {sleep['came']}", "stopped": "until powerd stopped"}
    text += f": {format_duration(sleep['asleep'])} {ends.get(sleep['woken_by'] or '', '')}"
    return (f"{text}; that was probably there", "doubt") if sleep["false"] else (text, None)


def _slept_text(sleep: SleepJson, text: str) -> tuple[str, Style | None]:
    if sleep["end"] is None:
        return text, None
    if sleep["woken_by"] == "unrecorded":
        return f"{text}: {_at_most(sleep)}", None
    text += f": {format_duration(sleep['asleep'])}, {_CAUSES.get(sleep['woken_by'] or '', 'woken')}"
    if sleep["came_at"] is None:
        return f"{text}; nobody came", None
    delay = datetime.fromisoformat(sleep["came_at"]) - datetime.fromisoformat(sleep["end"])
    text += f"; {sleep['came']}, {format_duration(delay.total_seconds(), 1)} later"
    return (f"{text}: somebody was probably there", "doubt") if sleep["false"] else (text, None)


def _at_most(sleep: SleepJson) -> str:
    return f"{format_duration(sleep['asleep'])} at most, its end is unknown"


def _disk_text(disk: DiskHistoryJson) -> str:
    text = f"{counted(disk['spin_downs'], 'spin-down')}, {format_duration(disk['standby'])} in standby"
    if not disk["wakes"]:
        return text
    culprits = [
        f"{each['owner'] or each['unit'] or each['comm'] or 'unknown'} {each['wakes']}"
        for each in disk["culprits"]
    ]
    return f"{text}; woken {_times(disk['wakes'])}: {join_names(culprits, _MAX_NAMES)}"
