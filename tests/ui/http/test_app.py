"""The HTTP server over real sockets: routes, errors, headers, and the check of Host."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from facts import changed
from ui.http.web_server import WebServer
from ui.statuses import NOW, family, working
from ui.wake_statuses import woken

from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.history.model import Counters
from powerd.ui.api import activity_json, clients_json, status_json
from powerd.ui.http.access import is_own_address
from powerd.ui.metrics import metrics_text


@pytest.fixture
def web_server(tmp_path: Path) -> WebServer:
    return WebServer(tmp_path / "s")


def test_the_api(web_server: WebServer) -> None:
    async def scene() -> None:
        assert (await web_server.request("/api/status")).json == status_json(family(), NOW)
        assert (await web_server.request("/api/clients")).json == clients_json(family(), NOW)
        assert (await web_server.request("/api/disks")).json == []
        assert (await web_server.request("/api/activity")).json == activity_json(family(), NOW)
        assert (await web_server.request("/api/blockers")).json == {"since": None, "blockers": []}
        assert (await web_server.request("/healthz")).json == {"healthy": True}
        assert (await web_server.request("/metrics")).body == metrics_text(family(), None, {}, Counters())
        assert (await web_server.request("/")).body.startswith("<!DOCTYPE html>")

    web_server.run(scene)


def test_wakes_of_all_disks_or_of_one(web_server: WebServer) -> None:
    web_server.status = woken()

    async def scene() -> None:
        assert (await web_server.request("/api/wakes")).json == wakes_json(woken(), NOW)
        assert (await web_server.request("/api/accesses")).json == accesses_json(woken(), NOW)
        assert (await web_server.request("/api/wakes?disk=sdb")).json == wakes_json(woken(), NOW, "sdb")
        assert (await web_server.request("/api/accesses?disk=%73db")).json == accesses_json(
            woken(), NOW, "sdb"
        )
        for path in ("/api/wakes?disk=sdz", "/api/accesses?disk=", "/api/wakes?disk=%ff"):
            answer = await web_server.request(path)
            assert (answer.status, list(answer.json)) == (404, ["error"])
        assert "cron.service" in (await web_server.request("/")).body

    web_server.run(scene)


def test_checks_are_polled_on_request_only(web_server: WebServer) -> None:
    web_server.status = working()

    async def scene() -> None:
        rows = (await web_server.request("/api/activity")).json
        assert web_server.check_polls == 0
        head = "POST /api/activity HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        answer = await web_server.raw(head + "{}")
        assert answer.json == rows == activity_json(working(), NOW)
        assert web_server.check_polls == 1
        assert (await web_server.request("/api/activity", "POST", tcp=True)).status in {401, 403}
        assert web_server.check_polls == 1, "they may start commands"
        assert "Work in progress" in (await web_server.request("/")).body

    web_server.run(scene)


def test_before_the_first_decision(web_server: WebServer) -> None:
    web_server.status, web_server.trouble = None, "nothing is decided yet"

    async def scene() -> None:
        assert (await web_server.request("/api/status")).json["state"] == "starting"
        assert (await web_server.request("/api/clients")).json == []
        assert (await web_server.request("/")).status == 200
        answer = await web_server.request("/healthz")
        assert (answer.status, answer.json) == (503, {"error": "nothing is decided yet"})

    web_server.run(scene)


def test_clients_are_polled_before_they_are_shown(web_server: WebServer) -> None:
    async def leave() -> None:
        assert web_server.status is not None
        web_server.status = replace(
            web_server.status, decision=changed(web_server.status.decision, client_statuses=())
        )

    web_server.refresh_started = leave

    async def scene() -> None:
        assert (await web_server.request("/api/clients")).json == []
        assert web_server.refreshes == 1

    web_server.run(scene)


def test_the_page_does_not_wait_for_a_poll(web_server: WebServer) -> None:
    done = asyncio.Event()

    async def slow() -> None:
        await done.wait()

    web_server.refresh_started = slow

    async def scene() -> None:
        assert "anna-phone" in (await web_server.request("/")).body
        assert "anna-phone" in (await web_server.request("/")).body
        assert web_server.refreshes == 1, "a look under way is not begun again"
        done.set()

    web_server.run(scene)


def test_many_readers_share_a_refresh(web_server: WebServer) -> None:
    start, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        start.set()
        await gate.wait()

    web_server.refresh_started = slow

    async def scene() -> None:
        readers = [asyncio.ensure_future(web_server.request("/api/clients")) for _ in range(8)]
        await start.wait()
        assert (await web_server.request("/healthz")).status == 200, "no other request has to wait"
        gate.set()
        assert {(await reader).status for reader in readers} == {200}
        assert web_server.refreshes == 1

    web_server.run(scene)


def test_a_reader_who_leaves_cancels_the_refresh_for_nobody_else(web_server: WebServer) -> None:
    start, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        start.set()
        await gate.wait()

    web_server.refresh_started = slow

    async def scene() -> None:
        stays = asyncio.ensure_future(web_server.request("/api/clients"))
        await start.wait()
        _, writer = await asyncio.open_unix_connection(str(web_server.path))
        writer.write(b"GET /api/clients HTTP/1.0\r\n\r\n")
        await web_server.request("/healthz")
        writer.close()
        await writer.wait_closed()
        await web_server.request("/healthz")
        gate.set()
        assert (await stays).status == 200
        assert web_server.refreshes == 1

    web_server.run(scene)


def test_an_exception_is_500_and_reported_to_the_loop_not_to_the_reader(web_server: WebServer) -> None:
    async def fail() -> None:
        raise RuntimeError("secret")

    web_server.refresh_started = fail

    async def scene() -> None:
        answer = await web_server.request("/api/clients")
        assert answer.status == 500
        assert list(answer.json) == ["error"]
        assert "RuntimeError" in answer.json["error"]
        assert "secret" not in answer.json["error"]
        assert (await web_server.request("/")).status == 200, "a background look's fault hides no page"

    web_server.run(scene)
    assert [str(fault["exception"]) for fault in web_server.faults] == ["secret"]


@pytest.mark.parametrize(
    "path", ["/nope", "/api", "/api/status/", "/favicon.ico", "/../etc/passwd", "/%00%0d%0aX:%20y"]
)
def test_not_found(web_server: WebServer, path: str) -> None:
    async def scene() -> None:
        answer = await web_server.request(path)
        assert answer.status == 404
        assert set(answer.json) == {"error"}
        assert "X" not in answer.headers

    web_server.run(scene)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_head(web_server: WebServer, method: str) -> None:
    async def scene() -> None:
        for path in ("/", "/api/status", "/api/clients", "/api/disks", "/healthz"):
            answer = await web_server.request(path, method)
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
            assert set(answer.json) == {"error"}
            head = await web_server.request(path, "HEAD")
            assert (head.status, head.body) == (200, "")

    web_server.run(scene)


def test_every_answer_has_the_protecting_headers(web_server: WebServer) -> None:
    async def scene() -> None:
        for path, kind in (
            ("/", "text/html"),
            ("/api/status", "application/json"),
            ("/nope", "application/json"),
        ):
            answer = await web_server.request(path)
            assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Server"] == "powerd"
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; ")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy

    web_server.run(scene)


def test_over_tcp_only_a_loopback_name_and_our_port_are_answered(web_server: WebServer) -> None:
    async def scene() -> None:
        port = web_server.port
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
                answer = await web_server.raw(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n", tcp=True)
                assert answer.status == (404 if path == "/nope" and status == 200 else status), (host, path)
        answer = await web_server.raw("GET / HTTP/1.0\r\n\r\n", tcp=True)
        assert answer.status == 403
        assert answer.json["error"].endswith(f"Host: localhost:{web_server.port}")

    web_server.run(scene)


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
def test_is_from_the_same_origin(host: str, port: int, ours: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_own_address(host, f"127.0.0.1:{port}") is ours


@pytest.mark.parametrize(
    "request_", ["GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
)
def test_a_malformed_request_is_refused_without_a_log_line(
    web_server: WebServer, request_: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        assert (await web_server.raw(request_, tcp=True)).status == 400
        assert (await web_server.request("/healthz")).status == 200

    web_server.run(scene)
    assert (caplog.text, capfd.readouterr().err, web_server.faults) == ("", "", [])


def test_the_policy_lets_only_the_page_s_own_style_and_script_through(web_server: WebServer) -> None:
    async def scene() -> None:
        policies = set()
        for _ in range(2):
            answer = await web_server.request("/")
            nonce = answer.body.partition('<script nonce="')[2].partition('"')[0]
            style = answer.body.partition("<style>")[2].partition("</style>")[0]
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            policy = answer.headers["Content-Security-Policy"]
            assert len(nonce) == 32
            assert f"style-src 'sha256-{digest}'; script-src 'nonce-{nonce}'; connect-src 'self'" in policy
            assert (answer.body.count("<style"), answer.body.count("<script")) == (1, 1)
            policies.add(policy)
        assert len(policies) == 2, "each page has a nonce of its own"

    web_server.run(scene)


def test_the_page_is_compressed_for_who_accepts_it(web_server: WebServer) -> None:
    async def scene() -> None:
        plain = await web_server.request("/")
        assert "Content-Encoding" not in plain.headers
        reader, writer = await web_server.open()
        writer.write(b"GET /?live HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert b"Content-Encoding: gzip" in head
        assert b"Vary: Accept-Encoding" in head
        assert len(body) < len(plain.body) / 2
        assert b"anna-phone" in gzip.decompress(body)
        assert web_server.refreshes == 1, "the script renews the page without a poll"

    web_server.run(scene)
