"""``powerd doctor``: it works without the daemon, and reads its record of wakes where it is reachable."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from powerd.disks.view.table import STOPPED
from powerd.doctor.model import DaemonRecord, DoctorError, DoctorReport, DoctorRequest, UnknownDiagnosisError
from powerd.doctor.view import change_json, change_text, examination_json, examination_text
from powerd.ui.cli.client import EXIT_NEGATIVE, EXIT_OK, EXIT_USAGE, DeniedError, UnreachableError, request
from powerd.ui.cli.output import emit, paint

if TYPE_CHECKING:
    from powerd.ui.schema import BlockerTimeJson

STOPPED_STATES = STOPPED | {"spinning-down"}
"""States of a disk, as in /api/disks, in which reading starts it."""
_RUNNING: Final = "the running daemon"


def doctor(arguments: argparse.Namespace) -> int:
    """``powerd doctor``; EXIT_NEGATIVE if something applies, or a change is refused or has failed."""
    try:
        return _examine(arguments) if arguments.fix is None and arguments.undo is None else _change(arguments)
    except UnknownDiagnosisError as error:
        print(f"powerd: {error}", file=sys.stderr)
        return EXIT_USAGE
    except DoctorError as error:
        print(f"powerd: {error}", file=sys.stderr)
        return EXIT_NEGATIVE


def _examine(arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        arguments.usage_error("--dry-run needs --fix ID or --undo ID")
    sleeping, record, blockers, error = _ask_daemon(arguments.socket)
    report: DoctorReport = arguments.machine.run_doctor(DoctorRequest(sleeping=sleeping, record=record))
    note = (
        f"without evidence, because there is no record of wakes: {error}"
        if error and report.diagnoses
        else ""
    )
    emit(
        examination_json(report, blockers)
        if arguments.json
        else examination_text(report, blockers, note, paint())
    )
    return EXIT_NEGATIVE if report.diagnoses or not report.examined else EXIT_OK


def _ask_daemon(socket_path: str) -> tuple[list[str], DaemonRecord | None, list[BlockerTimeJson], str]:
    """The disks that do not spin, the record of wakes, the blockers; and why one is not available, or ""."""
    sleeping: list[str] = []
    try:
        status = request("GET", "/api/status", socket_path=socket_path)
        sleeping = _stopped_disks(status)
        record = DaemonRecord(
            datetime.fromisoformat(status["now"]),
            request("GET", "/api/wakes", socket_path=socket_path),
            request("GET", "/api/accesses", socket_path=socket_path),
        )
        return sleeping, record, request("GET", "/api/blockers", socket_path=socket_path)["blockers"], ""
    except (UnreachableError, DeniedError) as error:
        return sleeping, None, [], str(error)


def _change(arguments: argparse.Namespace) -> int:
    action: Literal["fix", "undo"] = "undo" if arguments.fix is None else "fix"
    id_ = arguments.undo if arguments.fix is None else arguments.fix
    status: dict[str, Any] = {}
    with suppress(UnreachableError, DeniedError):
        status = request("GET", "/api/status", socket_path=arguments.socket)
    reason, mode, mode_from = "", "", ""
    if arguments.dry_run:
        reason = "--dry-run"
    elif action == "fix":  # to undo is always possible
        mode, mode_from = _find_mode(arguments, status)
        if mode == "observe":
            reload = ", run systemctl reload powerd" if mode_from == _RUNNING else ""
            remedy = f'set mode = "enforce" in powerd.toml{reload} and repeat powerd doctor --fix {id_}'
            reason = f"the mode of {mode_from} is observe; {remedy}"
    if not reason and os.geteuid() != 0:
        raise DoctorError(f"only root can change the configuration; run: sudo powerd doctor --{action} {id_}")
    report: DoctorReport = arguments.machine.run_doctor(
        DoctorRequest(action, id_, dry_run=bool(reason), sleeping=_stopped_disks(status))
    )
    if arguments.json:
        emit({**change_json(report, reason), "mode": mode or None, "mode_from": mode_from or None})
    else:
        emit(change_text(report, id_, reason, f"The mode of {mode_from} is {mode}." if mode else ""))
    return EXIT_OK


def _find_mode(arguments: argparse.Namespace, status: dict[str, Any]) -> tuple[str, str]:
    """The mode, and what it is of: the daemon as it runs, or the configuration file if none answers."""
    if status.get("mode"):
        return status["mode"], _RUNNING
    from powerd.ui.cli.config_commands import load_options  # noqa: PLC0415 - loads config/, which a list does not need
    from powerd.ui.cli.run_command import config_file_argument  # noqa: PLC0415 - as above

    file = config_file_argument(arguments)
    return load_options(file).mode, f"{file or 'powerd.toml'} (no daemon answers)"


def _stopped_disks(status: dict[str, Any]) -> list[str]:
    return [disk["device"] for disk in status.get("disks", ()) if disk["state"] in STOPPED_STATES]
