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

from powerd.helper.errors import RefusalError
from powerd.helper.messages.bounds import DEADLINE
from powerd.model import Trouble

_T = TypeVar("_T")


class Lane:
    """The calls of one device or subsystem.

    Args:
        name: what sentences call it, e.g. ``the real-time clock``.
        deadline: seconds that a call may take, and that anybody waits for its turn.
    """

    def __init__(self, name: str, deadline: float = DEADLINE) -> None:
        self._name = name
        self._deadline = deadline
        self._turn = asyncio.Lock()
        self._hung: set[asyncio.Future[Any]] = set()
        self._doing = ""

    @property
    def hangs(self) -> bool:
        """Something was given up and has not come back."""
        return bool(self._hung)

    @property
    def busy(self) -> bool:
        """A turn is under way, or something hangs."""
        return self._turn.locked() or self.hangs

    async def call(self, work: Callable[[], _T], what: str) -> _T:
        """What ``work``, in a turn of its own, gives back or raises; ``what`` as in turn().

        Raises:
            RefusalError: it is late; or its turn did not come in time, and it will never be begun.
        """
        async with self.turn(what):
            return await self.in_thread(work, self._deadline)

    @contextlib.asynccontextmanager
    async def turn(self, what: str) -> AsyncIterator[None]:
        """One turn: whoever is inside has the device to itself.

        Args:
            what: is done in it, in a word; those who wait for its end are told.

        Raises:
            RefusalError: the turn does not come in time, or something hangs.
        """
        try:
            async with asyncio.timeout(self._deadline):
                await self._turn.acquire()
        except TimeoutError:
            raise self._stopped() or RefusalError(
                f"{self._name} has been busy for {self._deadline:g} s, now with another request "
                f"({self._doing}); ask again later",
                Trouble.BUSY,
            ) from None
        try:
            hung = self._stopped()
            if hung is not None:
                raise hung
            self._doing = what
            yield
        finally:
            self._turn.release()

    async def in_thread(self, work: Callable[[], _T], seconds: float) -> _T:
        """Within a turn: what ``work``, in a thread of its own, gives back or raises.

        Args:
            work: it may block.
            seconds: until it is given up.

        Raises:
            RefusalError: it is late.
        """
        answer = _in_thread(work, self._name)
        try:
            await asyncio.wait({answer}, timeout=seconds)
        finally:
            if not answer.done():  # late, or whoever waited for it is cancelled
                self.give_up(answer)
        if not answer.done():
            raise RefusalError(f"{self._name} did not answer within {seconds:g} s; see dmesg", Trouble.HUNG)
        return answer.result()

    def give_up(self, end: asyncio.Future[Any]) -> None:
        """Put the lane into quarantine until ``end`` is done, however it ends."""
        self._hung.add(end)
        end.add_done_callback(self._come_back)

    def _come_back(self, end: asyncio.Future[Any]) -> None:
        self._hung.discard(end)
        if not end.cancelled():
            end.exception()  # nobody waits for it any more, so nobody needs to be told

    def _stopped(self) -> RefusalError | None:
        if not self._hung:
            return None
        return RefusalError(
            f"{self._name} still hangs in an earlier request, so nothing new is begun; see dmesg",
            Trouble.HUNG,
        )


def _in_thread(work: Callable[[], _T], name: str) -> asyncio.Future[_T]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not answer.done():
            give()

    def carry_out() -> None:
        try:
            give = partial(answer.set_result, work())
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            give = partial(answer.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, give)

    threading.Thread(target=carry_out, name=name, daemon=True).start()
    return answer
