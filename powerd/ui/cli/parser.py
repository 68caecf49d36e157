"""The argument parser of the command line: all commands, their arguments and their help texts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from powerd import __version__
from powerd.ui.cli.client import DEFAULT_SOCKET
from powerd.ui.cli.output import emit
from powerd.ui.layout import line_width

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction["Parser"]  # noqa: SLF001 - its only name

_EPILOG: Final = """\
exit codes: 0 success; 1 the daemon makes no decisions or refuses the request
(smart: a drive has a warning or an alarm; doctor: something was found, or the
change failed; notify: a message was not sent); 2 usage or configuration error;
3 the daemon cannot be reached; hold: the exit code of its command"""

COMPLETED_ARGUMENTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("activity", "check"): ("--checks",),
    ("disks", "words"): ("standby", "--disks"),
    ("doctor", "fix"): ("--fixes",),
    ("doctor", "undo"): ("--applied",),
    ("keep", "drop"): ("--keeps",),
    ("keep", "duration"): ("30min", "1h", "2h", "8h", "until"),
    ("smart", "disk"): ("--disks",),
    ("wake", "host"): ("--clients",),
    ("wakes", "disk"): ("--disks",),
}
"""What shells complete, by command and argument: words, and with ``--`` the kinds of names that
``powerd --complete KIND`` lists (``complete.py``)."""
_COMPLETED_KINDS: Final = tuple(
    word.removeprefix("--")
    for words in COMPLETED_ARGUMENTS.values()
    for word in words
    if word.startswith("--")
)


_OTHER_COMMANDS: Final = {
    **{word: f"systemctl {word} powerd" for word in ("start", "stop", "restart", "enable", "disable")},
    "help": "powerd --help",
    "version": "powerd --version",
}
"""Commands that other programs have, and what does the same."""


class Parser(argparse.ArgumentParser):
    """Names the command or choice that is probably meant, and finds the width of its help without shutil.

    argparse makes a formatter for each argument, and shutil loads bz2 and lzma, which takes 0.8 MB of the
    daemon, and time of each command.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as argparse takes them
        self._given: list[str] = []
        super().__init__(
            **{"formatter_class": partial(argparse.HelpFormatter, width=line_width() - 2), **settings}
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as argparse
        """As argparse; error() needs the arguments."""
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """As argparse, but an unknown option is named before an argument that is missing."""
        known = self._option_string_actions
        unknown = [each for each in self._given if each[:1] == "-" and each.partition("=")[0] not in known]
        super().error(unknown_text(unknown, known) if unknown and " required" in message else message)

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ANN401 - as argparse
        """Print; unlike argparse, help that cannot be written is an OutputError."""
        if file is sys.stdout and file is not None:
            emit(message)
        else:
            super()._print_message(message, file)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            if other := _OTHER_COMMANDS.get(str(value)) if action.dest == "command" else None:
                raise argparse.ArgumentError(action, f"invalid choice: {value!r}; use {other}")
            from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

            if close := get_close_matches(str(value), map(str, action.choices), n=1):
                raise argparse.ArgumentError(action, f"invalid choice: {value!r}; did you mean {close[0]}?")
        super()._check_value(action, value)


def unknown_text(unknown: Sequence[str], options: Collection[str]) -> str:
    """Names unknown arguments, and the option that is probably meant."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    text = f"unrecognized arguments: {' '.join(unknown)}"
    close = get_close_matches(f"--{unknown[0].lstrip('-')}", options, n=1, cutoff=0.75)
    return f"{text}; did you mean {close[0]}?" if close else text


def build_parser() -> Parser:
    """The parser of all commands.

    The namespace that it returns has the name of the command as ``command``, and as ``usage_error`` the
    function that prints the usage of this command and an error, and exits.
    """
    root_parser = Parser(
        prog="powerd",
        description="Puts the server to sleep when nobody needs it, and explains every decision.",
        epilog=_EPILOG,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=line_width() - 2),
        allow_abbrev=False,
    )
    root_parser.add_argument("--complete", choices=_COMPLETED_KINDS, help=argparse.SUPPRESS)
    root_parser.add_argument("--version", action="version", version=f"powerd {__version__}")
    commands = root_parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    config_option = _shared_option(
        "--config", metavar="FILE", help="instead of $POWERD_CONFIG or /etc/powerd/powerd.toml"
    )
    socket_option = _shared_option(
        "--socket", metavar="PATH", default=DEFAULT_SOCKET, help="the daemon's Unix socket (%(default)s)"
    )
    json_option = _shared_option("--json", action="store_true", help="print the API's JSON")
    plain_json_option = _shared_option("--json", action="store_true", help="print JSON")
    watch_option = _shared_option(
        "--watch", action="store_true", help="print it again at each change, until Ctrl-C"
    )
    _add_daemon_commands(commands, config_option, socket_option)
    _add_setup_command(commands, config_option, socket_option)
    query_options = (socket_option, json_option)
    _add_plain_commands(commands, config_option, plain_json_option, watch_option, query_options)
    text = "all known clients and their states"
    _add_command(commands, "clients", text, *query_options).add_argument(
        "--all", action="store_true", help="print a line for each of many clients in the same state"
    )
    _add_disks_command(commands, socket_option, json_option, watch_option)
    _add_activity_command(commands, socket_option, json_option)
    _add_wakes_command(commands, socket_option, json_option)
    _add_smart_command(commands, socket_option, json_option)
    _add_history_commands(commands, socket_option, json_option, config_option)
    _add_log_command(commands, plain_json_option)
    _add_notify_command(commands, socket_option, json_option)
    _add_doctor_command(commands, config_option, socket_option, json_option)
    _add_request_commands(commands, socket_option, json_option)
    root_parser.set_defaults(usage_error=root_parser.error)
    for command in commands.choices.values():
        command.set_defaults(usage_error=command.error)
    return root_parser


def _add_command(commands: Subparsers, name: str, text: str, *options: Parser) -> Parser:
    return commands.add_parser(name, parents=options, help=text, description=text, allow_abbrev=False)


def _add_plain_commands(
    commands: Subparsers, config: Parser, plain_json: Parser, watch: Parser, query: Sequence[Parser]
) -> None:
    """The commands that have no argument but these options."""
    for name, options, text in (
        (
            "check",
            [config, plain_json],
            "errors and warnings of the configuration, and what each sleep rule does",
        ),
        ("config", [config, plain_json], "print the configuration with all defaults"),
        ("password", [config], "set the password of the status page"),
        (
            "status",
            [*query, watch],
            "what needs attention, who is home, and what happens next",
        ),
        (
            "why",
            [*query, watch],
            "every reason that keeps the server awake, and when it may sleep",
        ),
        ("reload", query, "load the configuration again"),
    ):
        _add_command(commands, name, text, *options)


def _add_daemon_commands(commands: Subparsers, *options: Parser) -> None:
    run_command = _add_command(commands, "run", "run the daemon", *options)
    run_command.add_argument("--observe", action="store_true", help="decide and explain, but change nothing")
    text = "convert the configuration of another program to one of powerd, and print it"
    _add_command(commands, "import", text).add_argument(
        "file",
        metavar="FILE",
        help="autosuspend.conf, hdparm.conf, smartd.conf, /etc/default/hd-idle or a crontab",
    )


def _add_request_commands(commands: Subparsers, socket_option: Parser, json_option: Parser) -> None:
    """Add the commands that request an action from the daemon."""
    because_option = _shared_option(
        "--because", metavar="TEXT", default="", help="the reason that powerd why shows"
    )
    text = "keep the server awake for a time"
    keep = _add_command(commands, "keep", text, because_option, socket_option, json_option)
    choice = keep.add_mutually_exclusive_group(required=True)
    choice.add_argument(
        "duration",
        metavar="DURATION | until TIME",
        nargs="*",
        default=[],
        help="such as 20min, 1h30min or 2 hours; until 18:00 or until Mon 06:30",
    )
    choice.add_argument("--list", action="store_true", help="list all keep-awake requests")
    choice.add_argument("--drop", metavar="ID", help="end a keep-awake request early")
    text = "keep the server awake while a command runs"
    commands.add_parser(
        "hold",
        parents=[because_option, socket_option],
        help=text,
        description=f"{text}; the exit code is that of the command",
        usage="powerd hold [--because TEXT] [--socket PATH] -- COMMAND ...",
        allow_abbrev=False,
    )
    text = "put the server to sleep by the first sleep rule, as soon as nothing keeps it awake"
    sleep = _add_command(commands, "sleep", text, socket_option, json_option)
    choice = sleep.add_mutually_exclusive_group()
    choice.add_argument("--now", action="store_true", help="also while clients are present")
    choice.add_argument(
        "--cancel", action="store_true", help="cancel the request; each new powerd keep does this too"
    )
    text = "wake another machine by magic packets"
    wake = _add_command(commands, "wake", text, socket_option, json_option)
    wake.add_argument(
        "host", metavar="HOST|MAC", help="name, address or MAC address of a client, or any other MAC address"
    )


def _add_setup_command(commands: Subparsers, *options: Parser) -> None:
    text = "ask some questions, and write a first configuration"
    setup = commands.add_parser("setup", parents=options, help=text, description=text, allow_abbrev=False)
    setup.add_argument("--yes", action="store_true", help="take every default; no terminal is needed")
    setup.add_argument("--output", metavar="FILE", help="write this file instead; powerd is not reloaded")


def _add_disks_command(commands: Subparsers, *options: Parser) -> None:
    text = "the state of each disk, and when it spins down"
    disks = _add_command(commands, "disks", text, *options)
    disks.add_argument(
        "words",
        metavar="DISK | standby DISK",
        nargs="*",
        help="print the details of this disk; standby DISK: spin it and its group down now",
    )


def _add_activity_command(commands: Subparsers, *options: Parser) -> None:
    text = "work in progress: each check with its value and result; or what a check counts"
    activity = _add_command(commands, "activity", text, *options)
    activity.add_argument(
        "check", metavar="CHECK", nargs="?", help="print what this check does, and its options"
    )
    activity.add_argument(
        "--now", action="store_true", help="poll every check first, and print the time taken"
    )


def _add_wakes_command(commands: Subparsers, *options: Parser) -> None:
    text = "what woke the disks, or uses them"
    wakes = _add_command(commands, "wakes", text, *options)
    wakes.add_argument("disk", metavar="DISK", nargs="?", help="device name, id or serial number")
    wakes.add_argument("--busy", action="store_true", help="what has used the disks within the last hour")


def _add_smart_command(commands: Subparsers, *options: Parser) -> None:
    text = "the health of all drives, or the details of one"
    smart = _add_command(commands, "smart", text, *options)
    smart.add_argument("disk", metavar="DISK", nargs="?", help="device name, id or serial number")
    choice = smart.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="check it now, unless the drive is in standby")
    test_kinds = ("short", "long")  # as smart.model declares; importing it takes 50 ms
    text = "acknowledge its findings, which then are reported again only if they change"
    choice.add_argument("--acknowledge", action="store_true", help=text)
    choice.add_argument("--test", choices=test_kinds, help="start a self-test of the drive")


def _add_history_commands(commands: Subparsers, *options: Parser) -> None:
    """Add history, report and simulate; ``options`` are that of the socket, --json and --config."""
    text = "sleeps and attempts, who came, the disks, and what kept the server awake"
    history = _add_command(commands, "history", text, *options[:2])
    history.add_argument(
        "--since", metavar="TIME", default="7d", help="such as 30d, 12h or 2026-06-01 (%(default)s)"
    )
    text = "hours asleep, energy, what kept the server awake the longest, and what woke the disks"
    report = _add_command(commands, "report", text, options[0])
    report.add_argument(
        "--since", metavar="TIME", default="30d", help="such as 30d, 12h or 2026-06-01 (%(default)s)"
    )
    form = report.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the API's JSON")
    form.add_argument("--csv", action="store_true", help="print comma-separated values, one figure a line")
    text = "the sleeps of this configuration, or of another one, over the recorded past"
    simulate = _add_command(commands, "simulate", text, options[2], options[0])
    simulate.add_argument("--json", action="store_true", help="print JSON")
    simulate.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="another value of idle_for, during, action, dozing, warn (of all sleep rules, or "
        "sleep.2.idle_for), after_start, after_resume, ignore, absent_after, or class.NAME.absent_after, "
        "keeps_awake or match of a class of clients; none = a few values are tried",
    )
    simulate.add_argument(
        "--since", metavar="TIME", default="30d", help="such as 30d, 12h or 2026-06-01 (%(default)s)"
    )


def _add_log_command(commands: Subparsers, *options: Parser) -> None:
    text = "the journal of the daemon and its helpers"
    log = _add_command(commands, "log", text, *options)
    log.add_argument(
        "--since", metavar="TIME", default="", help="such as 2h, yesterday or 18:00 (the last 50 lines)"
    )
    log.add_argument("--follow", action="store_true", help="print new lines until Ctrl-C")


def _add_notify_command(commands: Subparsers, *options: Parser) -> None:
    text = "send a test message to every recipient, and print each result"
    notify = _add_command(commands, "notify", text, *options)
    notify.add_argument("--test", action="store_true", required=True, help="send a test message")


def _add_doctor_command(commands: Subparsers, *options: Parser) -> None:
    text = "what accesses the disks without need, and how to stop it"
    doctor = _add_command(commands, "doctor", text, *options)
    choice = doctor.add_mutually_exclusive_group()
    choice.add_argument(
        "--fix", metavar="ID", help="write powerd's own files for a finding, and restart what needs it"
    )
    choice.add_argument("--undo", metavar="ID", help="remove what --fix has written")
    doctor.add_argument("--dry-run", action="store_true", help="only print what --fix or --undo would do")


def _shared_option(flag: str, **settings: Any) -> Parser:  # noqa: ANN401 - as argparse takes them
    option_parser = Parser(add_help=False)
    option_parser.add_argument(flag, **settings)
    return option_parser
