"""The log of the drive's commands and spin-ups, and its state, in files for the tests.

NAME.log holds a line per event, ``SECONDS WORDS`` by CLOCK_MONOTONIC as in the journal; NAME.json the state
after the last command, replaced atomically.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from vm.drive_simulator.drive import Drive

DIRECTORY: Final = Path("/run/drive-simulator")


class Record:
    """The files of the drive ``name`` in ``directory``; an older log is truncated."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._state = directory / f"{name}.json"
        self._saved: dict[str, Any] = {}
        self._log = (directory / f"{name}.log").open("w", buffering=1, encoding="ascii")

    def note(self, what: str) -> None:
        """Add a line to the log."""
        self._log.write(f"{time.monotonic():.3f} {what}\n")

    def save(self, drive: Drive) -> None:
        """Write the state if it has changed."""
        state = {"power": drive.power, "timer": drive.timer, "apm": drive.apm, **asdict(drive.counts)}
        if state != self._saved:
            new = self._state.with_suffix(".new")
            new.write_text(json.dumps(state))
            new.rename(self._state)
            self._saved = state
