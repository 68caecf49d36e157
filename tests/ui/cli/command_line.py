"""The command line as a shell runs it, and in this process; what was said, and what was refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from powerd.linux.subprocess import ForegroundProcess
from powerd.ui.cli import main

ENVIRON = {key: value for key, value in os.environ.items() if key not in {"POWERD_CONFIG", "NO_COLOR"}}


def powerd(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one command as the shell does."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "powerd", *argv],
        env=ENVIRON | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


RunCommand = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """As powerd(), in this process: for what does not need one of its own."""

    def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.delenv("POWERD_CONFIG", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        try:
            code = main.main(argv, must_not_run, ForegroundProcess)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(argv, code, out, err)

    return run


def must_not_run(_config: Path | None, _observe: bool, _socket: Path) -> int:  # noqa: FBT001 - as main() calls it
    raise AssertionError


def output_of(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout


def error_of(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    return done.stderr
