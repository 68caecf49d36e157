"""The HTTP client against a real local server that behaves well or not."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.http_client import (
    HttpAnswer,
    HttpRequest,
    decode_answer,
    encode_request,
    is_complete,
    parse_header_lines,
    parse_url,
    require_success,
)
from powerd.linux.stream_exchange import exchange
from powerd.linux.values import HostError

CLOSE = object()
"""The server closes the connection; otherwise it leaves it open, as one that ignores "Connection: close"."""


def ask(*parts: object, timeout: float = 20.0, limit: int = 1 << 20) -> tuple[bytes, HttpAnswer]:
    """Send a request to a server that answers with ``parts``; the request, and the decoded answer."""

    async def run() -> tuple[bytes, HttpAnswer]:
        received: list[bytes] = []
        done = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.append(await reader.readuntil(b"\r\n\r\n"))
            try:
                for part in parts:
                    if isinstance(part, bytes):
                        writer.write(part)
                        await writer.drain()
                if CLOSE not in parts:
                    await done.wait()
            except ConnectionError:
                pass
            finally:
                writer.transport.abort() if CLOSE not in parts else writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            data = await exchange(
                ("127.0.0.1", port),
                encode_request(HttpRequest(f"http://127.0.0.1:{port}/Sessions?a=b", {"X-Token": "secret"})),
                is_complete=is_complete,
                limit=limit,
                timeout=timeout,
            )
        finally:
            done.set()
            server.close()
            await server.wait_closed()
        return received[0], decode_answer(data, "the server")

    return asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\n"


def test_a_request_has_one_host_and_closes_the_connection() -> None:
    request, answer = ask(OK + b"Content-Length: 2\r\n\r\n[]")
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET /Sessions?a=b HTTP/1.1"
    assert "X-Token: secret" in lines
    assert "Connection: close" in lines
    assert sum(line.startswith("Host: 127.0.0.1:") for line in lines) == 1
    assert answer == HttpAnswer(200, {"content-length": "2"}, b"[]")


def test_a_body_makes_a_post() -> None:
    data = encode_request(HttpRequest("http://h", {"content-type": "text/plain"}, '{"é": 1}'))
    assert data.startswith(b"POST / HTTP/1.1\r\n")
    assert b"Content-Length: 9\r\n" in data
    assert b"Content-Type: text/plain\r\n" in data
    assert data.endswith('\r\n\r\n{"é": 1}'.encode())


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((OK + b"\r\n{}", CLOSE), b"{}"),
        ((b"HTTP/1.0 200\r\n\r\n{}", CLOSE), b"{}"),
        ((OK + b"Content-Length: 4\r\n\r\n", b"{", b"   }trailing garbage"), b"{   "),
        ((OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r", b"\n1;x=y\r\n}\r\n0\r\n\r\n"), b"{}"),
        ((OK + b"transfer-encoding: Chunked\nX: y\n\n", b"2\n{}\n0\n\n"), b"{}"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\n7",), b"7"),
        ((b"HTTP/1.1 103 X\r\n\r\n" * 3000 + OK + b"Content-Length: 1\r\n\r\n7",), b"7"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
        ((OK + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000,), b"x" * 300_000),
    ],
)
def test_bodies(parts: tuple[object, ...], body: bytes) -> None:
    assert ask(*parts)[1].body == body


@pytest.mark.parametrize(
    "parts",
    [
        (CLOSE,),
        (b"SSH-2.0-OpenSSH_9.2\r\n",),
        (b"\x15\x03\x01\x00\x02\x02\x46",),
        (b"HTTP/2 200\r\n\r\n",),
        (OK + b"Content-Length: 10\r\n\r\n{}", CLOSE),
        (OK + b"Content-Length: -1\r\n\r\n{}",),
        (OK + b"Content-Length: 1e3\r\n\r\n{}",),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", CLOSE),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",),
        (OK + b"X: y\r\n" * 20_000,),
        (OK + b"X: y\r\n", CLOSE),
        (b"HTTP/1.1 103 X\r\n\r\n" * 20_000,),
        (b"HTTP/1.1 103 X\r\n\r\n" * 2 + b"SSH-2.0\r\n",),
        (OK + b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,),
        (OK + b"\r\n" + b"x" * 2_000_000, CLOSE),
    ],
)
def test_what_is_no_answer_is_an_error(parts: tuple[object, ...]) -> None:
    with pytest.raises(HostError):
        ask(*parts)


@pytest.mark.parametrize("parts", [(), (OK,), (OK + b"Content-Length: 9\r\n\r\n{}",), (OK + b"\r\n{}",)])
def test_a_server_that_does_not_finish_is_an_error_in_time(parts: tuple[object, ...]) -> None:
    with pytest.raises(HostError, match="within"):
        ask(*parts, timeout=0.05)


def test_a_refused_connection_is_an_error() -> None:
    with pytest.raises(HostError, match="no connection"):
        asyncio.run(exchange(("127.0.0.1", 1), b"x", is_complete=bool, limit=9, timeout=20))


def test_a_missing_unix_socket_is_an_error() -> None:
    with pytest.raises(HostError, match="/nowhere/socket: No such file"):
        asyncio.run(exchange(("/nowhere/socket", 0), b"x", is_complete=bool, limit=9, timeout=20))


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (301, {"location": "https://example/\n" + "x" * 500}, "redirects to https://example/ x"),
        (302, {}, "302"),
        (401, {}, "header file"),
        (404, {}, "URL"),
        (409, {}, "409"),
        (500, {}, "log"),
    ],
)
def test_other_statuses_are_errors(status: int, headers: dict[str, str], words: str) -> None:
    with pytest.raises(HostError, match=words) as error:
        require_success(HttpAnswer(status, headers, b"why\x1b[1m" * 100), "the server")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 200


@given(st.binary(max_size=200) | st.binary(max_size=200).map(OK.__add__))
def test_any_bytes_are_an_answer_or_an_error(data: bytes) -> None:
    is_complete(data)
    try:
        answer = decode_answer(data, "the server")
    except HostError:
        return
    assert len(answer.body) <= len(data)


@given(st.integers(0, 60))
def test_an_answer_is_complete_at_its_end_only(size: int) -> None:
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    assert not is_complete(data[: min(size, len(data) - 2)])
    assert is_complete(data)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:80/x",
        "ftp://h/x",
        "http:///x",
        "http://h:0/",
        "http://h:99999/",
        "http://user:secret@h/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://[::1/",
        "http://h/é",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse_url(text)
    assert "secret" not in str(error.value)


def test_header_lines() -> None:
    assert parse_header_lines("# key\n\nX-Emby-Token:  abc \nAuthorization: Bearer x:y\n") == {
        "X-Emby-Token": "abc",
        "Authorization": "Bearer x:y",
    }


@pytest.mark.parametrize("text", ["secret", "a b: secret", "X: sec\x00ret", "X: secret é", ": secret"])
def test_an_invalid_header_line_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="line 1") as error:
        parse_header_lines(text)
    assert "secret" not in str(error.value)
