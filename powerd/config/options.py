"""Options of disks, and the patterns that say which disks a rule is for.

Options of the health checks.

Where findings are sent: URLs of Apprise's, and what stands in the way of using them.

Every option: its name, default, kind and the sentence that documents it, declared once.

The sample configuration, ``powerd check``, ``powerd config`` and the README's table are made from these.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, TypeAlias

from powerd.config.declare import (
    InvalidCombination,
    OptionType,
    absolute_path,
    argv,
    boolean,
    choice,
    duration,
    integer,
    list_of,
    listen_address,
    nonempty_string,
    option,
    string_list,
    table_array,
    toml_string,
)
from powerd.config.values import (
    ClientPattern,
    TimeWindow,
    WeeklyTime,
    format_duration,
    parse_client_pattern,
    parse_timer,
    parse_weekly_time,
    parse_window,
)
from powerd.core.actions import SleepAction
from powerd.disks.ata_standby_timer import MAX_TIMER_SECONDS
from powerd.disks.disk_id import DiskId

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
            text = (
                f"a drive's own timer holds {format_duration(MAX_TIMER_SECONDS)} at most; take method "
                '= "command"'
            )
            yield InvalidCombination(keys, text)
        if isinstance(row, DiskRule) and not row.match:
            text = 'the rule fits no disk; name at least one, e.g. ["ata-WDC_WD20EFRX*"]'
            yield InvalidCombination((f"{path}match",), text)


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """What the configuration makes of one disk.

    Attributes:
        spin_down_after: seconds; 0 = leave it alone.
        set_by_rule: a rule gives that for this disk, which is what a disk with the journal or swap in use
            takes.
        method, apm, usb: see DiskRule; apm None = set none.
        max_spin_downs_per_day: spin-downs in any 24 hours.
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


_SMART_DAY: Final = 86400.0
_YEAR: Final = 365 * _SMART_DAY


def _time_of_day(value: object) -> int:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('a time of day is wanted, such as "12:00"')
    return int(found[1]) * 60 + int(found[2])


def time_of_day() -> OptionType[int]:
    """Minutes since midnight, written ``"12:00"``."""
    return OptionType(_time_of_day, lambda minutes: toml_string(f"{minutes // 60:02d}:{minutes % 60:02d}"))


@dataclass(frozen=True, slots=True)
class SelfTestOptions:
    """How often drives test themselves; the server stays awake and the disk spinning until they are done."""

    short: float = option(7 * _SMART_DAY, 'two minutes; "0s" = never', duration(0, _YEAR))
    long: float = option(30 * _SMART_DAY, 'hours; "0s" = never', duration(0, _YEAR))


@dataclass(frozen=True, slots=True)
class SmartOptions:
    """The check of each drive's health, which wakes none."""

    every: float = option(_SMART_DAY, '"0s" = never', duration(0, _YEAR))
    at: int = option(12 * 60, "preferred, local time; a sleeping disk is not woken for it ...", time_of_day())
    max_defer: float = option(7 * _SMART_DAY, "... until its last check is so old", duration(0, _YEAR))
    self_test: SelfTestOptions = SelfTestOptions()


def parse_notify_url(text: str) -> str:
    """``ntfy://topic``; what follows the scheme may be a secret, so no fault repeats it."""
    if re.match(r"[a-z][a-z0-9+.-]*://.", text, re.IGNORECASE) is None or not text.isprintable():
        raise ValueError('a URL of Apprise\'s is wanted, such as "ntfy://topic"')
    return text


def option_warnings(options: Options, file: Path) -> Iterator[str]:
    """What a person should mend though the configuration is valid, one sentence each.

    Args:
        options: read from ``file``.
        file: need not be there.
    """
    if not options.hooks.notify:
        return
    try:
        mode = file.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        yield (
            f"{file}: hooks.notify holds secrets, and everybody may read them; run: "
            f"chgrp powerd {file} && chmod 640 {file}"
        )
    if find_spec("apprise") is None:
        yield (
            f"{file}: hooks.notify sends nothing, as Apprise is not installed; run: "
            "/opt/powerd/bin/pip install 'powerd[notify]'"
        )


_HOUR = 3600.0
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class ClientClass:
    """Clients that are treated alike; the first class that fits a client counts."""

    name: str = option("", "shown in `powerd clients`", nonempty_string())
    match: tuple[ClientPattern, ...] = option(
        (), "IP, CIDR, MAC or host name, with `*`", list_of(parse_client_pattern)
    )
    absent_after: float | None = option(
        None, "silence before one of these counts as gone; phones doze for 15 minutes", duration(1, _DAY)
    )
    keeps_awake: bool = option(True, "false = shown, but never keeps the server up", boolean())


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Whose presence keeps the server up."""

    leases: tuple[str, ...] = option(
        ("auto",),
        'known files of ISC dhcpd, dnsmasq, Kea, systemd-networkd, Pi-hole and hostapd ("auto"), or paths',
        string_list(),
    )
    hosts: tuple[str, ...] = option((), "addresses or names known besides the leases", string_list())
    learn: float = option(
        30 * _DAY,
        'hosts on the LAN that the server has talked to are known for so long; "0s" = leases and hosts only',
        duration(0, 365 * _DAY),
    )
    ignore: tuple[ClientPattern, ...] = option(
        (),
        "never count; the server's own addresses and the default gateway never do",
        list_of(parse_client_pattern),
    )
    every: float = option(60.0, "between sweeps while nothing is near a decision", duration(5, _HOUR))
    timeout: float = option(1.0, "how long an answer may take", duration(0.1, 10))
    absent_after: float = option(300.0, "silence before a client counts as gone", duration(1, _DAY))
    arp: Literal["auto", "always", "never"] = option(
        "auto",
        'evidence for clients that drop ICMP: "auto" (counts unless that client has ever answered ICMP: '
        'a sleeping PC\'s card still answers ARP), "always", "never"',
        choice("auto", "always", "never"),
    )
    class_: tuple[ClientClass, ...] = table_array(
        ClientClass, "clients that are treated alike; the first that fits counts"
    )


@dataclass(frozen=True, slots=True)
class SleepRule:
    """One way to sleep. Rules are tried in order; the first whose conditions all hold gives the order."""

    action: SleepAction = option(
        "suspend",
        "suspend, hibernate, hybrid-sleep, suspend-then-hibernate, poweroff or command",
        choice("suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"),
    )
    during: tuple[TimeWindow, ...] = option(
        (),
        'only in these windows, e.g. ["00:00-08:00", "Fri,Sat 01:30-10:00"]; none = always',
        list_of(parse_window),
    )
    idle_for: float = option(
        1800.0, "nobody home and nothing in progress for so long", duration(0, 30 * _DAY)
    )
    warn: float = option(
        60.0, "time between the announcement and the act; anything that stirs cancels it", duration(0, _HOUR)
    )
    command: tuple[str, ...] = option((), 'argv of action "command", run without a shell', argv())
    timeout: float = option(
        60.0, "a command that runs longer is ended and counts as failed", duration(1, _HOUR)
    )


@dataclass(frozen=True, slots=True)
class AwakeOptions:
    """When the server stays up whoever is home."""

    after_start: float = option(600.0, "never act sooner after powerd has started", duration(0, _DAY))
    after_resume: float = option(600.0, "nor after a wake-up", duration(0, _DAY))


@dataclass(frozen=True, slots=True)
class WakeOptions:
    """What the server wakes up for; the alarm is set, and read back, before every sleep."""

    at: tuple[WeeklyTime, ...] = option(
        (), 'to be up at these times, e.g. ["Mon-Fri 06:30", "09:00"]', list_of(parse_weekly_time)
    )
    timers: tuple[str, ...] = option(
        (),
        'systemd timers (OnCalendar=) to be up for, e.g. ["backup.timer"]; ["auto"] = those with WakeSystem=',
        list_of(parse_timer),
    )
    before: float = option(120.0, "it wakes up so much earlier than that", duration(0, _HOUR))
    min_sleep: float = option(
        300.0, "it does not go to sleep for less: a job that is due sooner is waited for", duration(60, _DAY)
    )
    arm_lan: bool = option(
        False,
        "true = let a magic packet wake it: the network cards are armed before every sleep, and without one "
        "that can be the server stays up",
        boolean(),
    )


@dataclass(frozen=True, slots=True)
class HookOptions:
    """Commands around every sleep, whoever ordered it, and for findings; a failure is told, never fatal."""

    before_sleep: tuple[str, ...] = option((), "argv, run without a shell before a sleep", argv())
    after_wake: tuple[str, ...] = option((), "argv, run without a shell after a wake-up", argv())
    alert: tuple[str, ...] = option(
        (), "argv, gets each new finding of a drive's health as JSON on standard input", argv()
    )
    notify: tuple[str, ...] = option(
        (),
        "Apprise URLs that each new finding is sent to; they hold secrets, so close this file to others, and "
        "it takes powerd[notify]",
        list_of(parse_notify_url),
    )
    timeout: float = option(
        30.0,
        "a hook that runs longer is ended; a sleep that somebody else ordered waits for no longer than "
        "logind's InhibitDelayMaxSec= says, which is 5 s",
        duration(1, _HOUR),
    )


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The status page and its API, besides the Unix socket that is always there."""

    listen: tuple[str, ...] = option(
        ("127.0.0.1:8787",), "loopback addresses and ports; [] = Unix socket only", list_of(listen_address)
    )
    token_file: str = option(
        "",
        "a file, closed to others, with the secret that changing anything over TCP takes; none = nobody can",
        absolute_path(),
    )


@dataclass(frozen=True, slots=True)
class Options:
    """The whole configuration; with no file at all these defaults hold."""

    mode: Literal["observe", "enforce"] = option(
        "observe",
        '"observe": decide and explain, touch nothing; "enforce": act',
        choice("observe", "enforce"),
    )
    clients: ClientOptions = ClientOptions()
    sleep: tuple[SleepRule, ...] = table_array(
        SleepRule, "rules in order; the first whose conditions all hold gives the order"
    )
    awake: AwakeOptions = AwakeOptions()
    wake: WakeOptions = WakeOptions()
    hooks: HookOptions = HookOptions()
    disks: DiskOptions = DiskOptions()
    smart: SmartOptions = SmartOptions()
    http: HttpOptions = HttpOptions()
