"""Sockets that the faces are served on: bound and listening before anything else of them is loaded."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from powerd.linux.values import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKLOG: Final = 16
_MODE: Final = 0o660


class UnixListener(socket.socket):
    """A listening Unix socket that takes its file along when it is closed."""

    path: Path
    identity: tuple[int, int] | None

    def close(self) -> None:
        """Remove the file, unless it is no longer ours, then stop listening; nobody finds a dead door."""
        if self.fileno() >= 0 and self.identity is not None and _file_identity(self.path) == self.identity:
            self.path.unlink(missing_ok=True)
        super().close()


def listen_unix(path: Path) -> UnixListener:
    """Listen on a Unix socket of mode 0660; a file left by a daemon that died is replaced.

    Two daemons that start at once are kept apart by a lock on the directory (flock(2)), held from the
    question whether somebody answers until we do ourselves.

    Raises:
        HostError: another daemon answers there, or the path cannot be used.
    """
    listener = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        with _directory_lock(path.parent):
            _remove_stale_socket(path)
            os.fchmod(
                listener.fileno(), _MODE
            )  # unix_bind() takes the file's mode from here, less the umask:
            listener.bind(str(path))  # so the file is never wider than this
            listener.path, listener.identity = path, _file_identity(path)
            path.chmod(_MODE)
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
    """Listen on ``127.0.0.1:8787`` or ``[::1]:8787``, as the configuration writes it.

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


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Keep other daemons out of ``directory`` for a moment; who holds the lock never waits for anything."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket file that nobody listens on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(
            f"cannot listen on {path}: a file that is no socket is there; name another path with --socket"
        )
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)
        refused = probe.connect_ex(str(path))
    if refused != errno.ECONNREFUSED:
        raise HostError(
            f"another powerd is running on {path}; stop it first, or name another path with --socket"
        )
    path.unlink()


def _file_identity(path: Path) -> tuple[int, int] | None:
    """What tells this file from its successor of the same name."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
