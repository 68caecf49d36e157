"""Write requests over real sockets: valid ones, invalid ones, and access control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.requests import TOKEN, FakeRequests
from hypothesis import given
from hypothesis import strategies as st
from ui.statuses import NOW, family

from powerd.config.http_options import HttpOptions
from powerd.core.snapshot import Status
from powerd.linux.unix_sockets import listen_tcp, listen_unix
from powerd.ui.http.context import UiContext
from powerd.ui.http.event_feed import EventFeed
from powerd.ui.http.lazy_server import LazyHttpServer
from powerd.ui.http.write_requests import ApiError, duration_field, read_body, text_field

JSON = "Content-Type: application/json\r\n"


async def refresh() -> None:
    await asyncio.sleep(0)


async def check_password(password: str, password_hash: str) -> bool:
    """The stored hash of these tests is the password itself."""
    return password == password_hash


class WriteApiServer:
    """A server with one Unix and one TCP socket, before a fake that accepts requests."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wishing = FakeRequests()
        self.http = HttpOptions()
        self.password_hash: str | ValueError = ValueError("no password is set")
        self.now = NOW
        self.feed = EventFeed()
        self.port = 0
        self.faults: list[Mapping[str, Any]] = []

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
            listener = listen_tcp("127.0.0.1:0")
            self.port = listener.getsockname()[1]
            server = LazyHttpServer([listen_unix(self.path), listener], self.context())
            await server.start()
            try:
                await scene()
            finally:
                await server.close()

        asyncio.run(whole())
        assert self.faults == []

    def context(self) -> UiContext:
        return UiContext(
            family,
            lambda: self.now,
            refresh,
            refresh,
            lambda: None,
            self.wishing.requests(),
            self.feed,
            http=lambda: self.http,
            password_hash=self.read_password_hash,
            check_password=check_password,
        )

    def read_password_hash(self) -> str:
        if isinstance(self.password_hash, ValueError):
            raise self.password_hash
        return self.password_hash

    async def connect(self, *, tcp: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if tcp:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await asyncio.open_unix_connection(str(self.path))

    async def request(
        self, method: str, path: str, body: object = None, headers: str = JSON, *, tcp: bool = False
    ) -> tuple[int, Any]:
        """Status and JSON of one answer; ``body`` may be bytes, sent as they are."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.0\r\nHost: localhost:{self.port}\r\nContent-Length: {len(content)}\r\n"
        )
        reader, writer = await self.connect(tcp=tcp)
        writer.write(f"{head}{headers}\r\n".encode() + content)
        answer = await reader.read()
        writer.close()
        top, _, rest = answer.partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(rest)


@pytest.fixture
def api_server(tmp_path: Path) -> WriteApiServer:
    return WriteApiServer(tmp_path / "s")


KEEP_JSON = {
    "id": "3",
    "because": "backup",
    "since": "2026-01-12T21:16:00+01:00",
    "until": "2026-01-12T23:16:00+01:00",
    "not_stored": None,
}


def test_a_keep_is_taken_and_dropped(api_server: WriteApiServer) -> None:
    async def scene() -> None:
        assert await api_server.request("POST", "/api/keep", {"for": "2h", "because": "backup"}) == (
            200,
            KEEP_JSON,
        )
        assert (await api_server.request("POST", "/api/keep", {"for": 7200.0}))[0] == 200
        assert (await api_server.request("DELETE", "/api/keep/3", headers=""))[0] == 200
        for method, path, body, expected, term in (
            ("DELETE", "/api/keep/9", None, 404, '"9"'),
            ("POST", "/api/keep", {"for": "365d"}, 409, "too long"),
        ):
            status, output = await api_server.request(method, path, body)
            assert (status, list(output)) == (expected, ["error"])
            assert term in output["error"]

    api_server.run(scene)
    assert api_server.wishing.calls[:3] == [("keep", 7200.0, "backup"), ("keep", 7200.0, ""), ("drop", "3")]


def test_a_machine_is_woken(api_server: WriteApiServer) -> None:
    async def scene() -> None:
        sent = [{"link": "eth0", "to": "10.0.0.255"}]
        assert await api_server.request("POST", "/api/wake", {"host": "tv"}) == (
            200,
            {"host": "tv", "mac": "02:00:00:00:00:09", "sent": sent},
        )
        status, output = await api_server.request("POST", "/api/wake", {"host": "nobody"})
        assert (status, list(output)) == (404, ["error"])
        assert '"nobody"' in output["error"]

    api_server.run(scene)


def test_a_sleep_is_requested_and_called_off(api_server: WriteApiServer) -> None:
    request = {"now": False, "since": "2026-01-12T21:16:00+01:00", "until": "2026-01-12T22:16:00+01:00"}

    async def scene() -> None:
        api_server.wishing.status = family()
        assert (await api_server.request("DELETE", "/api/sleep", headers=""))[0] == 404
        status, output = await api_server.request("POST", "/api/sleep", {})
        assert status == 202
        assert output.items() >= request.items()
        assert [each["subject"] for each in output["waits_for"]] == blockers_of(family())
        assert (await api_server.request("POST", "/api/sleep", {"now": True}))[1]["now"] is True
        assert await api_server.request("DELETE", "/api/sleep", headers="") == (200, request)
        assert (await api_server.request("POST", "/api/sleep", {"now": True}, tcp=True))[0] == 403
        assert (await api_server.request("DELETE", "/api/sleep", tcp=True))[0] == 403

    api_server.run(scene)
    assert [each for each in api_server.wishing.calls if each[0] == "sleep"] == [
        ("sleep", False),
        ("sleep", True),
    ]


def blockers_of(status: Status) -> list[str]:
    return [each.subject for each in status.decision.reasons if each.blocks_sleep]


def test_a_reload_answers_what_is_wrong(api_server: WriteApiServer) -> None:
    async def scene() -> None:
        assert await api_server.request("POST", "/api/reload") == (200, {"reloaded": True})
        api_server.wishing.reload_error = "powerd.toml: clients.evry: unknown key"
        refused = await api_server.request("POST", "/api/reload", {})
        assert refused == (409, {"error": "powerd.toml: clients.evry: unknown key"})
        assert (await api_server.request("POST", "/api/reload", {"now": "x"}))[0] == 400
        assert (await api_server.request("POST", "/api/reload", tcp=True))[0] == 403

    api_server.run(scene)


def test_a_test_message_answers_what_became_of_it(api_server: WriteApiServer) -> None:
    async def scene() -> None:
        api_server.wishing.notify_results = (("hooks.alert", ""), ("hooks.notify[1] (ntfy://)", "no answer"))
        assert await api_server.request("POST", "/api/notify/test") == (
            200,
            [
                {"to": "hooks.alert", "error": None},
                {"to": "hooks.notify[1] (ntfy://)", "error": "no answer"},
            ],
        )
        assert (await api_server.request("POST", "/api/notify/test", {"to": "x"}))[0] == 400
        assert (await api_server.request("POST", "/api/notify/test", tcp=True))[0] == 403

    api_server.run(scene)
    assert api_server.wishing.calls == [("notify_test",)]


@pytest.mark.parametrize(
    ("path", "body", "texts"),
    [
        ("/api/keep", b"", '"for"'),
        ("/api/keep", b"{", "not JSON"),
        ("/api/keep", b"\xff", "not JSON"),
        ("/api/keep", b"[" * 10_000, "not JSON"),
        ("/api/keep", [], '"for" and "until"'),
        ("/api/keep", {}, '"for"'),
        ("/api/keep", {"for": 60, "until": "18:00"}, '"until"'),
        ("/api/keep", {"until": "soon"}, '"soon" is not a time of day'),
        ("/api/keep", {"until": 18}, '"until" has the wrong type'),
        ("/api/keep", {"for": True}, '"for" has the wrong type'),
        ("/api/keep", {"for": None}, '"for" has the wrong type'),
        ("/api/keep", {"for": "soon"}, '"soon"'),
        ("/api/keep", {"for": 0}, "more than 0 s"),
        ("/api/keep", {"for": float("nan")}, "more than 0 s"),
        ("/api/keep", b'{"for": 1' + b"0" * 400 + b"}", "too large"),
        ("/api/keep", {"for": "2h", "becuase": "x"}, '"becuase"'),
        ("/api/keep", {"for": "2h", "because": "x" * 201}, "200 characters"),
        ("/api/hold", {"because": 7}, '"because" has the wrong type'),
        ("/api/wake", {}, '"host" is missing'),
        ("/api/sleep", {"now": 1}, '"now" has the wrong type'),
        ("/api/sleep", {"now": "yes"}, '"now" has the wrong type'),
    ],
)
def test_what_is_not_understood_is_400(
    api_server: WriteApiServer, path: str, body: object, texts: str
) -> None:
    async def scene() -> None:
        status, output = await api_server.request("POST", path, body)
        assert status == 400
        assert texts in output["error"]

    api_server.run(scene)
    assert api_server.wishing.calls == []


def test_a_body_is_json_and_small(api_server: WriteApiServer) -> None:
    async def scene() -> None:
        form = "Content-Type: application/x-www-form-urlencoded\r\n"
        for headers in ("", form, "Content-Type: text/plain\r\n"):
            assert (await api_server.request("POST", "/api/keep", {"for": "2h"}, headers))[0] == 415
        status, output = await api_server.request("POST", "/api/keep", b" " * (16 * 1024 + 1))
        assert status == 413
        assert "16384" in output["error"]
        status, output = await api_server.request("PUT", "/api/keep", {"for": "2h"})
        assert status == 405
        assert all(method in output["error"] for method in ("PUT", "POST"))

    api_server.run(scene)
    assert api_server.wishing.calls == []


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("ata-A_1", {}, 200, ["ata-A_1", "its-mirror"]),
        ("ata-A_1", None, 200, ["ata-A_1", "its-mirror"]),
        ("ata-A%2b1", {}, 200, ["ata-A+1", "its-mirror"]),
        ("nothing", {}, 404, ['"nothing"']),
        ("ssd", {}, 409, ["sda", "solid state"]),
        ("ata-A_1", {"now": 1}, 400, ['"now"']),
    ],
)
def test_a_spin_down_may_be_requested(
    api_server: WriteApiServer, path: str, body: object, status: int, expected: list[str]
) -> None:
    """``expected`` are the disks, or parts of the error."""

    async def scene() -> None:
        got, output = await api_server.request("POST", f"/api/disks/{path}/standby", body)
        assert (got, list(output)) == (status, ["disks" if status == 200 else "error"])
        if status == 200:
            assert output == {"disks": expected}
        else:
            assert all(term in output["error"] for term in expected)

    api_server.run(scene)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_hold_lasts_until_the_asker_is_gone(api_server: WriteApiServer, tcp: bool) -> None:  # noqa: FBT001 - a column
    api_server.wishing.token = TOKEN

    async def scene() -> None:
        for number in ("HTTP/1.0", "HTTP/1.1"):
            reader, writer = await api_server.connect(tcp=tcp)
            head = (
                f"POST /api/hold {number}\r\nHost: localhost:{api_server.port}\r\nContent-Length: "
                f"20\r\n{JSON}"
            )
            writer.write(f"{head}Authorization: Bearer {TOKEN}\r\n\r\n".encode() + b'{"because": "rsync"}')
            await reader.readuntil(b'"not_stored": null}\n')
            await api_server.request("GET", "/healthz")
            assert api_server.wishing.calls[-1] == ("hold", "rsync")
            writer.transport.abort()
            async with asyncio.timeout(60):
                await api_server.wishing.hold_ended.wait()
            api_server.wishing.hold_ended.clear()

    api_server.run(scene)


def test_a_hold_ends_with_the_daemon(api_server: WriteApiServer) -> None:
    async def scene() -> None:
        reader, writer = await api_server.connect()
        writer.write(f"POST /api/hold HTTP/1.0\r\nContent-Length: 2\r\n{JSON}\r\n{{}}".encode())
        await reader.readuntil(b"}\n")
        asyncio.get_running_loop().call_soon(writer.close)

    api_server.run(scene)
    assert api_server.wishing.calls == [("hold", "a command"), ("let go", "a command")]


AUTHORISED = f"{JSON}Authorization: Bearer {TOKEN}\r\n"


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        (None, JSON, 403),
        (None, AUTHORISED, 403),
        (TOKEN, AUTHORISED, 200),
        (TOKEN, AUTHORISED.replace("Bearer", "bearer"), 200),
        (TOKEN, JSON, 401),
        (TOKEN, f"{JSON}Authorization: Bearer\r\n", 401),
        (TOKEN, f"{JSON}Authorization: Bearer {TOKEN}x\r\n", 401),
        (TOKEN, f"{JSON}Authorization: Bearer {TOKEN[:-1]}\r\n", 401),
        (TOKEN, f"{JSON}Authorization: Bearer \u00fc\r\n", 401),
        (TOKEN, f"{JSON}Authorization: Basic {TOKEN}\r\n", 401),
        (ValueError("there is no file /etc/powerd/token"), AUTHORISED, 403),
    ],
)
def test_over_tcp_it_takes_the_token(
    api_server: WriteApiServer, token: str | ValueError | None, headers: str, status: int
) -> None:
    api_server.wishing.token = token

    async def scene() -> None:
        rows: tuple[tuple[str, str, object], ...] = (
            ("POST", "/api/keep", {"for": "2h"}),
            ("DELETE", "/api/keep/3", None),
            ("POST", "/api/disks/ata-A_1/standby", {}),
        )
        for method, path, body in rows:
            got, output = await api_server.request(method, path, body, headers, tcp=True)
            assert got == status
            assert ("error" in output) == (status != 200)
            assert (await api_server.request(method, path, body))[0] == 200, (
                "the Unix socket has its permissions"
            )
        assert (await api_server.request("GET", "/api/status", tcp=True))[0] == 200

    api_server.run(scene)
    assert len(api_server.wishing.calls) == (6 if status == 200 else 3)


def test_a_missing_token_is_answered_with_the_scheme(api_server: WriteApiServer) -> None:
    api_server.wishing.token = TOKEN

    async def scene() -> None:
        reader, writer = await api_server.connect(tcp=True)
        head = f"DELETE /api/keep/3 HTTP/1.0\r\nHost: localhost:{api_server.port}\r\n\r\n"
        writer.write(head.encode())
        assert b"\r\nWWW-Authenticate: Bearer\r\n" in await reader.read()
        writer.close()

    api_server.run(scene)


def test_a_strange_host_is_refused_with_the_right_token(api_server: WriteApiServer) -> None:
    api_server.wishing.token = TOKEN

    async def scene() -> None:
        reader, writer = await api_server.connect(tcp=True)
        head = f"POST /api/keep HTTP/1.0\r\nHost: evil.example:{api_server.port}\r\nContent-Length: 13\r\n"
        writer.write(f"{head}{AUTHORISED}\r\n".encode() + b'{"for": "2h"}')
        assert b" 403 " in (await reader.read()).partition(b"\r\n")[0]
        writer.close()

    api_server.run(scene)
    assert api_server.wishing.calls == []


@given(st.binary(max_size=300))
def test_no_body_is_a_fault(content: bytes) -> None:
    try:
        spin_down_request = read_body(content, {"for": (int, float, str), "until": str, "because": str})
        duration_field(spin_down_request, NOW.wall)
    except ApiError as error:
        output = (error.status, str(error).isprintable())
        assert output == (400, True)


@given(st.text(max_size=300))
def test_texts_are_fit_to_be_shown(text: str) -> None:
    try:
        shown = text_field({"because": text}, "because")
    except ApiError:
        assert len(text) > 200
    else:
        assert shown.isprintable()
        assert len(shown) <= 200
