"""The ``powerd`` command: hands the daemon to the command line, and loads it only if it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from powerd.faces import cli

if TYPE_CHECKING:
    from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; returns its exit code (cli.ANSWERED and the like)."""
    return cli.main(argv, _run)


def _run(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - cli.main() calls it by position
    from powerd.app import run  # noqa: PLC0415 - it imports the whole house; asking the daemon does without

    return run(config, observe, socket)


if __name__ == "__main__":
    sys.exit(main())
