"""The helper's door: a listening Unix socket, handed over or opened here, and who stands before it."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from powerd.helper.errors import RefusalError

_FIRST_INHERITED_FD: Final = 3
"""The first descriptor that is handed over (sd_listen_fds(3), SD_LISTEN_FDS_START)."""
_BACKLOG: Final = 16
_UCRED: Final = struct.Struct("=iII")  # struct ucred: pid, uid, gid


class Peer(NamedTuple):
    """Who connected, as the kernel vouches for it (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end."""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)


def allowed_uids(user: str) -> frozenset[int]:
    """The user ids that may ask: root, whoever this process is, and ``user`` where there is one.

    Not its group: its members may ask the daemon, which decides; the helper obeys, and decides nothing.
    """
    try:
        return frozenset({0, os.geteuid(), pwd.getpwnam(user).pw_uid})
    except KeyError:
        return frozenset({0, os.geteuid()})


def inherited_listener(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The socket that the service manager handed over (sd_listen_fds(3)); None = we were started otherwise.

    Raises:
        RefusalError: what was handed over is not one listening Unix socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environ.get("LISTEN_FDS") != "1":
        raise RefusalError("the helper wants exactly one socket; give its unit one ListenStream=")
    try:
        listener = socket.socket(fileno=_FIRST_INHERITED_FD)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise RefusalError(
            f"descriptor {_FIRST_INHERITED_FD} is no socket: {error.strerror}; see the .socket unit"
        ) from None
    if (listener.family, listener.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not listens:
        raise RefusalError(
            f"descriptor {_FIRST_INHERITED_FD} is no listening Unix socket; see ListenStream= in "
            "the .socket unit"
        )
    os.set_inheritable(_FIRST_INHERITED_FD, False)  # noqa: FBT003 - the standard library's own signature
    return listener


def open_listener(path: Path, user: str) -> socket.socket:
    """Listen on ``path``, mode 0660, with ``user``'s group if there is one; a dead helper's file is replaced.

    Raises:
        RefusalError: another helper listens there, or the path cannot be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale_socket(path)
        os.fchmod(listener.fileno(), 0o660)  # unix_bind() takes the file's mode from here, less the umask
        listener.bind(str(path))
        _give_to_group(path, user)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise RefusalError(f"cannot listen on {path}: {error.strerror or error}; name another path") from None
    except RefusalError:
        listener.close()
        raise
    return listener


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket file that nobody listens on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise RefusalError(f"cannot listen on {path}: a file that is no socket is there; name another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise RefusalError(f"cannot listen on {path}: another helper does; stop it, or name another path")
    path.unlink()


def _give_to_group(path: Path, user: str) -> None:
    try:
        group = grp.getgrnam(user).gr_gid
    except KeyError:
        return
    if os.geteuid() == 0:
        os.chown(path, -1, group)
