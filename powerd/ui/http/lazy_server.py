"""The door to the HTTP face: sockets listen from the start, the server is loaded at the first knock.

A daemon that nobody looks at never imports aiohttp (17 MB and 0.2 s); the connection that wakes it is served.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.disks.disk_id import DiskId
from powerd.requests.model import KeepAwake, WakeOnLanResult
from powerd.smart.actions import TestKind
from powerd.ui.http.event_stream import EventFeed

if TYPE_CHECKING:
    from aiohttp.web import AppRunner


@dataclass(frozen=True, slots=True)
class RequestHandlers:
    """All that a person may ask the house to do; each raises RefusedError when it cannot be.

    Attributes:
        keep: stay awake for so many seconds, because of so and so.
        drop: end the keep of this id.
        hold: stay awake inside ``with``, because of so and so.
        wake: send magic packets to a host, by its name, address or MAC.
        spin_down: have a disk and its group stand by, by its id; gives those that were meant.
        check: read a drive's health, by its id, device or serial number.
        test: have a drive test itself, ``short`` or ``long``.
        token: the secret that changing anything over TCP takes; None = over TCP nothing may be changed.
            Raises ValueError when it cannot be read, one clause.
    """

    keep: Callable[[float, str], KeepAwake]
    drop: Callable[[str], KeepAwake]
    hold: Callable[[str], AbstractContextManager[KeepAwake]]
    wake: Callable[[str], Awaitable[WakeOnLanResult]]
    spin_down: Callable[[str], Awaitable[tuple[DiskId, ...]]]
    check: Callable[[str], Awaitable[DiskId]]
    test: Callable[[str, TestKind], Awaitable[DiskId]]
    token: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class UiContext:
    """All that the HTTP face is given of the house.

    Attributes:
        status: the last decision; None = there is none yet.
        now: the present moment, against which a page says "2 min ago".
        refresh: look afresh at every client, and decide; bounded in time by the giver.
        trouble: why no decisions are being made, one sentence; None = they are.
        requests: what may be asked for.
        feed: transitions, as they are told.
    """

    status: Callable[[], Status | None]
    now: Callable[[], Moment]
    refresh: Callable[[], Awaitable[None]]
    trouble: Callable[[], str | None]
    requests: RequestHandlers
    feed: EventFeed = field(default_factory=EventFeed)


class LazyHttpServer:
    """Serves the faces on sockets that are bound and listening already; closes them at the end.

    Args:
        sockets: non-blocking listeners, Unix and TCP.
        context: what is served.
    """

    def __init__(self, sockets: Sequence[socket.socket], context: UiContext) -> None:
        self._sockets = tuple(sockets)
        self._context = context
        self._startup: asyncio.Task[AppRunner] | None = None

    async def start(self) -> None:
        """Wait for the first connection, in the background; costs nothing until it comes."""
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            loop.add_reader(listener, self._on_connection)

    async def close(self) -> None:
        """Stop serving, within a second, and close the sockets."""
        self._stop_waiting()
        if self._startup is not None:
            self._startup.cancel()
            results = await asyncio.gather(self._startup, return_exceptions=True)
            if not isinstance(results[0], BaseException):
                await results[0].cleanup()
        for listener in self._sockets:
            listener.close()

    def _stop_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            if listener.fileno() >= 0:
                loop.remove_reader(listener)

    def _on_connection(self) -> None:
        self._stop_waiting()
        self._startup = asyncio.get_running_loop().create_task(self._start_server())
        self._startup.add_done_callback(self._on_started)

    async def _start_server(self) -> AppRunner:
        from powerd.ui.http import app  # noqa: PLC0415 - the point of this file

        return await app.start_server(self._sockets, self._context)

    def _on_started(self, startup: asyncio.Task[AppRunner]) -> None:
        """A face that cannot be shown is no reason to stop deciding, but it is to be heard of."""
        if startup.cancelled() or (error := startup.exception()) is None:
            return
        for listener in self._sockets:
            listener.close()
        message = f"the status page cannot be served: {error}; is aiohttp installed?"
        startup.get_loop().call_exception_handler({"message": message, "exception": error})
