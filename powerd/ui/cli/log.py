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
from powerd.ui.cli.commands import duration_text

_UNITS: Final = ("powerd.service", "powerd-helper.service", "powerd-files.service")
_JOURNALS: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_LINES: Final = 50
_DURATION: Final = re.compile(r"(\d{1,6}(d|h|min|s))+")
_TIME: Final = re.compile(r"now|today|yesterday|([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?|@\d{1,10}")


def log(arguments: argparse.Namespace) -> int:
    """Run journalctl in place of this process; returns only if that is not possible."""
    try:
        argv = command_line(arguments)
    except ValueError as error:
        arguments.usage_error(f"argument --since: {error}")
    if not _may_read(_JOURNALS):
        text = (
            "only root and members of the group systemd-journal can read the system's journal; run as root, "
            "or join the group (sudo adduser $USER systemd-journal) and log in again"
        )
        print(f"powerd: {text}", file=sys.stderr)
        return EXIT_NEGATIVE
    try:
        arguments.machine.replace_process(argv)
    except OSError as error:
        print(f"powerd: cannot run journalctl: {error.strerror}; powerd log needs systemd", file=sys.stderr)
    return EXIT_USAGE


def command_line(arguments: argparse.Namespace) -> list[str]:
    """The arguments of journalctl(1), with the program.

    Raises:
        ValueError: --since is not a time.
    """
    since = _journal_time(arguments.since) if arguments.since else ""
    return [
        "journalctl",
        *(f"--unit={unit}" for unit in _UNITS),
        "--no-pager",
        f"--output={'json' if arguments.json else 'short'}",
        *([] if arguments.json else ["--no-hostname"]),
        *([f"--since={since}"] if since else [f"--lines={_LINES}"]),
        *(["--follow"] if arguments.follow else []),
    ]


def _journal_time(text: str) -> str:
    """A time in a form that journalctl(1) reads, see systemd.time(7).

    Raises:
        ValueError: it is not one; one clause with the remedy.
    """
    span = duration_text(text.strip().removeprefix("-").removesuffix("ago")).replace(" ", "")
    if _DURATION.fullmatch(span):
        return f"-{span}"
    if _TIME.fullmatch(text):
        return text
    from datetime import datetime  # noqa: PLC0415 - only for a date

    try:
        return f"@{max(int(datetime.fromisoformat(text).timestamp()), 0)}"
    except (ValueError, OverflowError):
        remedy = "write it like 2h, yesterday, 18:00 or 2026-06-01T18:00"
        raise ValueError(f'"{text}" is not a time; {remedy}') from None


def _may_read(directories: Iterable[Path]) -> bool:
    """Whether a journal of the system can be read, or does not exist, which journalctl itself reports."""
    journals = [file for directory in directories for file in directory.glob("*/system.journal")]
    return not journals or any(os.access(file, os.R_OK) for file in journals)
