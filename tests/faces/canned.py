"""A process that shows one hand-made Status on real sockets: ``-m faces.canned NAME SOCKET [ADDRESS:PORT]``.

Prints a line once it listens, and ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from faces.bays import SHELVES
from faces.drives import drives
from faces.house import EVERY, NOW
from faces.wishing import Wishing

from powerd.faces.http import Door, Faces
from powerd.host.listen import tcp_socket, unix_socket

SHOWN = EVERY | SHELVES | {"drives": drives()}


async def serve(name: str, path: Path, where: str | None) -> None:
    async def look() -> None:
        await asyncio.sleep(0)

    trouble = "the last decision is 5 min old" if name == "blind" else None
    faces = Faces(lambda: SHOWN[name], lambda: NOW, look, lambda: trouble, Wishing().wishes())
    sockets = [unix_socket(path), *([tcp_socket(where)] if where else [])]
    door = Door(sockets, faces)
    await door.start()
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    print("aiohttp" in sys.modules, flush=True)  # noqa: T201 - the test reads it
    await end.wait()
    await door.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
