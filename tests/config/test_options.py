"""The declarations: every default is a valid value."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import pytest

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
