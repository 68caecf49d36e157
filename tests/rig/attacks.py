"""Attacks on the HTTP server over TCP: ``python -m rig.attacks NAME PORT``, in the namespace of the server.

Each connection that the server has ended is replaced by another, until SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import itertools
import resource
import sys
from collections.abc import Callable
from typing import Final, NamedTuple

_HEAD: Final = "Host: localhost:{port}\r\n"
_numbers: Final = itertools.count()


class Attack(NamedTuple):
    """What each of ``connections`` sends, and for how many seconds it stays; the response is read or not."""

    connections: int
    request: Callable[[], str]
    body: Callable[[], bytes] = bytes
    reads: bool = True
    seconds: float = 60


@functools.cache
def bomb() -> bytes:
    """A body that unpacks to 268 MB; made in a second, and by one attack only."""
    return gzip.compress(bytes(1 << 28), 1)


def get(path: str, headers: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\n{_HEAD}{headers}\r\n"


ATTACKS: Final = {
    "idle": Attack(1100, str),
    "half requests": Attack(300, lambda: f"GET / HTTP/1.1\r\n{_HEAD}"),
    "gzip bombs": Attack(
        8,
        lambda: (
            f"POST /api/keep HTTP/1.1\r\n{_HEAD}Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(bomb())}\r\n\r\n"
        ),
        bomb,
    ),
    "event streams": Attack(200, lambda: get("/api/events"), reads=False, seconds=2),
    "unread pages": Attack(200, lambda: get("/"), reads=False, seconds=2),
    "pipelined requests": Attack(30, lambda: get("/api/clients") * 5000),
    "huge headers": Attack(30, lambda: get("/", "".join(f"A{n}: {'b' * 8000}\r\n" for n in range(100)))),
    "unknown paths": Attack(30, lambda: get(f"/{next(_numbers)}")),
}


async def repeat(attack: Attack, port: int) -> None:
    """One connection after the other, until the process ends."""
    while True:
        request = attack.request().replace("{port}", str(port)).encode() + attack.body()
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, limit=1 << 16 if attack.reads else 1
            )
            writer.write(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(attack.seconds):
                    await (reader.read() if attack.reads else asyncio.Event().wait())
            writer.transport.abort()


async def main(name: str, port: int) -> None:
    attack = ATTACKS[name]
    await asyncio.gather(*(repeat(attack, port) for _ in range(attack.connections)))


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
