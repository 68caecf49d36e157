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
    """Print the names of a kind: ``clients``, ``disks`` or ``keeps``."""
    kind = arguments.complete
    path, names = _KINDS[kind]
    try:
        found = list(names(request("GET", path, None, socket_path, _TIMEOUT)))
    except (UnreachableError, DeniedError):
        found = []
        if kind == "disks" and os.path.isdir(_BLOCK_DEVICES):  # noqa: PTH112 - importing pathlib takes longer
            found = sorted(os.listdir(_BLOCK_DEVICES))  # noqa: PTH208 - importing pathlib takes longer
    emit("".join(f"{sanitize(name)}\n" for name in found))
    return EXIT_OK


def _client_names(clients: list[dict[str, Any]]) -> Iterator[str]:
    yield from (each["name"] or each["address"] or each["id"] for each in clients)


def _disk_names(disks: list[dict[str, Any]]) -> Iterator[str]:
    yield from (each["device"] for each in disks if each["state"] != "excluded")


def _keep_ids(status: dict[str, Any]) -> Iterator[str]:
    """Those that can be dropped: a hold ends with its command."""
    yield from (each["id"] for each in status["keep_awake"] if not each["id"].startswith("h"))


_KINDS: Final[dict[str, tuple[str, Callable[[Any], Iterator[str]]]]] = {
    "clients": ("/api/clients?live", _client_names),
    "disks": ("/api/disks", _disk_names),
    "keeps": ("/api/status", _keep_ids),
}
"""The path of the API, and the names in its response."""
