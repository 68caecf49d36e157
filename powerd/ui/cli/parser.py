"""The command line's grammar: every command, its arguments and the help that users read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from powerd import __version__
from powerd.ui.cli.client import DEFAULT_SOCKET

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

_EPILOG: Final = """\
exit codes: 0 answered; 1 the daemon makes no decisions or says no (smart: a
drive has a warning or an alarm); 2 usage or configuration error; 3 the daemon
cannot be reached; of hold: its command's"""


def build_parser() -> argparse.ArgumentParser:
    """The grammar of every command.

    What it reads has the command's name as ``command``, and as ``misused`` what to call on a wrong use of it.
    """
    root_parser = argparse.ArgumentParser(
        prog="powerd",
        description="Knows who is home, lets the server sleep when nobody needs it, and says why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root_parser.add_argument("--version", action="version", version=f"powerd {__version__}")
    commands = root_parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    config_option = _shared_option(
        "--config", metavar="FILE", help="instead of $POWERD_CONFIG or /etc/powerd/powerd.toml"
    )
    socket_option = _shared_option(
        "--socket", metavar="PATH", default=DEFAULT_SOCKET, help="the daemon's Unix socket (%(default)s)"
    )
    json_option = _shared_option("--json", action="store_true", help="print the API's JSON")
    text = "be the daemon"
    run_command = commands.add_parser(
        "run", parents=[config_option, socket_option], help=text, description=text, allow_abbrev=False
    )
    run_command.add_argument("--observe", action="store_true", help="decide and explain, touch nothing")
    for name, parents, text in (
        ("check", [config_option], "check the configuration, and say what it means"),
        ("config", [config_option], "print the configuration in force"),
        ("status", [socket_option, json_option], "the state, who is home, and what comes next"),
        (
            "why",
            [socket_option, json_option],
            "every reason to be awake, and when it may sleep at the earliest",
        ),
        ("clients", [socket_option, json_option], "who is known, and who is home"),
        ("disks", [socket_option, json_option], "what each disk does, and when it stands by"),
    ):
        commands.add_parser(name, parents=parents, help=text, description=text, allow_abbrev=False)
    _add_smart_command(commands, socket_option, json_option)
    _add_request_commands(commands, socket_option, json_option)
    root_parser.set_defaults(misused=root_parser.error)
    for command in commands.choices.values():
        command.set_defaults(misused=command.error)
    return root_parser


def _add_request_commands(
    commands: Subparsers, socket_option: argparse.ArgumentParser, json_option: argparse.ArgumentParser
) -> None:
    """The commands that ask the daemon to do something."""
    because_option = _shared_option(
        "--because", metavar="TEXT", default="", help="shown to whoever asks why it is awake"
    )
    text = "stay awake for some time"
    keep = commands.add_parser(
        "keep",
        parents=[because_option, socket_option, json_option],
        help=text,
        description=text,
        allow_abbrev=False,
    )
    choice = keep.add_mutually_exclusive_group(required=True)
    choice.add_argument("duration", metavar="DURATION", nargs="?", help="such as 90s, 20min, 2h or 1h30min")
    choice.add_argument("--list", action="store_true", help="name every keep and hold")
    choice.add_argument("--drop", metavar="ID", help="end a keep before its time")
    text = "stay awake while a command runs"
    commands.add_parser(
        "hold",
        parents=[because_option, socket_option],
        help=text,
        description=f"{text}; its exit code is the command's",
        usage="powerd hold [--because TEXT] [--socket PATH] -- COMMAND ...",
        allow_abbrev=False,
    )
    text = "wake another machine by a magic packet"
    wake = commands.add_parser(
        "wake", parents=[socket_option, json_option], help=text, description=text, allow_abbrev=False
    )
    wake.add_argument("host", metavar="HOST|MAC", help="a client's name, address or MAC, or any MAC")


def _add_smart_command(
    commands: Subparsers, socket_option: argparse.ArgumentParser, json_option: argparse.ArgumentParser
) -> None:
    text = "the health of the drives, or all about one"
    smart = commands.add_parser(
        "smart", parents=[socket_option, json_option], help=text, description=text, allow_abbrev=False
    )
    smart.add_argument("disk", metavar="DISK", nargs="?", help="its device, id or serial number")
    choice = smart.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="read it now, unless the drive sleeps")
    test_kinds = ("short", "long")  # the model has them as TESTS, but takes 50 ms to import
    choice.add_argument("--test", choices=test_kinds, help="have the drive test itself")


def _shared_option(flag: str, **settings: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - as argparse takes them
    option_parser = argparse.ArgumentParser(add_help=False)
    option_parser.add_argument(flag, **settings)
    return option_parser
