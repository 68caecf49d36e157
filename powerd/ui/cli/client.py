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

EXIT_OK, EXIT_NEGATIVE, EXIT_USAGE, EXIT_UNREACHABLE = 0, 1, 2, 3
"""Exit codes. NO: the daemon answers, but makes no decisions, or will not do what it is asked for."""
DEFAULT_SOCKET: Final = "/run/powerd/powerd.sock"
RESPONSE_TIMEOUT: Final = 15.0
"""Seconds that the daemon may keep silent."""
_CHUNK_SIZE: Final = 1 << 16


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


def get(path: str, socket_path: str = DEFAULT_SOCKET) -> Any:  # noqa: ANN401 - whatever JSON the path gives; callers know its shape
    """The JSON value that the daemon gives for ``path``.

    Args:
        path: of the API, e.g. ``/api/status``.
        socket_path: the daemon's Unix socket.

    Raises:
        UnreachableError: nobody listens there, or the answer is late, no JSON, or an error.
    """
    try:
        return request("GET", path, socket_path=socket_path)
    except DeniedError as error:
        raise UnreachableError(f"the daemon on {socket_path} refuses: {error}") from None


def request(method: str, path: str, body: object = None, socket_path: str = DEFAULT_SOCKET) -> Any:  # noqa: ANN401 - as get()
    """Have the daemon do something, and get the JSON value of its answer.

    Args:
        method: of HTTP: GET, POST or DELETE.
        path: of the API, e.g. ``/api/keep``.
        body: sent as JSON; None = no body.
        socket_path: the daemon's Unix socket.

    Raises:
        DeniedError: it says no.
        UnreachableError: nobody listens there, or the answer is late, or no JSON.
    """
    with open_request(method, path, body, socket_path) as connection, translate_errors(socket_path):
        response = b"".join(iter(lambda: connection.recv(_CHUNK_SIZE), b""))
    return parse_response(response, socket_path)


def open_request(method: str, path: str, body: object, socket_path: str) -> socket.socket:
    """A connection on which the request has been sent.

    Raises:
        UnreachableError: nobody listens there.
    """
    content = b"" if body is None else json.dumps(body).encode()
    content_headers = (
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
    )
    with translate_errors(socket_path):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(RESPONSE_TIMEOUT)
            connection.connect(socket_path)
            connection.sendall(
                f"{method} {path} HTTP/1.0\r\nHost: localhost\r\n{content_headers}\r\n".encode() + content
            )
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def translate_errors(socket_path: str) -> Iterator[None]:
    """Whatever a socket raises inside ``with``, as an UnreachableError in one sentence."""
    try:
        yield
    except TimeoutError:
        raise UnreachableError(
            f"the daemon on {socket_path} did not answer within {RESPONSE_TIMEOUT:g} s; look at: "
            "journalctl -u powerd"
        ) from None
    except PermissionError:
        raise UnreachableError(
            f"cannot open {socket_path}: permission denied; run as root or join the socket's group"
        ) from None
    except (OSError, ValueError) as error:
        raise UnreachableError(
            f"no daemon answers on {socket_path} ({_error_text(error)}); start it with: systemctl "
            "start powerd,"
            " or name its socket with --socket"
        ) from None


def parse_response(response: bytes, socket_path: str) -> Any:  # noqa: ANN401 - as get()
    """The JSON value of a whole answer.

    Raises:
        DeniedError: its status is not 200.
        UnreachableError: it is no answer of a powerd.
    """
    head, _, body = response.partition(b"\r\n\r\n")
    protocol, _, status = head.partition(b"\r\n")[0].partition(b" ")
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not protocol.startswith(b"HTTP/1.") or document is None:
        raise UnreachableError(f"what answers on {socket_path} is no powerd; name its socket with --socket")
    if not status.startswith(b"200"):
        error_text = document.get("error") if isinstance(document, dict) else None
        code = int(status[:3]) if status[:3].isdigit() else 0
        raise DeniedError(code, error_text or status.decode(errors="replace"))
    return document


def _error_text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
