"""A process that shows one hand-made Status on real sockets: ``-m ui.status_server NAME SOCKET
[ADDRESS:PORT]``.

Prints a line once it listens, and ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from fakes.requests import FakeRequests
from ui.disk_statuses import DISK_STATUSES
from ui.smart_statuses import smart_status
from ui.statuses import NOW, STATUSES
from ui.wake_statuses import WAKE_STATUSES

from powerd.linux.unix_sockets import listen_tcp, listen_unix
from powerd.ui.http.context import UiContext
from powerd.ui.http.lazy_server import LazyHttpServer

SHOWN = STATUSES | DISK_STATUSES | WAKE_STATUSES | {"drives": smart_status()}


async def serve(name: str, path: Path, where: str | None) -> None:
    async def refresh() -> None:
        await asyncio.sleep(0)

    trouble = "the last decision is 5 min old" if name == "blind" else None
    context = UiContext(
        lambda: SHOWN[name], lambda: NOW, refresh, refresh, lambda: trouble, FakeRequests().requests()
    )
    sockets = [listen_unix(path), *([listen_tcp(where)] if where else [])]
    server = LazyHttpServer(sockets, context)
    await server.start()
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    print("aiohttp" in sys.modules, flush=True)  # noqa: T201 - the test reads it
    await end.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
