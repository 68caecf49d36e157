"""The way into a sleep and out of it, whoever ordered it: what logind says, and what is made of it.

logind announces each sleep and shutdown, and waits for a few seconds for whoever holds a delay lock
(https://systemd.io/INHIBITOR_LOCKS). Powerd lets go of its own only when all is done and told, and takes it
again only when logind has said that the sleep is over, for before that it would hold up the very same one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

from powerd.board import Board
from powerd.clock import Clock
from powerd.host import wakeup
from powerd.host.values import Going, HostError
from powerd.host.wakeup import Wakeups
from powerd.model import Leaving, Status, Wake, Waking
from powerd.transit.lock import Lock
from powerd.transit.night import Night

_SLEPT: Final = 0.01
"""Seconds that CLOCK_BOOTTIME gains in a sleep, if anything; the two clocks are read microseconds apart."""
_LATE: Final = 30.0
"""Seconds that logind may take to say that a sleep is over; suspend-then-hibernate is awake in between."""
_TELLING: Final = 1.0
"""Seconds that a sleep of others may wait until it has been told of."""
_FAREWELL: Final = 20.0
"""Seconds that stopping may take for the alarm; the service's TimeoutStopSec=30s comes after."""
_DELAY_MOST: Final = 5.0
"""InhibitDelayMaxSec= where nobody has changed it (logind.conf(5)), seconds."""
_MARGIN: Final = 0.5


class Eyes(Protocol):
    """What has to be seen on the way."""

    def goings(self) -> AsyncIterator[Going]:
        """What logind says unasked; never ends, never raises."""
        ...

    def wakeup_sources(self) -> Wakeups:
        """What the kernel tells of wake-ups at this moment."""
        ...

    async def patience(self) -> float:
        """For how many seconds logind waits for delay locks. Raises HostError when it does not say."""
        ...


class Transit:
    """Takes the server into each sleep, and out of it.

    Args:
        board: where it is told that the server is leaving, and what woke it.
        clock, eyes: the host.
        night: prepares each sleep.
        lock: a delay lock on sleep and shutdown.
        wanted: looks afresh when the server has to be up again; within a second.
        hear: told of what logind says, and of the end of each sleep.
        complain: told of each fault, one sentence.
    """

    def __init__(  # noqa: PLR0913 - what it sees, what it works through, and whom it tells
        self,
        board: Board,
        clock: Clock,
        eyes: Eyes,
        night: Night,
        lock: Lock,
        *,
        wanted: Callable[[], Awaitable[Wake | None]],
        hear: Callable[[Going], None],
        complain: Callable[[str], None],
    ) -> None:
        self._board = board
        self._clock = clock
        self._eyes = eyes
        self._wanted = wanted
        self._hear = hear
        self._complain = complain
        self._night = night
        self._lock = lock
        self._leaving: Leaving | None = None
        self._doubted: Leaving | None = None
        self._slept = clock.now().slept
        self._before = Wakeups()
        self._told, self._asleep, self._back = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def live(self) -> None:
        """Hear what logind says, and see to it, until cancelled.

        At the end no alarm of powerd's stays, unless the machine is going down with it.
        """
        try:
            await self._night.put_away()  # what a former life may have left
            self._before = self._eyes.wakeup_sources()
            async with asyncio.TaskGroup() as tasks:
                self.stand_by()
                tasks.create_task(self._lock.live())
                tasks.create_task(self._notice())
                async for going in self._eyes.goings():
                    await self._heed(going)
                raise RuntimeError("powerd stopped hearing logind, which it must never do")
        finally:
            if self._leaving is None or self._leaving.what != "shutdown":
                await self._clear_up()

    async def _clear_up(self) -> None:
        """In a task of its own: in one that is being cancelled, Python 3.11.2 makes no TimeoutError."""
        putting = asyncio.get_running_loop().create_task(self._night.put_away())
        await asyncio.wait({putting}, timeout=_FAREWELL)
        if not putting.done():
            self._complain("an alarm of powerd's may still stand: the helper does not answer")
            putting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await putting

    def decided(self, status: Status) -> None:
        """Take note of a decision: that it has been told, and that the server slept."""
        if self._leaving is not None and status.snapshot.leaving is self._leaving:
            self._told.set()
        if self._has_slept():
            self._asleep.set()

    async def _heed(self, going: Going) -> None:
        if going.what not in {"sleep", "shutdown"}:
            self._lock.nudge()
            self._hear(going)
            if going.what == "found":  # logind may have said meanwhile that it is over
                self._doubted = self._leaving
                self._asleep.set()
        elif going.begins:
            await self._depart(going.what)
        else:
            self._back.set()
            await self._return()

    def stand_by(self) -> None:
        """Have logind wait for us before the next sleep; who only observes makes nobody wait."""
        if self._night.options.mode == "observe":
            self._lock.want(None)
        elif self._leaving is None:
            self._lock.want("sets the alarm, and runs hooks")

    async def _depart(self, what: str) -> None:
        """Do what there is time for, and let go."""
        self._back.clear()
        self._told.clear()
        self._arrive()  # from a sleep that nobody noticed, lest it be taken for the end of this one
        self._leaving = Leaving(self._clock.now().mono, what)
        self._board.leaving(self._leaving)
        try:
            if self._night.options.mode == "enforce":
                async with asyncio.timeout(await self._time_left()):
                    await self._night.prepare(what, await self._wanted())
        except TimeoutError:
            self._complain(
                f"logind waits no longer, and not all is done for the {what}; "
                "raise InhibitDelayMaxSec= in logind.conf(5)"
            )
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TELLING):
                    await self._told.wait()
            self._before = self._eyes.wakeup_sources()
            self._lock.want(None)

    async def _time_left(self) -> float:
        """Seconds until logind goes on without us, less what it takes to tell of it."""
        try:
            most = await self._eyes.patience()
        except HostError:
            most = _DELAY_MOST
        return max(most - _TELLING - _MARGIN, most / 2)

    async def _notice(self) -> None:
        """See by the clocks that the server has slept, should logind not say so, or not be heard."""
        while True:
            await self._asleep.wait()
            self._asleep.clear()
            leaving = self._leaving
            if leaving is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LATE):
                        await self._back.wait()
            missed = leaving is not None and leaving is self._doubted
            if self._leaving is leaving and (missed or self._has_slept()):
                await self._return()

    def _has_slept(self) -> bool:
        return self._clock.now().slept - self._slept > _SLEPT

    def _woken(self) -> Waking | None:
        """What woke the server since this was last asked; None = it has not slept."""
        now, before = self._clock.now(), self._before
        clocked = self._has_slept()
        self._slept, self._before = now.slept, self._eyes.wakeup_sources()
        if not clocked and not self._before.slept_since(before):
            return None
        return Waking(
            now.mono,
            *wakeup.cause(before, self._before, alarm_due=self._night.alarm_due),
            clocked=clocked,
        )

    async def _return(self) -> None:
        """The server is up again, or did not go: tell what woke it, and leave nothing behind.

        Clearing up comes last: a helper that hangs takes a minute, and the next sleep may begin meanwhile.
        """
        cause = self._arrive()
        self._leaving = None
        self._board.leaving(None)
        self.stand_by()
        self._hear(Going("sleep", begins=False))
        await self._night.end(cause)

    def _arrive(self) -> str:
        """Tell what woke the server, and give its cause; "" = it has not slept."""
        waking = self._woken()
        if waking is None:
            return ""
        told = filter(None, (waking.detail, self._night.alarm_fate))
        self._board.woke(replace(waking, detail="; ".join(told)))
        return waking.cause
