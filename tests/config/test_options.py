"""The declarations: every default is one that the configuration itself could say."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import pytest

from powerd.config import Awake, ClientClass, Clients, Hooks, Http, Options, SleepRule, Wake

TABLES: list[type[Any]] = [Options, Clients, ClientClass, SleepRule, Awake, Wake, Hooks, Http]


@pytest.mark.parametrize("table", TABLES)
def test_defaults_pass_their_own_kind(table: type[Any]) -> None:
    said = 0
    for field in dataclasses.fields(table):
        if (
            "kind" in field.metadata
            and field.default is not None
            and (table, field.name) != (ClientClass, "name")
        ):
            kind = field.metadata["kind"]
            assert kind.read(tomllib.loads(f"x = {kind.show(field.default)}")["x"]) == field.default
            said += 1
    assert said
