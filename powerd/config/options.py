"""Every option: its name, default, kind and the sentence that documents it, declared once.

The sample configuration, ``powerd check``, ``powerd config`` and the README's table are made from these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from powerd.config.declare import option, table_array
from powerd.config.disks import DiskOptions
from powerd.config.kinds import (
    absolute_path,
    argv,
    boolean,
    choice,
    duration,
    list_of,
    listen_address,
    nonempty_string,
    string_list,
)
from powerd.config.notify import parse_notify_url
from powerd.config.smart import SmartOptions
from powerd.config.values import (
    ClientPattern,
    TimeWindow,
    WeeklyTime,
    parse_client_pattern,
    parse_timer,
    parse_weekly_time,
    parse_window,
)
from powerd.model import SleepAction

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
