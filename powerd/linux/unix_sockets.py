"""Listening Unix and TCP sockets of the daemon and of the helper, opened or inherited, and their clients."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import socket
import stat
import struct
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.linux.values import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_PATH: Final = 107  # unix(7): sun_path
_BACKLOG: Final = 128
_MODE: Final = 0o660
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


class UnixListener(socket.socket):
    """A listening Unix socket that removes its file when it is closed."""

    path: Path
    identity: tuple[int, int] | None

    def close(self) -> None:
        """Remove the file, unless another process has replaced it, then stop listening."""
        if self.fileno() >= 0 and self.identity is not None and _file_identity(self.path) == self.identity:
            self.path.unlink(missing_ok=True)
        super().close()


def listen_unix(
    path: Path, *, program: str = "powerd", group: str | None = None, create_directory: bool = True
) -> UnixListener:
    """Listen on a Unix socket of mode 0660; the file of a dead process is replaced.

    A lock (flock(2)) keeps two processes that start at once apart: it is held from the check whether another
    one listens until this one does. Only this user can open its file ``PATH.lock``: a user who can open
    a file can lock it.

    Args:
        path: of the socket.
        program: its name in error messages.
        group: gets the file, if it exists and this process is root.
        create_directory: create the directory of the socket if it is missing.

    Raises:
        HostError: another process listens or starts there, or the path cannot be used.
    """
    listener = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if create_directory:
            path.parent.mkdir(mode=0o755, exist_ok=True)
        with _start_lock(path, program):
            _remove_stale_socket(path, program)
            os.fchmod(
                listener.fileno(), _MODE
            )  # unix_bind() takes the file's mode from the descriptor, less the umask,
            listener.bind(str(path))  # so the file is never more permissive
            listener.path, listener.identity = path, _file_identity(path)
            path.chmod(_MODE)
            _set_group(path, group)
            listener.listen(_BACKLOG)
    except OSError as error:
        socket.socket.close(listener)
        reason = error.strerror or str(error)
        raise HostError(f"cannot listen on {path}: {reason}; name another path with --socket") from None
    except HostError:
        socket.socket.close(listener)
        raise
    listener.settimeout(0)
    return listener


def listen_tcp(address_text: str) -> socket.socket:
    """Listen on ``127.0.0.1:8787`` or ``[::1]:8787``, an address in the form of the configuration.

    Raises:
        HostError: the port is taken, or the address cannot be used.
    """
    host, _, port = address_text.rpartition(":")
    address = ip_address(host.strip("[]"))
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IP versions
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), int(port)))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        taken = "another program has the port" if error.errno == errno.EADDRINUSE else error.strerror
        raise HostError(
            f'cannot listen on {address_text}: {taken}; name another under [http] listen = ["127.0.0.1:PORT"]'
        ) from None
    listener.settimeout(0)
    return listener


def inherited_listener(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The socket inherited from the service manager (sd_listen_fds(3)); None = there is none.

    Raises:
        HostError: the inherited descriptors are not one listening Unix socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environ.get("LISTEN_FDS") != "1":
        raise HostError("exactly one socket can be inherited; give the unit one ListenStream=")
    try:
        listener = socket.socket(fileno=_FIRST_INHERITED_FD)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise HostError(
            f"descriptor {_FIRST_INHERITED_FD} is not a socket: {error.strerror}; see the .socket unit"
        ) from None
    if (listener.family, listener.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not listens:
        raise HostError(
            f"descriptor {_FIRST_INHERITED_FD} is not a listening Unix socket; see ListenStream= in "
            "the .socket unit"
        )
    os.set_inheritable(_FIRST_INHERITED_FD, False)  # noqa: FBT003 - the standard library's own signature
    return listener


@contextmanager
def _start_lock(path: Path, program: str) -> Iterator[None]:
    """Keep out other processes that start on the socket ``path``; never waits."""
    if len(os.fsencode(path)) > _MAX_PATH:
        raise HostError(
            f"cannot listen on {path}: it has more than {_MAX_PATH} bytes; choose a shorter --socket"
        )
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(f"{path}.lock", flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise HostError(
            f"another {program} is starting on {path}: it holds {path}.lock; stop it first, or name another "
            "path with --socket"
        ) from None
    finally:
        os.close(descriptor)


def _remove_stale_socket(path: Path, program: str) -> None:
    """Remove a socket file on which no process listens."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(f"cannot listen on {path}: the path is not a socket; name another path with --socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)
        refused = probe.connect_ex(str(path))
    if refused != errno.ECONNREFUSED:
        raise HostError(
            f"another {program} is running on {path}; stop it first, or name another path with --socket"
        )
    path.unlink()


def _set_group(path: Path, group: str | None) -> None:
    if group is not None and os.geteuid() == 0:
        with suppress(KeyError):  # there is no such group
            os.chown(path, -1, grp.getgrnam(group).gr_gid)


def _file_identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which distinguish a file from a later one of the same name."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
