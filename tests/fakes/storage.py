"""State files in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from powerd.core.codec import Json, codec_of, decode
from powerd.core.storage import Loaded, Storage

T = TypeVar("T")


class MemoryStorage(Storage):
    """Holds each document as its JSON text, as a directory does.

    Attributes:
        written: every document in the order in which it was saved; None = it was removed.
    """

    def __init__(self, documents: dict[str, Any] | None = None) -> None:
        super().__init__(None)
        self._texts = {name: json.dumps(document) for name, document in (documents or {}).items()}
        self.written: list[Any] = []

    def load(
        self, name: str, kind: type[T], upgrade: Callable[[Json], Json] = lambda document: document
    ) -> Loaded[T]:
        text = self._texts.get(name, "null")
        return Loaded(None if text == "null" else decode(kind, upgrade(json.loads(text)), strict=False))

    def save(
        self,
        name: str,
        value: object,
        *,
        kind: Any = None,  # noqa: ANN401 - as the real one
        irreplaceable: bool = False,  # noqa: ARG002 - as the real one
    ) -> str | None:
        self._texts[name] = json.dumps(None if value is None else codec_of(kind or type(value)).encode(value))
        self.written.append(json.loads(self._texts[name]))
        return None
