"""Server-sent events over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request
from fakes.requests import REQUESTS
from ui.statuses import NOW, family

from powerd.linux.unix_sockets import listen_unix
from powerd.ui.api import status_json
from powerd.ui.http import app
from powerd.ui.http.access import is_proxied
from powerd.ui.http.app import last_id
from powerd.ui.http.context import UiContext
from powerd.ui.http.event_feed import EventFeed
from powerd.ui.http.lazy_server import LazyHttpServer
from powerd.ui.journal import make_entry


async def refresh() -> None:
    await asyncio.sleep(0)


def run_server(path: Path, scene: Callable[[EventFeed], Awaitable[None]]) -> None:
    async def whole() -> None:
        feed = EventFeed()
        server = LazyHttpServer(
            [listen_unix(path)],
            UiContext(family, lambda: NOW, refresh, refresh, lambda: None, REQUESTS, feed),
        )
        await server.start()
        try:
            async with asyncio.timeout(60):
                await scene(feed)
        finally:
            async with asyncio.timeout(20):
                await server.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


async def listen(path: Path, headers: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Past the head and the hello."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(f"GET /api/events HTTP/1.0\r\n{headers}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert "Content-Type: text/event-stream" in head
    assert "Cache-Control: no-store" in head
    hello = (await reader.readuntil(b"\n\n")).decode()
    name, data = hello.rstrip("\n").split("\n")
    assert name == "event: hello"
    assert json.loads(data.removeprefix("data: ")) == status_json(family(), NOW)
    return reader, writer


def test_each_transition_is_sent_to_all(tmp_path: Path) -> None:
    async def scene(feed: EventFeed) -> None:
        listeners = [await listen(tmp_path / "s") for _ in range(3)]
        feed.publish(make_entry("phase", "going down"), NOW)
        feed.publish(make_entry("woke", "woke up after 8 h of sleep"), NOW)
        for reader, writer in listeners:
            assert b"\nevent: phase\n" in await reader.readuntil(b"\n\n")
            assert b"\nevent: woke\n" in await reader.readuntil(b"\n\n")
            writer.close()

    run_server(tmp_path / "s", scene)


def test_a_reconnected_client_gets_the_missed_events(tmp_path: Path) -> None:
    async def scene(feed: EventFeed) -> None:
        feed.publish(make_entry("phase", "one"), NOW)
        feed.publish(make_entry("phase", "two"), NOW)
        reader, writer = await listen(
            tmp_path / "s", f"Last-Event-ID: {int(NOW.wall.timestamp()) * 1000}\r\n"
        )
        assert b'"message": "two"' in await reader.readuntil(b"\n\n")
        writer.close()

    run_server(tmp_path / "s", scene)


def test_an_idle_stream_sends_a_comment_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "HEARTBEAT_SECONDS", 0.01)

    async def scene(_: EventFeed) -> None:
        reader, writer = await listen(tmp_path / "s")
        assert (await reader.readuntil(b"\n\n")).startswith(b": ")
        writer.close()

    run_server(tmp_path / "s", scene)


@pytest.mark.parametrize(
    ("version", "headers", "expected"),
    [
        (HttpVersion11, {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8787"}, False),
        (HttpVersion11, {"X-Forwarded-Proto": "https"}, True),
        (HttpVersion10, {}, True),
    ],
    ids=["browser", "proxy", "nginx"],
)
def test_only_a_proxy_needs_comments_each_minute(
    version: HttpVersion,
    headers: dict[str, str],
    expected: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert is_proxied(make_mocked_request("GET", "/api/events", headers, version=version)) is expected


def test_one_who_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def scene(feed: EventFeed) -> None:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"), limit=1)
        writer.write(b"GET /api/events HTTP/1.0\r\n\r\n")
        await reader.readuntil(b"H")
        for _ in range(5000):  # more than the socket's buffers and the queue hold
            feed.publish(make_entry("error", "x" * 5000), NOW)
            await asyncio.sleep(0)
        left = 0
        while piece := await reader.read(65536):
            left += len(piece)
        assert left < 5000 * 5000, "the end comes before all has been sent"
        writer.close()

    run_server(tmp_path / "s", scene)


@pytest.mark.parametrize(
    ("header", "number"), [("17", 17), ("", None), ("-1", None), ("x", None), ("²", None), ("9" * 5000, None)]
)
def test_last_id(header: str, number: int | None) -> None:
    assert last_id(header) == number
