"""The HTTP face over real sockets: routes, errors, headers, and who may ask at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from faces.house import NOW, family
from faces.wishing import WISHES

from powerd.faces.http import Door, Faces
from powerd.faces.page import STYLE
from powerd.faces.render import clients_json, status_json
from powerd.faces.web import is_ours
from powerd.host.listen import tcp_socket, unix_socket
from powerd.model import Status


@dataclass
class House:
    """A door with one Unix and one TCP socket, and what was asked of the house behind it."""

    path: Path
    status: Status | None = field(default_factory=family)
    trouble: str | None = None
    looks: int = 0
    looking: Callable[[], Awaitable[None]] | None = None
    port: int = 0
    faults: list[Mapping[str, Any]] = field(default_factory=list)

    async def look(self) -> None:
        self.looks += 1
        if self.looking is not None:
            await self.looking()

    def play(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run ``scene`` while the door is open."""

        async def whole() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
            listener = tcp_socket("127.0.0.1:0")
            self.port = listener.getsockname()[1]
            faces = Faces(lambda: self.status, lambda: NOW, self.look, lambda: self.trouble, WISHES)
            door = Door([unix_socket(self.path), listener], faces)
            await door.start()
            try:
                await scene()
            finally:
                await door.close()

        asyncio.run(whole())

    async def raw(self, request: str, *, tcp: bool = False) -> Answer:
        """Send ``request`` as it is; the connection is closed by the server."""
        opened = (
            asyncio.open_connection("127.0.0.1", self.port)
            if tcp
            else asyncio.open_unix_connection(str(self.path))
        )
        reader, writer = await opened
        writer.write(request.encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body)

    async def ask(self, path: str, method: str = "GET") -> Answer:
        return await self.raw(f"{method} {path} HTTP/1.0\r\n\r\n")


@dataclass
class Answer:
    """One HTTP answer, taken apart."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON there is
        return json.loads(self.body)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "s")


def test_the_api(house: House) -> None:
    async def scene() -> None:
        assert (await house.ask("/api/status")).json == status_json(family(), NOW)
        assert (await house.ask("/api/clients")).json == clients_json(family(), NOW)
        assert (await house.ask("/api/disks")).json == []
        assert (await house.ask("/healthz")).json == {"healthy": True}
        assert (await house.ask("/")).body.startswith("<!DOCTYPE html>")

    house.play(scene)


def test_before_the_first_decision(house: House) -> None:
    house.status, house.trouble = None, "nothing is decided yet"

    async def scene() -> None:
        assert (await house.ask("/api/status")).json["state"] == "starting"
        assert (await house.ask("/api/clients")).json == []
        assert (await house.ask("/")).status == 200
        answer = await house.ask("/healthz")
        assert (answer.status, answer.json) == (503, {"error": "nothing is decided yet"})

    house.play(scene)


def test_clients_are_looked_at_afresh_before_they_are_shown(house: House) -> None:
    async def leave() -> None:
        assert house.status is not None
        house.status = replace(house.status, decision=replace(house.status.decision, verdicts=()))

    house.looking = leave

    async def scene() -> None:
        assert (await house.ask("/api/clients")).json == []
        assert house.looks == 1

    house.play(scene)


def test_the_page_does_not_wait_for_a_look(house: House) -> None:
    done = asyncio.Event()

    async def slow() -> None:
        await done.wait()

    house.looking = slow

    async def scene() -> None:
        assert "anna-phone" in (await house.ask("/")).body
        assert "anna-phone" in (await house.ask("/")).body
        assert house.looks == 1, "a look under way is not begun again"
        done.set()

    house.play(scene)


def test_many_readers_share_a_look(house: House) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await gate.wait()

    house.looking = slow

    async def scene() -> None:
        readers = [asyncio.ensure_future(house.ask("/api/clients")) for _ in range(8)]
        await begun.wait()
        assert (await house.ask("/healthz")).status == 200, "nobody else has to wait"
        gate.set()
        assert {(await reader).status for reader in readers} == {200}
        assert house.looks == 1

    house.play(scene)


def test_a_reader_who_leaves_ends_the_look_for_nobody_else(house: House) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await gate.wait()

    house.looking = slow

    async def scene() -> None:
        stays = asyncio.ensure_future(house.ask("/api/clients"))
        await begun.wait()
        _, writer = await asyncio.open_unix_connection(str(house.path))
        writer.write(b"GET /api/clients HTTP/1.0\r\n\r\n")
        await house.ask("/healthz")
        writer.close()
        await writer.wait_closed()
        await house.ask("/healthz")
        gate.set()
        assert (await stays).status == 200
        assert house.looks == 1

    house.play(scene)


def test_a_fault_is_500_and_told_to_the_loop_not_to_the_reader(house: House) -> None:
    async def fail() -> None:
        raise RuntimeError("secret")

    house.looking = fail

    async def scene() -> None:
        answer = await house.ask("/api/clients")
        assert answer.status == 500
        assert answer.json == {"error": "this is a fault in powerd: RuntimeError"}
        assert (await house.ask("/")).status == 200, "a background look's fault hides no page"

    house.play(scene)
    assert [str(fault["exception"]) for fault in house.faults] == ["secret"]


@pytest.mark.parametrize(
    "path", ["/nope", "/api", "/api/status/", "/favicon.ico", "/../etc/passwd", "/%00%0d%0aX:%20y"]
)
def test_not_found(house: House, path: str) -> None:
    async def scene() -> None:
        answer = await house.ask(path)
        assert answer.status == 404
        assert set(answer.json) == {"error"}
        assert "X" not in answer.headers

    house.play(scene)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_head(house: House, method: str) -> None:
    async def scene() -> None:
        for path in ("/", "/api/status", "/api/clients", "/api/disks", "/healthz"):
            answer = await house.ask(path, method)
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
            assert set(answer.json) == {"error"}
            head = await house.ask(path, "HEAD")
            assert (head.status, head.body) == (200, "")

    house.play(scene)


def test_every_answer_has_the_protecting_headers(house: House) -> None:
    async def scene() -> None:
        for path, kind in (
            ("/", "text/html"),
            ("/api/status", "application/json"),
            ("/nope", "application/json"),
        ):
            answer = await house.ask(path)
            assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Server"] == "powerd"
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "unsafe" not in policy

    house.play(scene)


def test_over_tcp_only_a_loopback_name_and_our_port_are_answered(house: House) -> None:
    async def scene() -> None:
        port = house.port
        for host, status in (
            (f"127.0.0.1:{port}", 200),
            (f"localhost:{port}", 200),
            (f"LOCALHOST:{port}", 200),
            (f"[::1]:{port}", 200),
            (f"evil.example:{port}", 403),
            (f"127.0.0.1.evil.example:{port}", 403),
            (f"localhost.evil.example:{port}", 403),
            (f"10.0.0.1:{port}", 403),
            (f"127.0.0.1:{port + 1}", 403),
            ("127.0.0.1", 403),
            ("", 403),
        ):
            for path in ("/", "/api/status", "/nope"):
                answer = await house.raw(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n", tcp=True)
                assert answer.status == (404 if path == "/nope" and status == 200 else status), (host, path)
        answer = await house.raw("GET / HTTP/1.0\r\n\r\n", tcp=True)
        assert answer.status == 403
        assert answer.json["error"].endswith(
            f"a web server before it has to send Host: localhost:{house.port}"
        )

    house.play(scene)


@pytest.mark.parametrize(
    ("host", "port", "ours"),
    [
        ("localhost:80", 80, True),
        ("localhost", 80, True),
        ("[::1]", 80, True),
        ("::1", 80, False),
        ("127.9.9.9:8787", 8787, True),
        ("[::ffff:10.0.0.1]:8787", 8787, False),
        ("0.0.0.0:8787", 8787, False),
        ("localhost:08787", 8787, False),
        ("localhost:8787:8787", 8787, False),
        ("a@localhost:8787", 8787, False),
    ],
)
def test_is_ours(host: str, port: int, ours: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_ours(host, port) is ours


@pytest.mark.parametrize(
    "request_", ["GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
)
def test_a_garbled_request_is_refused_without_a_word_in_the_log(
    house: House, request_: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        assert (await house.raw(request_, tcp=True)).status == 400
        assert (await house.ask("/healthz")).status == 200

    house.play(scene)
    assert (caplog.text, capfd.readouterr().err, house.faults) == ("", "", [])


def test_the_policy_lets_the_pages_own_style_through(house: House) -> None:
    import base64  # noqa: PLC0415 - for this test alone
    import hashlib  # noqa: PLC0415 - for this test alone

    async def scene() -> None:
        answer = await house.ask("/")
        style = answer.body.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert style == STYLE
        assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]

    house.play(scene)
