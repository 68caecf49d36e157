"""The command line. What asks the daemon imports next to nothing, so that it feels instant."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from powerd.faces.client import DeniedError, UnreachableError, get, wish
from powerd.faces.grammar import parser

if TYPE_CHECKING:
    from pathlib import Path

    from powerd.config import Options
    from powerd.faces.hold import Start
    from powerd.faces.words import Paint, Style

ANSWERED, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes. NO: the daemon answers, but makes no decisions, or will not do what it is asked for."""
_BAD_REQUEST: Final = 400
_INTERRUPTED: Final = 128 + 2
_BROKEN_PIPE: Final = 128 + 13
_COLOURS: Final[dict[Style, str]] = {"strong": "1", "good": "32", "doubt": "33", "bad": "31", "dim": "2"}


def main(
    argv: Sequence[str] | None,
    run: Callable[[Path | None, bool, Path], int],
    start: Start,
    survey: Callable[[], Sequence[str]] = tuple,
) -> int:
    """Carry out one command.

    Args:
        argv: arguments without the program's name; None = those of this process.
        run: the daemon: configuration file, observe mode, socket -> exit code.
        start: starts a command in the foreground, for ``hold``.
        survey: what else on this machine gives disks orders, a paragraph each, for ``check``.
    """
    grammar = parser()
    words = sys.argv[1:] if argv is None else list(argv)
    cut = words.index("--") if "--" in words else len(words)
    arguments = grammar.parse_args(words[:cut])
    arguments.held, arguments.start, arguments.survey = words[cut + 1 :], start, survey
    if arguments.held and arguments.command != "hold":
        grammar.error(f'"--" and a command after it are for: powerd hold -- {arguments.held[0]}')
    if arguments.command is None:
        grammar.print_help()
        return ANSWERED
    try:
        if arguments.command == "run":
            return run(_config(arguments), arguments.observe, _path(arguments.socket))
        code = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit complains again
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (UnreachableError, DeniedError) as error:
        print(f"powerd: {error}", file=sys.stderr)
        return _failed(error)
    return code


def _failed(error: UnreachableError | DeniedError) -> int:
    if isinstance(error, UnreachableError):
        return UNREACHABLE
    return USAGE if error.status == _BAD_REQUEST else NO


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
    from powerd.config.notify import cautions  # noqa: PLC0415 - as above

    options = _options(arguments)
    file = _config(arguments)
    missing = file is None and not DEFAULT_PATH.exists()
    print(f"{DEFAULT_PATH}: not there, so the defaults hold" if missing else f"{file or DEFAULT_PATH}: ok")
    print(meaning(options))
    for caution in cautions(options, file or DEFAULT_PATH):
        print(f"warning: {caution}")
    if options.disks.spin_down_after or options.disks.rule:
        for finding in arguments.survey():
            print(f"note: {finding}")
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


def _disks(arguments: argparse.Namespace) -> int:
    from powerd.faces.disk_table import disks_text  # noqa: PLC0415 - each command pays for its own text

    status = get("/api/status", arguments.socket)
    _say(status["disks"] if arguments.json else disks_text(status, _paint()))
    return _deciding(status)


def _smart(arguments: argparse.Namespace) -> int:
    from datetime import datetime  # noqa: PLC0415 - as the others

    from powerd.faces.health_text import begun_text, smart_text, smarts_text  # noqa: PLC0415 - as the others

    door, disk = arguments.socket, arguments.disk
    if disk is None:
        if arguments.check or arguments.test:
            arguments.misused("say which DISK; `powerd smart` names them")
        status, drives = get("/api/status", door), get("/api/smart", door)
        now = datetime.fromisoformat(status["now"])
        observing = status["mode"] == "observe"
        _say(drives if arguments.json else smarts_text(drives, now, _paint(), observing=observing))
        return NO if any(drive["health"] in {"warning", "alarm"} for drive in drives) else ANSWERED
    path = f"/api/smart/{_quoted(disk)}"
    if arguments.check:
        wish("POST", f"{path}/check", {}, door)
    if arguments.test:
        wish("POST", f"{path}/test", {"kind": arguments.test}, door)
    drive, status = wish("GET", path, at=door), get("/api/status", door)
    if arguments.json:
        _say(drive)
    elif arguments.test:
        _say(begun_text(drive, arguments.test))
    else:
        _say(smart_text(drive, datetime.fromisoformat(status["now"]), _paint()))
    return NO if drive["health"] in {"warning", "alarm"} else ANSWERED


def _keep(arguments: argparse.Namespace) -> int:
    from powerd.faces.wishes import dropped_text, keeps_text, kept_text  # noqa: PLC0415 - as the others

    door = arguments.socket
    if arguments.list:
        status = get("/api/status", door)
        _say(status["keeps"] if arguments.json else keeps_text(status["keeps"], status["now"], _paint()))
        return ANSWERED
    if arguments.drop is not None:
        keep = wish("DELETE", f"/api/keep/{_quoted(arguments.drop)}", at=door)
        _say(keep if arguments.json else dropped_text(keep))
        return ANSWERED
    keep = wish("POST", "/api/keep", {"for": arguments.duration, "because": arguments.because}, door)
    _say(keep if arguments.json else kept_text(keep))
    return ANSWERED


def _hold(arguments: argparse.Namespace) -> int:
    from powerd.faces.hold import hold  # noqa: PLC0415 - as the others

    if not arguments.held:
        arguments.misused("say which command to run, after --")
    return hold(arguments.held, arguments.because, arguments.socket, arguments.start)


def _wake(arguments: argparse.Namespace) -> int:
    from powerd.faces.wishes import woken_text  # noqa: PLC0415 - as the others

    woken = wish("POST", "/api/wake", {"host": arguments.host}, arguments.socket)
    _say(woken if arguments.json else woken_text(woken))
    return ANSWERED


def _quoted(name: str) -> str:
    """``name`` as one segment of a URL's path (RFC 3986)."""
    return "".join(f"%{byte:02x}" for byte in name.encode(errors="surrogateescape"))


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


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "check": _check,
    "config": _effective,
    "status": _status,
    "why": _why,
    "clients": _clients,
    "disks": _disks,
    "smart": _smart,
    "keep": _keep,
    "hold": _hold,
    "wake": _wake,
}
