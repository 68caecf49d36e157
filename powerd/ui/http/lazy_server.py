"""Lazy HTTP server: sockets listen from the start; aiohttp is imported on the first connection.

aiohttp takes 17 MB and 0.2 s. The first connection waits in the kernel's queue meanwhile and is then served.
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
from powerd.ui.http.event_feed import EventFeed

if TYPE_CHECKING:
    from aiohttp.web import AppRunner


@dataclass(frozen=True, slots=True)
class RequestHandlers:
    """What the API can request from the daemon. Each callable except ``token`` raises RefusedError.

    Attributes:
        keep: keeps the server awake for a number of seconds, with a reason.
        drop: ends the keep-awake request with this id.
        hold: keeps the server awake inside ``with``, with a reason.
        wake: sends magic packets to a host, given by name, address or MAC.
        spin_down: spins a disk and its group down; returns the disks of the group.
        check: checks the health of a drive, given by id, device or serial number.
        test: starts a self-test of a drive, ``short`` or ``long``.
        token: the secret that writing over TCP requires; None = nothing can be written over TCP. Raises
            ValueError (one clause) if the token cannot be read.
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
    """What the HTTP server gets from the daemon.

    Attributes:
        status: returns the last decision; None before the first one.
        now: returns the current time, from which the page computes "2 min ago".
        refresh: polls every client and decides; the daemon limits its duration.
        decision_error: returns why no decisions are made, in one sentence; None = they are.
        requests: what the API can request.
        feed: the events.
    """

    status: Callable[[], Status | None]
    now: Callable[[], Moment]
    refresh: Callable[[], Awaitable[None]]
    decision_error: Callable[[], str | None]
    requests: RequestHandlers
    feed: EventFeed = field(default_factory=EventFeed)


class LazyHttpServer:
    """Serves HTTP on sockets that already listen, and closes them at the end.

    Args:
        sockets: non-blocking listening sockets, Unix and TCP.
        context: the daemon's side.
    """

    def __init__(self, sockets: Sequence[socket.socket], context: UiContext) -> None:
        self._sockets = tuple(sockets)
        self._context = context
        self._startup: asyncio.Task[AppRunner] | None = None

    async def start(self) -> None:
        """Wait for the first connection in the background."""
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            loop.add_reader(listener, self._on_connection)

    async def close(self) -> None:
        """Stop serving within a second, and close the sockets."""
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
        from powerd.ui.http import app  # noqa: PLC0415 - imports aiohttp, on the first connection only

        return await app.start_server(self._sockets, self._context)

    def _on_started(self, startup: asyncio.Task[AppRunner]) -> None:
        """Report a failed start. The daemon continues to decide without the HTTP server."""
        if startup.cancelled() or (error := startup.exception()) is None:
            return
        for listener in self._sockets:
            listener.close()
        message = f"the status page cannot be served: {error}; is aiohttp installed?"
        startup.get_loop().call_exception_handler({"message": message, "exception": error})
