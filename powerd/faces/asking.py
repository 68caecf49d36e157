"""The commands that ask the daemon: one function each, its exit code; each loads its own text alone."""

from __future__ import annotations

import argparse
from typing import Any

from powerd.faces.client import ANSWERED, NO, get, wish
from powerd.faces.terminal import paint, say


def status(arguments: argparse.Namespace) -> int:
    """``powerd status``."""
    from powerd.faces.text import status_text

    told = get("/api/status", arguments.socket)
    say(told if arguments.json else status_text(told, paint()))
    return _deciding(told)


def why(arguments: argparse.Namespace) -> int:
    """``powerd why``."""
    from powerd.faces.text import why_text

    told = get("/api/status", arguments.socket)
    say(told if arguments.json else why_text(told, paint()))
    return _deciding(told)


def clients(arguments: argparse.Namespace) -> int:
    """``powerd clients``."""
    from powerd.faces.table import clients_text

    rows = get("/api/clients", arguments.socket)  # looks at all of them first, so the status comes after
    told = get("/api/status", arguments.socket)
    say(rows if arguments.json else clients_text(rows, told, paint()))
    return _deciding(told)


def disks(arguments: argparse.Namespace) -> int:
    """``powerd disks``."""
    from powerd.faces.disk_table import disks_text

    told = get("/api/status", arguments.socket)
    say(told["disks"] if arguments.json else disks_text(told, paint()))
    return _deciding(told)


def smart(arguments: argparse.Namespace) -> int:
    """``powerd smart [DISK]``."""
    if arguments.disk is not None:
        return _one_drive(arguments)
    if arguments.check or arguments.test:
        arguments.misused("say which DISK; `powerd smart` names them")
    return _every_drive(arguments)


def _every_drive(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from powerd.faces.health_text import smarts_text

    told, drives = get("/api/status", arguments.socket), get("/api/smart", arguments.socket)
    now, observing = datetime.fromisoformat(told["now"]), told["mode"] == "observe"
    say(drives if arguments.json else smarts_text(drives, now, paint(), observing=observing))
    return _well(*drives)


def _one_drive(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from powerd.faces.health_text import begun_text, smart_text

    door, path = arguments.socket, f"/api/smart/{_quoted(arguments.disk)}"
    if arguments.check:
        wish("POST", f"{path}/check", {}, door)
    if arguments.test:
        wish("POST", f"{path}/test", {"kind": arguments.test}, door)
    drive, told = wish("GET", path, at=door), get("/api/status", door)
    if arguments.json:
        say(drive)
    elif arguments.test:
        say(begun_text(drive, arguments.test))
    else:
        say(smart_text(drive, datetime.fromisoformat(told["now"]), paint()))
    return _well(drive)


def keep(arguments: argparse.Namespace) -> int:
    """``powerd keep``."""
    from powerd.faces.wishes import dropped_text, keeps_text, kept_text

    door = arguments.socket
    if arguments.list:
        told = get("/api/status", door)
        say(told["keeps"] if arguments.json else keeps_text(told["keeps"], told["now"], paint()))
    elif arguments.drop is not None:
        dropped = wish("DELETE", f"/api/keep/{_quoted(arguments.drop)}", at=door)
        say(dropped if arguments.json else dropped_text(dropped))
    else:
        kept = wish("POST", "/api/keep", {"for": arguments.duration, "because": arguments.because}, door)
        say(kept if arguments.json else kept_text(kept))
    return ANSWERED


def hold(arguments: argparse.Namespace) -> int:
    """``powerd hold -- COMMAND``; the exit code is the command's."""
    from powerd.faces.hold import hold as run_held

    if not arguments.held:
        arguments.misused("say which command to run, after --")
    return run_held(arguments.held, arguments.because, arguments.socket, arguments.start)


def wake(arguments: argparse.Namespace) -> int:
    """``powerd wake HOST|MAC``."""
    from powerd.faces.wishes import woken_text

    woken = wish("POST", "/api/wake", {"host": arguments.host}, arguments.socket)
    say(woken if arguments.json else woken_text(woken))
    return ANSWERED


def _quoted(name: str) -> str:
    """``name`` as one segment of a URL's path (RFC 3986)."""
    return "".join(f"%{byte:02x}" for byte in name.encode(errors="surrogateescape"))


def _deciding(told: dict[str, Any]) -> int:
    """Whether decisions are being made."""
    return NO if told["trouble"] or told["state"] == "starting" else ANSWERED


def _well(*drives: dict[str, Any]) -> int:
    """Whether no drive has a finding that somebody has to act on."""
    return NO if any(drive["health"] in {"warning", "alarm"} for drive in drives) else ANSWERED
