"""The command line. Commands that query the daemon import little, because imports dominate their run time."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from powerd.ui.cli.client import (
    EXIT_NEGATIVE,
    EXIT_OK,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    HTTP_BAD_REQUEST,
    DeniedError,
    UnreachableError,
)
from powerd.ui.cli.output import OutputError
from powerd.ui.cli.parser import build_parser, unknown_text

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.config.options import Options
    from powerd.doctor.model import DoctorReport, DoctorRequest
    from powerd.ui.cli.hold import StartCommand

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Runs one command and returns its exit code."""
_MODULES: Final = {
    **dict.fromkeys(
        (
            *("status", "why", "clients", "activity", "disks", "wakes", "history", "report", "smart"),
            *("keep", "hold", "sleep", "wake", "notify", "reload"),
        ),
        "commands",
    ),
    "complete": "complete",
    "doctor": "doctor_command",
    "log": "log",
    "password": "password_command",
    "run": "run_command",
}
"""The module of each command, which loads what it needs; its function has the name of the command."""


def _nothing_found(_: DoctorRequest) -> DoctorReport:
    from powerd.doctor.model import DoctorReport  # noqa: PLC0415 - only doctor needs it

    return DoctorReport()


class MachineFunctions(NamedTuple):
    """The functions by which commands examine this machine without the daemon; by default an empty machine.

    Attributes:
        find_conflicts: one paragraph for each other program that sends commands to disks; used by ``check``.
        find_missing: what a configuration names and the machine does not have, as a key and a clause each;
            used by ``check``.
        by_id_name: the name in /dev/disk/by-id of a device; used by ``import``.
        run_doctor: examines it, or applies or removes a fix; used by ``doctor``.
        replace_process: runs a program in place of this process; raises OSError; used by ``log``.
        can_sleep: logind's answer for each action, as Logind.can_sleep(); used by ``setup``.
        simulate: runs ``powerd simulate``.
        list_checks: the names of powerd's own activity checks; used by completions.
    """

    find_conflicts: Callable[[], Sequence[str]] = tuple
    find_missing: Callable[[Options, Path], Sequence[tuple[str, str]]] = lambda _options, _file: ()
    by_id_name: Callable[[str], str | None] = lambda _: None
    run_doctor: Callable[[DoctorRequest], DoctorReport] = _nothing_found
    replace_process: Callable[[Sequence[str]], None] = lambda _: None
    can_sleep: Callable[[], Mapping[str, str]] = dict
    simulate: Command = lambda _: EXIT_USAGE
    list_checks: Callable[[], Sequence[str]] = tuple


_EMPTY_MACHINE: Final = MachineFunctions()
_INTERRUPTED: Final = 128 + 2
_BROKEN_PIPE: Final = 128 + 13


def main(
    argv: Sequence[str] | None,
    run: Callable[[Path | None, bool, Path], int],
    start: StartCommand,
    machine: MachineFunctions = _EMPTY_MACHINE,
    setup: Command = lambda _: EXIT_USAGE,
) -> int:
    """Run one command; returns its exit code (``client.EXIT_OK`` and others).

    Args:
        argv: arguments without the program name; None = those of this process.
        run: runs the daemon: configuration file, observe mode, socket -> exit code.
        start: starts a command in the foreground; used by ``hold``.
        machine: the functions by which commands examine this machine.
        setup: runs ``powerd setup``.
    """
    try:
        arguments = _parse(sys.argv[1:] if argv is None else list(argv))
        arguments.run, arguments.start, arguments.machine = run, start, machine
        name = "complete" if arguments.complete else arguments.command
        if name is None:
            build_parser().print_help()
            return EXIT_OK
        own = {"setup": setup, "simulate": machine.simulate}
        return _run(name, own.get(name) or _command_function(name), arguments)
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


def _run(name: str, command: Command, arguments: argparse.Namespace) -> int:
    """Run a command; an answer of the daemon that it does not understand is an UnreachableError."""
    if _MODULES.get(name) not in {"commands", "complete", "doctor_command"}:
        return command(arguments)
    try:
        return command(arguments)
    except (LookupError, TypeError, AttributeError) as error:
        what = f"the answer of the daemon is not understood ({type(error).__name__}: {error})"
        remedy = "if powerd has been upgraded, restart it: systemctl restart powerd"
        raise UnreachableError(f"{what}; {remedy}") from error


def _parse(tokens: list[str]) -> argparse.Namespace:
    """The arguments; exits if they are invalid.

    The parser ends with this function, because the daemon runs as long as main().
    """
    argument_parser = build_parser()
    separator = tokens.index("--") if "--" in tokens else len(tokens)
    parsed: tuple[argparse.Namespace, list[str]] = argument_parser.parse_known_args(tokens[:separator])
    arguments, unknown = parsed
    for before, token in pairwise(["", *tokens[:separator]]):
        option, equals, value = token.partition("=") if token[:2] == "--" else (before, "=", token)
        if equals and not value and option != "--because":
            arguments.usage_error("an argument is empty; write a value, or see whether the variable is set")
    if unknown:
        separator_missing = (
            arguments.command == "hold" and separator == len(tokens) and not unknown[0].startswith("-")
        )
        hint = f"write -- before the command: powerd hold -- {unknown[0]}"
        arguments.usage_error(hint if separator_missing else unknown_text(unknown, _options_of(arguments)))
    arguments.held_command = tokens[separator + 1 :]
    if arguments.held_command and arguments.command != "hold":
        argument_parser.error(
            f'only hold takes "--" and a command: powerd hold -- {arguments.held_command[0]}'
        )
    return arguments


def _options_of(arguments: argparse.Namespace) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in vars(arguments)]


def _discard_output() -> None:
    """Redirect standard output to /dev/null, so that the flush at exit does not fail a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_function(name: str) -> Command:
    """The function of a command that the parser has accepted."""
    if name in _MODULES:
        module = import_module(f"powerd.ui.cli.{_MODULES[name]}")
        command: Command = getattr(module, name)
        return command
    from powerd.ui.cli import config_commands  # noqa: PLC0415 - it loads config/, which other commands do not need

    return {
        "check": config_commands.check,
        "config": config_commands.config,
        "import": config_commands.import_file,
    }[name]


def _exit_code_of(error: UnreachableError | DeniedError) -> int:
    if isinstance(error, UnreachableError):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if error.status == HTTP_BAD_REQUEST else EXIT_NEGATIVE
