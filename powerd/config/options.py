"""All options: name, default, type and documentation of each are declared once.

The sample configuration, ``powerd check`` and ``powerd config`` are generated from these declarations.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Literal

from powerd.config.activity_options import ActivityOptions
from powerd.config.declare import (
    argv,
    boolean,
    choice,
    duration,
    duration_or_auto,
    list_of,
    nonempty_string,
    number,
    option,
    string_list,
    table_array,
    text_as,
)
from powerd.config.disk_options import DiskOptions, SmartOptions, WatchOptions
from powerd.config.http_options import HttpOptions
from powerd.config.message_options import MessageOptions
from powerd.config.mqtt_options import MqttOptions
from powerd.config.values import (
    ClientPattern,
    TimeWindow,
    WeeklyTime,
    parse_client_pattern,
    parse_display_name,
    parse_host,
    parse_timer,
    parse_weekly_time,
    parse_window,
)
from powerd.core.actions import SleepAction
from powerd.core.dataclass import dataclass

_HOUR = 3600.0
_DAY = 24 * _HOUR


def parse_notify_url(text: str) -> str:
    """Check an Apprise URL such as ``ntfy://topic``. It may contain a secret, so errors do not repeat it."""
    if re.match(r"[a-z][a-z0-9+.-]*://.", text, re.IGNORECASE) is None or not text.isprintable():
        raise ValueError('must be a URL of Apprise; write it like "ntfy://topic"')
    return text


@dataclass(frozen=True, slots=True)
class ClientClass:
    """Settings of matching clients. The first class that matches a client applies."""

    name: str = option("", "shown in `powerd clients`", nonempty_string())
    match: tuple[ClientPattern, ...] = option(
        (), "IP, CIDR, MAC or host name, with `*`", list_of(parse_client_pattern)
    )
    absent_after: float | Literal["auto"] | None = option(
        None, "silence before such a client is absent", duration_or_auto(1, _DAY)
    )
    keeps_awake: bool = option(True, "false = shown, but does not keep the server awake", boolean())


@dataclass(frozen=True, slots=True)
class ClientName:
    """The name that the owner gives to a client. The first row that matches applies."""

    match: ClientPattern = option(
        parse_client_pattern("*"), "MAC, IP, CIDR or host name, with `*`", text_as(parse_client_pattern)
    )
    name: str = option("", "shown everywhere; `powerd wake` takes it too", text_as(parse_display_name))


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Clients whose presence keeps the server awake."""

    leases: tuple[str, ...] = option(
        ("auto",),
        '"auto" = known files of ISC dhcpd, dnsmasq, Kea, networkd, Pi-hole, odhcpd, hostapd; or paths',
        string_list(),
    )
    hosts: tuple[str, ...] = option((), "addresses or names of further clients", list_of(parse_host))
    learn: float = option(
        30 * _DAY,
        'how long a host on the LAN that has exchanged traffic with the server is known; "0s" = '
        "leases and hosts only",
        duration(0, 365 * _DAY),
    )
    ignore: tuple[ClientPattern, ...] = option(
        (),
        "clients that never count, as do the server's own addresses and the default gateway",
        list_of(parse_client_pattern),
    )
    every: float = option(60.0, "interval of probes", duration(5, _HOUR))
    timeout: float = option(1.0, "time to wait for an answer", duration(0.1, 10))
    absent_after: float | Literal["auto"] = option(
        "auto",
        'silence before a client is absent: "auto" (learned from the silences of each client, 5 minutes to '
        "an hour), or a duration",
        duration_or_auto(1, _DAY),
    )
    arp: Literal["auto", "always", "never"] = option(
        "auto",
        'whether ARP replies are evidence: "auto" (of a client that has answered ICMP, until they have been '
        'its only replies for an hour: the network card of a sleeping PC answers ARP), "always", "never"',
        choice("auto", "always", "never"),
    )
    class_: tuple[ClientClass, ...] = table_array(
        ClientClass, "settings of matching clients; the first class that matches applies"
    )
    name: tuple[ClientName, ...] = table_array(
        ClientName, "names for clients that have none, or a bad one; the first row that matches applies"
    )


@dataclass(frozen=True, slots=True)
class SleepRule:
    """One way to sleep. Rules are tried in order; the first whose conditions all hold applies."""

    action: SleepAction = option(
        "suspend",
        "suspend, hibernate, hybrid-sleep, suspend-then-hibernate, poweroff or command",
        choice("suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"),
    )
    during: tuple[TimeWindow, ...] = option(
        (),
        'only in these windows of local time, e.g. ["00:00-08:00", "Fri,Sat 01:30-10:00"]; none = always',
        list_of(parse_window),
    )
    idle_for: float = option(
        1800.0,
        "time without a present client and without any other reason to stay awake",
        duration(0, 30 * _DAY),
    )
    dozing: Literal["counts", "ignored"] = option(
        "counts",
        'whether a dozing client, whose device is at home and sleeps, delays this rule: "counts", '
        'or "ignored" (a phone beside the bed does not keep the server awake)',
        choice("counts", "ignored"),
    )
    warn: float = option(
        60.0, "time between the announcement and the sleep; any activity cancels it", duration(0, _HOUR)
    )
    command: tuple[str, ...] = option((), 'argv of action "command"; it runs without a shell', argv())
    timeout: float = option(
        60.0, "a command that runs longer is terminated and has failed", duration(1, _HOUR)
    )


@dataclass(frozen=True, slots=True)
class AwakeOptions:
    """Times during which the server stays awake in any case."""

    after_start: float = option(600.0, "time after the start of powerd", duration(0, _DAY))
    after_resume: float = option(600.0, "time after a wake-up", duration(0, _DAY))


@dataclass(frozen=True, slots=True)
class WakeOptions:
    """What the server wakes up for. The alarm is set and read back before every sleep."""

    at: tuple[WeeklyTime, ...] = option(
        (), 'times at which the server is up, e.g. ["Mon-Fri 06:30", "09:00"]', list_of(parse_weekly_time)
    )
    timers: tuple[str, ...] = option(
        (),
        'systemd timers (OnCalendar=) to wake up for, e.g. ["backup.timer"]; ["auto"] = all with WakeSystem=',
        list_of(parse_timer),
    )
    before: float = option(120.0, "the server wakes up this long before", duration(0, _HOUR))
    min_sleep: float = option(
        300.0,
        "minimum duration of a sleep: the server stays awake for a wake-up that is due sooner",
        duration(60, _DAY),
    )
    arm_lan: bool = option(
        False,
        "true = enable Wake-on-LAN (magic packet) on the network cards before every sleep; if none "
        "supports it, the server stays awake",
        boolean(),
    )


@dataclass(frozen=True, slots=True)
class HookOptions:
    """Commands before every sleep, after every wake-up, and for messages. Failures are only reported."""

    before_sleep: tuple[str, ...] = option((), "argv; runs without a shell before a sleep", argv())
    after_wake: tuple[str, ...] = option((), "argv; runs without a shell after a wake-up", argv())
    alert: tuple[str, ...] = option(
        (), "argv; gets each message ([messages]) as JSON on standard input", argv()
    )
    notify: tuple[str, ...] = option(
        (),
        "Apprise URLs that get each message ([messages]); they contain secrets, so close this file to "
        "others; requires powerd[notify]",
        list_of(parse_notify_url),
    )
    timeout: float = option(
        30.0,
        "a hook that runs longer is terminated; a sleep that another program requests is delayed by at most "
        "InhibitDelayMaxSec= of logind, 5 s by default",
        duration(1, _HOUR),
    )


@dataclass(frozen=True, slots=True)
class WattOptions:
    """What the server uses, measured at the wall socket; for the energy in `powerd report`."""

    awake: float = option(0.0, "watts while it is awake; 0 = unknown", number(1e5))
    asleep: float = option(0.0, "watts while it sleeps or is off", number(1e5))


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """The report on the past: `powerd report`."""

    price: float = option(0.0, "of one kWh, in any currency; 0 = unknown", number(1e6))
    watts: WattOptions = WattOptions()


@dataclass(frozen=True, slots=True)
class Options:
    """The whole configuration. Without a file these defaults apply."""

    mode: Literal["observe", "enforce"] = option(
        "observe",
        '"observe": decide and explain, change nothing; "enforce": act',
        choice("observe", "enforce"),
    )
    include: tuple[str, ...] = option(
        (),
        'files whose tables come before those of this one, e.g. ["presets/jellyfin.toml"]; relative to this '
        "file or to /usr/share/powerd",
        string_list(),
    )
    clients: ClientOptions = ClientOptions()
    sleep: tuple[SleepRule, ...] = table_array(
        SleepRule, "tried in order; the first rule whose conditions all hold applies"
    )
    awake: AwakeOptions = AwakeOptions()
    wake: WakeOptions = WakeOptions()
    activity: ActivityOptions = field(default_factory=ActivityOptions)
    hooks: HookOptions = HookOptions()
    messages: MessageOptions = MessageOptions()
    mqtt: MqttOptions = MqttOptions()
    disks: DiskOptions = DiskOptions()
    smart: SmartOptions = SmartOptions()
    history: HistoryOptions = HistoryOptions()
    watch: WatchOptions = WatchOptions()
    http: HttpOptions = HttpOptions()
