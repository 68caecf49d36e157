"""HTTP/1.1 (RFC 9112) for one small request to a server without TLS: the bytes of a request, and its answer.

aiohttp's client imports ssl and takes 6 MB. http.client of the standard library blocks. Redirects are not
followed, no connection is kept, and no content coding is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from powerd.core.dataclass import dataclass
from powerd.linux.values import HostError

_MAX_HEAD: Final = 1 << 16
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: .*)?")
_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?")
_CONTINUE: Final = 100
_OK: Final = 200
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")
MAX_ANSWER: Final = 1 << 19
"""Bytes that an answer may have. The sessions of a media server take 5 to 20 KiB each. A hostile document
of this size takes 0.4 s to evaluate, real sessions of 400 KiB take 1 ms."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request.

    Attributes:
        url: ``http://HOST[:PORT]/PATH[?QUERY]``.
        headers: further header fields, by name.
        body: sent by POST as JSON; empty = GET.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer.

    Attributes:
        status: the status code.
        headers: by name in lower case; of repeated fields the last one.
        body: without transfer coding.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_url(text: str) -> str:
    """Check an ``http:`` or ``https:`` URL. Errors do not repeat it, because it may contain a secret."""
    try:
        parts = urlsplit(text)
        port = parts.port
        if re.fullmatch(r"[\d.]+", parts.hostname or ""):
            ip_address(parts.hostname or "")
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError('must be a URL; write it like "http://127.0.0.1:8096/Sessions"')
    if _UNSAFE.search(text):
        raise ValueError("has spaces or special characters; write them percent-encoded, such as %20")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a password; write an Authorization field into the header file")
    return text


def parse_header_lines(text: str) -> dict[str, str]:
    """Header fields from lines ``Name: value``; empty lines and lines that begin with ``#`` are skipped.

    Raises:
        ValueError: a line is not a header field; one clause that does not repeat the value.
    """
    headers = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if (
            not colon
            or not _TOKEN.fullmatch(name.strip())
            or not (value.isascii() and value.strip().isprintable())
        ):
            raise ValueError(f'line {number} is not a header field; write "Name: value" in ASCII')
        headers[name.strip()] = value.strip()
    return headers


def server_of(request: HttpRequest) -> str:
    """The server, as messages name it."""
    return urlsplit(request.url).netloc


def encode_fields(request: HttpRequest) -> dict[str, str]:
    """The header fields of a request; they request that the server closes the connection after its answer."""
    fields = {
        "Host": server_of(request),
        "User-Agent": "powerd",
        "Accept": "application/json, */*;q=0.5",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if request.body:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(request.body.encode()))}
    names = {name.lower(): name for name in fields}
    for name, value in request.headers.items():
        fields[names.get(name.lower(), name)] = value
    return fields


def request_target(request: HttpRequest) -> str:
    """The path and the query."""
    parts = urlsplit(request.url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def encode_request(request: HttpRequest) -> bytes:
    """The bytes of a request."""
    head = "".join(f"{name}: {value}\r\n" for name, value in encode_fields(request).items())
    method = "POST" if request.body else "GET"
    return f"{method} {request_target(request)} HTTP/1.1\r\n{head}\r\n{request.body}".encode()


def is_complete(data: bytes) -> bool:
    """Whether ``data`` is a complete answer, or cannot become one."""
    try:
        answer = _decode(data)
    except ValueError:
        return True
    return answer is not None


def decode_answer(data: bytes, server: str) -> HttpAnswer:
    """The answer in all that ``server`` has sent until it was complete or the connection was closed.

    Raises:
        HostError: it is not HTTP, or cut off.
    """
    try:
        answer = _decode(data, closed=True)
    except ValueError as error:
        raise HostError(f"{server} does not answer as an HTTP server: {error}; check the URL") from None
    if answer is None:
        raise HostError(f"{server} closed the connection before the end of its answer; see its log")
    return answer


def require_success(answer: HttpAnswer, server: str) -> bytes:
    """The body of an answer with a status of success (2xx).

    Raises:
        HostError: another status.
    """
    status, location = answer.status, answer.headers.get("location")
    if _OK <= status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
        return answer.body
    if 300 <= status < 400 and location:  # noqa: PLR2004 - RFC 9110, 15.4
        raise HostError(f"{server} redirects to {clean(location)}; configure that URL if it is the right one")
    remedies = {401: "check the header file", 403: "check the header file", 404: "check the URL"}
    remedy = remedies.get(status, "see its log")
    raise HostError(
        f"{server} answers with status {status}: {clean(answer.body.decode(errors='replace'))}; {remedy}"
    )


def clean(text: str, length: int = 60) -> str:
    """The start of a text from outside, on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())[:length]


def _decode(data: bytes, *, closed: bool = False) -> HttpAnswer | None:
    """The answer; None = it is not complete. Raises ValueError with a clause if it is not HTTP."""
    position, status = 0, _CONTINUE
    headers: dict[str, str] = {}
    while _CONTINUE <= status < _OK:  # informational answers, before the final one (RFC 9110, 15.2)
        end = _HEAD_END.search(data, position, _MAX_HEAD)
        if end is None:
            if not b"HTTP/1.".startswith(data[position : position + 7]):
                raise ValueError("its first line is not a status line")
            if len(data) >= _MAX_HEAD:
                raise ValueError(f"its header has more than {_MAX_HEAD} bytes")
            return None
        status, headers = _decode_head(data[position : end.start()])
        position = end.end()
    body: bytes | None = data[position:]
    if status in {204, 304}:
        body = b""
    elif "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise ValueError("it uses an unknown transfer coding")
        body = _decode_chunks(data, position)
    elif "content-length" in headers:
        body = _cut(data[position:], headers["content-length"])
    elif not closed:
        body = None
    return None if body is None else HttpAnswer(status, headers, body)


def _decode_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.splitlines()
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise ValueError("its first line is not a status line")
    headers = {}
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(match[1]), headers


def _cut(body: bytes, content_length: str) -> bytes | None:
    if not re.fullmatch(r"[0-9]{1,18}", content_length):
        raise ValueError("its Content-Length is not a number")
    length = int(content_length)
    return body[:length] if len(body) >= length else None


def _decode_chunks(data: bytes, position: int) -> bytes | None:
    """The body in chunks (RFC 9112, 7.1) from ``position``; None = the last chunk is missing."""
    body = bytearray()
    while (end := data.find(b"\n", position)) >= 0:
        match = _CHUNK_SIZE.fullmatch(data[position:end].rstrip(b"\r"))
        if match is None:
            raise ValueError("the size of a chunk is not a number")
        size = int(match[1], 16)
        if size == 0:
            return bytes(body)
        if len(data) < end + 1 + size:
            return None
        body += data[end + 1 : end + 1 + size]
        position = end + 1 + size
        position += 2 if data[position : position + 2] == b"\r\n" else 1
    return None
