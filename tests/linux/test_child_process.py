"""A child process is reaped, with and without a pidfd."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from rig.limits import no_more_files

from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.linux.subprocess import ChildProcess

pytestmark = pytest.mark.process

SH: Final = Path("/bin/sh")


@pytest.fixture(autouse=True)
def no_descriptor_stays_open() -> Iterator[None]:
    gc.collect()  # or what earlier tests have left is closed meanwhile
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names, not paths


@pytest.fixture(params=["pidfd", "no pidfd", "no room in epoll"])
def shortage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is lacking between a child's start and its watch, as by the files of another thread."""
    real = os.pidfd_open

    def opened(pid: int) -> int:
        with no_more_files():
            return real(pid)

    if request.param == "no pidfd":
        monkeypatch.setattr(os, "pidfd_open", opened)
        with pytest.raises(OSError, match="Too many open files"):
            os.pidfd_open(os.getpid())
    return str(request.param)


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")  # epoll(7), max_user_watches


def start_child(script: str, shortage: str) -> ChildProcess:
    loop, nowhere = asyncio.get_running_loop(), os.open(os.devnull, os.O_RDWR)
    try:
        with pytest.MonkeyPatch.context() as patch:
            if shortage == "no room in epoll":
                patch.setattr(loop, "add_reader", refuse)
            return ChildProcess(["sh", "-c", script], (nowhere, nowhere, nowhere), {}, executable=SH)
    finally:
        os.close(nowhere)


def is_left(child: ChildProcess) -> bool:
    """As a zombie at least."""
    return Path(f"/proc/{child.pid}").exists()


def test_an_exit_is_detected(shortage: str) -> None:
    async def main() -> None:
        child = start_child("exit 3", shortage)
        assert await child.exited_within(20)
        assert (child.status, is_left(child)) == (3, False)

    asyncio.run(main())


def test_a_late_child_is_terminated(shortage: str) -> None:
    async def main() -> None:
        child = start_child("exec sleep 600", shortage)
        assert not await child.exited_within(0.1)
        assert await child.terminate(20)
        assert (child.status, is_left(child)) == (-15, False)

    asyncio.run(main())


def test_an_abandoned_child_keeps_its_executor_in_quarantine(shortage: str) -> None:
    async def main() -> None:
        executor, child = SerialExecutor("sda"), start_child("exec sleep 600", shortage)
        child.send_signal(signal.SIGKILL)
        executor.quarantine_until(child.exited)
        with pytest.raises(RefusalError, match="sda still hangs"):
            await executor.call(lambda: None, "a test")
        async with asyncio.timeout(20):
            while executor.quarantined:  # noqa: ASYNC110 - the kernel ends it without an event
                await asyncio.sleep(0.01)
        assert not is_left(child)

    asyncio.run(main())
