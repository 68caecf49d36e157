"""A lane: calls that a device may never return from, one at a time, each in a daemon thread.

A call that is late is given up, not ended: nothing ends a thread that hangs in the kernel. Its lane is
then in quarantine: it begins nothing until that call has come back, and meanwhile all other lanes run on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from powerd.helper.errors import RefusalError

DEADLINE: Final = 5.0
"""Seconds from asking to the answer, waiting for one's turn included."""

_T = TypeVar("_T")


class Lane:
    """The calls of one device or subsystem.

    Args:
        name: what sentences call it, e.g. ``the real-time clock``.
        deadline: seconds.
    """

    def __init__(self, name: str, deadline: float = DEADLINE) -> None:
        self._name = name
        self._deadline = deadline
        self._turn = asyncio.Lock()
        self.busy = False
        """A call is under way, or was given up and has not come back."""

    async def call(self, work: Callable[[], _T]) -> _T:
        """What ``work`` gives back, or raises.

        Raises:
            RefusalError: it is late; or its turn did not come in time, and it will never be begun.
        """
        try:
            async with asyncio.timeout(self._deadline), self._turn:
                if self.busy:
                    raise RefusalError(
                        f"{self._name} still hangs in an earlier request, so nothing new is begun; see dmesg"
                    )
                return await self._in_thread(work)
        except TimeoutError:
            raise RefusalError(
                f"{self._name} did not answer within {self._deadline:g} s; see dmesg"
            ) from None

    def _in_thread(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()

        def settle(give: Callable[[], None]) -> None:
            self.busy = False
            if not answer.done():  # nobody waits for a late one
                give()

        def carry_out() -> None:
            try:
                give = partial(answer.set_result, work())
            except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
                give = partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, give)

        self.busy = True
        threading.Thread(target=carry_out, name=self._name, daemon=True).start()
        return answer
