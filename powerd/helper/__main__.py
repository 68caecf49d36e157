"""``python -m powerd.helper``: started by powerd-helper.socket, or with --socket from a checkout.

With --files it is a process of its own, which powerd-files.socket starts, with other capabilities.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pwd
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from powerd.helper.dispatcher import Dispatcher
from powerd.helper.server import HelperServer
from powerd.helper.subprocess import Tools
from powerd.linux.unix_sockets import inherited_listener, listen_unix
from powerd.linux.values import HostError

_DEFAULT_IDLE_SECONDS: Final = 30.0
"""Seconds without a client until a socket-activated helper stops."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped.

    Returns:
        The exit status: 0, or 1 without a socket; wrong usage exits with 2.
    """
    arguments = _parse_arguments(argv)
    try:
        with _open_or_inherit_listener(arguments) as listener:
            asyncio.run(_serve(listener, arguments))
    except HostError as error:
        sys.stderr.write(f"<3>{error}\n")
        return 1
    return 0


@contextlib.contextmanager
def _open_or_inherit_listener(arguments: argparse.Namespace) -> Iterator[socket.socket]:
    """The inherited socket, or an own one, which is removed at the end."""
    inherited = inherited_listener()
    if inherited is not None:
        arguments.idle = arguments.idle or _DEFAULT_IDLE_SECONDS
        with inherited:
            yield inherited
    elif arguments.socket is None:
        raise HostError(
            "no socket was passed to the helper: start powerd-helper.socket, or use --socket PATH"
        )
    else:
        with listen_unix(
            arguments.socket, program="helper", group=arguments.user, create_directory=False
        ) as opened_here:
            yield opened_here


def allowed_uids(user: str) -> frozenset[int]:
    """The user ids that may connect: root, that of this process, and that of ``user``, if there is one.

    Members of its group may not: they may use the daemon, which decides; the helper decides nothing.
    """
    try:
        return frozenset({0, os.geteuid(), pwd.getpwnam(user).pw_uid})
    except KeyError:
        return frozenset({0, os.geteuid()})


def _parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m powerd.helper", description=__doc__)
    add = parser.add_argument
    add(
        "--socket",
        type=Path,
        metavar="PATH",
        help="listen on this socket, if the service manager passes none",
    )
    add(
        "--user",
        default="powerd",
        metavar="NAME",
        help="user that may send requests, besides root (default: %(default)s)",
    )
    add("--idle", type=float, metavar="SECONDS", help="exit after this time without a request")
    add("--files", action="store_true", help="watch files, and do nothing else (powerd-files.socket)")
    add("--root", type=Path, default=Path("/"), metavar="DIR", help="root directory of all paths; for tests")
    add("--tools", type=Path, metavar="DIR", help="directory of hdparm and smartctl; for tests")
    add("--loops", action="store_true", help="loop devices count as disks; for tests")
    return parser.parse_args(argv)


async def _serve(listener: socket.socket, arguments: argparse.Namespace) -> None:
    file_watch = None
    if arguments.files:
        from powerd.helper.file_watch import FileWatch  # noqa: PLC0415 - 0.3 MB, with ctypes

        file_watch = FileWatch(arguments.root, allow_loops=arguments.loops)
    dispatcher = Dispatcher(
        arguments.root,
        tools=arguments.tools and Tools([arguments.tools]),
        file_watch=file_watch,
        allow_loops=arguments.loops,
    )
    server = HelperServer(listener, dispatcher, allowed_uids(arguments.user), arguments.idle)
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, server.stop)
    await server.run()


if __name__ == "__main__":
    sys.exit(main())
