"""The command line's grammar: every command, its arguments and the help that users read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from powerd import __version__
from powerd.faces.client import SOCKET

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

_EPILOG: Final = """\
exit codes: 0 answered; 1 the daemon makes no decisions or says no (smart: a
drive has a warning or an alarm); 2 usage or configuration error; 3 the daemon
cannot be reached; of hold: its command's"""


def parser() -> argparse.ArgumentParser:
    """The grammar of every command.

    What it reads has the command's name as ``command``, and as ``misused`` what to call on a wrong use of it.
    """
    whole = argparse.ArgumentParser(
        prog="powerd",
        description="Knows who is home, lets the server sleep when nobody needs it, and says why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"powerd {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    config = _shared("--config", metavar="FILE", help="instead of $POWERD_CONFIG or /etc/powerd/powerd.toml")
    door = _shared("--socket", metavar="PATH", default=SOCKET, help="the daemon's Unix socket (%(default)s)")
    json = _shared("--json", action="store_true", help="print the API's JSON")
    text = "be the daemon"
    start = commands.add_parser(
        "run", parents=[config, door], help=text, description=text, allow_abbrev=False
    )
    start.add_argument("--observe", action="store_true", help="decide and explain, touch nothing")
    for name, parents, text in (
        ("check", [config], "check the configuration, and say what it means"),
        ("config", [config], "print the configuration in force"),
        ("status", [door, json], "the state, who is home, and what comes next"),
        ("why", [door, json], "every reason to be awake, and when it may sleep at the earliest"),
        ("clients", [door, json], "who is known, and who is home"),
        ("disks", [door, json], "what each disk does, and when it stands by"),
    ):
        commands.add_parser(name, parents=parents, help=text, description=text, allow_abbrev=False)
    _smart(commands, door, json)
    _wishes(commands, door, json)
    whole.set_defaults(misused=whole.error)
    for command in commands.choices.values():
        command.set_defaults(misused=command.error)
    return whole


def _wishes(commands: Commands, door: argparse.ArgumentParser, json: argparse.ArgumentParser) -> None:
    """The commands that ask the daemon to do something."""
    because = _shared("--because", metavar="TEXT", default="", help="shown to whoever asks why it is awake")
    text = "stay awake for some time"
    keep = commands.add_parser(
        "keep", parents=[because, door, json], help=text, description=text, allow_abbrev=False
    )
    which = keep.add_mutually_exclusive_group(required=True)
    which.add_argument("duration", metavar="DURATION", nargs="?", help="such as 90s, 20min, 2h or 1h30min")
    which.add_argument("--list", action="store_true", help="name every keep and hold")
    which.add_argument("--drop", metavar="ID", help="end a keep before its time")
    text = "stay awake while a command runs"
    commands.add_parser(
        "hold",
        parents=[because, door],
        help=text,
        description=f"{text}; its exit code is the command's",
        usage="powerd hold [--because TEXT] [--socket PATH] -- COMMAND ...",
        allow_abbrev=False,
    )
    text = "wake another machine by a magic packet"
    wake = commands.add_parser("wake", parents=[door, json], help=text, description=text, allow_abbrev=False)
    wake.add_argument("host", metavar="HOST|MAC", help="a client's name, address or MAC, or any MAC")


def _smart(commands: Commands, door: argparse.ArgumentParser, json: argparse.ArgumentParser) -> None:
    text = "the health of the drives, or all about one"
    smart = commands.add_parser(
        "smart", parents=[door, json], help=text, description=text, allow_abbrev=False
    )
    smart.add_argument("disk", metavar="DISK", nargs="?", help="its device, id or serial number")
    which = smart.add_mutually_exclusive_group()
    which.add_argument("--check", action="store_true", help="read it now, unless the drive sleeps")
    tests = ("short", "long")  # the model has them as TESTS, but takes 50 ms to import
    which.add_argument("--test", choices=tests, help="have the drive test itself")


def _shared(flag: str, **about: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - as argparse takes them
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(flag, **about)
    return parser
