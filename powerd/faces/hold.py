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

from powerd.faces.client import TIMEOUT, DeniedError, UnreachableError, opened, sentences, value

AGAIN: Final = 5.0
"""Seconds between two attempts to reach a daemon that has gone."""
_PASSED_ON: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_WAITED_FOR: Final = _PASSED_ON | {signal.SIGCHLD, signal.SIGIO}
_SI_KERNEL: Final = 0x80
"""sigaction(2), ``si_code``: the signal comes from the terminal, whose whole process group has got it."""
_PIECE: Final = 4096
_CANNOT_RUN, _NOT_FOUND = 126, 127


class Child(Protocol):
    """A command that has been started; SIGCHLD tells when it may have ended."""

    def code(self) -> int | None:
        """Its exit code, 128 + n if by signal n; None = it still runs."""
        ...

    def send(self, number: int) -> None:
        """Pass a signal on to it."""
        ...


Start: TypeAlias = Callable[[Sequence[str], Iterable[int]], Child]
"""Starts a command in the foreground with so many signals blocked; raises OSError when it cannot."""


def hold(argv: Sequence[str], because: str, at: str, start: Start) -> int:
    """Run a command, and hold the server awake meanwhile; gives back the command's exit code.

    A daemon that cannot be reached is no reason not to run it: that is said, and tried again.

    Args:
        argv: the command and its arguments.
        because: shown to whoever asks why the server is awake; "" = the command's name.
        at: the daemon's Unix socket.
        start: see there.
    """
    line = Line(because or os.path.basename(argv[0]), at)  # noqa: PTH119 - pathlib is not worth its import here
    line.connect(TIMEOUT)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    try:
        line.watch()
        try:
            child = start(argv, before)
        except OSError as error:
            _say(f"cannot run {argv[0]}: {error.strerror}")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN
        return _wait(child, line)
    finally:
        line.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: Child, line: Line) -> int:
    while (code := child.code()) is None:
        if line.held:
            got: signal.struct_siginfo | None = signal.sigwaitinfo(_WAITED_FOR)
        else:
            got = signal.sigtimedwait(_WAITED_FOR, AGAIN)
        if got is None:
            line.connect()
            line.watch()
        elif got.si_signo == signal.SIGIO:
            line.look()
        elif got.si_signo in _PASSED_ON and got.si_code != _SI_KERNEL:
            child.send(got.si_signo)
    return code


class Line:
    """The connection that holds the server awake.

    Attributes:
        held: the daemon holds it, as far as is known.
    """

    def __init__(self, because: str, at: str) -> None:
        self.held = False
        self._wish = {"because": because[:200]}
        self._at = at
        self._door: socket.socket | None = None
        self._warned = False

    def connect(self, within: float = 2.0) -> None:
        """Ask the daemon to hold; when it cannot be asked, that is said once until it has been."""
        self.close()
        try:
            door = opened("POST", "/api/hold", self._wish, self._at)
            try:
                door.settimeout(within)
                with sentences(self._at):
                    _accepted(door, self._at)
            except BaseException:
                door.close()
                raise
        except (UnreachableError, DeniedError) as error:
            if not self._warned:
                _say(f"the server is not held awake: {error}")
            self._warned = True
            return
        if self._warned:
            _say("the server is held awake again")
        self._door, self.held = door, True
        self._warned = False

    def watch(self) -> None:
        """Have SIGIO sent when something comes, which can only be the end."""
        if self._door is not None:
            self._door.settimeout(0)
            fcntl.fcntl(self._door, fcntl.F_SETOWN, os.getpid())
            flags = fcntl.fcntl(self._door, fcntl.F_GETFL)
            fcntl.fcntl(self._door, fcntl.F_SETFL, flags | os.O_ASYNC)
            self.look()  # what came before that sends no signal

    def look(self) -> None:
        """See whether the daemon is still there; if not, ask whoever follows it at once."""
        if self._door is None:
            return
        try:
            gone = not self._door.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self.connect()
            if self.held:
                self.watch()

    def close(self) -> None:
        """Let the server go."""
        if self._door is not None:
            self._door.close()
        self._door, self.held = None, False


def _accepted(door: socket.socket, at: str) -> None:
    """Read until the daemon has said that it holds. Raises as value() when it says anything else."""
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"\n") or answer.endswith(b"\r\n\r\n"):
        piece = door.recv(_PIECE)
        if not piece:
            break
        answer += piece
    value(answer, at)


def _say(text: str) -> None:
    print(f"powerd hold: {text}", file=sys.stderr, flush=True)
