"""The command line. What asks the daemon imports next to nothing, so that it feels instant."""

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
from powerd.ui.cli.terminal import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.ui.cli.hold import StartCommand

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Carries itself out, and gives its exit code."""
_CLIENT_COMMANDS: Final[dict[str, Command]] = {
    "status": commands.status,
    "why": commands.why,
    "clients": commands.clients,
    "disks": commands.disks,
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
) -> int:
    """Carry out one command; returns its exit code (client.ANSWERED and the like).

    Args:
        argv: arguments without the program's name; None = those of this process.
        run: the daemon: configuration file, observe mode, socket -> exit code.
        start: starts a command in the foreground, for ``hold``.
        find_conflicts: what else on this machine gives disks orders, a paragraph each, for ``check``.
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
        arguments.misused(hint if separator_missing else f"unrecognized arguments: {' '.join(unknown)}")
    arguments.held, arguments.run, arguments.start, arguments.survey = (
        tokens[separator + 1 :],
        run,
        start,
        find_conflicts,
    )
    if arguments.held and arguments.command != "hold":
        argument_parser.error(f'"--" and a command after it are for: powerd hold -- {arguments.held[0]}')
    if arguments.command is None:
        argument_parser.print_help()
        return EXIT_OK
    try:
        return _command_function(arguments.command)(arguments)
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    except OutputError as error:
        _discard_output()
        print(f"powerd: {error}", file=sys.stderr)
        return EXIT_NEGATIVE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (UnreachableError, DeniedError) as error:
        print(f"powerd: {error}", file=sys.stderr)
        return _exit_code_of(error)


def _discard_output() -> None:
    """Have the flush at exit not complain again of what standard output did not take."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_function(name: str) -> Command:
    """The command of this name, which the grammar knows."""
    if name in _CLIENT_COMMANDS:
        return _CLIENT_COMMANDS[name]
    from powerd.ui.cli import commands  # noqa: PLC0415 - it loads config/; asking the daemon does without

    return {"check": commands.check, "config": commands.config, "run": commands.run}[name]


def _exit_code_of(error: UnreachableError | DeniedError) -> int:
    if isinstance(error, UnreachableError):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if error.status == _BAD_REQUEST else EXIT_NEGATIVE
