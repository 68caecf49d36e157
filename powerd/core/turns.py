"""Long loops that let the event loop run; apart from core/poller.py, which ``powerd check`` does not load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

_T = TypeVar("_T")


async def in_turns(items: Iterable[_T], size: int = 256) -> AsyncIterator[_T]:
    """The items; the event loop runs after each ``size`` of them, so that many do not block it."""
    for count, item in enumerate(items, 1):
        yield item
        if count % size == 0:
            await asyncio.sleep(0)  # noqa: TID251 - it does not wait
