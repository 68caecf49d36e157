"""One question to the daemon over its Unix socket: HTTP/1.0 by hand.

The standard library's client costs 31 ms and 7 MB to import, a quarter of what ``powerd status`` may
take; the answer of one GET from our own daemon, ended by the closing of the connection, needs none of it.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Final

SOCKET: Final = "/run/powerd/powerd.sock"
TIMEOUT: Final = 10.0
"""Seconds that the daemon may keep silent."""
_PIECE: Final = 1 << 16


class UnreachableError(Exception):
    """The daemon gave no usable answer; the text is one sentence with what, where and the remedy."""


def get(path: str, at: str = SOCKET) -> Any:  # noqa: ANN401 - whatever JSON the path gives; callers know its shape
    """The JSON value that the daemon gives for ``path``.

    Args:
        path: of the API, e.g. ``/api/status``.
        at: the daemon's Unix socket.

    Raises:
        UnreachableError: nobody listens there, or the answer is late, no JSON, or an error.
    """
    try:
        answer = _exchange(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode(), at)
    except TimeoutError:
        raise UnreachableError(
            f"the daemon on {at} did not answer within {TIMEOUT:g} s; look at: journalctl -u powerd"
        ) from None
    except PermissionError:
        raise UnreachableError(
            f"cannot open {at}: permission denied; run as root or join the socket's group"
        ) from None
    except (OSError, ValueError) as error:
        raise UnreachableError(
            f"no daemon answers on {at} ({_reason(error)}); start it with: systemctl start powerd,"
            " or name its socket with --socket"
        ) from None
    return _value(answer, at)


def _exchange(request: bytes, at: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(TIMEOUT)
        door.connect(at)
        door.sendall(request)
        return b"".join(iter(lambda: door.recv(_PIECE), b""))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _value(answer: bytes, at: str) -> Any:  # noqa: ANN401 - as get()
    """The body's JSON value, if the status line says 200."""
    head, _, body = answer.partition(b"\r\n\r\n")
    protocol, _, status = head.partition(b"\r\n")[0].partition(b" ")
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not protocol.startswith(b"HTTP/1.") or value is None:
        raise UnreachableError(f"what answers on {at} is no powerd; name its socket with --socket")
    if not status.startswith(b"200"):
        fault = value.get("error") if isinstance(value, dict) else None
        raise UnreachableError(f"the daemon on {at} refuses: {fault or status.decode(errors='replace')}")
    return value
