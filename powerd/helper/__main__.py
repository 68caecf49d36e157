"""``python -m powerd.helper``: for its socket (powerd-helper.socket), or with --socket from a checkout."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from powerd.helper.desk import Desk
from powerd.helper.door import admitted, handed_over, opened
from powerd.helper.errors import RefusalError
from powerd.helper.server import Server
from powerd.helper.tool import Tools

_IDLE: Final = 30.0
"""Seconds without a client after which a helper that its socket can start again leaves."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve to the end.

    Returns:
        The exit status: 0 at the end, 1 without a door to serve at; wrong usage exits with 2.
    """
    words = _words(argv)
    try:
        with _door(words) as door:
            asyncio.run(_serve(door, words))
    except RefusalError as error:
        sys.stderr.write(f"<3>{error}\n")
        return 1
    return 0


@contextlib.contextmanager
def _door(words: argparse.Namespace) -> Iterator[socket.socket]:
    """The socket that we were given, or one of our own, whose file goes with us."""
    given = handed_over()
    if given is not None:
        words.idle = words.idle or _IDLE
        with given:
            yield given
    elif words.socket is None:
        raise RefusalError("nobody listens for the helper: start powerd-helper.socket, or use --socket PATH")
    else:
        with opened(words.socket, words.user) as own:
            yield own
            words.socket.unlink(missing_ok=True)


def _words(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m powerd.helper", description=__doc__)
    add = parser.add_argument
    add("--socket", type=Path, metavar="PATH", help="listen here, where no service manager does it for us")
    add("--user", default="powerd", metavar="NAME", help="who may ask besides root (default: %(default)s)")
    add("--idle", type=float, metavar="SECONDS", help="leave when nobody has asked for so long")
    add("--root", type=Path, default=Path("/"), metavar="DIR", help="where paths begin; for tests")
    add("--tools", type=Path, metavar="DIR", help="where hdparm and smartctl are; for tests")
    add("--loops", action="store_true", help="loop devices are disks too; for tests")
    return parser.parse_args(argv)


async def _serve(door: socket.socket, words: argparse.Namespace) -> None:
    desk = Desk(words.root, tools=words.tools and Tools([words.tools]), loops=words.loops)
    server = Server(door, desk, admitted(words.user), words.idle)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.end)
    await server.run()


if __name__ == "__main__":
    sys.exit(main())
