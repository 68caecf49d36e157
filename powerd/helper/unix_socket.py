"""The helper's listening Unix socket, inherited or opened, and the credentials of its clients."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from powerd.helper.errors import RefusalError
from powerd.linux.unix_sockets import UnixListener, listen_unix
from powerd.linux.values import HostError

_FIRST_INHERITED_FD: Final = 3
"""The first inherited descriptor (sd_listen_fds(3), SD_LISTEN_FDS_START)."""
_UCRED: Final = struct.Struct("=iII")  # struct ucred: pid, uid, gid


class Peer(NamedTuple):
    """The credentials of a client, by the kernel (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """The client of a connection."""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)


def allowed_uids(user: str) -> frozenset[int]:
    """The user ids that may connect: root, that of this process, and that of ``user``, if there is one.

    Members of its group may not: they may use the daemon, which decides; the helper decides nothing.
    """
    try:
        return frozenset({0, os.geteuid(), pwd.getpwnam(user).pw_uid})
    except KeyError:
        return frozenset({0, os.geteuid()})


def inherited_listener(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The socket inherited from the service manager (sd_listen_fds(3)); None = there is none.

    Raises:
        RefusalError: the inherited descriptors are not one listening Unix socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environ.get("LISTEN_FDS") != "1":
        raise RefusalError("the helper takes exactly one socket; give its unit one ListenStream=")
    try:
        listener = socket.socket(fileno=_FIRST_INHERITED_FD)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise RefusalError(
            f"descriptor {_FIRST_INHERITED_FD} is not a socket: {error.strerror}; see the .socket unit"
        ) from None
    if (listener.family, listener.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not listens:
        raise RefusalError(
            f"descriptor {_FIRST_INHERITED_FD} is not a listening Unix socket; see ListenStream= in "
            "the .socket unit"
        )
    os.set_inheritable(_FIRST_INHERITED_FD, False)  # noqa: FBT003 - the standard library's own signature
    return listener


def open_listener(path: Path, user: str) -> UnixListener:
    """Listen on ``path`` for root and the group of ``user``, if there is one.

    Raises:
        RefusalError: another helper listens there, or the path cannot be used.
    """
    try:
        return listen_unix(path, program="helper", group=user, create_directory=False)
    except HostError as error:
        raise RefusalError(str(error)) from None
