"""How an option is declared: once, with its default, its documentation and its kind."""

from __future__ import annotations

from dataclasses import field
from typing import Any, NamedTuple, TypeVar

from powerd.config.kinds import OptionType

T = TypeVar("T")


class InvalidCombination(NamedTuple):
    """A fault between options that are none by themselves.

    Attributes:
        keys: paths of those that make it; it is told at the first, and not where one is at fault by itself.
        text: one clause that says what is wrong.
    """

    keys: tuple[str, ...]
    text: str


def option(default: T, doc: str, kind: OptionType[Any]) -> T:
    """A dataclass field with its documentation and kind; typed as its value, as dataclasses.field is."""
    return field(default=default, metadata={"doc": doc, "kind": kind})


def table_array(row: type[T], doc: str) -> tuple[T, ...]:
    """A field for an array of tables, each read as ``row``."""
    return field(default=(), metadata={"doc": doc, "row": row})
