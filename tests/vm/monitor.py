"""The state of the virtual server, by the QEMU machine protocol: JSON lines (qemu-qmp-ref(7))."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import IO, Any, Final

_PATIENCE: Final = 60.0
"""Seconds; QEMU answers at once on an idle host."""


class Monitor:
    """The monitor at ``path``, a Unix socket of QEMU."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self) -> str:
        """``running``, ``suspended``, ``shutdown``…"""
        state: str = self._ask("query-status")["status"]
        return state

    def press_power_button(self) -> None:
        """Wake a suspended server; QEMU refuses if it is not suspended."""
        self._ask("system_wakeup")

    def _ask(self, command: str) -> Any:  # noqa: ANN401 - JSON
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_PATIENCE)
            line.connect(str(self._path))
            answers = line.makefile("rb")
            answers.readline()
            for each in ("qmp_capabilities", command):
                line.sendall(json.dumps({"execute": each}).encode() + b"\n")
                answer = _answer(answers)
        if "error" in answer:
            raise OSError(f"{command}: {answer['error']['desc']}")
        return answer["return"]


def _answer(answers: IO[bytes]) -> dict[str, Any]:
    """The next line that is not an event."""
    while line := answers.readline():
        value: dict[str, Any] = json.loads(line)
        if "event" not in value:
            return value
    raise ConnectionResetError("QEMU has ended")
