"""The commands that ask the daemon: one function each, its exit code; each loads its own text alone.

The commands that need the configuration: check, config and run. Nothing else loads config/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from powerd.config.load import DEFAULT_PATH, ConfigError, load
from powerd.config.options import Options, option_warnings
from powerd.config.sample import effective_toml
from powerd.ui.cli.client import EXIT_NEGATIVE, EXIT_OK, EXIT_USAGE, get, request
from powerd.ui.cli.terminal import emit, paint
from powerd.ui.layout import hanging_lines, join_lines


def status(arguments: argparse.Namespace) -> int:
    """``powerd status``."""
    from powerd.ui.status import status_text

    document = get("/api/status", arguments.socket)
    emit(document if arguments.json else status_text(document, paint()))
    return _exit_code_for_status(document)


def why(arguments: argparse.Namespace) -> int:
    """``powerd why``."""
    from powerd.ui.status import why_text

    document = get("/api/status", arguments.socket)
    emit(document if arguments.json else why_text(document, paint()))
    return _exit_code_for_status(document)


def clients(arguments: argparse.Namespace) -> int:
    """``powerd clients``."""
    from powerd.presence.view import clients_text

    rows = get("/api/clients", arguments.socket)  # looks at all of them first, so the status comes after
    document = get("/api/status", arguments.socket)
    emit(rows if arguments.json else clients_text(rows, document, paint()))
    return _exit_code_for_status(document)


def disks(arguments: argparse.Namespace) -> int:
    """``powerd disks``."""
    from powerd.disks.view.table import disks_text

    document = get("/api/status", arguments.socket)
    emit(document["disks"] if arguments.json else disks_text(document, paint()))
    return _exit_code_for_status(document)


def smart(arguments: argparse.Namespace) -> int:
    """``powerd smart [DISK]``."""
    if arguments.disk is not None:
        return _show_drive(arguments)
    if arguments.check or arguments.test:
        arguments.misused("say which DISK; `powerd smart` names them")
    return _show_all_drives(arguments)


def _show_all_drives(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from powerd.smart.view.table import smart_table_text

    document, drives = get("/api/status", arguments.socket), get("/api/smart", arguments.socket)
    now, observing = datetime.fromisoformat(document["now"]), document["mode"] == "observe"
    emit(drives if arguments.json else smart_table_text(drives, now, paint(), observing=observing))
    return _exit_code_for_drives(*drives)


def _show_drive(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from powerd.smart.view.table import self_test_text, smart_text

    socket_path, path = arguments.socket, f"/api/smart/{_quote_segment(arguments.disk)}"
    if arguments.check:
        request("POST", f"{path}/check", {}, socket_path)
    if arguments.test:
        request("POST", f"{path}/test", {"kind": arguments.test}, socket_path)
    drive, document = request("GET", path, socket_path=socket_path), get("/api/status", socket_path)
    if arguments.json:
        emit(drive)
    elif arguments.test:
        emit(self_test_text(drive, arguments.test))
    else:
        emit(smart_text(drive, datetime.fromisoformat(document["now"]), paint()))
    return _exit_code_for_drives(drive)


def keep(arguments: argparse.Namespace) -> int:
    """``powerd keep``."""
    from powerd.requests.view import keep_created_text, keep_dropped_text, keep_list_text

    socket_path = arguments.socket
    if arguments.list:
        document = get("/api/status", socket_path)
        emit(
            document["keeps"]
            if arguments.json
            else keep_list_text(document["keeps"], document["now"], paint())
        )
    elif arguments.drop is not None:
        ended_keep = request("DELETE", f"/api/keep/{_quote_segment(arguments.drop)}", socket_path=socket_path)
        emit(ended_keep if arguments.json else keep_dropped_text(ended_keep))
    else:
        new_keep = request(
            "POST", "/api/keep", {"for": arguments.duration, "because": arguments.because}, socket_path
        )
        emit(new_keep if arguments.json else keep_created_text(new_keep))
    return EXIT_OK


def hold(arguments: argparse.Namespace) -> int:
    """``powerd hold -- COMMAND``; the exit code is the command's."""
    from powerd.ui.cli.hold import run_with_hold as run_held

    if not arguments.held:
        arguments.misused("say which command to run, after --")
    return run_held(arguments.held, arguments.because, arguments.socket, arguments.start)


def wake(arguments: argparse.Namespace) -> int:
    """``powerd wake HOST|MAC``."""
    from powerd.requests.view import wake_on_lan_text

    response = request("POST", "/api/wake", {"host": arguments.host}, arguments.socket)
    emit(response if arguments.json else wake_on_lan_text(response))
    return EXIT_OK


def _quote_segment(name: str) -> str:
    """``name`` as one segment of a URL's path (RFC 3986)."""
    return "".join(f"%{byte:02x}" for byte in name.encode(errors="surrogateescape"))


def _exit_code_for_status(document: dict[str, Any]) -> int:
    """Whether decisions are being made."""
    return EXIT_NEGATIVE if document["trouble"] or document["state"] == "starting" else EXIT_OK


def _exit_code_for_drives(*drives: dict[str, Any]) -> int:
    """Whether no drive has a finding that somebody has to act on."""
    return EXIT_NEGATIVE if any(drive["health"] in {"warning", "alarm"} for drive in drives) else EXIT_OK


def check(arguments: argparse.Namespace) -> int:
    """``powerd check``: what the configuration comes to, and what is to be known about it; or every fault."""
    options = _load_options(arguments)
    config_file = _config_file_argument(arguments)
    missing = config_file is None and not DEFAULT_PATH.exists()
    summary_line = (
        f"{DEFAULT_PATH}: not there, so the defaults hold"
        if missing
        else f"{config_file or DEFAULT_PATH}: ok"
    )
    emit(f"{summary_line}\n{summarize_options(options)}\n")
    for warning in option_warnings(options, config_file or DEFAULT_PATH):
        emit(_format_notice("warning", warning))
    if options.disks.spin_down_after or options.disks.rule:
        for finding in arguments.survey():
            emit(_format_notice("note", finding))
    return EXIT_OK


def _format_notice(kind: str, text: str) -> str:
    """A paragraph that fits; what follows an empty line is to be copied, so it stays as it is."""
    first_paragraph, separator, rest = text.partition("\n\n")
    return join_lines(hanging_lines(f"{kind}: ", first_paragraph)) + (f"\n{rest}\n" if separator else "")


def config(arguments: argparse.Namespace) -> int:
    """``powerd config``: the configuration in force, as TOML."""
    emit(effective_toml(_load_options(arguments)))
    return EXIT_OK


def run(arguments: argparse.Namespace) -> int:
    """``powerd run``: the daemon, which reads the configuration by itself."""
    code: int = arguments.run(_config_file_argument(arguments), arguments.observe, Path(arguments.socket))
    return code


def summarize_options(options: Options) -> str:
    """What it comes to, in one line: ``observe mode, 2 sleep rules, clients from leases auto``."""
    count = len(options.sleep)
    rules = f"{count} sleep rule{'' if count == 1 else 's'}" if count else "no sleep rule, so it never sleeps"
    clients = options.clients
    client_sources = [f"leases {', '.join(clients.leases)}"] if clients.leases else []
    hosts = len(clients.hosts)
    client_sources += [f"{hosts} named host{'' if hosts == 1 else 's'}"] if hosts else []
    client_sources += ["what is learned on the LAN"] if clients.learn else []
    return f"{options.mode} mode, {rules}, clients from {' and '.join(client_sources) or 'nowhere'}"


def _config_file_argument(arguments: argparse.Namespace) -> Path | None:
    """The configuration file asked for; None = the usual one, if it is there."""
    text = arguments.config or os.environ.get("POWERD_CONFIG")
    return Path(text) if text else None


def _load_options(arguments: argparse.Namespace) -> Options:
    try:
        return load(_config_file_argument(arguments))
    except ConfigError as error:
        _exit_with_faults(error.faults)


def _exit_with_faults(faults: Sequence[str]) -> NoReturn:
    for fault in faults:
        print(fault, file=sys.stderr)
    raise SystemExit(EXIT_USAGE)
