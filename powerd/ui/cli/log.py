"""``powerd log``: the journal of powerd's units, by journalctl(1)."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from powerd.ui.cli.client import EXIT_NEGATIVE, EXIT_USAGE

_UNITS: Final = ("powerd.service", "powerd-helper.service", "powerd-files.service")
_JOURNALS: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_LINES: Final = 50
_DURATION: Final = re.compile(r"(\d+(d|h|min|s))+")


def log(arguments: argparse.Namespace) -> int:
    """Run journalctl in place of this process; returns only if that is not possible."""
    if not _may_read(_JOURNALS):
        text = (
            "only root and members of the group systemd-journal can read the system's journal; run as root, "
            "or join the group (sudo adduser $USER systemd-journal) and log in again"
        )
        print(f"powerd: {text}", file=sys.stderr)
        return EXIT_NEGATIVE
    try:
        arguments.machine.replace_process(command_line(arguments))
    except OSError as error:
        print(f"powerd: cannot run journalctl: {error.strerror}; powerd log needs systemd", file=sys.stderr)
    return EXIT_USAGE


def command_line(arguments: argparse.Namespace) -> list[str]:
    """The arguments of journalctl(1), with the program."""
    since = arguments.since
    if _DURATION.fullmatch(since):
        since = f"-{since}"  # systemd.time(7): a relative time
    return [
        "journalctl",
        *(f"--unit={unit}" for unit in _UNITS),
        "--no-pager",
        f"--output={'json' if arguments.json else 'short'}",
        *([] if arguments.json else ["--no-hostname"]),
        *([f"--since={since}"] if since else [f"--lines={_LINES}"]),
        *(["--follow"] if arguments.follow else []),
    ]


def _may_read(directories: Iterable[Path]) -> bool:
    """Whether a journal of the system can be read, or does not exist, which journalctl itself reports."""
    journals = [file for directory in directories for file in directory.glob("*/system.journal")]
    return not journals or any(os.access(file, os.R_OK) for file in journals)
