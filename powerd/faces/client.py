"""One question, or one wish, to the daemon over its Unix socket: HTTP/1.0 by hand.

The standard library's client costs 31 ms and 7 MB to import, a quarter of what ``powerd status`` may
take; one answer from our own daemon, ended by the closing of the connection, needs none of it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

ANSWERED, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes. NO: the daemon answers, but makes no decisions, or will not do what it is asked for."""
SOCKET: Final = "/run/powerd/powerd.sock"
TIMEOUT: Final = 15.0
"""Seconds that the daemon may keep silent."""
_PIECE: Final = 1 << 16


class UnreachableError(Exception):
    """The daemon gave no usable answer; the text is one sentence with what, where and the remedy."""


class DeniedError(Exception):
    """The daemon says no; the text is its one sentence.

    Attributes:
        status: of HTTP: 400 for what it does not understand, 403, 404 or 409 for what it will not do.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def get(path: str, at: str = SOCKET) -> Any:  # noqa: ANN401 - whatever JSON the path gives; callers know its shape
    """The JSON value that the daemon gives for ``path``.

    Args:
        path: of the API, e.g. ``/api/status``.
        at: the daemon's Unix socket.

    Raises:
        UnreachableError: nobody listens there, or the answer is late, no JSON, or an error.
    """
    try:
        return wish("GET", path, at=at)
    except DeniedError as error:
        raise UnreachableError(f"the daemon on {at} refuses: {error}") from None


def wish(method: str, path: str, body: object = None, at: str = SOCKET) -> Any:  # noqa: ANN401 - as get()
    """Have the daemon do something, and get the JSON value of its answer.

    Args:
        method: of HTTP: GET, POST or DELETE.
        path: of the API, e.g. ``/api/keep``.
        body: sent as JSON; None = no body.
        at: the daemon's Unix socket.

    Raises:
        DeniedError: it says no.
        UnreachableError: nobody listens there, or the answer is late, or no JSON.
    """
    with opened(method, path, body, at) as door, sentences(at):
        answer = b"".join(iter(lambda: door.recv(_PIECE), b""))
    return value(answer, at)


def opened(method: str, path: str, body: object, at: str) -> socket.socket:
    """A connection on which the request has been sent.

    Raises:
        UnreachableError: nobody listens there.
    """
    content = b"" if body is None else json.dumps(body).encode()
    about = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
    with sentences(at):
        door = socket.socket(socket.AF_UNIX)
        try:
            door.settimeout(TIMEOUT)
            door.connect(at)
            door.sendall(f"{method} {path} HTTP/1.0\r\nHost: localhost\r\n{about}\r\n".encode() + content)
        except BaseException:
            door.close()
            raise
        return door


@contextmanager
def sentences(at: str) -> Iterator[None]:
    """Whatever a socket raises inside ``with``, as an UnreachableError in one sentence."""
    try:
        yield
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


def value(answer: bytes, at: str) -> Any:  # noqa: ANN401 - as get()
    """The JSON value of a whole answer.

    Raises:
        DeniedError: its status is not 200.
        UnreachableError: it is no answer of a powerd.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    protocol, _, status = head.partition(b"\r\n")[0].partition(b" ")
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not protocol.startswith(b"HTTP/1.") or said is None:
        raise UnreachableError(f"what answers on {at} is no powerd; name its socket with --socket")
    if not status.startswith(b"200"):
        fault = said.get("error") if isinstance(said, dict) else None
        code = int(status[:3]) if status[:3].isdigit() else 0
        raise DeniedError(code, fault or status.decode(errors="replace"))
    return said


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
