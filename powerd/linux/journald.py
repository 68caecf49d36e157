"""Writes log lines to the journal, or to standard error."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

SOCKET: Final = "/run/systemd/journal/socket"


class JournalWriter:
    """Writes log lines with fields; never raises, never blocks.

    Under systemd (systemd.exec(5): JOURNAL_STREAM is standard error's device and inode, or SYSTEMD_EXEC_PID
    is this process) a line goes to the journal with all of its fields, if systemd-python is installed.
    Otherwise it is printed, with a level prefix as in sd-daemon(3) only if standard error is the journal.

    Args:
        environ: the process's environment.
        stream: standard error; None where it is closed.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, stream: TextIO | None = sys.stderr) -> None:
        self._stream = stream
        self._is_journal = _is_journal(environ, stream)
        is_service = self._is_journal or environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
        if stream is not None and stream.isatty():
            is_service = False
        self._send_native = _find_native_send() if is_service else None
        # It stays open, as libsystemd's own does, so that lines are written also when no descriptor is free.
        self._probe = None if self._send_native is None else socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def send(self, message: str, priority: int, fields: Mapping[str, str]) -> None:
        """Write one line.

        Args:
            message: without line breaks.
            priority: 0 to 7 as in syslog(3).
            fields: upper-case names; left out where there is only text.
        """
        with contextlib.suppress(
            OSError, ValueError
        ):  # a full disk or a closed stream must not end the daemon
            if self._send_native is None or self._probe is None:
                self._print(f"<{priority}>{message}" if self._is_journal else message)
            elif _can_send(self._probe):
                where = {
                    "SYSLOG_IDENTIFIER": "powerd",
                    "CODE_FUNC": "send",
                }  # else systemd-python reads the caller's source file for it
                self._send_native(message, PRIORITY=str(priority), **where, **fields)

    def close(self) -> None:
        """Close the socket."""
        if self._probe is not None:
            self._probe.close()

    def _print(self, line: str) -> None:
        if self._stream is not None:
            print(line, file=self._stream, flush=True)


def _is_journal(environ: Mapping[str, str], stream: TextIO | None) -> bool:
    """Whether standard error is the journal; child processes with another stream inherit the variable too."""
    try:
        found = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):
        return False
    return found is not None and environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _find_native_send() -> Callable[..., Any] | None:
    """systemd-python's journal.send, if it is installed and journald runs."""
    if not os.path.exists(SOCKET):  # noqa: PTH110 - one stat, without Path
        return None
    try:
        from systemd import journal  # noqa: PLC0415 - optional, and 3 MB
    except ImportError:
        return None
    send: Callable[..., Any] = journal.send
    return send


def _can_send(probe: socket.socket) -> bool:
    """Whether the journal's queue accepts a line now; sd_journal_send(3) would block.

    While journald hangs, lines are dropped rather than decisions delayed.
    """
    probe.settimeout(0)
    probe.connect(SOCKET)  # again for each line: the journal's socket may be another one by now
    poll = select.poll()
    poll.register(probe, select.POLLOUT)
    return bool(poll.poll(0))
