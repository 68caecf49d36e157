"""Translates configurations of other programs: autosuspend, hd-idle, hdparm, smartd, and a shutdown by cron.

Sources: autosuspend.conf(5), hd-idle(8) and /etc/default/hd-idle, hdparm.conf(5), smartd.conf(5), crontab(5).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from powerd.config.declare import toml_string
from powerd.config.imports.autosuspend import from_autosuspend
from powerd.config.imports.imported_config import (
    ImportedConfig,
    find_error,
    toml_duration,
    toml_strings,
)
from powerd.config.imports.sleep_command import sleep_actions
from powerd.config.values import DAYS
from powerd.disks.conflicts.hdparm_conf import disk_rule, lines_for_all_drives, parse_hdparm_conf
from powerd.disks.conflicts.smartd_conf import device_lines

ByIdName: TypeAlias = Callable[[str], str | None]
"""The name in /dev/disk/by-id of a device such as ``/dev/sda``; None = it has none."""
_WEEK: Final = len(DAYS)
_HOURS: Final = 24
_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Of crontab(5)."""


def convert(origin: str, text: str, by_id_name: ByIdName) -> str:
    """The powerd configuration that does what ``text`` does.

    Args:
        origin: the name of the file, for messages.
        text: its content.
        by_id_name: names of disks.

    Raises:
        ValueError: the text has none of the known formats, or cannot be translated; one sentence.
    """
    result = ImportedConfig()
    if re.search(r"^\[(?:general|check\.|wakeup\.)", text, re.MULTILINE):
        from_autosuspend(origin, text, result)
    elif re.search(r"^\s*(?:START_)?HD_IDLE(?:_OPTS)?\s*=", text, re.MULTILINE):
        _from_hd_idle(text, result, by_id_name)
    elif parse_hdparm_conf(text) or lines_for_all_drives(text):
        _from_hdparm(text, result, by_id_name)
    elif any(each.startswith(("DEVICESCAN", "/dev/")) for each in device_lines(text)):
        _from_smartd(text, result)
    elif not _from_cron(text, result):
        raise ValueError(
            f"{origin} is not a configuration of autosuspend, hd-idle, hdparm or smartd, and has no "
            "cron line that shuts down or suspends; name another file"
        )
    toml = result.render(origin)
    if error := find_error(toml):
        raise ValueError(f"{origin} has settings that powerd does not accept together: {error}; remove one")
    return toml


def _from_hd_idle(text: str, result: ImportedConfig, by_id_name: ByIdName) -> None:
    found = re.search(r"^\s*HD_IDLE_OPTS\s*=\s*(.*)$", text, re.MULTILINE)
    try:
        words = shlex.split(" ".join(shlex.split(found[1] if found else "", comments=True)))
    except ValueError as error:
        raise ValueError(f"HD_IDLE_OPTS cannot be read: {error}") from None
    if re.search(r"^\s*START_HD_IDLE\s*=\s*[\"']?false", text, re.MULTILINE):
        result.notes.append("START_HD_IDLE=false: hd-idle is not started")
    times: dict[str, str] = {"": "600"}
    device = ""
    remaining = iter(words)
    for word in remaining:
        if word == "-a":
            device = next(remaining, "")
        elif word == "-i":
            times[device] = next(remaining, "")
        elif word in {"-c", "-s", "-l", "-p"}:
            result.notes.append(f"{word} {next(remaining, '')} of hd-idle")
        else:
            result.notes.append(f"{word} of hd-idle")
    result.set("disks", "spin_down_after", toml_duration(times.pop("")))
    for name, seconds in times.items():
        device = name if name.startswith("/") else f"/dev/{name}"
        by_id = by_id_name(device)
        if by_id is None:
            result.notes.append(f"{device} -i {seconds}: the disk is not there; add a [[disks.rule]] for it")
        else:
            result.add("disks.rule", match=toml_strings([by_id]), spin_down_after=toml_duration(seconds))


def _from_hdparm(text: str, result: ImportedConfig, by_id_name: ByIdName) -> None:
    for number, line in lines_for_all_drives(text):
        result.notes.append(
            f"line {number}, {line}, for all drives: set disks.spin_down_after, or apm in rules"
        )
    for settings in parse_hdparm_conf(text):
        rule = disk_rule(settings, by_id_name)
        if rule and not find_error(rule):
            result.blocks.append(rule)
        else:
            result.notes.append(f"{settings.device}: neither spindown_time nor apm, or a value of the vendor")
    result.notes.append("other options of hdparm.conf; leave them there")


def _from_smartd(text: str, result: ImportedConfig) -> None:
    intervals = dict[str, set[int]]()
    for line in device_lines(text):
        schedule = re.search(r"\s-s\s*(\S+)", line)
        for kind, pattern in re.findall(r"([SL])/([^|)]+)", schedule[1] if schedule else ""):
            month, day, weekday, hour = (pattern.split("/") + ["."] * 4)[:4]
            days = 365 if month.isdigit() else 30 if day.isdigit() else 7 if weekday.isdigit() else 1
            intervals.setdefault("short" if kind == "S" else "long", set()).add(days)
            if kind == "S" and hour.isdigit():
                result.set("smart", "at", f'"{int(hour):02d}:00"')
        if "-n" not in line:
            result.notes.append("without -n smartd starts stopped disks; powerd waits up to smart.max_defer")
        for mail in re.findall(r"\s-m\s*(\S+)", line):
            result.notes.append(f"-m {mail}: add an Apprise URL to hooks.notify")
        for program in re.findall(r"\s-M\s*exec\s+(\S+)", line):
            result.notes.append(f"-M exec {program}: hooks.alert gets its findings as JSON on standard input")
    for kind, found in intervals.items():
        result.set("smart.self_test", kind, f'"{min(found)}d"')
        if len(found) > 1:
            others = ", ".join(f"{days}d" for days in sorted(found)[1:])
            result.notes.append(
                f"{kind} self-tests at other intervals, {others}: that of powerd is one for all disks"
            )
    result.tables.setdefault("[smart]", {})
    result.notes[:] = dict.fromkeys(
        [*result.notes, "limits of temperature (-W): powerd takes those of the drive"]
    )


def _from_cron(text: str, result: ImportedConfig) -> bool:
    """Lines of crontab(5) that shut down or suspend; False = there is none."""
    found = False
    for line in text.splitlines():
        fields = line.split(maxsplit=5)
        if fields and fields[0] in _NICKNAMES:
            fields = [*_NICKNAMES[fields[0]].split(), line.partition(fields[0])[2].strip()]
        if len(fields) < 6 or line.lstrip().startswith("#"):  # noqa: PLR2004 - crontab(5)
            continue
        minutes, hours, month_days, months, weekdays, command = fields
        actions = sleep_actions(command)
        action = next(filter(None, actions), None)
        if action is None:
            continue
        found = True
        windows: list[str] | None = None
        if (month_days, months) == ("*", "*"):  # a rule has no dates
            with suppress(ValueError):
                windows = _windows(minutes, hours, _with_day_numbers(weekdays))
        if windows is None:
            result.notes.append(f"times that no rule can have: {line}; add a [[sleep]] with its own `during`")
            continue
        # One echo request finds no phone that dozes beside the bed.
        during = {"during": toml_strings(windows), "dozing": '"ignored"'} if windows else {}
        result.add("sleep", action=toml_string(action), idle_for='"10min"', **during)
        if "rtcwake" in command:
            result.notes.append(f"the wake-up time of: {command}; write it into wake.at")
        if len(actions) > 1:
            result.notes.append(
                f"what else is in: {command}; powerd sleeps once all clients of the lease files are absent"
            )
    return found


def _with_day_numbers(weekdays: str) -> str:
    """``mon-fri`` as ``1-5``."""
    for number, day in enumerate(DAYS, 1):
        weekdays = re.sub(day, str(number), weekdays, flags=re.IGNORECASE)
    return weekdays


def _windows(minutes: str, hours: str, weekdays: str) -> list[str]:
    """The windows of the hours, each to the last minute at which cron starts the job; [] = always.

    Raises:
        ValueError: cron would not accept these times.
    """
    days = {(day - 1) % _WEEK for day in _numbers(weekdays, _WEEK + 1)}
    every_day = len(days) == _WEEK  # otherwise a window ends at midnight, as the days of cron do
    prefix = "" if every_day else f"{','.join(DAYS[day] for day in sorted(days))} "
    at, active = sorted(_numbers(minutes, 60)), _numbers(hours, _HOURS)
    if len(active) == _HOURS:
        return [] if every_day else [f"{prefix}00:00-24:00"]
    found: list[str] = []
    for first in sorted(active):
        if (first - 1) % _HOURS in active and (every_day or first > 0):
            continue
        last = first
        while (last + 1) % _HOURS in active and (every_day or last + 1 < _HOURS):
            last = (last + 1) % _HOURS
        end = last * 60 + at[-1] + 1
        found.append(f"{prefix}{first:02d}:{at[0]:02d}-{end // 60:02d}:{end % 60:02d}")
    return found


def _numbers(text: str, end: int) -> set[int]:
    """The numbers of a field of crontab(5): ``*/10``, ``1-7``, ``22,23,0-6``.

    Raises:
        ValueError: it is no such field.
    """
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first, last = (0, end - 1) if span == "*" else (int(low), int(high or low))
        numbers = range(first, last + 1, int(step or 1))
        if not numbers or first < 0 or last >= end:
            raise ValueError(text)
        found |= set(numbers)
    return found
