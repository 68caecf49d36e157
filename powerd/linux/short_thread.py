"""Runs a function that blocks in a thread of its own, which ends with it."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def run_in_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of ``function(*arguments)``.

    Memory that it has freed is given back: the C library would keep 16 to 50 MB after one scrypt.

    Raises:
        RuntimeError: no thread can be started.
    """
    executor = ThreadPoolExecutor(1)  # not asyncio.to_thread: its thread would stay
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)
    finally:
        executor.shutdown(wait=False)
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
