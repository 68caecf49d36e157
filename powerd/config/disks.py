"""Options of disks, and the patterns that say which disks a rule is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Final, Literal, TypeAlias

from powerd.config.declare import InvalidCombination, option, table_array
from powerd.config.kinds import boolean, choice, duration, integer, list_of
from powerd.config.values import format_duration
from powerd.model import DiskId
from powerd.model.standby_timer import MAX_TIMER_SECONDS

_DISK_DAY: Final = 86400.0
ConfiguredMethod: TypeAlias = Literal["command", "timer", "both"]
_SPIN_DOWN_METHOD: Final = choice("command", "timer", "both")
_SPIN_DOWN_AFTER: Final = duration(0, 7 * _DISK_DAY)
_SPIN_DOWN_LIMIT: Final = integer(1, 1000)


@dataclass(frozen=True, slots=True)
class DiskPattern:
    """Fits a disk by its name below /dev/disk/by-id, its model or its serial number; ``*`` is anything."""

    text: str
    _glob: re.Pattern[str] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def matches(self, *names: str) -> bool:
        """Whether any of a disk's names fits; udev writes ``_`` where a model has spaces, so they are one."""
        return any(self._glob.fullmatch(_normalized(name)) is not None for name in names)


def parse_disk_pattern(text: str) -> DiskPattern:
    """Read ``"ata-WDC_WD20EFRX*"``, ``"WDC WD20EFRX-68EUZN0"`` or a serial number.

    Raises:
        ValueError: it is empty, or the kernel's name of a disk, which is another disk after the next start.
    """
    pattern = text.strip().removeprefix("/dev/disk/by-id/")
    if not pattern:
        raise ValueError("an empty pattern fits nothing; remove it")
    if re.fullmatch(r"(/dev/)?(sd[a-z]+|nvme\d+n\d+)", pattern):
        raise ValueError(f'"{text}" may be another disk after the next start; see: ls /dev/disk/by-id')
    return DiskPattern(text, re.compile(translate(_normalized(pattern))))


def _normalized(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


@dataclass(frozen=True, slots=True)
class DiskRule:
    """Disks that are treated alike; what a rule does not say is as [disks] says."""

    match: tuple[DiskPattern, ...] = option(
        (), "name in /dev/disk/by-id, model or serial number, with `*`", list_of(parse_disk_pattern)
    )
    spin_down_after: float | None = option(
        None,
        '"0s" = leave it alone; without this, one with the journal or swap space in use is left alone',
        _SPIN_DOWN_AFTER,
    )
    method: ConfiguredMethod | None = option(None, "command, timer or both", _SPIN_DOWN_METHOD)
    max_spin_downs_per_day: int | None = option(None, "of each of these disks", _SPIN_DOWN_LIMIT)
    apm: int | None = option(
        None,
        "Advanced Power Management, 1 (least power) to 254; below 128 the drive spins down when it likes to; "
        "without it powerd sets none",
        integer(1, 254),
    )
    usb: bool | None = option(None, "true = these may stand by although they are on USB", boolean())


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """When spinning disks may sleep."""

    spin_down_after: float = option(
        1200.0,
        'idleness of a disk and its whole group before it stands by; "0s" = leave all alone',
        _SPIN_DOWN_AFTER,
    )
    method: ConfiguredMethod = option(
        "command",
        '"command": told to stand by, and asked whether it did; "timer": the drive\'s own timer (hdparm -S); '
        '"both": the timer, and the command for a drive that ignores it',
        _SPIN_DOWN_METHOD,
    )
    max_spin_downs_per_day: int = option(
        24, "of each disk, in any 24 hours; a drive is built for a limited number of starts", _SPIN_DOWN_LIMIT
    )
    usb: bool = option(
        False, "whether disks on USB may stand by; some bridges lose their disk over it", boolean()
    )
    wake_group: Literal["arrays", "all", "never"] = option(
        "arrays",
        "whose members are all woken by the first access to one, at once instead of one by one: "
        '"arrays" (md, ZFS, btrfs), "all" groups (LVM too), "never"',
        choice("arrays", "all", "never"),
    )
    rule: tuple[DiskRule, ...] = table_array(
        DiskRule, "disks that are treated alike; the first rule that fits a disk counts"
    )


def invalid_disk_combinations(disks: DiskOptions) -> Iterator[InvalidCombination]:
    """Faults of [disks] that only show when options are seen together."""
    rows: list[tuple[str, DiskOptions | DiskRule]] = [("disks.", disks)]
    rows += [(f"disks.rule[{n}].", rule) for n, rule in enumerate(disks.rule, 1)]
    for path, row in rows:
        after = disks.spin_down_after if row.spin_down_after is None else row.spin_down_after
        sets_either = (
            row.method is not None or row.spin_down_after is not None
        )  # else it only inherits the fault
        if sets_either and (row.method or disks.method) == "timer" and after > MAX_TIMER_SECONDS:
            names = dict.fromkeys((path, "disks."))
            keys = tuple(f"{name}{key}" for name in names for key in ("spin_down_after", "method"))
            text = f'a drive\'s own timer holds {format_duration(MAX_TIMER_SECONDS)} at most; take method = "command"'
            yield InvalidCombination(keys, text)
        if isinstance(row, DiskRule) and not row.match:
            text = 'the rule fits no disk; name at least one, e.g. ["ata-WDC_WD20EFRX*"]'
            yield InvalidCombination((f"{path}match",), text)


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """What the configuration makes of one disk.

    Attributes:
        spin_down_after: seconds; 0 = leave it alone.
        chosen: a rule gives that for this disk, which is what a disk with the journal or swap in use takes.
        method, apm, usb: see DiskRule; apm None = set none.
        most: spin-downs in any 24 hours.
    """

    spin_down_after: float
    set_by_rule: bool
    method: ConfiguredMethod
    max_spin_downs_per_day: int
    apm: int | None
    usb: bool


def settings_for_disk(disks: DiskOptions, name: DiskId, model: str, serial: str) -> DiskSettings:
    """The plan for a disk: of the first rule that fits it, and of [disks] for what that leaves open."""
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
