"""The command line. What asks the daemon imports next to nothing, so that it feels instant."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from powerd.faces import asking
from powerd.faces.client import ANSWERED, NO, UNREACHABLE, USAGE, DeniedError, UnreachableError
from powerd.faces.grammar import parser
from powerd.faces.terminal import PrintError

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.faces.hold import Start

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Carries itself out, and gives its exit code."""
_ASKING: Final[dict[str, Command]] = {
    "status": asking.status,
    "why": asking.why,
    "clients": asking.clients,
    "disks": asking.disks,
    "smart": asking.smart,
    "keep": asking.keep,
    "hold": asking.hold,
    "wake": asking.wake,
}
_BAD_REQUEST: Final = 400
_INTERRUPTED: Final = 128 + 2
_BROKEN_PIPE: Final = 128 + 13


def main(
    argv: Sequence[str] | None,
    run: Callable[[Path | None, bool, Path], int],
    start: Start,
    survey: Callable[[], Sequence[str]] = tuple,
) -> int:
    """Carry out one command; returns its exit code (client.ANSWERED and the like).

    Args:
        argv: arguments without the program's name; None = those of this process.
        run: the daemon: configuration file, observe mode, socket -> exit code.
        start: starts a command in the foreground, for ``hold``.
        survey: what else on this machine gives disks orders, a paragraph each, for ``check``.
    """
    grammar = parser()
    words = sys.argv[1:] if argv is None else list(argv)
    cut = words.index("--") if "--" in words else len(words)
    arguments, unknown = grammar.parse_known_args(words[:cut])
    if unknown:
        bare = arguments.command == "hold" and cut == len(words) and not unknown[0].startswith("-")
        known = f"write -- before the command: powerd hold -- {unknown[0]}"
        arguments.misused(known if bare else f"unrecognized arguments: {' '.join(unknown)}")
    arguments.held, arguments.run, arguments.start, arguments.survey = words[cut + 1 :], run, start, survey
    if arguments.held and arguments.command != "hold":
        grammar.error(f'"--" and a command after it are for: powerd hold -- {arguments.held[0]}')
    if arguments.command is None:
        grammar.print_help()
        return ANSWERED
    try:
        return _command(arguments.command)(arguments)
    except BrokenPipeError:
        _print_no_more()
        return _BROKEN_PIPE
    except PrintError as error:
        _print_no_more()
        print(f"powerd: {error}", file=sys.stderr)
        return NO
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (UnreachableError, DeniedError) as error:
        print(f"powerd: {error}", file=sys.stderr)
        return _failed(error)


def _print_no_more() -> None:
    """Have the flush at exit not complain again of what standard output did not take."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command(name: str) -> Command:
    """The command of this name, which the grammar knows."""
    if name in _ASKING:
        return _ASKING[name]
    from powerd.faces import config_commands  # noqa: PLC0415 - it loads config/; asking the daemon does without

    return {"check": config_commands.check, "config": config_commands.config, "run": config_commands.run}[
        name
    ]


def _failed(error: UnreachableError | DeniedError) -> int:
    if isinstance(error, UnreachableError):
        return UNREACHABLE
    return USAGE if error.status == _BAD_REQUEST else NO
