"""Commands inside the virtual server, by the QEMU guest agent: no network, no login.

The protocol is JSON lines on a character device (qemu-ga-ref(7)). Each call begins with a byte that is no
JSON and ``guest-sync-delimited``: they end whatever an earlier, abandoned call has left in the agent's parser
and on the line. There is one line for the server's whole life: one that is hung up while the agent starts may
leave it deaf.
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
    """The agent is not there, or refuses; an OSError, so that rig.wait.until() asks again."""


@dataclass(frozen=True)
class CompletedCommand:
    """A command that has ended: its exit status (negative: the signal), and what it wrote."""

    status: int
    out: str
    err: str


class Agent:
    """The agent behind ``path``, a Unix socket of QEMU's; while ``deaf`` it is not waited for."""

    def __init__(self, path: Path, deaf: Callable[[], bool]) -> None:
        self._path = path
        self._deaf = deaf
        self._numbers = itertools.count(1)
        self._line: socket.socket | None = None
        self._received = b""

    def close(self) -> None:
        """Hang up, for good."""
        if self._line is not None:
            self._line.close()

    def run(self, argv: list[str], given: str, within: float) -> CompletedCommand:
        """Run a command as root to its end, with ``given`` on its standard input.

        Raises:
            AgentError: it has not ended ``within`` so many seconds, or the agent does not answer.
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
        """Start a command as root, and let it run."""
        self.ask("guest-exec", path=argv[0], arg=argv[1:])

    def ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What the agent returns for one command of its protocol."""
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
        """Whether the agent is at the other end, with nothing else on its mind; harmless to ask twice."""
        number = next(self._numbers)
        line.sendall(_DELIMITER)
        _send(line, "guest-sync-delimited", {"id": number})
        while (answer := self._answered_soon(line)) is not None:
            if answer.get("return") == number:
                return True
        return False

    def _answered_soon(self, line: socket.socket) -> dict[str, Any] | None:
        """The next answer; None = for a while there was none."""
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
        """The next answer; {} for the torn end of an older one."""
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
