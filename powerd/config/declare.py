"""How an option is declared: once, with its default, its documentation and its kind."""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeVar

from powerd.config.kinds import Kind

T = TypeVar("T")


def option(default: T, doc: str, kind: Kind[Any]) -> T:
    """A dataclass field with its documentation and kind; typed as its value, as dataclasses.field is."""
    return field(default=default, metadata={"doc": doc, "kind": kind})


def tables(row: type[T], doc: str) -> tuple[T, ...]:
    """A field for an array of tables, each read as ``row``."""
    return field(default=(), metadata={"doc": doc, "row": row})
