"""The commands that query the daemon.

Each command returns its exit code and imports only the view that it prints.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from powerd.ui.cli.client import EXIT_NEGATIVE, EXIT_OK, HTTP_NOT_FOUND, DeniedError, get, request
from powerd.ui.cli.output import Answer, Ask, emit, paint

if TYPE_CHECKING:
    from powerd.ui.layout import Paint
    from powerd.ui.schema import StatusJson

_NOTIFY_TIMEOUT: Final = 3700.0
"""Seconds that a test message may take: a hook may be given an hour."""
_CHECKS_TIMEOUT: Final = 95.0
"""Seconds that a poll of all checks may take: the daemon's own limit is 90 s."""


def _show(arguments: argparse.Namespace, ask: Ask) -> int:
    """Print the answer, with --watch again after each event; returns the exit code."""
    if arguments.watch:
        from powerd.ui.cli.watch import watch

        return watch(ask, arguments.socket)
    output, code = ask()
    emit(output)
    return code


def status(arguments: argparse.Namespace) -> int:
    """``powerd status``."""
    from powerd.ui.status import status_text

    return _show(arguments, lambda: _status_answer(arguments, status_text))


def why(arguments: argparse.Namespace) -> int:
    """``powerd why``."""
    from powerd.ui.status import why_text

    def text(document: StatusJson, paint_: Paint) -> str:
        return why_text(document, paint_) + _trial_text(document, arguments.socket)

    return _show(arguments, lambda: _status_answer(arguments, text))


def _trial_text(document: StatusJson, socket_path: str) -> str:
    """In observe mode, the would-be sleeps of the last week; "" = none."""
    if document["mode"] != "observe":
        return ""
    from powerd.history.view.table import trial_text

    try:
        return trial_text(_history_since("7d", socket_path))
    except DeniedError:
        return ""  # the daemon is older than this command


def _status_answer(arguments: argparse.Namespace, text: Callable[[StatusJson, Paint], str]) -> Answer:
    document = get("/api/status", arguments.socket)
    return Answer(document if arguments.json else text(document, paint()), _exit_code_for_status(document))


def clients(arguments: argparse.Namespace) -> int:
    """``powerd clients``."""
    from powerd.presence.view import clients_text

    rows = get("/api/clients", arguments.socket)  # this request polls all clients first
    document = get("/api/status", arguments.socket)
    emit(rows if arguments.json else clients_text(rows, document, paint(), every=arguments.all))
    return _exit_code_for_status(document)


def activity(arguments: argparse.Namespace) -> int:
    """``powerd activity [CHECK]``; the manual of a check does not need the daemon."""
    if arguments.check is not None:
        return _explain_check(arguments)
    from powerd.activity.view import activity_text, poll_time_text

    socket_path = arguments.socket
    if arguments.now:
        rows = request("POST", "/api/activity", {}, socket_path, _CHECKS_TIMEOUT)
    else:
        rows = get("/api/activity", socket_path)
    document = get("/api/status", arguments.socket)
    times = poll_time_text(rows) if arguments.now else ""
    emit(rows if arguments.json else activity_text(rows, document, paint()) + times)
    return _exit_code_for_status(document)


def _explain_check(arguments: argparse.Namespace) -> int:
    from powerd.config.sample import check_manual
    from powerd.ui.layout import line_width

    try:
        emit(check_manual(arguments.check, line_width()))
    except ValueError as error:
        clause = str(error).replace('"activity.', '"')  # the command takes a check without its table
        arguments.usage_error(f"{arguments.check}: {clause}")
    return EXIT_OK


def disks(arguments: argparse.Namespace) -> int:
    """``powerd disks [DISK | standby DISK]``."""
    match arguments.words:
        case ["standby", disk] if not arguments.watch:
            return _spin_down(disk, arguments)
        case [disk] if disk != "standby":
            return _show(arguments, lambda: _disk_answer(disk, arguments))
        case [_, *_]:
            arguments.usage_error("write `powerd disks`, `powerd disks DISK` or `powerd disks standby DISK`")
    return _show(arguments, lambda: _disks_answer(arguments))


def _disks_answer(arguments: argparse.Namespace) -> Answer:
    from powerd.attribution.view.table import users_text
    from powerd.disks.view.table import disks_text

    document = get("/api/status", arguments.socket)
    output: object = document["disks"]
    if not arguments.json:
        accesses = get("/api/accesses", arguments.socket)
        output = disks_text(document, paint()) + users_text(accesses, document, paint())
    return Answer(output, _exit_code_for_status(document))


def _disk_answer(name: str, arguments: argparse.Namespace) -> Answer:
    from powerd.attribution.view.table import disk_users_text
    from powerd.disks.view.detail import disk_text, find_disk

    query = f"?disk={_quote_segment(name)}"
    wakes = request("GET", f"/api/wakes{query}", socket_path=arguments.socket)
    accesses = request("GET", f"/api/accesses{query}", socket_path=arguments.socket)
    document = get("/api/status", arguments.socket)
    disk = find_disk(document["disks"], name)
    if disk is None:
        raise DeniedError(HTTP_NOT_FOUND, f'no disk "{name}" is attached; `powerd disks` lists them')
    if arguments.json:
        output: object = {**disk, "wakes": wakes, "accesses": accesses}
    else:
        output = disk_text(disk, document, paint()) + disk_users_text(wakes, accesses, document, paint())
    return Answer(output, _exit_code_for_status(document))


def wakes(arguments: argparse.Namespace) -> int:
    """``powerd wakes [DISK]``."""
    from powerd.attribution.view.table import busy_text, wakes_text

    path, text = ("/api/accesses", busy_text) if arguments.busy else ("/api/wakes", wakes_text)
    if arguments.disk is not None:
        path += f"?disk={_quote_segment(arguments.disk)}"
    rows = request("GET", path, socket_path=arguments.socket)
    document = get("/api/status", arguments.socket)
    emit(rows if arguments.json else text(rows, document, paint()))
    return _exit_code_for_status(document)


def history(arguments: argparse.Namespace) -> int:
    """``powerd history``."""
    from powerd.history.view.table import history_text

    document = _history_since(arguments.since, arguments.socket)
    emit(document if arguments.json else history_text(document, paint()))
    return EXIT_OK


def report(arguments: argparse.Namespace) -> int:
    """``powerd report``."""
    from powerd.history.view.report_table import report_csv, report_text

    document = request(
        "GET",
        f"/api/report?since={_quote_segment(duration_text(arguments.since))}",
        socket_path=arguments.socket,
    )
    if arguments.csv:
        emit(report_csv(document))
    else:
        emit(document if arguments.json else report_text(document, paint()))
    return EXIT_OK


def _history_since(since: str, socket_path: str) -> Any:  # noqa: ANN401 - the JSON value of a response
    return request(
        "GET", f"/api/history?since={_quote_segment(duration_text(since))}", socket_path=socket_path
    )


def _spin_down(disk: str, arguments: argparse.Namespace) -> int:
    response = request("POST", f"/api/disks/{_quote_segment(disk)}/standby", {}, arguments.socket)
    from powerd.ui.layout import join_lines, paragraph_lines

    text = f"Spins down: {', '.join(response['disks'])}. Its next use cancels that."
    emit(response if arguments.json else join_lines(paragraph_lines(text)))
    return EXIT_OK


def smart(arguments: argparse.Namespace) -> int:
    """``powerd smart [DISK]``."""
    if arguments.disk is not None:
        return _show_drive(arguments)
    if arguments.check or arguments.test or arguments.acknowledge:
        arguments.usage_error("name a DISK; `powerd smart` lists them")
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

    from powerd.smart.view.table import self_test_started_text, smart_text

    socket_path, path = arguments.socket, f"/api/smart/{_quote_segment(arguments.disk)}"
    if arguments.check:
        request("POST", f"{path}/check", {}, socket_path)
    if arguments.acknowledge:
        request("POST", f"{path}/acknowledge", {}, socket_path)
    if arguments.test:
        request("POST", f"{path}/test", {"kind": arguments.test}, socket_path)
    drive, document = request("GET", path, socket_path=socket_path), get("/api/status", socket_path)
    if arguments.json:
        emit(drive)
    elif arguments.test:
        emit(self_test_started_text(drive, arguments.test))
    else:
        emit(smart_text(drive, datetime.fromisoformat(document["now"]), paint()))
    return _exit_code_for_drives(drive)


_UNIT_WORDS: Final = {"d": "days?", "h": "hours?", "min": "minutes?|mins?", "s": "seconds?|secs?"}
"""The units of a duration, as people write them: regular expressions."""


def duration_text(text: str) -> str:
    """A duration in the form that powerd reads: 2h of ``2 hours``; other texts as they are."""
    for unit, written in _UNIT_WORDS.items():
        text = re.sub(rf"(?<=\d) ?(?:{written})(?![a-z])", unit, text)
    return text


def _time_span(words: Sequence[str]) -> dict[str, str]:
    """The value of the API for ``2 hours`` or ``until 18:00``."""
    if words[0] == "until":
        return {"until": " ".join(words[1:])}
    return {"for": duration_text(" ".join(words))}


def keep(arguments: argparse.Namespace) -> int:
    """``powerd keep``."""
    from powerd.requests.view import keep_created_text, keep_dropped_text, keep_list_text

    socket_path = arguments.socket
    if arguments.list:
        document = get("/api/status", socket_path)
        emit(
            document["keep_awake"]
            if arguments.json
            else keep_list_text(document["keep_awake"], document["now"], paint())
        )
    elif arguments.drop is not None:
        ended_keep = request("DELETE", f"/api/keep/{_quote_segment(arguments.drop)}", socket_path=socket_path)
        emit(ended_keep if arguments.json else keep_dropped_text(ended_keep))
    else:
        body = {**_time_span(arguments.duration), "because": arguments.because}
        new_keep = request("POST", "/api/keep", body, socket_path)
        emit(new_keep if arguments.json else keep_created_text(new_keep))
    return EXIT_OK


def hold(arguments: argparse.Namespace) -> int:
    """``powerd hold -- COMMAND``; returns the exit code of the command."""
    from powerd.ui.cli.hold import run_with_hold

    if not any(arguments.held_command[:1]):
        arguments.usage_error("name the command to run after --")
    return run_with_hold(arguments.held_command, arguments.because, arguments.socket, arguments.start)


def sleep(arguments: argparse.Namespace) -> int:
    """``powerd sleep``."""
    from powerd.requests.view import sleep_accepted_text, sleep_cancelled_text

    if arguments.cancel:
        ended_request = request("DELETE", "/api/sleep", socket_path=arguments.socket)
        emit(ended_request if arguments.json else sleep_cancelled_text(ended_request))
    else:
        accepted = request("POST", "/api/sleep", {"now": arguments.now}, arguments.socket)
        emit(accepted if arguments.json else sleep_accepted_text(accepted))
    return EXIT_OK


def wake(arguments: argparse.Namespace) -> int:
    """``powerd wake HOST|MAC``."""
    from powerd.requests.view import wake_on_lan_text

    response = request("POST", "/api/wake", {"host": arguments.host}, arguments.socket)
    emit(response if arguments.json else wake_on_lan_text(response))
    return EXIT_OK


def notify(arguments: argparse.Namespace) -> int:
    """``powerd notify --test``."""
    from powerd.messages.view import notify_text

    rows = request("POST", "/api/notify/test", {}, arguments.socket, _NOTIFY_TIMEOUT)
    emit(rows if arguments.json else notify_text(rows, paint()))
    return EXIT_NEGATIVE if any(row["error"] for row in rows) else EXIT_OK


def reload(arguments: argparse.Namespace) -> int:
    """``powerd reload``."""
    response = request("POST", "/api/reload", {}, arguments.socket)
    emit(response if arguments.json else "The configuration is in force.\n")
    return EXIT_OK


def _quote_segment(name: str) -> str:
    """Percent-encode ``name`` as one segment of the path, or a value of the query, of a URL (RFC 3986)."""
    return "".join(f"%{byte:02x}" for byte in name.encode(errors="surrogateescape"))


def _exit_code_for_status(document: dict[str, Any]) -> int:
    """EXIT_OK if the daemon makes decisions."""
    return EXIT_NEGATIVE if document["error"] or document["state"] == "starting" else EXIT_OK


def _exit_code_for_drives(*drives: dict[str, Any]) -> int:
    """EXIT_NEGATIVE if any drive has a warning or an alarm."""
    return EXIT_NEGATIVE if any(drive["health"] in {"warning", "alarm"} for drive in drives) else EXIT_OK
