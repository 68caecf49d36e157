"""Each kind shows what it reads."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from powerd.config.declare import (
    OptionType,
    argv,
    boolean,
    choice,
    duration,
    list_of,
    listen_address,
    nonempty_string,
    string_list,
    toml_string,
)
from powerd.config.values import parse_window


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (duration(), "1h30min"),
        (choice("a", "b"), "b"),
        (boolean(), True),
        (boolean(), False),
        (nonempty_string(), 'say "hello"\\'),
        (string_list(), ["a", "ü"]),
        (list_of(parse_window), ["Fri,Sat 01:30-10:00"]),
        (list_of(listen_address), ["[::1]:80", "127.0.0.1:8787"]),
        (argv(), ["/bin/echo", "", "one\ntwo\x7f"]),
        (argv(), []),
    ],
)
def test_shown_value_reads_back(kind: OptionType[Any], value: object) -> None:
    shown = kind.show(kind.read(value))
    assert tomllib.loads(f"x = {shown}") == {"x": value}


def test_every_character_fits_into_a_toml_string() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10FFFF + 1)]))
    assert tomllib.loads(f"x = {toml_string(every)}") == {"x": every}
