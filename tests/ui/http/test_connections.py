"""What clients can do to the HTTP server: many, slow, large and malformed requests, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientConnectionResetError, web
from rig.limits import no_more_files
from ui.http.web_server import WebServer

from powerd.requests.keep_awake import MAX_REQUESTS
from powerd.ui import page
from powerd.ui.cli.client import get
from powerd.ui.http.connections import (
    MAX_EVENT_STREAMS,
    MAX_REQUEST_SIZE,
    MAX_TCP_CONNECTIONS,
    MAX_UNIX_CONNECTIONS,
)

POST = b"POST /api/keep HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HALF_REQUESTS = (
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    POST + b"Content-Length: 99\r\n\r\n{",
    POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
)
"""Requests whose end never comes."""


@pytest.fixture
def web_server(tmp_path: Path) -> WebServer:
    return WebServer(tmp_path / "s")


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open as many descriptors as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what the kernel has done shows by looking only
            await asyncio.sleep(0.01)


async def settled() -> int:
    """The number of open files when earlier connections have ended."""
    before = 0
    while before != (before := open_files()):  # noqa: ASYNC110 - the kernel announces no closed descriptor
        await asyncio.sleep(0.05)
    return before


async def flood(web_server: WebServer, number: int, *, tcp: bool) -> list[socket.socket]:
    """Idle connections, and requests for them that wait in the server's backlog."""
    clients = []
    for _ in range(number):
        client = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        client.settimeout(0)
        while client.connect_ex(web_server.address(tcp=tcp)) == errno.EAGAIN:  # noqa: ASYNC110 - the backlog is full
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        clients.append(client)
    return clients


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What the server sends until it closes the connection, however it does."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(60):
            while piece := await reader.read(1 << 16):
                received += piece
    return received


async def exchange(web_server: WebServer, request: bytes) -> tuple[bytes, bytes]:
    """The status line of the response to a request over TCP, and its body."""
    reader, writer = await web_server.open(tcp=True)
    writer.write(request.replace(b"localhost\r\n", b"localhost:%d\r\n" % web_server.port))
    head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
    writer.close()
    return head.split()[1], body


def test_holds_and_event_streams_leave_room_for_other_requests() -> None:
    assert MAX_UNIX_CONNECTIONS >= MAX_REQUESTS + MAX_EVENT_STREAMS + 8


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("request_", HALF_REQUESTS, ids=range(len(HALF_REQUESTS)))
def test_a_half_request_ends_at_the_deadline(web_server: WebServer, request_: bytes, *, tcp: bool) -> None:
    web_server.deadline = 0.1

    async def scene() -> None:
        reader, writer = await web_server.open(tcp=tcp)
        writer.write(request_)
        assert b"200 OK" not in await rest(reader)
        writer.close()

    web_server.run(scene)


def test_bytes_that_keep_coming_do_not_move_the_deadline(web_server: WebServer) -> None:
    web_server.deadline = 0.3

    async def scene() -> None:
        reader, writer = await web_server.open(tcp=True)
        writer.write(b"GET / HTTP/1.1\r\n")
        ended = asyncio.ensure_future(rest(reader))
        while not ended.done():
            writer.write(b"A: b\r\n")
            await asyncio.sleep(0.02)
        assert ended.result() == b""
        writer.close()

    web_server.run(scene)


def test_a_handler_may_take_longer_than_the_deadline(web_server: WebServer) -> None:
    web_server.deadline = 0.1

    async def slow() -> None:
        await asyncio.sleep(0.5)

    web_server.refresh_started = slow

    async def scene() -> None:
        assert (await web_server.request("/api/clients")).status == 200

    web_server.run(scene)


@pytest.mark.parametrize("tcp", [False, True])
def test_one_who_does_not_read_is_cut_off(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch, *, tcp: bool
) -> None:
    web_server.deadline = 0.1
    monkeypatch.setattr(page, "render_page", lambda *_, **__: "x" * 16_000_000)

    async def scene() -> None:
        await web_server.request("/healthz")
        before = await settled()
        with socket.socket(socket.AF_INET if tcp else socket.AF_UNIX) as client:
            client.connect(web_server.address(tcp=tcp))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % web_server.port)
            await until(lambda: open_files() == before + 2)
            await until(lambda: open_files() == before + 1)

    web_server.run(scene)


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize(("tcp", "number"), [(True, 500), (False, 300)])
def test_idle_connections_keep_nobody_out(web_server: WebServer, number: int, *, tcp: bool) -> None:
    async def scene() -> None:
        await web_server.request("/healthz")
        before = await settled()
        clients = await flood(web_server, number, tcp=tcp)
        await until(lambda: bool(web_server.faults))
        assert (await web_server.request("/healthz", tcp=True)).status == 200
        assert await asyncio.to_thread(get, "/healthz", str(web_server.path)) == {"healthy": True}
        assert open_files() - before - number <= (MAX_TCP_CONNECTIONS if tcp else MAX_UNIX_CONNECTIONS) + 4
        for client in clients:
            client.close()
        await until(lambda: open_files() <= before)

    web_server.run(scene)
    assert len(web_server.faults) == 1, "one line"


def test_without_a_free_descriptor_one_more_request_is_answered(web_server: WebServer) -> None:
    async def scene() -> None:
        await web_server.request("/healthz")
        reader, writer = await web_server.open(tcp=False)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            with no_more_files():
                client.connect(str(web_server.path))
                client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                await until(lambda: bool(web_server.faults))
                async with asyncio.timeout(60):
                    assert (await asyncio.get_running_loop().sock_recv(client, 100)).startswith(
                        b"HTTP/1.0 200"
                    )
        writer.close()
        await rest(reader)
        assert (await web_server.request("/healthz")).status == 200

    web_server.run(scene)
    assert len(web_server.faults) == 1


def test_without_any_descriptor_connections_wait(web_server: WebServer) -> None:
    """The reserve is in use, too: nothing is logged for each attempt, and nothing is refused."""

    async def scene() -> None:
        await web_server.request("/healthz")
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        with no_more_files():
            for client in clients:
                client.settimeout(0)
                client.connect(str(web_server.path))
            await until(lambda: len(web_server.faults) == 1)
            await asyncio.sleep(0.5)
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            async with asyncio.timeout(60):
                assert await asyncio.get_running_loop().sock_recv(client, 100)
            client.close()

    web_server.run(scene)
    assert len(web_server.faults) == 1


def test_a_client_that_is_gone_before_its_event_stream_begins_is_no_error(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare(_: web.StreamResponse, request: web.BaseRequest) -> None:
        if request.transport is not None:
            request.transport.abort()
        raise ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, "prepare", prepare)

    async def scene() -> None:
        reader, writer = await web_server.open(tcp=True)
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % web_server.port)
        assert await rest(reader) == b""
        writer.close()

    web_server.run(scene)
    assert web_server.faults == []


def test_event_streams_have_a_limit_of_their_own(web_server: WebServer) -> None:
    async def scene() -> None:
        stream = b"GET /api/events HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % web_server.port
        streams = [await web_server.open(tcp=True) for _ in range(MAX_EVENT_STREAMS)]
        for reader, writer in streams:
            writer.write(stream)
            await reader.readuntil(b"hello")
        assert (await exchange(web_server, stream))[0] == b"503"
        assert (await web_server.request("/healthz", tcp=True)).status == 200
        reader, writer = await web_server.open(tcp=False)
        writer.write(stream)
        await reader.readuntil(b"hello")
        writer.close()
        for _, stream_writer in streams:
            stream_writer.close()
            await stream_writer.wait_closed()
        reader, writer = await web_server.open(tcp=True)
        writer.write(stream)
        await reader.readuntil(b"hello")
        writer.close()

    web_server.run(scene)


BOMB = gzip.compress(bytes(1 << 20))


COMPRESSED = {
    "gzip": (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n", {b"415"}),
    "deflate": (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: Deflate\r\n", {b"415"}),
    "foreign Host": (b"GET / HTTP/1.1\r\nHost: evil\r\nContent-Encoding: gzip\r\n", {b"403"}),
    "no token": (POST + b"Content-Encoding: gzip\r\n", {b"403"}),
    "br": (POST + b"Content-Encoding: br\r\n", {b"403"}),
    "transfer": (POST + b"Transfer-Encoding: gzip, chunked\r\n", {b"400", b"403"}),
}


@pytest.mark.parametrize(("request_", "statuses"), COMPRESSED.values(), ids=COMPRESSED)
def test_a_compressed_body_is_refused_and_never_unpacked(
    web_server: WebServer, request_: bytes, statuses: set[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_: object, **__: object) -> None:
        raise AssertionError("the body is unpacked")

    monkeypatch.setattr("aiohttp.compression_utils.ZLibDecompressor.decompress_sync", unpack)

    async def scene() -> None:
        assert (await exchange(web_server, request_ + b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB))[
            0
        ] in statuses
        assert (await web_server.request("/healthz")).status == 200

    web_server.run(scene)


INVALID = {
    "unknown method": (b"FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"501"),
    "lower case": (b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"501"),
    "new method": (b"QUERY / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
    "no request": (b"GARBAGE\r\n\r\n", b"400"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", b"400"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    "long path": (b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"431"),
    "long field": (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 10000 + b"\r\n\r\n", b"431"),
    "many fields": (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"400"),
    "large body": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n" + bytes(20000),
        b"413",
    ),
}


@pytest.mark.parametrize(("request_", "status"), INVALID.values(), ids=INVALID)
def test_what_is_no_valid_request_gets_an_error_in_json(
    web_server: WebServer, request_: bytes, status: bytes
) -> None:
    async def scene() -> None:
        found, body = await exchange(web_server, request_)
        assert found == status
        assert body.startswith(b'{"error": "')

    web_server.run(scene)


def test_a_head_without_end_is_not_stored(web_server: WebServer) -> None:
    web_server.deadline = 0.3

    async def scene() -> None:
        reader, writer = await web_server.open(tcp=True)
        writer.write(b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % number for number in range(100)))
        for _ in range(100):
            writer.write(b"B: " + bytes(MAX_REQUEST_SIZE // 10))
        assert (await rest(reader))[8:12] in {b"", b" 400", b" 431"}
        writer.close()

    web_server.run(scene)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_connection_ends_with_its_first_response(web_server: WebServer, *, tcp: bool) -> None:
    """Requests that follow on the same connection are never executed."""

    async def scene() -> None:
        request = b"GET /api/clients HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % web_server.port
        reader, writer = await web_server.open(tcp=tcp)
        writer.write(request * 5000)
        assert (await rest(reader)).count(b"HTTP/1.1 200 OK") == 1
        assert web_server.refreshes == 1
        writer.close()

    web_server.run(scene)


@pytest.mark.parametrize("tcp", [False, True])
def test_no_name_is_resolved_for_a_request_without_host(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch, *, tcp: bool
) -> None:
    """Resolving the name of this machine blocks the loop for as long as a name server does not answer."""

    def resolve(*_: object) -> str:
        raise AssertionError("a name is resolved")

    monkeypatch.setattr(socket, "getfqdn", resolve)

    async def scene() -> None:
        answer = await web_server.raw("GET /healthz HTTP/1.0\r\n\r\n", tcp=tcp)
        assert answer.status == (403 if tcp else 200)

    web_server.run(scene)
