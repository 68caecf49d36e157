"""The command line. What asks the daemon imports next to nothing, so that it feels instant."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from powerd import __version__
from powerd.faces.client import SOCKET, UnreachableError, get

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.config import Options
    from powerd.faces.words import Paint, Style

ANSWERED, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes. NO: the daemon answers, but makes no decisions."""
_INTERRUPTED: Final = 128 + 2
_BROKEN_PIPE: Final = 128 + 13
_COLOURS: Final[dict[Style, str]] = {"strong": "1", "good": "32", "doubt": "33", "bad": "31", "dim": "2"}
_EPILOG: Final = """\
exit codes: 0 answered, 1 the daemon makes no decisions, 2 usage or configuration error,
3 the daemon cannot be reached"""


def main(argv: Sequence[str] | None, run: Callable[[Path | None, bool, Path], int]) -> int:
    """Carry out one command.

    Args:
        argv: arguments without the program's name; None = those of this process.
        run: the daemon: configuration file, observe mode, socket -> exit code.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return ANSWERED
    try:
        if arguments.command == "run":
            return run(_config(arguments), arguments.observe, _path(arguments.socket))
        code: int = arguments.carry_out(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit complains again
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except UnreachableError as error:
        print(f"powerd: {error}", file=sys.stderr)
        return UNREACHABLE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="powerd",
        description="Knows who is home, lets the server sleep when nobody needs it, and says why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"powerd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    config = _shared("--config", metavar="FILE", help="instead of $POWERD_CONFIG or /etc/powerd/powerd.toml")
    door = _shared("--socket", metavar="PATH", default=SOCKET, help="the daemon's Unix socket (%(default)s)")
    json = _shared("--json", action="store_true", help="print the API's JSON")
    start = commands.add_parser("run", parents=[config, door], help="be the daemon", allow_abbrev=False)
    start.add_argument("--observe", action="store_true", help="decide and explain, touch nothing")
    for name, parents, carry_out, text in (
        ("check", [config], _check, "check the configuration, and say what it means"),
        ("config", [config], _effective, "print the configuration in force"),
        ("status", [door, json], _status, "the state, who is home, and what comes next"),
        ("why", [door, json], _why, "every reason to be awake, and when it may sleep at the earliest"),
        ("clients", [door, json], _clients, "who is known, and who is home"),
    ):
        command = commands.add_parser(name, parents=parents, help=text, description=text, allow_abbrev=False)
        command.set_defaults(carry_out=carry_out)
    return parser


def _shared(flag: str, **about: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - as argparse takes them
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(flag, **about)
    return parser


def _path(text: str) -> Path:
    from pathlib import Path  # noqa: PLC0415 - asking the daemon does without

    return Path(text)


def _config(arguments: argparse.Namespace) -> Path | None:
    """The configuration file asked for; None = the usual one, if it is there."""
    text = arguments.config or os.environ.get("POWERD_CONFIG")
    return _path(text) if text else None


def _options(arguments: argparse.Namespace) -> Options:
    from powerd.config import ConfigError, load  # noqa: PLC0415 - asking the daemon does without

    try:
        return load(_config(arguments))
    except ConfigError as error:
        _refuse(error.faults)


def _refuse(faults: Sequence[str]) -> NoReturn:
    for fault in faults:
        print(fault, file=sys.stderr)
    raise SystemExit(USAGE)


def _check(arguments: argparse.Namespace) -> int:
    from powerd.config.load import DEFAULT_PATH  # noqa: PLC0415 - as in _options()

    options = _options(arguments)
    file = _config(arguments)
    missing = file is None and not DEFAULT_PATH.exists()
    print(f"{DEFAULT_PATH}: not there, so the defaults hold" if missing else f"{file or DEFAULT_PATH}: ok")
    print(meaning(options))
    return ANSWERED


def meaning(options: Options) -> str:
    """What it comes to, in one line: ``observe mode, 2 sleep rules, clients from leases auto``."""
    count = len(options.sleep)
    rules = f"{count} sleep rule{'' if count == 1 else 's'}" if count else "no sleep rule, so it never sleeps"
    clients = options.clients
    known = [f"leases {', '.join(clients.leases)}"] if clients.leases else []
    hosts = len(clients.hosts)
    known += [f"{hosts} named host{'' if hosts == 1 else 's'}"] if hosts else []
    known += ["what is learned on the LAN"] if clients.learn else []
    return f"{options.mode} mode, {rules}, clients from {' and '.join(known) or 'nowhere'}"


def _effective(arguments: argparse.Namespace) -> int:
    from powerd.config import effective  # noqa: PLC0415 - as in _options()

    print(effective(_options(arguments)), end="")
    return ANSWERED


def _status(arguments: argparse.Namespace) -> int:
    from powerd.faces.text import status_text  # noqa: PLC0415 - each command pays for its own text

    status = get("/api/status", arguments.socket)
    _say(status if arguments.json else status_text(status, _paint()))
    return _deciding(status)


def _why(arguments: argparse.Namespace) -> int:
    from powerd.faces.text import why_text  # noqa: PLC0415 - each command pays for its own text

    status = get("/api/status", arguments.socket)
    _say(status if arguments.json else why_text(status, _paint()))
    return _deciding(status)


def _clients(arguments: argparse.Namespace) -> int:
    from powerd.faces.table import clients_text  # noqa: PLC0415 - each command pays for its own text

    clients = get("/api/clients", arguments.socket)  # looks at all of them first, so the status comes after
    status = get("/api/status", arguments.socket)
    _say(clients if arguments.json else clients_text(clients, status, _paint()))
    return _deciding(status)


def _deciding(status: dict[str, Any]) -> int:
    return NO if status["trouble"] or status["state"] == "starting" else ANSWERED


def _say(answer: object) -> None:
    """Print text as it is, anything else as JSON; what the terminal's encoding lacks becomes "?"."""
    import json  # noqa: PLC0415 - the client has it already; the other commands do without

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    print(answer if isinstance(answer, str) else json.dumps(answer, indent=2) + "\n", end="")


def _paint() -> Paint:
    """Colours on a terminal that has them, unless NO_COLOR (no-color.org) is set and not empty."""
    from powerd.faces.words import plain  # noqa: PLC0415 - only what prints text needs it

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return plain
    return lambda text, style: f"\033[{_COLOURS[style]}m{text}\033[0m"
