"""Runs commands in the virtual server by the QEMU guest agent, without a network and a login.

The protocol is JSON lines on a character device (qemu-ga-ref(7)). Each call begins with a byte that is not
JSON and ``guest-sync-delimited``, which discard what an earlier, aborted call has left in the agent's parser
and in the connection. One connection serves the server until its end, because an agent whose connection is
closed while it starts may never answer again.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_DELIMITER: Final = b"\xff"
_POLL: Final = 0.1
_SYNC: Final = 5.0
"""Seconds for an agent that runs to show that it listens; then it is asked again, if the server is awake."""
_LISTENS: Final = 60.0
"""Seconds until it must have shown it: a slow machine that has just woken was silent for more than 5."""
_ANSWERS: Final = 60.0
"""Seconds until it must have answered then."""


class AgentError(OSError):
    """The agent does not answer, or refuses; an OSError, so that rig.wait.until() repeats the call."""


@dataclass(frozen=True)
class CompletedCommand:
    """A command that has ended: its exit status (negative: the signal), and what it wrote."""

    status: int
    out: str
    err: str


class Agent:
    """The agent at ``path``, a Unix socket of QEMU; while ``unreachable`` is true, calls fail at once."""

    def __init__(self, path: Path, deaf: Callable[[], bool]) -> None:
        self._path = path
        self._deaf = deaf
        self._numbers = itertools.count(1)
        self._line: socket.socket | None = None
        self._received = b""

    def close(self) -> None:
        """Close the connection for good."""
        if self._line is not None:
            self._line.close()

    def run(self, argv: list[str], given: str, within: float) -> CompletedCommand:
        """Run a command as root to its end, with ``given`` on its standard input.

        Raises:
            AgentError: the command has not ended after ``within`` seconds, or the agent does not answer.
        """
        deadline = time.monotonic() + within
        asked: dict[str, Any] = {
            "path": argv[0],
            "arg": argv[1:],
            "input-data": base64.b64encode(given.encode()).decode(),
            "capture-output": True,
        }
        pid = self.ask("guest-exec", **asked)["pid"]
        while not (state := self.ask("guest-exec-status", pid=pid))["exited"]:
            if time.monotonic() > deadline:
                raise AgentError(f"{' '.join(argv)} has not ended within {within:g} s")
            time.sleep(_POLL)
        out, err = (base64.b64decode(state.get(key, "")).decode() for key in ("out-data", "err-data"))
        return CompletedCommand(state.get("exitcode", -state.get("signal", 0)), out, err)

    def start(self, argv: list[str]) -> None:
        """Start a command as root, without waiting for its end."""
        self.ask("guest-exec", path=argv[0], arg=argv[1:])

    def ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """The agent's response to one command of its protocol."""
        line = self._connected()
        deadline = time.monotonic() + _LISTENS
        while not self._listens(line):
            if self._deaf() or time.monotonic() > deadline:
                raise AgentError(f"the guest agent does not listen, so it was not asked {command}")
        _send(line, command, arguments)
        deadline = time.monotonic() + _ANSWERS
        while (answer := self._answered_soon(line)) is None:
            if self._deaf() or time.monotonic() > deadline:
                raise AgentError(f"the guest agent does not answer {command}")
        if "error" in answer:
            raise AgentError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def _listens(self, line: socket.socket) -> bool:
        """Whether the agent answers and has no other command pending; it can be called repeatedly."""
        number = next(self._numbers)
        line.sendall(_DELIMITER)
        _send(line, "guest-sync-delimited", {"id": number})
        while (answer := self._answered_soon(line)) is not None:
            if answer.get("return") == number:
                return True
        return False

    def _answered_soon(self, line: socket.socket) -> dict[str, Any] | None:
        """The next response; None = none arrived within the time limit."""
        line.settimeout(_SYNC)
        try:
            return self._answer(line)
        except TimeoutError:
            return None
        finally:
            line.settimeout(_ANSWERS)  # for what is sent

    def _connected(self) -> socket.socket:
        if self._line is None:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self._path))
                line.settimeout(_ANSWERS)
            except OSError:
                line.close()
                raise
            self._line = line
        return self._line

    def _answer(self, line: socket.socket) -> dict[str, Any]:
        """The next response; {} for the incomplete rest of an older one."""
        while b"\n" not in self._received:
            news = line.recv(65536)
            if not news:
                raise AgentError("QEMU has ended")
            self._received += news
        first, _, self._received = self._received.partition(b"\n")
        try:
            value: dict[str, Any] = json.loads(first.rpartition(_DELIMITER)[2])
        except ValueError:
            return {}
        return value


def _send(line: socket.socket, command: str, arguments: dict[str, Any]) -> None:
    line.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
