"""The manual pages in the format of man(7), made from the declarations of the parser and of the options.

``python -m powerd.ui.cli.manual DIRECTORY`` writes powerd.1, powerd.toml.5, and the completions powerd.bash,
_powerd (zsh) and powerd.fish, for packages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from powerd import __version__
from powerd.config.sample import sample_toml
from powerd.ui.cli.completion import (
    arguments_of,
    bash_completion,
    fish_completion,
    help_of,
    zsh_completion,
)
from powerd.ui.cli.parser import build_parser

_FILES: Final = {
    "/etc/powerd/powerd.toml": "the configuration, see powerd.toml(5)",
    "/run/powerd/powerd.sock": "the socket of the daemon; members of group powerd may use it",
    "/var/lib/powerd": "what outlives a restart of the daemon",
    "/var/lib/powerd-doctor": "what `powerd doctor` has changed",
}


def commands_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parser of each command, by its name."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to list what has been declared
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - its only name
            return action.choices
    return {}


def manual_page(parser: argparse.ArgumentParser) -> str:
    """powerd(1): every command with its arguments."""
    lines = [
        f'.TH POWERD 1 "" "powerd {__version__}" "User Commands"',
        ".SH NAME",
        rf"powerd \- {_roff(_lower_first(parser.description or '').rstrip('.'))}",
        ".SH SYNOPSIS",
        r".B powerd",
        r"\fICOMMAND\fR [\fIARGUMENT\fR ...]",
        ".SH COMMANDS",
    ]
    for name, command in commands_of(parser).items():
        lines += [f".SS powerd {_roff(name)}", _roff(f"{_upper_first(command.description or '')}."), ".PP"]
        lines += [f".B {_roff(' '.join(command.format_usage().removeprefix('usage: ').split()))}"]
        for action in arguments_of(command):
            lines += [".TP", _argument(action), _roff(_upper_first(help_of(action)))]
    lines += [".SH EXIT STATUS", _roff(_upper_first((parser.epilog or "").removeprefix("exit codes: ")))]
    lines += [".SH FILES"]
    for path, text in _FILES.items():
        lines += [".TP", rf"\fI{_roff(path)}\fR", _roff(_upper_first(text))]
    lines += [".SH SEE ALSO", r".BR powerd.toml (5)"]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """powerd.toml(5): the sample configuration, which has every option with its default."""
    lines = [
        f'.TH POWERD.TOML 5 "" "powerd {__version__}" "File Formats"',
        ".SH NAME",
        r"powerd.toml \- configuration of powerd",
        ".SH DESCRIPTION",
        "The file /etc/powerd/powerd.toml is TOML. Every key is optional. A value after # is a",
        "default or an example. Run",
        ".B powerd check",
        "after a change, and",
        ".BR powerd\\ reload .",
        ".SH OPTIONS",
        ".nf",
        *(_roff(line) for line in sample_toml().splitlines()),
        ".fi",
        ".SH SEE ALSO",
        r".BR powerd (1)",
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the pages and the completions into the directory that is named."""
    (directory,) = map(Path, argv)
    parser = build_parser()
    (directory / "powerd.1").write_text(manual_page(parser))
    (directory / "powerd.toml.5").write_text(configuration_page())
    commands = commands_of(parser)
    (directory / "powerd.bash").write_text(bash_completion(commands))
    (directory / "_powerd").write_text(zsh_completion(commands))
    (directory / "powerd.fish").write_text(fish_completion(commands))
    return 0


def _argument(action: argparse.Action) -> str:
    name = str(action.metavar or "|".join(action.choices or ()) or action.dest)
    if not action.option_strings:
        return rf"\fI{_roff(name)}\fR"
    value = "" if action.nargs == 0 else rf" \fI{_roff(name)}\fR"
    return rf"\fB{_roff(', '.join(action.option_strings))}\fR{value}"


def _roff(text: str) -> str:
    """Text without requests and escapes of its own (groff(7))."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def _upper_first(text: str) -> str:
    """A sentence; one that begins with the name of a file stays as it is."""
    first, _, _ = text.partition(" ")
    return text if {".", "/"} & set(first) else text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
