"""HTTP: a server that has work to do according to its answer, such as a media server that plays a film.

A part of the answer, selected by an expression, is compared with a number: what is above it keeps the server
awake. An error page, an answer of another form, or none, is a failure of the check, which keeps the server
awake unless ``on_error = "ignore"``. Redirects are not followed. Header fields with a secret, such as an API
key, are in a file that is closed to others.

Many servers write a line to a log for each request, which wakes the disk that holds it. So a server is
queried only when a sleep is near, or while its last answer kept this server awake. TLS takes memory that the
daemon saves, so a short-lived child process requests an ``https:`` URL. The presets in ``presets/`` are
examples for many servers.

The forms are those of RFC 9110 (HTTP), https://jmespath.org (JMESPath), and xml.etree.ElementTree (XPath).
"""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from powerd.activity.answer import AnswerOptions, Selection, optional, select
from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, duration, option
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.http_client import (
    DEFAULT_PORTS,
    MAX_ANSWER,
    HttpRequest,
    decode_answer,
    encode_request,
    is_complete,
    parse_header_lines,
    parse_url,
    require_success,
)
from powerd.linux.regular_file import read_regular_file
from powerd.linux.values import HostError

_CHILD: Final = (sys.executable, "-I", "-m", "powerd.activity.https_child")
_CHILD_START: Final = 10.0
"""Seconds that the child process may take besides the request."""
_MAX_SECRET_FILE: Final = 1 << 14
_SESSION_ID: Final = "x-transmission-session-id"
"""Transmission answers 409 with this field, and expects it in the same request again."""
_CONFLICT: Final = 409
_LOCALHOST: Final = "127.0.0.1"


def _parse_json(text: str) -> str:
    """Check a JSON document."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not a JSON document: {error}; correct it") from None
    return text


@dataclass(frozen=True, slots=True)
class Options(AnswerOptions):
    """The options of one server."""

    url: str = option("", "http: or https: URL", optional(parse_url))
    post: str = option(
        "", "a JSON document to send by POST; without it the method is GET", optional(_parse_json)
    )
    header_file: str = option(
        "", 'a file with header lines "Name: value", which others cannot read', absolute_path()
    )
    ca_file: str = option(
        "", "certificates (PEM) to trust for https, instead of those of the system", absolute_path()
    )
    timeout: float = option(5.0, "time for the whole answer", duration(0.1, 10))

    def __post_init__(self) -> None:
        """Check the combination."""
        AnswerOptions.__post_init__(self)  # super() does not know the class that slots=True makes
        if not self.url:
            raise ValueError('requires a URL; write url = "http://127.0.0.1:8096/Sessions"')


class HttpCheck:
    """Queries one server.

    Args:
        options: of the check.
        ports: the network and child processes.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        parts = urlsplit(options.url)
        self._server = parts.netloc
        self._host = parts.hostname or ""
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        self._tls = parts.scheme == "https"
        self._address: str | None = None
        self._headers: dict[str, str] | None = None

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """Query the server."""
        del depth
        try:
            selection = await self._ask()
        except HostError:
            self._address = self._headers = None  # a new address or key applies at the next poll
            raise
        return (self._options.activity(self._server, selection),)

    async def _ask(self) -> Selection:
        if self._headers is None:
            self._headers = read_header_file(self._options.header_file)
        if self._tls:
            return await self._ask_by_child(self._headers)
        body = await self._ask_plain(self._headers)
        try:
            return select(body, self._options.expression)
        except ValueError as error:
            raise HostError(f"{self._server}: {error}; check the expression") from None

    async def _ask_plain(self, headers: dict[str, str]) -> bytes:
        if self._address is None:
            self._address = await self._resolve()
        for is_last in (False, True):
            data = await self._ports.network.exchange(
                (self._address, self._port),
                encode_request(HttpRequest(self._options.url, headers, self._options.post)),
                is_complete=is_complete,
                limit=MAX_ANSWER,
                timeout=self._options.timeout,
            )
            answer = decode_answer(data, self._server)
            if is_last or answer.status != _CONFLICT or _SESSION_ID not in answer.headers:
                break
            headers[_SESSION_ID] = answer.headers[_SESSION_ID]
        return require_success(answer, self._server)

    async def _resolve(self) -> str:
        if self._host == "localhost":
            return _LOCALHOST
        try:
            return str(ip_address(self._host))
        except ValueError:
            addresses = await self._ports.network.resolve(self._host)
        if not addresses:
            raise HostError(f"{self._host} is unknown to the resolver; write the IP address into the URL")
        return addresses[0]

    async def _ask_by_child(self, headers: dict[str, str]) -> Selection:
        options = self._options
        request = {
            "url": options.url,
            "headers": headers,
            "body": options.post,
            "ca_file": options.ca_file,
            "timeout": options.timeout,
            "expression": list(asdict(options.expression).values()),
        }
        result = await self._ports.processes.run(
            _CHILD, timeout=options.timeout + _CHILD_START, stdin=json.dumps(request).encode()
        )
        result.require_success("the HTTPS request")
        try:
            found = json.loads(result.stdout)
            return Selection(float(found["value"]), tuple(found["names"]))
        except (ValueError, KeyError, TypeError) as error:
            raise HostError(f"the HTTPS request has printed no result: {error}") from None


def read_header_file(path: str) -> dict[str, str]:
    """The header fields in a file; {} without a file.

    Raises:
        HostError: it cannot be read, others can read it, or it holds no header lines.
    """
    try:
        return parse_header_lines(read_secret_file(path))
    except ValueError as error:
        raise HostError(f"{path}: {error}") from None


def read_secret_file(path: str) -> str:
    """The text of a file that others cannot read; "" without a path.

    Raises:
        HostError: it cannot be read, or others can read or write it.
    """
    if not path:
        return ""
    try:
        content, mode = read_regular_file(Path(path), _MAX_SECRET_FILE)
    except OSError as error:
        remedy = "create it; let the service read it by chgrp powerd and chmod 640"
        raise HostError(f"cannot read {path}: {error.strerror}; {remedy}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise HostError(f"everybody may read or write {path}; run: chmod o-rwx {path}")
    return content.decode(errors="replace")


KIND: Final = CheckKind(
    "http",
    Options,
    HttpCheck,
    many=True,
    near_sleep_only=True,
    example=Options(
        url="http://127.0.0.1:8096/Sessions",
        header_file="/etc/powerd/jellyfin.headers",
        jmespath="[?NowPlayingItem && !(PlayState.IsPaused)].[UserName || DeviceName || 'somebody'][]",
        text="Jellyfin plays for",
    ),
)
