"""The ``powerd`` command: hands the daemon to the command line, and loads it only if it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from powerd.ui.cli import main as cli

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.ui.cli.hold import RunningCommand


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; returns its exit code (client.ANSWERED and the like)."""
    return cli.main(argv, _run_daemon, _start_command, _find_conflicts)


def _run_daemon(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - cli.main() calls it by position
    _disable_ssl_import()
    from powerd.service import run  # noqa: PLC0415 - it imports the whole house; asking the daemon does without

    return run(config, observe, socket)


def _start_command(argv: Sequence[str], mask: Iterable[int]) -> RunningCommand:
    from powerd.linux.subprocess import ForegroundProcess  # noqa: PLC0415 - for hold alone

    return ForegroundProcess(argv, mask)


def _find_conflicts() -> list[str]:
    import asyncio  # noqa: PLC0415 - for check alone

    from powerd.disks.conflicts.checks import find_conflicts  # noqa: PLC0415 - as above
    from powerd.linux.files import HostFiles  # noqa: PLC0415 - as above

    files = HostFiles()
    try:
        return asyncio.run(find_conflicts(files))
    finally:
        files.close()


def _disable_ssl_import() -> None:
    """Have asyncio and aiohttp believe that there is no ssl, as both can; the daemon speaks no TLS.

    OpenSSL is 4.4 MB of a process that may have 24.
    """
    if "asyncio" not in sys.modules:
        sys.modules["ssl"] = None  # type: ignore[assignment] # the import system's own sign for "not to be had"


if __name__ == "__main__":
    sys.exit(main())
