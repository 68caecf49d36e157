"""Run the tools that make the virtual server, and tell a failure in their own last words."""

from __future__ import annotations

import subprocess
from pathlib import Path


class CannotBuildError(Exception):
    """A tool that makes the server or its disk has failed; which one, and what it said."""


def run(*argv: str | Path, within: float = 1200) -> str:
    """Run a command to its end, and give back what it wrote on its standard output."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=within)
    if done.returncode:
        command = " ".join(map(str, argv[:4]))
        raise CannotBuildError(f"{command}: exit {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def lay(root: Path, name: str, text: str) -> None:
    """Write the file ``name`` below ``root``, with the directories it takes."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
