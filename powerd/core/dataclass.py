"""The decorator ``dataclass``, for which a frozen class is one whose fields mypy lets nobody assign.

At run time nothing refuses it. The standard decorator calls object.__setattr__() for each field of a new
instance, which takes five times as long as an assignment: with 170 instances a round, a seventh of the CPU
time of the daemon. It also compiles ``__repr__``, ``__setattr__`` and ``__delattr__`` for each frozen class,
which took 1.6 of the 28 MB of resident memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - mypy sees the standard decorator
else:

    def dataclass(*, frozen: bool = False, **options: bool) -> Callable[[type], type]:
        """As dataclasses.dataclass()."""

        def make(cls: type) -> type:
            if not frozen:
                return dataclasses.dataclass(**options)(cls)
            cls.__repr__ = _repr
            hashes = options.get("eq", True) and "__hash__" not in vars(cls)
            return dataclasses.dataclass(repr=False, unsafe_hash=hashes, **options)(cls)

        return make


def _repr(self: object) -> str:
    fields = [field.name for field in dataclasses.fields(self) if field.repr]  # type: ignore[arg-type] # a dataclass
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in fields)})"
