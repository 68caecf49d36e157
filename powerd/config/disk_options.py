"""Options of disks and of their health checks, and the settings that result for one disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from fnmatch import translate
from typing import Final, Literal, TypeAlias

from powerd.config.declare import (
    InvalidCombination,
    OptionType,
    boolean,
    choice,
    duration,
    integer,
    list_of,
    option,
    table_array,
    toml_string,
)
from powerd.config.values import format_duration
from powerd.core.dataclass import dataclass
from powerd.disks.model import MAX_TIMER_SECONDS, DiskId

SHORT_SPIN_DOWN_AFTER: Final = 300.0
"""Seconds; with a shorter spin_down_after the starts take more energy than the standby saves."""
_DAY: Final = 86400.0
_YEAR: Final = 365 * _DAY
ConfiguredMethod: TypeAlias = Literal["command", "timer", "both"]
_SPIN_DOWN_METHOD: Final = choice("command", "timer", "both")
_SPIN_DOWN_AFTER: Final = duration(0, 7 * _DAY)
_SPIN_DOWN_LIMIT: Final = integer(1, 1000)


@dataclass(frozen=True, slots=True)
class DiskPattern:
    """Matches a disk by its /dev/disk/by-id name, its model or its serial number; ``*`` is any text."""

    text: str
    _glob: re.Pattern[str] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def matches(self, *names: str) -> bool:
        """Whether any of the names matches. A space equals ``_``, which udev writes for spaces of a model."""
        return any(self._glob.fullmatch(_normalized(name)) is not None for name in names)


def parse_disk_pattern(text: str) -> DiskPattern:
    """Parse ``"ata-WDC_WD20EFRX*"``, ``"WDC WD20EFRX-68EUZN0"`` or a serial number.

    Raises:
        ValueError: the pattern is empty, or a device name, which may be another disk after the next boot.
    """
    pattern = text.strip().removeprefix("/dev/disk/by-id/")
    if not pattern:
        raise ValueError("an empty pattern matches nothing; remove it")
    if re.fullmatch(r"(/dev/)?(sd[a-z]+|nvme\d+n\d+)", pattern):
        raise ValueError(
            f'"{text}" may be another disk after the next boot; use a name of: ls /dev/disk/by-id'
        )
    return DiskPattern(text, re.compile(translate(_normalized(pattern))))


def _normalized(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


@dataclass(frozen=True, slots=True)
class DiskRule:
    """Settings of matching disks. Options that a rule does not set are those of [disks]."""

    match: tuple[DiskPattern, ...] = option(
        (), "name in /dev/disk/by-id, model or serial number, with `*`", list_of(parse_disk_pattern)
    )
    spin_down_after: float | None = option(
        None,
        '"0s" = never; without this option, a disk with the journal or with swap space in use is excluded',
        _SPIN_DOWN_AFTER,
    )
    method: ConfiguredMethod | None = option(None, "command, timer or both", _SPIN_DOWN_METHOD)
    max_spin_downs_per_day: int | None = option(None, "limit of each of these disks", _SPIN_DOWN_LIMIT)
    apm: int | None = option(
        None,
        "Advanced Power Management, 1 (least power) to 254; below 128 the drive may spin down by itself; "
        "without this option powerd sets no level",
        integer(1, 254),
    )
    usb: bool | None = option(None, "true = spin these disks down although they are on USB", boolean())


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """When disks are spun down."""

    spin_down_after: float = option(
        1200.0,
        'idle time of a disk and its whole group before the spin-down; "0s" = never',
        _SPIN_DOWN_AFTER,
    )
    method: ConfiguredMethod = option(
        "command",
        '"command": by a command, verified with the drive; "timer": by the drive\'s own timer (hdparm -S); '
        '"both": by the timer, and by the command if the drive ignores the timer',
        _SPIN_DOWN_METHOD,
    )
    max_spin_downs_per_day: int = option(
        24,
        "limit of each disk in any 24 hours; drives are rated for a limited number of starts",
        _SPIN_DOWN_LIMIT,
    )
    usb: bool = option(
        False, "true = spin down disks on USB too; some bridges lose their disk when it stops", boolean()
    )
    wake_group: Literal["arrays", "all", "never"] = option(
        "arrays",
        "groups whose members are all spun up at once by the first access to one of them: "
        '"arrays" (md, ZFS, btrfs), "all" groups (LVM too), "never"',
        choice("arrays", "all", "never"),
    )
    rule: tuple[DiskRule, ...] = table_array(
        DiskRule, "settings of matching disks; the first rule that matches a disk applies"
    )


def invalid_disk_combinations(disks: DiskOptions) -> Iterator[InvalidCombination]:
    """Errors of [disks] that concern several options together."""
    rows: list[tuple[str, DiskOptions | DiskRule]] = [("disks.", disks)]
    rows += [(f"disks.rule[{n}].", rule) for n, rule in enumerate(disks.rule, 1)]
    for path, row in rows:
        after = disks.spin_down_after if row.spin_down_after is None else row.spin_down_after
        sets_either = (
            row.method is not None or row.spin_down_after is not None
        )  # otherwise the row only inherits the error of [disks]
        if sets_either and (row.method or disks.method) == "timer" and after > MAX_TIMER_SECONDS:
            names = dict.fromkeys((path, "disks."))
            keys = tuple(f"{name}{key}" for name in names for key in ("spin_down_after", "method"))
            text = (
                f"a drive's own timer is limited to {format_duration(MAX_TIMER_SECONDS)}; set method "
                '= "command"'
            )
            yield InvalidCombination(keys, text)
        if isinstance(row, DiskRule) and not row.match:
            text = 'the rule matches no disk; add at least one pattern, e.g. ["ata-WDC_WD20EFRX*"]'
            yield InvalidCombination((f"{path}match",), text)


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """The settings of one disk.

    Attributes:
        spin_down_after: seconds; 0 = never.
        set_by_rule: a rule sets spin_down_after of this disk; a disk with the journal or swap in use requires
            it.
        method, apm, usb: as in DiskRule; apm None = set no level.
        max_spin_downs_per_day: spin-downs in any 24 hours.
    """

    spin_down_after: float
    set_by_rule: bool
    method: ConfiguredMethod
    max_spin_downs_per_day: int
    apm: int | None
    usb: bool


def settings_for_disk(disks: DiskOptions, name: DiskId, model: str, serial: str) -> DiskSettings:
    """The settings of a disk: those of the first matching rule, completed by [disks]."""
    matching = (rule for rule in disks.rule if any(each.matches(name, model, serial) for each in rule.match))
    rule = next(matching, DiskRule())
    return DiskSettings(
        spin_down_after=disks.spin_down_after if rule.spin_down_after is None else rule.spin_down_after,
        set_by_rule=rule.spin_down_after is not None,
        method=rule.method or disks.method,
        max_spin_downs_per_day=rule.max_spin_downs_per_day or disks.max_spin_downs_per_day,
        apm=rule.apm,
        usb=disks.usb if rule.usb is None else rule.usb,
    )


def _time_of_day(value: object) -> int:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a time of day; write it like "12:00"')
    return int(found[1]) * 60 + int(found[2])


def time_of_day() -> OptionType[int]:
    """Minutes since midnight, written ``"12:00"``."""
    return OptionType(_time_of_day, lambda minutes: toml_string(f"{minutes // 60:02d}:{minutes % 60:02d}"))


@dataclass(frozen=True, slots=True)
class SelfTestOptions:
    """Intervals of self-tests. While one runs, the server stays awake and the disk is not spun down."""

    short: float = option(7 * _DAY, 'takes two minutes; "0s" = never', duration(0, _YEAR))
    long: float = option(30 * _DAY, 'takes hours; "0s" = never', duration(0, _YEAR))


@dataclass(frozen=True, slots=True)
class SmartOptions:
    """Health checks of drives. A drive in standby is not spun up for a check before max_defer."""

    every: float = option(_DAY, '"0s" = never', duration(0, _YEAR))
    at: int = option(
        12 * 60, "preferred local time; a drive in standby is not spun up for a check ...", time_of_day()
    )
    max_defer: float = option(7 * _DAY, "... until its last check is this old", duration(0, _YEAR))
    self_test: SelfTestOptions = SelfTestOptions()


def _watched_directory(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is not an absolute path; begin it with "/"')
    return text.rstrip("/") or "/"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Who uses the disks: which unit, process and file woke a disk, or keeps it busy."""

    level: Literal["auto", "counters", "cgroups", "trace", "files"] = option(
        "auto",
        '"counters": only that a disk was used; "cgroups": by which unit; "trace": by which process; '
        '"files": also the path, by a second helper with two further capabilities; "auto": the best without',
        choice("auto", "counters", "cgroups", "trace", "files"),
    )
    directories: tuple[str, ...] = option(
        (), "directories that are also watched by inotify(7)", list_of(_watched_directory)
    )
    keep: int = option(200, "wakes that are remembered of each disk", integer(1, 2000))
