"""Listening sockets of the user interfaces; they listen before the HTTP server is imported."""

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
    """A listening Unix socket that removes its file when it is closed."""

    path: Path
    identity: tuple[int, int] | None

    def close(self) -> None:
        """Remove the file, unless another daemon has replaced it, then stop listening."""
        if self.fileno() >= 0 and self.identity is not None and _file_identity(self.path) == self.identity:
            self.path.unlink(missing_ok=True)
        super().close()


def listen_unix(path: Path) -> UnixListener:
    """Listen on a Unix socket of mode 0660; the stale file of a daemon that died is replaced.

    A lock on the directory (flock(2)) serialises daemons that start concurrently; it is held from the check
    for another daemon until this one listens.

    Raises:
        HostError: another daemon listens there, or the path cannot be used.
    """
    listener = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        with _directory_lock(path.parent):
            _remove_stale_socket(path)
            os.fchmod(
                listener.fileno(), _MODE
            )  # unix_bind() takes the file's mode from the descriptor, less the umask,
            listener.bind(str(path))  # so the file is never more permissive
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


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Hold a lock on ``directory``; the holder never waits for anything else."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale_socket(path: Path) -> None:
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
            f"another powerd is running on {path}; stop it first, or name another path with --socket"
        )
    path.unlink()


def _file_identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file; None = it does not exist."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
