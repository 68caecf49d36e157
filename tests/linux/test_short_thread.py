"""A thread that ends with its function, and leaves no memory behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from pathlib import Path

import pytest

from powerd.linux.short_thread import run_in_thread


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def scrypt() -> bytes:
    return hashlib.scrypt(b"x", salt=b"y" * 16, n=1 << 14, r=8, p=1, maxmem=64 << 20)


def test_the_memory_of_scrypt_is_given_back() -> None:
    async def scene() -> None:
        assert await run_in_thread(scrypt) == scrypt()
        before = resident_mb()
        for _ in range(4):
            await run_in_thread(scrypt)
        assert resident_mb() < before + 8, "one scrypt takes 16 MB"

    asyncio.run(scene())


def test_its_error_is_raised_and_no_thread_stays() -> None:
    async def scene() -> None:
        with pytest.raises(ZeroDivisionError):
            await run_in_thread(lambda: 1 // 0)
        thread = await run_in_thread(threading.current_thread)
        assert thread is not threading.current_thread()
        thread.join(60)
        assert not thread.is_alive()

    asyncio.run(scene())
