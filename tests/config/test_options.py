"""The declarations: every default is a valid value."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from typing import Any

import pytest

from powerd.config.load import ConfigError, parse
from powerd.config.options import (
    AwakeOptions,
    ClientClass,
    ClientOptions,
    HookOptions,
    Options,
    SleepRule,
    WakeOptions,
)

TABLES: list[type[Any]] = [
    Options,
    ClientOptions,
    ClientClass,
    SleepRule,
    AwakeOptions,
    WakeOptions,
    HookOptions,
]


@pytest.mark.parametrize("table", TABLES)
def test_defaults_pass_their_own_kind(table: type[Any]) -> None:
    output = 0
    for field in dataclasses.fields(table):
        if (
            "kind" in field.metadata
            and field.default is not None
            and (table, field.name) != (ClientClass, "name")
        ):
            kind = field.metadata["kind"]
            assert kind.read(tomllib.loads(f"x = {kind.show(field.default)}")["x"]) == field.default
            output += 1
    assert output


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("clients", 'ignore = ["10.0.0.300"]'),
        ("clients", 'hosts = ["10.0.0.300"]'),
        ("[clients.class]", 'name = "tv"\nmatch = ["10.0.0.300"]'),
        ("[clients.name]", 'name = "tv"\nmatch = "10.0.0.300"'),
        ("http", 'listen = ["10.0.0.300:80"]'),
        ("http", 'hosts = ["10.0.0.300"]'),
        ("http", 'hosts = ["[1:2]:80"]'),
        ("http", 'frame_ancestors = ["https://10.0.0.300:80"]'),
        ("http", 'proxies = ["10.0.0.300"]'),
        ("mqtt", 'broker = "mqtt://10.0.0.300"'),
        ("mqtt", 'broker = "mqtts://[fd00::1::2]:80"'),
        ("messages", 'page = "http://10.0.0.300/"'),
        ("activity.traffic", 'ignore = ["10.0.0.300"]'),
        ("activity.traffic", 'ignore = ["10.0.0.*"]'),
        ("activity.tcp", 'ports = [22]\nignore = ["10.0.0.300"]'),
        ("activity.wifi", 'ignore = ["b8:27:eb"]'),
        ("activity.ups", 'address = "10.0.0.300"'),
        ("[activity.mpd]", 'name = "a"\naddress = "10.0.0.300"'),
        ("[activity.kodi]", 'name = "a"\nurl = "http://10.0.0.300:8080/jsonrpc"'),
        ("[activity.http]", 'name = "a"\njmespath = "a"\nurl = "http://10.0.0.300/"'),
        ("[activity.calendar]", 'name = "a"\nurl = "https://10.0.0.300/"'),
    ],
)
def test_an_address_that_is_none_is_an_error_in_every_option(table: str, line: str) -> None:
    key = line.rpartition("\n")[2].partition(" ")[0]
    with pytest.raises(ConfigError) as caught:
        parse(f"[{table}]\n{line}".encode(), "test")
    assert all(re.search(rf"{key}: .*; ", str(each)) for each in caught.value.faults), caught.value


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("activity.ups", 'address = "localhost"'),
        ("[activity.mpd]", 'name = "a"\naddress = "music.lan"'),
        ("[activity.mpd]", 'name = "a"\naddress = "/run/mpd/socket"'),
        ("messages", 'page = "https://anna:word@nas.lan:8443/powerd/"'),
        ("messages", 'page = "http://[fd00::1]/"'),
    ],
)
def test_an_address_that_is_one_is_accepted(table: str, line: str) -> None:
    parse(f"[{table}]\n{line}".encode(), "test")
