"""HTTP/1.0 client for one request to the daemon's Unix socket.

Importing http.client takes 31 ms and 7 MB, half the run time of ``powerd status``. One request to our own
daemon, whose response ends when the connection is closed, does not need it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

EXIT_OK, EXIT_NEGATIVE, EXIT_USAGE, EXIT_UNREACHABLE = 0, 1, 2, 3
"""Exit codes. EXIT_NEGATIVE: the daemon answers, but makes no decisions or refuses the request."""
HTTP_BAD_REQUEST, HTTP_NOT_FOUND = 400, 404
DEFAULT_SOCKET: Final = "/run/powerd/powerd.sock"
RESPONSE_TIMEOUT: Final = 15.0
"""Seconds without data from the daemon after which a request fails."""
_CHUNK_SIZE: Final = 1 << 16


class UnreachableError(Exception):
    """The daemon gave no usable response; the text is one sentence with what, where and the remedy."""


class DeniedError(Exception):
    """The daemon refuses the request; the text is one sentence.

    Attributes:
        status: HTTP status: 400 for a malformed request, 403, 404 or 409 for a refused one.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def get(path: str, socket_path: str = DEFAULT_SOCKET) -> Any:  # noqa: ANN401 - any JSON; callers know its schema
    """GET ``path``; returns the JSON value.

    Args:
        path: of the API, e.g. ``/api/status``.
        socket_path: the daemon's Unix socket.

    Raises:
        UnreachableError: no daemon listens there, or its response is late, not JSON, or an error.
    """
    try:
        return request("GET", path, socket_path=socket_path)
    except DeniedError as error:
        raise UnreachableError(f"the daemon on {socket_path} refuses the request: {error}") from None


def request(
    method: str,
    path: str,
    body: object = None,
    socket_path: str = DEFAULT_SOCKET,
    response_timeout: float = RESPONSE_TIMEOUT,
) -> Any:  # noqa: ANN401 - the JSON value of a response
    """Send a request to the daemon; returns the JSON value of its response.

    Args:
        method: GET, POST or DELETE.
        path: of the API, e.g. ``/api/keep``.
        body: sent as JSON; None = no body.
        socket_path: the daemon's Unix socket.
        response_timeout: seconds without data after which the request fails.

    Raises:
        DeniedError: the daemon refuses.
        UnreachableError: no daemon listens there, or its response is late or not JSON.
    """
    with (
        open_request(method, path, body, socket_path) as connection,
        translate_errors(socket_path, response_timeout),
    ):
        connection.settimeout(response_timeout)
        response = b"".join(iter(lambda: connection.recv(_CHUNK_SIZE), b""))
    return parse_response(response, socket_path)


def open_request(method: str, path: str, body: object, socket_path: str) -> socket.socket:
    """A connection on which the request has been sent.

    Raises:
        UnreachableError: no daemon listens there.
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
def translate_errors(socket_path: str, response_timeout: float = RESPONSE_TIMEOUT) -> Iterator[None]:
    """Translate the socket errors of the ``with`` block into an UnreachableError of one sentence."""
    try:
        yield
    except TimeoutError:
        raise UnreachableError(
            f"the daemon on {socket_path} did not answer within {response_timeout:g} s; look at: "
            "journalctl -u powerd"
        ) from None
    except PermissionError:
        raise UnreachableError(
            f"cannot open {socket_path}: permission denied; {_permission_remedy(socket_path)}"
        ) from None
    except (OSError, ValueError) as error:
        raise UnreachableError(
            f"no daemon answers on {socket_path} ({_error_text(error)}); start it with: systemctl "
            "start powerd,"
            " or name its socket with --socket"
        ) from None


def parse_response(response: bytes, socket_path: str) -> Any:  # noqa: ANN401 - the JSON value of a response
    """The JSON value of a complete response.

    Raises:
        DeniedError: the status is not 2xx.
        UnreachableError: the response does not come from powerd.
    """
    head, _, body = response.partition(b"\r\n\r\n")
    protocol, _, status = head.partition(b"\r\n")[0].partition(b" ")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not protocol.startswith(b"HTTP/1.") or document is None:
        raise UnreachableError(
            f"the program that listens on {socket_path} is not powerd; name the socket with --socket"
        )
    if not status.startswith(b"2"):
        error_text = document.get("error") if isinstance(document, dict) else None
        code = int(status[:3]) if status[:3].isdigit() else 0
        raise DeniedError(code, str(error_text or status.decode(errors="replace")))
    return document


def _permission_remedy(socket_path: str) -> str:
    """What an ordinary user can do; the socket has the group that may use it."""
    try:
        group = Path(socket_path).group()
    except (OSError, KeyError):
        group = "root"
    if group == "root":
        return "run as root"
    return f"run as root, or join the group {group} (sudo adduser $USER {group}) and log in again"


def _error_text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
