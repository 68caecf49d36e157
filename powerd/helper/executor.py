"""A lane: what a device may never return from, one thing at a time, by daemon threads and child processes.

What is late is given up, not ended: nothing ends a thread, or a process, that hangs in the kernel. Its lane
is then in quarantine: it begins nothing until that has come back, and meanwhile all other lanes run on. Only
what has been begun can be late: who waits in vain for a turn is told who has it, and may ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

from powerd.disks.model import FailureCause
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.deadlines import DEVICE_DEADLINE

_T = TypeVar("_T")


class SerialExecutor:
    """The calls of one device or subsystem.

    Args:
        name: what sentences call it, e.g. ``the real-time clock``.
        deadline: seconds that a call may take, and that anybody waits for its turn.
    """

    def __init__(self, name: str, deadline: float = DEVICE_DEADLINE) -> None:
        self._name = name
        self._deadline = deadline
        self._lock = asyncio.Lock()
        self._abandoned: set[asyncio.Future[Any]] = set()
        self._current_purpose = ""

    @property
    def quarantined(self) -> bool:
        """Something was given up and has not come back."""
        return bool(self._abandoned)

    @property
    def busy(self) -> bool:
        """A turn is under way, or something hangs."""
        return self._lock.locked() or self.quarantined

    async def call(self, work: Callable[[], _T], purpose: str) -> _T:
        """What ``work``, in a turn of its own, gives back or raises; ``what`` as in turn().

        Raises:
            RefusalError: it is late; or its turn did not come in time, and it will never be begun.
        """
        async with self.reserve(purpose):
            return await self.run_in_thread(work, self._deadline)

    @contextlib.asynccontextmanager
    async def reserve(self, purpose: str) -> AsyncIterator[None]:
        """One turn: whoever is inside has the device to itself.

        Args:
            purpose: is done in it, in a word; those who wait for its end are told.

        Raises:
            RefusalError: the turn does not come in time, or something hangs.
        """
        try:
            async with asyncio.timeout(self._deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise self._quarantine_error() or RefusalError(
                f"{self._name} has been busy for {self._deadline:g} s, now with another request "
                f"({self._current_purpose}); ask again later",
                FailureCause.BUSY,
            ) from None
        try:
            quarantine_error = self._quarantine_error()
            if quarantine_error is not None:
                raise quarantine_error
            self._current_purpose = purpose
            yield
        finally:
            self._lock.release()

    async def run_in_thread(self, work: Callable[[], _T], seconds: float) -> _T:
        """Within a turn: what ``work``, in a thread of its own, gives back or raises.

        Args:
            work: it may block.
            seconds: until it is given up.

        Raises:
            RefusalError: it is late.
        """
        future = _start_thread(work, self._name)
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            if not future.done():  # late, or whoever waited for it is cancelled
                self.quarantine_until(future)
        if not future.done():
            raise RefusalError(
                f"{self._name} did not respond within {seconds:g} s; see dmesg", FailureCause.UNRESPONSIVE
            )
        return future.result()

    def quarantine_until(self, future: asyncio.Future[Any]) -> None:
        """Put the lane into quarantine until ``end`` is done, however it ends."""
        self._abandoned.add(future)
        future.add_done_callback(self._end_quarantine)

    def _end_quarantine(self, future: asyncio.Future[Any]) -> None:
        self._abandoned.discard(future)
        if not future.cancelled():
            future.exception()  # nobody waits for it any more, so nobody needs to be told

    def _quarantine_error(self) -> RefusalError | None:
        if not self._abandoned:
            return None
        return RefusalError(
            f"{self._name} still hangs in an earlier request, so nothing new is begun; see dmesg",
            FailureCause.UNRESPONSIVE,
        )


def _start_thread(work: Callable[[], _T], name: str) -> asyncio.Future[_T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not future.done():
            give()

    def carry_out() -> None:
        try:
            give = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            give = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, give)

    threading.Thread(target=carry_out, name=name, daemon=True).start()
    return future
