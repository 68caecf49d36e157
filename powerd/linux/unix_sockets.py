"""Listening Unix and TCP sockets, of the daemon and of the helper."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import socket
import stat
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from powerd.linux.values import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKLOG: Final = 128
_MODE: Final = 0o660


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

    A lock on the directory (flock(2)) keeps two processes that start at once apart: it is held from the check
    whether another one listens until this one does.

    Args:
        path: of the socket.
        program: its name in error messages.
        group: gets the file, if it exists and this process is root.
        create_directory: create the directory of the socket if it is missing.

    Raises:
        HostError: another process listens there, or the path cannot be used.
    """
    listener = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if create_directory:
            path.parent.mkdir(mode=0o755, exist_ok=True)
        with _directory_lock(path.parent):
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


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Keep other processes out of ``directory``; the holder of the lock never waits."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
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
    """Device and inode, which tell a file from a later one of the same name."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
