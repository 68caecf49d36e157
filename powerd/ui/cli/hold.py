"""``powerd hold -- COMMAND``: an open connection keeps the server awake while the command runs.

When this process ends for any reason, the kernel closes the connection and the daemon ends the hold. The
process waits for signals only (sigtimedwait(2)): the end of the command, signals to forward, and SIGIO when
the daemon closes the connection.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from powerd.ui.cli.client import (
    RESPONSE_TIMEOUT,
    DeniedError,
    UnreachableError,
    open_request,
    parse_response,
    translate_errors,
)

RETRY_INTERVAL: Final = 5.0
"""Seconds between two attempts to reconnect to the daemon."""
_FORWARDED_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_AWAITED_SIGNALS: Final = _FORWARDED_SIGNALS | {signal.SIGCHLD, signal.SIGIO}
_SI_KERNEL: Final = 0x80
"""sigaction(2), ``si_code``: the terminal sent the signal, so the whole process group has received it."""
_CHUNK_SIZE: Final = 4096
_EXIT_CANNOT_RUN, _EXIT_NOT_FOUND = 126, 127


class RunningCommand(Protocol):
    """A started command. SIGCHLD signals that it may have ended."""

    def exit_code(self) -> int | None:
        """The exit code, 128 + n after signal n; None while the command runs."""
        ...

    def send_signal(self, number: int) -> None:
        """Send a signal to the command."""
        ...


StartCommand: TypeAlias = Callable[[Sequence[str], Iterable[int]], RunningCommand]
"""Starts a command in the foreground with the given signal mask; raises OSError."""


def run_with_hold(argv: Sequence[str], because: str, socket_path: str, start: StartCommand) -> int:
    """Run a command and keep the server awake meanwhile; returns the exit code of the command.

    If the daemon cannot be reached, the command runs nevertheless: an error is printed, and the connection is
    tried again.

    Args:
        argv: the command and its arguments.
        because: the reason that ``powerd why`` shows; "" = the name of the command.
        socket_path: the daemon's Unix socket.
        start: starts the command.
    """
    connection = HoldConnection(because or os.path.basename(argv[0]), socket_path)  # noqa: PTH119 - importing pathlib takes longer
    connection.connect(RESPONSE_TIMEOUT)
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED_SIGNALS)
    try:
        connection.enable_sigio()
        try:
            command = start(argv, previous_mask)
        except OSError as error:
            _print_error(f"cannot run {argv[0]}: {error.strerror}")
            return _EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else _EXIT_CANNOT_RUN
        return _wait_for_exit(command, connection)
    finally:
        connection.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)


def _wait_for_exit(command: RunningCommand, connection: HoldConnection) -> int:
    while (code := command.exit_code()) is None:
        if connection.active:
            received: signal.struct_siginfo | None = signal.sigwaitinfo(_AWAITED_SIGNALS)
        else:
            received = signal.sigtimedwait(_AWAITED_SIGNALS, RETRY_INTERVAL)
        if received is None:
            connection.connect()
            connection.enable_sigio()
        elif received.si_signo == signal.SIGIO:
            connection.check_connection()
        elif received.si_signo in _FORWARDED_SIGNALS and received.si_code != _SI_KERNEL:
            command.send_signal(received.si_signo)
    return code


class HoldConnection:
    """The connection that keeps the server awake.

    Attributes:
        active: the daemon has accepted the hold, and has not closed the connection.
    """

    def __init__(self, because: str, socket_path: str) -> None:
        self.active = False
        self._body = {"because": because[:200]}
        self._socket_path = socket_path
        self._socket: socket.socket | None = None
        self._warned = False

    def connect(self, timeout: float = 2.0) -> None:
        """Request the hold. A failure is printed once until a later attempt succeeds."""
        self.close()
        try:
            new_socket = open_request("POST", "/api/hold", self._body, self._socket_path)
            try:
                new_socket.settimeout(timeout)
                with translate_errors(self._socket_path):
                    _await_acceptance(new_socket, self._socket_path)
            except BaseException:
                new_socket.close()
                raise
        except (UnreachableError, DeniedError) as error:
            if not self._warned:
                _print_error(f"the server is not kept awake: {error}")
            self._warned = True
            return
        if self._warned:
            _print_error("the server is kept awake again")
        self._socket, self.active = new_socket, True
        self._warned = False

    def enable_sigio(self) -> None:
        """Make the kernel send SIGIO on input; the only input is the closing of the connection."""
        if self._socket is not None:
            self._socket.settimeout(0)
            fcntl.fcntl(self._socket, fcntl.F_SETOWN, os.getpid())
            flags = fcntl.fcntl(self._socket, fcntl.F_GETFL)
            fcntl.fcntl(self._socket, fcntl.F_SETFL, flags | os.O_ASYNC)
            self.check_connection()  # data that arrived before send no signal

    def check_connection(self) -> None:
        """Check whether the daemon has closed the connection; if so, reconnect at once."""
        if self._socket is None:
            return
        try:
            closed = not self._socket.recv(_CHUNK_SIZE)
        except BlockingIOError:
            return
        except OSError:
            closed = True
        if closed:
            self.connect()
            if self.active:
                self.enable_sigio()

    def close(self) -> None:
        """Close the connection, which ends the hold."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self.active = None, False


def _await_acceptance(connection: socket.socket, socket_path: str) -> None:
    """Read the response. Raises as parse_response() unless the daemon has accepted the hold."""
    response = b""
    while b"\r\n\r\n" not in response or not response.endswith(b"\n") or response.endswith(b"\r\n\r\n"):
        chunk = connection.recv(_CHUNK_SIZE)
        if not chunk:
            break
        response += chunk
    parse_response(response, socket_path)


def _print_error(text: str) -> None:
    print(f"powerd hold: {text}", file=sys.stderr, flush=True)
