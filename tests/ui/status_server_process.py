"""Starts ui.status_server as a process of its own, for tests that need a real daemon to ask."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


@contextlib.contextmanager
def status_server(name: str, path: Path, where: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """The daemon that shows the Status ``name``, listening; ended afterwards."""
    argv = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "ui.status_server",
        name,
        str(path),
        *([where] if where else []),
    ]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(
        argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        try:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "False\n", "aiohttp is not loaded before anybody has knocked"
            yield daemon
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                _, errors = daemon.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                raise
        assert (daemon.returncode, errors) == (0, ""), "it ends cleanly and has nothing to complain of"
