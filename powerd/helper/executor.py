"""Serial execution for one device or subsystem, in daemon threads and child processes, with quarantine.

A late call is abandoned, because nothing ends a thread or a process that hangs in the kernel. Its executor
is in quarantine until the call has returned: it starts nothing, while all other executors continue. Only a
call that was started can be late; a request that waits too long for its turn is refused with the name of
the current one.
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
    """Executes the calls of one device or subsystem, one at a time.

    Args:
        name: its name in messages, ``the real-time clock``.
        deadline: seconds that a call may take, and that a request waits for its turn.
    """

    def __init__(self, name: str, deadline: float = DEVICE_DEADLINE) -> None:
        self._name = name
        self._deadline = deadline
        self._lock = asyncio.Lock()
        self._abandoned: set[asyncio.Future[Any]] = set()
        self._current_purpose = ""

    @property
    def quarantined(self) -> bool:
        """An abandoned call has not returned yet."""
        return bool(self._abandoned)

    @property
    def busy(self) -> bool:
        """The executor is reserved, or in quarantine."""
        return self._lock.locked() or self.quarantined

    async def call(self, work: Callable[[], _T], purpose: str) -> _T:
        """Reserve the executor, and run ``work`` in a thread.

        Raises:
            RefusalError: the call is late; or its turn did not come in time, and it is not started.
        """
        async with self.reserve(purpose):
            return await self.run_in_thread(work, self._deadline)

    @contextlib.asynccontextmanager
    async def reserve(self, purpose: str) -> AsyncIterator[None]:
        """Reserve the device for one request.

        Args:
            purpose: the name of the request, for the messages to those that wait.

        Raises:
            RefusalError: the turn does not come in time, or the executor is in quarantine.
        """
        try:
            async with asyncio.timeout(self._deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise self._quarantine_error() or RefusalError(
                f"{self._name} has been busy for {self._deadline:g} s, now with another request "
                f"({self._current_purpose}); try again later",
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
        """Run ``work`` in a thread; the caller has reserved the executor.

        Args:
            work: may block.
            seconds: the time until it is abandoned.

        Raises:
            RefusalError: the call is late.
        """
        future = _start_thread(work, self._name)
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            if not future.done():  # late, or the caller is cancelled
                self.quarantine_until(future)
        if not future.done():
            raise RefusalError(
                f"{self._name} did not respond within {seconds:g} s; see dmesg", FailureCause.UNRESPONSIVE
            )
        return future.result()

    def quarantine_until(self, future: asyncio.Future[Any]) -> None:
        """Keep the executor in quarantine until ``future`` is done."""
        self._abandoned.add(future)
        future.add_done_callback(self._end_quarantine)

    def _end_quarantine(self, future: asyncio.Future[Any]) -> None:
        self._abandoned.discard(future)
        if not future.cancelled():
            future.exception()  # the result of an abandoned call is not needed

    def _quarantine_error(self) -> RefusalError | None:
        if not self._abandoned:
            return None
        return RefusalError(
            f"{self._name} still hangs in an earlier request, so no new request is started; see dmesg",
            FailureCause.UNRESPONSIVE,
        )


def _start_thread(work: Callable[[], _T], name: str) -> asyncio.Future[_T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def deliver(set_outcome: Callable[[], None]) -> None:
        if not future.done():
            set_outcome()

    def run() -> None:
        try:
            set_outcome = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            set_outcome = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(deliver, set_outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
