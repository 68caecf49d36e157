"""The command line. Commands that ask the daemon import little, because imports dominate their run time."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from powerd.ui.cli import commands
from powerd.ui.cli.client import (
    EXIT_NEGATIVE,
    EXIT_OK,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    DeniedError,
    UnreachableError,
)
from powerd.ui.cli.parser import build_parser

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.ui.cli.hold import StartCommand

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Runs one command and returns its exit code."""
_CLIENT_COMMANDS: Final[dict[str, Command]] = {
    "status": commands.status,
    "why": commands.why,
    "clients": commands.clients,
    "activity": commands.activity,
    "disks": commands.disks,
    "wakes": commands.wakes,
    "smart": commands.smart,
    "keep": commands.keep,
    "hold": commands.hold,
    "wake": commands.wake,
}
_BAD_REQUEST: Final = 400
_INTERRUPTED: Final = 128 + 2
_BROKEN_PIPE: Final = 128 + 13


def main(
    argv: Sequence[str] | None,
    run: Callable[[Path | None, bool, Path], int],
    start: StartCommand,
    find_conflicts: Callable[[], Sequence[str]] = tuple,
    by_id_name: Callable[[str], str | None] = lambda _: None,
) -> int:
    """Run one command; returns its exit code (``client.EXIT_OK`` and others).

    Args:
        argv: arguments without the program name; None = those of this process.
        run: runs the daemon: configuration file, observe mode, socket -> exit code.
        start: starts a command in the foreground; used by ``hold``.
        find_conflicts: one paragraph for each other program that sends commands to disks; used by ``check``.
        by_id_name: the name in /dev/disk/by-id of a device; used by ``import``.
    """
    argument_parser = build_parser()
    tokens = sys.argv[1:] if argv is None else list(argv)
    separator = tokens.index("--") if "--" in tokens else len(tokens)
    arguments, unknown = argument_parser.parse_known_args(tokens[:separator])
    if unknown:
        separator_missing = (
            arguments.command == "hold" and separator == len(tokens) and not unknown[0].startswith("-")
        )
        hint = f"write -- before the command: powerd hold -- {unknown[0]}"
        arguments.usage_error(hint if separator_missing else f"unrecognized arguments: {' '.join(unknown)}")
    arguments.held_command = tokens[separator + 1 :]
    arguments.run, arguments.start, arguments.find_conflicts = run, start, find_conflicts
    arguments.by_id_name = by_id_name
    if arguments.held_command and arguments.command != "hold":
        argument_parser.error(
            f'only hold takes "--" and a command: powerd hold -- {arguments.held_command[0]}'
        )
    if arguments.command is None:
        argument_parser.print_help()
        return EXIT_OK
    try:
        return _command_function(arguments.command)(arguments)
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    except commands.OutputError as error:
        _discard_output()
        print(f"powerd: {error}", file=sys.stderr)
        return EXIT_NEGATIVE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (UnreachableError, DeniedError) as error:
        print(f"powerd: {error}", file=sys.stderr)
        return _exit_code_of(error)


def _discard_output() -> None:
    """Redirect standard output to /dev/null, so that the flush at exit does not fail a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_function(name: str) -> Command:
    """The function of a command that the parser has accepted."""
    if name in _CLIENT_COMMANDS:
        return _CLIENT_COMMANDS[name]
    from powerd.ui.cli import config_commands  # noqa: PLC0415 - it loads config/, which other commands do not need

    return {
        "check": config_commands.check,
        "config": config_commands.config,
        "import": config_commands.import_file,
        "run": config_commands.run,
    }[name]


def _exit_code_of(error: UnreachableError | DeniedError) -> int:
    if isinstance(error, UnreachableError):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if error.status == _BAD_REQUEST else EXIT_NEGATIVE
