"""What a browser sends: a cookie jar, the headers that scripts cannot set, and forms."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass
class Reply:
    """One response, taken apart."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON there is
        return json.loads(self.body)


@dataclass
class Browser:
    """One browser with the page open.

    Attributes:
        port: of the server on loopback.
        host: Host in its URLs; None = localhost with the port.
        headers: what it, or a proxy, adds to each request.
        cookie: ``name=value``, as the server has set it.
        csrf: the token of the page that it has loaded last.
    """

    port: int
    host: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookie: str | None = None
    csrf: str = ""

    @property
    def netloc(self) -> str:
        return self.host or f"localhost:{self.port}"

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, str] = b"",
        headers: Mapping[str, str | None] | None = None,
    ) -> Reply:
        """One request; a mapping is sent as a form. A header that is None is left out."""
        content = body if isinstance(body, bytes) else urlencode(body).encode()
        sent: dict[str, str | None] = {
            "Host": self.netloc,
            "Content-Length": str(len(content)),
            "Cookie": self.cookie,
            "Origin": f"http://{self.netloc}" if method != "GET" else None,
            "Content-Type": "application/json"
            if isinstance(body, bytes)
            else "application/x-www-form-urlencoded",
            **self.headers,
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value is not None)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {path} HTTP/1.0\r\n{head}\r\n".encode(errors="surrogateescape") + content)
        answer = (await reader.read()).decode()
        writer.close()
        top, _, text = answer.partition("\r\n\r\n")
        first, *lines = top.split("\r\n")
        reply = Reply(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), text)
        if set_cookie := reply.headers.get("Set-Cookie"):
            self.cookie = set_cookie.partition(";")[0]
        return reply

    async def log_in(self, secret: str, headers: Mapping[str, str | None] | None = None) -> Reply:
        return await self.send("POST", "/login", {"secret": secret}, headers)

    async def load(self, path: str = "/") -> Reply:
        """Load the page, and read the CSRF token of its forms."""
        reply = await self.send("GET", path)
        if found := re.search(r'name="csrf" value="([0-9a-f]+)"', reply.body):
            self.csrf = found[1]
        return reply
