"""``--watch``: what a command prints, again after each event of the daemon, until Ctrl-C.

On a terminal the text is redrawn in place, on the alternate screen (xterm's private mode 1049). In a pipe or
a file each new text follows the last one, and with --json each document is one line.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from typing import Final

from powerd.ui.cli.client import (
    EXIT_OK,
    RESPONSE_TIMEOUT,
    DeniedError,
    UnreachableError,
    open_request,
    parse_response,
    translate_errors,
)
from powerd.ui.cli.output import Ask, emit, has_terminal, paint

REDRAW_INTERVAL: Final = 60.0
"""Seconds without an event after which the text is requested again, because it contains durations."""
_SETTLE_TIME: Final = 0.2
"""Seconds after an event: one decision may cause several."""
_RECONNECT_INTERVAL: Final = 2.0
"""Seconds between two attempts to reach a daemon that restarts."""
_CHUNK_SIZE: Final = 1 << 16
_ENTER, _LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
_HOME, _END_OF_LINE, _CLEAR_BELOW = "\033[H", "\033[K", "\033[J"


def watch(ask: Ask, socket_path: str) -> int:
    """Print the result of ``ask``, again after each event, until a signal ends it or the pipe is closed.

    Raises:
        UnreachableError, DeniedError: the daemon gives no answer at first; later the watch reconnects.
        BrokenPipeError: the reader has closed the pipe.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    display = _Display()
    try:
        _follow(ask, socket_path, display)
        while True:
            _wait_readable(None, _RECONNECT_INTERVAL)
            try:
                _follow(ask, socket_path, display)
            except (UnreachableError, DeniedError) as error:
                display.show_problem(f"{error}; tries again")
    except KeyboardInterrupt:
        return EXIT_OK
    finally:
        display.close()


def _follow(ask: Ask, socket_path: str, display: _Display) -> None:
    """Show each answer until the daemon closes the event stream."""
    with open_request("GET", "/api/events", None, socket_path) as stream:
        stream.settimeout(RESPONSE_TIMEOUT)
        with translate_errors(socket_path):
            head = _read_head(stream)
        if not head.partition(b" ")[2].startswith(b"200"):
            parse_response(head, socket_path)
        display.show(ask().output)
        while _wait_for_event(stream):
            display.show(ask().output)
    display.show_problem("the daemon has closed the connection; tries again")


def _read_head(stream: socket.socket) -> bytes:
    """The response up to its first event, or all of a response that is not an event stream."""
    head = b""
    while b"event:" not in head:
        chunk = stream.recv(_CHUNK_SIZE)
        if not chunk:
            break
        head += chunk
    return head


def _wait_for_event(stream: socket.socket) -> bool:
    """Wait until an event or REDRAW_INTERVAL has passed; False = the daemon has closed the stream."""
    timeout, has_event = REDRAW_INTERVAL, False
    while _wait_readable(stream, timeout):
        chunk = stream.recv(_CHUNK_SIZE)
        if not chunk:
            return False
        is_heartbeat = chunk.startswith(b":") and b"event:" not in chunk
        has_event = has_event or not is_heartbeat
        timeout = _SETTLE_TIME if has_event else timeout
    return True


def _wait_readable(stream: socket.socket | None, timeout: float) -> bool:
    """Wait for input of ``stream``; False = there was none within ``timeout`` seconds.

    Raises:
        BrokenPipeError: the reader of standard output has closed it.
    """
    poll = select.poll()
    poll.register(sys.stdout, 0)  # reports errors only
    if stream is not None:
        poll.register(stream, select.POLLIN)
    ready = [fd for fd, _ in poll.poll(timeout * 1000)]
    if sys.stdout.fileno() in ready:
        raise BrokenPipeError
    return bool(ready)


class _Display:
    """Standard output."""

    def __init__(self) -> None:
        self._redraws = has_terminal()
        self._has_drawn = False
        self._text = ""
        self._problem = ""

    def show(self, output: object) -> None:
        """Print an answer."""
        self._problem = ""
        text = output if isinstance(output, str) else json.dumps(output) + "\n"
        previous, self._text = self._text, text  # before the output, which a signal may interrupt
        if self._redraws:
            self._draw(text)
        elif text != previous:
            emit(f"\n{text}" if previous and isinstance(output, str) else text)

    def show_problem(self, problem: str) -> None:
        """Print why there is no new answer, once."""
        if problem == self._problem:
            return
        self._problem = problem
        if self._redraws:
            self._draw(f"{self._text}\n{paint()(problem, 'bad')}\n")
        else:
            print(f"powerd: {problem}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the alternate screen; the last text remains on the terminal."""
        if self._has_drawn:
            emit(_LEAVE + self._text)

    def _draw(self, text: str) -> None:
        """Replace the text on the terminal, up to the number of its lines."""
        rows = os.get_terminal_size(sys.stdout.fileno()).lines - 1
        lines = text.splitlines()[: max(rows, 1)]
        enter, self._has_drawn = "" if self._has_drawn else _ENTER, True
        emit(enter + _HOME + "".join(f"{line}{_END_OF_LINE}\n" for line in lines) + _CLEAR_BELOW)
