"""Runs a function that blocks in a thread of its own, which ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
_M_MMAP_THRESHOLD: Final = -3
_MMAP_THRESHOLD: Final = 1 << 20
"""Bytes from which memory is mapped, and given back when it is freed (mallopt(3)). The C library raises its
own threshold to the largest size that was freed, and then keeps 16 to 50 MB after a few calls of scrypt."""


async def run_in_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of ``function(*arguments)``.

    Raises:
        RuntimeError: no thread can be started.
    """
    import ctypes  # noqa: PLC0415 - 0.4 MB, only from the first use

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
    executor = ThreadPoolExecutor(1)  # not asyncio.to_thread: its thread would stay
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)
    finally:
        executor.shutdown(wait=False)
