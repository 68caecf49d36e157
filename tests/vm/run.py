"""Runs the tools that make the virtual server; a failure contains the end of their output."""

from __future__ import annotations

import subprocess
from pathlib import Path


class CannotBuildError(Exception):
    """A tool that makes the server or its disk has failed; the text has its name and output."""


def run(*argv: str | Path, within: float = 1200) -> str:
    """Run a command to its end; returns its standard output."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=within)
    if done.returncode:
        command = " ".join(map(str, argv[:4]))
        raise CannotBuildError(f"{command}: exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def lay(root: Path, name: str, text: str) -> None:
    """Write the file ``name`` below ``root``, and make its directories."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
