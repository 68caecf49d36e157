"""Translates autosuspend.conf(5): https://autosuspend.readthedocs.io/en/latest/configuration_file.html."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Mapping
from typing import Final

from powerd.config.declare import toml_string
from powerd.config.imports.imported_config import (
    ImportedConfig,
    shell_argv,
    toml_duration,
    toml_strings,
)
from powerd.config.imports.sleep_command import sleep_actions
from powerd.config.values import parse_host


def from_autosuspend(origin: str, text: str, result: ImportedConfig) -> None:
    """Translate all sections that are enabled.

    Raises:
        ValueError: the text is not of the INI format; one sentence.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(f"{origin} cannot be read: {' '.join(str(error).split())}") from None
    general = parser["general"] if parser.has_section("general") else {}
    _general(general, result)
    for name in parser.sections():
        kind, _, label = name.partition(".")
        section = parser[name]
        if kind not in {"check", "wakeup"} or section.get("enabled", "false").lower() not in _TRUE:
            continue
        class_name = section.get("class", label).rpartition(".")[2]
        convert_section = (_CHECKS if kind == "check" else _WAKEUPS).get(class_name)
        if convert_section is None:
            result.notes.append(f"[{name}]: powerd has no {kind} like {class_name}")
        else:
            convert_section(label, section, result)


_USER: Final = "the command runs as the user powerd in the sandbox of powerd.service"
_TRUE: Final = frozenset({"1", "yes", "true", "on"})


def _general(general: Mapping[str, str], result: ImportedConfig) -> None:
    for key, table, option, default in (
        ("interval", "clients", "every", None),
        ("min_sleep_time", "wake", "min_sleep", None),
        ("wakeup_delta", "wake", "before", None),
    ):
        if value := general.get(key, default):
            result.set(table, option, toml_duration(value))
    command = general.get("suspend_cmd", "")
    actions = sleep_actions(command) if command else ["suspend"]
    action = (actions[0] if len(actions) == 1 else None) or "command"
    argv = {"command": shell_argv(command)} if action == "command" else {}
    if argv:
        result.notes.append(f"suspend_cmd: {_USER}, so what requires root fails there")
    idle_for = toml_duration(general.get("idle_time", "300"))
    result.add("sleep", action=toml_string(action), idle_for=idle_for, **argv)
    if general.get("wakeup_cmd"):
        result.notes.append("wakeup_cmd: powerd sets the RTC alarm itself, and reads it back")
    for key in ("notify_cmd_wakeup", "notify_cmd_no_wakeup"):
        if general.get(key):
            result.notes.append(f"{key}: powerd announces a sleep (sleep.warn), and runs hooks.before_sleep")
    if general.get("lock_file"):
        result.notes.append("lock_file: use `powerd hold -- COMMAND` or an inhibitor lock")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _ping(_: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    hosts: list[str] = []
    for host in _items(section.get("hosts", "")):
        try:
            hosts.append(str(parse_host(host)))
        except ValueError as error:
            result.notes.append(f"Ping: {error}")
    if hosts:
        known = result.tables.get("[clients]", {}).get("hosts", "[]").strip("[]")
        result.set(
            "clients", "hosts", "[" + ", ".join(filter(None, [known, toml_strings(hosts).strip("[]")])) + "]"
        )
        result.set("clients", "leases", "[]")
        result.set("clients", "learn", '"0s"')


def _connection(_: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    result.set("activity.tcp", "ports", "[" + ", ".join(_items(section.get("ports", ""))) + "]")


def _processes(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    match = toml_strings(_items(section.get("processes", "")))
    result.add("activity.process", name=toml_string(label), match=match)


def _samba(_: str, __: Mapping[str, str], result: ImportedConfig) -> None:
    result.tables.setdefault("[activity.samba]", {})
    result.notes.append("Smb: powerd counts open files, because idle clients stay connected for hours")


def _kodi(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    _note_password(label, section, result)
    url = section.get("url", "http://localhost:8080/jsonrpc").replace("//localhost", "//127.0.0.1")
    ignores = section.get("suspend_while_paused", "false").lower() in _TRUE
    paused = toml_string("ignored" if ignores else "counts")
    result.add("activity.kodi", name=toml_string(label), url=toml_string(url), paused=paused)


def _mpd(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    address = section.get("host", "localhost").replace("localhost", "127.0.0.1")
    port = section.get("port", "6600")
    result.add("activity.mpd", name=toml_string(label), address=toml_string(address), port=port)


def _command(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    command = section.get("command", "")
    # autosuspend takes every other status for idle; powerd takes 1 for idle, and others for a failure
    argv = shell_argv(f"( {command}\n) || exit 1")
    result.add("activity.command", name=toml_string(label), command=argv)
    if found := re.search(r"\b(?:pgrep|pidof|pkill|killall|ps|top|lsof|fuser)\b", command):
        result.notes.append(
            f"{label}: {_USER}, where {found[0]} finds no process of others, so the check would never keep "
            "the server awake; name the processes in [[activity.process]]"
        )
    else:
        result.notes.append(f"{label}: {_USER}; check that it works there")
    _note_hidden_path(label, command, result)


def _note_hidden_path(label: str, text: str, result: ImportedConfig) -> None:
    """Note that the service does not see a file."""
    if found := re.search(r"(?<![\w.])/(?:tmp|var/tmp|home|root|run/user)\b[^\s;|&)'\"]*", text):
        result.notes.append(
            f"{label}: the service does not see {found[0]} (PrivateTmp, ProtectHome); use a file elsewhere, "
            "such as in /run"
        )


def _calendar(label: str, section: Mapping[str, str], result: ImportedConfig, *, wake: bool = False) -> None:
    _note_password(label, section, result)
    match = {"match": toml_strings([f"*{section['match']}*"])} if section.get("match") else {}
    url = toml_string(section.get("url", ""))
    result.add(
        "activity.calendar", name=toml_string(label), url=url, wake="true" if wake else "false", **match
    )


def _wake_calendar(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    _calendar(f"wake-{label}", section, result, wake=True)
    result.notes.append(f"{label}: the events of the calendar keep the server awake, too")


def _xpath(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    _note_password(label, section, result)
    url, xpath = (toml_string(section.get(key, "")) for key in ("url", "xpath"))
    result.add("activity.http", name=toml_string(label), url=url, xpath=xpath)


def _json_path(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    result.notes.append(
        f"{label}: write {section.get('jsonpath', '')} of {section.get('url', '')} as JMESPath in "
        "[[activity.http]]"
    )


def _log(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    try:
        within = str(60 * max(1.0, float(section.get("minutes", "10"))))
    except ValueError:
        within = section.get("minutes", "")
    pattern = section.get("pattern") or "."
    try:
        re.compile(pattern)
    except re.error as error:
        result.notes.append(f"{label}: {pattern} is not a regular expression: {error}; every line counts")
        pattern = "."
    path = section.get("log_file", "")
    _note_hidden_path(label, path, result)
    result.add(
        "activity.log",
        name=toml_string(label),
        paths=toml_strings([path]),
        regex=toml_string(pattern),
        within=toml_duration(within),
    )
    result.notes.append(
        f"{label}: powerd follows {path}, and counts the time at which a line is written, not its time stamp"
    )


def _timer(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    unit = section.get("match", "").strip("^$").replace("\\.", ".")
    if re.fullmatch(r"[\w@:.-]+\.timer", unit):
        result.set("wake", "timers", toml_strings([unit]))
    else:
        result.notes.append(f"{label}: name the timers of {section.get('match', '')} in wake.timers")


def _note_password(label: str, section: Mapping[str, str], result: ImportedConfig) -> None:
    if section.get("password"):
        result.notes.append(f"{label}: write user name and password into a header_file")


def _noted(text: str) -> Callable[[str, Mapping[str, str], ImportedConfig], None]:
    """A conversion that only notes what powerd does instead."""
    return lambda label, _section, result: result.notes.append(f"{label}: {text}")


_KEYS: Final = "a key press in any session, and the idle hint of a desktop, restart idleness without a check"
_CHECKS: Final[Mapping[str, Callable[[str, Mapping[str, str], ImportedConfig], None]]] = {
    "ActiveCalendarEvent": _calendar,
    "ActiveConnection": _connection,
    "ExternalCommand": _command,
    "JsonPath": _json_path,
    "Kodi": _kodi,
    "KodiIdleTime": _noted("powerd does not ask Kodi for its last key press"),
    "LastLogActivity": _log,
    "Load": _noted(
        "the check load measures how long tasks wait, which needs no threshold of the load average"
    ),
    "LogindSessionsIdle": _noted(_KEYS),
    "Mpd": _mpd,
    "NetworkBandwidth": _noted("the check traffic is on by default; see its floors in [activity.traffic]"),
    "Ping": _ping,
    "Processes": _processes,
    "Smb": _samba,
    "Users": _noted("the check sessions counts the programs of users; an idle login does not count"),
    "XIdleTime": _noted(_KEYS),
    "XPath": _xpath,
}
_WAKEUPS: Final[Mapping[str, Callable[[str, Mapping[str, str], ImportedConfig], None]]] = {
    "Calendar": _wake_calendar,
    "SystemdTimer": _timer,
}
