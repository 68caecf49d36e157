"""The lazy server: nothing is imported before the first connection, which is served; it closes quickly."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.requests import REQUESTS
from ui.status_server_process import status_server
from ui.statuses import NOW, family

from powerd.linux.unix_sockets import listen_tcp, listen_unix
from powerd.ui.cli.client import get
from powerd.ui.http.context import UiContext
from powerd.ui.http.lazy_server import LazyHttpServer


async def refresh() -> None:
    await asyncio.sleep(0)


CONTEXT = UiContext(family, lambda: NOW, refresh, refresh, lambda: None, REQUESTS)


async def connect(path: Path) -> str:
    """The status line of one answer."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n")[0].decode()


@pytest.mark.process
def test_nothing_is_loaded_before_the_first_connection(tmp_path: Path) -> None:
    """canned() itself asserts that aiohttp is not loaded once the daemon listens."""
    with status_server("family", tmp_path / "s"):
        assert get("/healthz", str(tmp_path / "s")) == {"healthy": True}


@pytest.mark.process
def test_the_lazy_server_imports_no_http_server_and_the_http_server_no_openssl() -> None:
    code = (
        "import sys, powerd.__main__ as main; main._limit_imports(); import powerd.ui.http.lazy_server; "
        "print([m for m in sys.modules if m.startswith('aiohttp')]); import powerd.ui.http.app; "
        "print('libcrypto' in open('/proc/self/maps').read())"
    )
    # Coverage, which measures processes that tests start, imports OpenSSL itself.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "[]\nFalse\n"


def test_the_first_connection_and_all_that_follow_meanwhile_are_served(tmp_path: Path) -> None:
    async def scene() -> list[str]:
        server = LazyHttpServer([listen_unix(tmp_path / "a"), listen_unix(tmp_path / "b")], CONTEXT)
        await server.start()
        answers = await asyncio.gather(*(connect(tmp_path / name) for name in "abababab"))
        await server.close()
        return answers

    assert asyncio.run(scene()) == ["HTTP/1.0 200 OK"] * 8


def test_it_closes_without_anybody_having_come(tmp_path: Path) -> None:
    async def scene() -> None:
        server = LazyHttpServer([listen_unix(tmp_path / "s")], CONTEXT)
        await server.start()
        assert (tmp_path / "s").is_socket()
        await server.close()

    asyncio.run(scene())
    assert not (tmp_path / "s").exists()


def test_it_closes_while_the_first_are_still_being_let_in(tmp_path: Path) -> None:
    async def scene() -> None:
        server = LazyHttpServer([listen_unix(tmp_path / "s")], CONTEXT)
        await server.start()
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        await asyncio.sleep(0)
        await server.close()
        writer.close()

    asyncio.run(scene())
    assert not (tmp_path / "s").exists()


def test_it_closes_though_a_request_waits_for_a_refresh(tmp_path: Path) -> None:
    looking = asyncio.Event()

    async def endless() -> None:
        looking.set()
        await asyncio.Event().wait()

    async def scene() -> None:
        server = LazyHttpServer(
            [listen_unix(tmp_path / "s")],
            UiContext(family, lambda: NOW, endless, endless, lambda: None, REQUESTS),
        )
        await server.start()
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"GET /api/clients HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await looking.wait()
        async with asyncio.timeout(20):
            await server.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        writer.close()

    asyncio.run(scene())


def test_a_failed_import_of_the_server_is_reported_and_nothing_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ImportError("No module named 'aiohttp'")

    monkeypatch.setattr("powerd.ui.http.app.start_server", refuse)
    received: list[Mapping[str, Any]] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: received.append(context))
        server = LazyHttpServer([listen_unix(tmp_path / "s")], CONTEXT)
        await server.start()
        with pytest.raises(ConnectionResetError):
            await connect(tmp_path / "s")
        await server.close()

    asyncio.run(scene())
    assert "status page" in received[0]["message"]


def test_both_doors_show_the_same(tmp_path: Path) -> None:
    async def scene() -> None:
        listener = listen_tcp("127.0.0.1:0")
        port: int = listener.getsockname()[1]
        server = LazyHttpServer([listen_unix(tmp_path / "s"), listener], CONTEXT)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /healthz HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.0 200 OK")
        assert await connect(tmp_path / "s") == "HTTP/1.0 200 OK"
        writer.close()
        await server.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(scene())
