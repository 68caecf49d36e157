"""``powerd hold -- COMMAND``: the server is held awake by an open connection, for as long as it runs.

Whatever ends this process closes the connection, and the daemon drops the hold. All waiting is for signals
(sigtimedwait(2)): the command's end, what is to be passed on, and SIGIO when the daemon has gone.
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
"""Seconds between two attempts to reach a daemon that has gone."""
_FORWARDED_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_AWAITED_SIGNALS: Final = _FORWARDED_SIGNALS | {signal.SIGCHLD, signal.SIGIO}
_SI_KERNEL: Final = 0x80
"""sigaction(2), ``si_code``: the signal comes from the terminal, whose whole process group has got it."""
_CHUNK_SIZE: Final = 4096
_EXIT_CANNOT_RUN, _EXIT_NOT_FOUND = 126, 127


class RunningCommand(Protocol):
    """A command that has been started; SIGCHLD tells when it may have ended."""

    def exit_code(self) -> int | None:
        """Its exit code, 128 + n if by signal n; None = it still runs."""
        ...

    def send_signal(self, number: int) -> None:
        """Pass a signal on to it."""
        ...


StartCommand: TypeAlias = Callable[[Sequence[str], Iterable[int]], RunningCommand]
"""Starts a command in the foreground with so many signals blocked; raises OSError when it cannot."""


def run_with_hold(argv: Sequence[str], because: str, socket_path: str, start: StartCommand) -> int:
    """Run a command, and hold the server awake meanwhile; gives back the command's exit code.

    A daemon that cannot be reached is no reason not to run it: that is said, and tried again.

    Args:
        argv: the command and its arguments.
        because: shown to whoever asks why the server is awake; "" = the command's name.
        socket_path: the daemon's Unix socket.
        start: see there.
    """
    connection = HoldConnection(because or os.path.basename(argv[0]), socket_path)  # noqa: PTH119 - pathlib is not worth its import here
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
    """The connection that holds the server awake.

    Attributes:
        active: the daemon holds it, as far as is known.
    """

    def __init__(self, because: str, socket_path: str) -> None:
        self.active = False
        self._body = {"because": because[:200]}
        self._socket_path = socket_path
        self._socket: socket.socket | None = None
        self._warned = False

    def connect(self, timeout: float = 2.0) -> None:
        """Ask the daemon to hold; when it cannot be asked, that is said once until it has been."""
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
                _print_error(f"the server is not held awake: {error}")
            self._warned = True
            return
        if self._warned:
            _print_error("the server is held awake again")
        self._socket, self.active = new_socket, True
        self._warned = False

    def enable_sigio(self) -> None:
        """Have SIGIO sent when something comes, which can only be the end."""
        if self._socket is not None:
            self._socket.settimeout(0)
            fcntl.fcntl(self._socket, fcntl.F_SETOWN, os.getpid())
            flags = fcntl.fcntl(self._socket, fcntl.F_GETFL)
            fcntl.fcntl(self._socket, fcntl.F_SETFL, flags | os.O_ASYNC)
            self.check_connection()  # what came before that sends no signal

    def check_connection(self) -> None:
        """See whether the daemon is still there; if not, ask whoever follows it at once."""
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
        """Let the server go."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self.active = None, False


def _await_acceptance(connection: socket.socket, socket_path: str) -> None:
    """Read until the daemon has said that it holds. Raises as value() when it says anything else."""
    response = b""
    while b"\r\n\r\n" not in response or not response.endswith(b"\n") or response.endswith(b"\r\n\r\n"):
        chunk = connection.recv(_CHUNK_SIZE)
        if not chunk:
            break
        response += chunk
    parse_response(response, socket_path)


def _print_error(text: str) -> None:
    print(f"powerd hold: {text}", file=sys.stderr, flush=True)
