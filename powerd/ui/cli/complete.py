"""``powerd --complete KIND``: names for the completions of shells, one per line; none if they are unknown."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from powerd.ui.cli.client import DEFAULT_SOCKET, EXIT_OK, DeniedError, UnreachableError, request
from powerd.ui.cli.output import emit
from powerd.ui.layout import sanitize

_TIMEOUT: Final = 1.0
"""Seconds; the user waits for the list while typing."""
_BLOCK_DEVICES: Final = "/sys/block"


def complete(arguments: argparse.Namespace, socket_path: str = DEFAULT_SOCKET) -> int:
    """Print the names of a kind (``parser.COMPLETED_ARGUMENTS``)."""
    path, names = _KINDS[arguments.complete]
    try:
        response = request("GET", path, None, socket_path, _TIMEOUT)
    except (UnreachableError, DeniedError):
        response = None
    emit("".join(f"{sanitize(name)}\n" for name in names(response, arguments)))
    return EXIT_OK


def _client_names(clients: list[dict[str, Any]] | None, _: argparse.Namespace) -> Iterator[str]:
    yield from (each["name"] or each["address"] or each["id"] for each in clients or ())


def _disk_names(disks: list[dict[str, Any]] | None, _: argparse.Namespace) -> Iterator[str]:
    if disks is not None:
        yield from (each["device"] for each in disks if each["state"] != "excluded")
    elif os.path.isdir(_BLOCK_DEVICES):  # noqa: PTH112 - importing pathlib takes longer
        yield from sorted(os.listdir(_BLOCK_DEVICES))  # noqa: PTH208 - importing pathlib takes longer


def _keep_ids(status: dict[str, Any] | None, _: argparse.Namespace) -> Iterator[str]:
    """Those that can be dropped: a hold ends with its command."""
    if status is not None:
        yield from (each["id"] for each in status["keep_awake"] if not each["id"].startswith("h"))


def _check_names(activities: list[dict[str, Any]] | None, arguments: argparse.Namespace) -> Iterator[str]:
    """The checks of powerd, also those that are off, and those of other packages that are on."""
    yield from sorted({*arguments.machine.list_checks(), *(each["check"] for each in activities or ())})


def _fix_ids(status: dict[str, Any] | None, arguments: argparse.Namespace) -> Iterator[str]:
    """The ids that ``powerd doctor`` lists, of ``--fix`` or of ``--undo``; it works without the daemon."""
    from powerd.doctor.model import DoctorError, DoctorRequest  # noqa: PLC0415 - for this kind only
    from powerd.ui.cli.doctor_command import STOPPED_STATES  # noqa: PLC0415 - for this kind only

    sleeping = (
        [each["device"] for each in status["disks"] if each["state"] in STOPPED_STATES] if status else []
    )
    try:
        report = arguments.machine.run_doctor(DoctorRequest(sleeping=sleeping))
    except DoctorError:
        return
    applied = [each.id for each in report.applied]
    if arguments.complete == "applied":
        yield from applied
    else:
        yield from (each.id for each in report.diagnoses if each.fixable and each.id not in applied)


_KINDS: Final[dict[str, tuple[str, Callable[[Any, argparse.Namespace], Iterator[str]]]]] = {
    "applied": ("/api/status", _fix_ids),
    "checks": ("/api/activity", _check_names),
    "clients": ("/api/clients?live", _client_names),
    "disks": ("/api/disks", _disk_names),
    "fixes": ("/api/status", _fix_ids),
    "keeps": ("/api/status", _keep_ids),
}
"""The path of the API, and the names by its response, or by None if the daemon is not reachable."""
