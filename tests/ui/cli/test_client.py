"""One question over a Unix socket, and every way in which it is not answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from powerd.ui.cli import client
from powerd.ui.cli.client import DeniedError, UnreachableError, get, request, translate_errors

Serve = Callable[[bytes | None], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Listens on a Unix socket and gives one answer (None: hangs until the test is over)."""
    path, over, threads = str(tmp_path / "s"), threading.Event(), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def answer(text: bytes | None) -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(1000))
            if text is None:
                over.wait(120)
            else:
                connection.sendall(text)

    def start(text: bytes | None) -> str:
        threads.append(threading.Thread(target=answer, args=(text,)))
        threads[-1].start()
        return path

    asked.clear()
    yield start
    over.set()
    for thread in threads:
        thread.join()
    listener.close()


asked: list[bytes] = []


def test_an_answer(serve: Serve) -> None:
    path = serve(b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"state": "awake"}')
    assert get("/api/status", path) == {"state": "awake"}
    assert asked[0].startswith(b"GET /api/status HTTP/1.0\r\n")


def test_a_large_answer(serve: Serve) -> None:
    assert len(get("/", serve(b"HTTP/1.1 200 OK\r\n\r\n[" + b"1, " * 300_000 + b"1]"))) == 300_001


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        (b'HTTP/1.1 503 No\r\n\r\n{"error": "no decision"}', "no decision"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n[]", "404 Not Found"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is not powerd"),
        (b"220 mail.example ESMTP\r\n", "is not powerd"),
        (b"", "is not powerd"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000, "is not powerd"),
        (b'HTTP/1.0 403 No\r\n\r\n{"error": 5}', "5"),
    ],
)
def test_a_bad_answer_is_one_sentence(serve: Serve, answer: bytes, texts: str) -> None:
    with pytest.raises(UnreachableError, match=texts) as caught:
        get("/", serve(answer))
    assert "\n" not in str(caught.value)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="systemctl start powerd"):
        get("/", str(tmp_path / "none"))


def test_a_socket_without_a_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with pytest.raises(UnreachableError, match="Connection refused"):
        get("/", str(tmp_path / "s"))


def test_a_path_that_is_too_long() -> None:
    with pytest.raises(UnreachableError, match="too long"):
        get("/", "/" + "x" * 200)


def test_no_permission() -> None:
    with pytest.raises(UnreachableError, match=r"/run/s.*permission"), translate_errors("/run/s"):
        raise PermissionError(13, "Permission denied")


def test_a_request_carries_json(serve: Serve) -> None:
    path = serve(b'HTTP/1.0 200 OK\r\n\r\n{"id": "3"}')
    assert request("POST", "/api/keep", {"for": "2h"}, path) == {"id": "3"}
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/keep HTTP/1.0\r\n")
    assert b"Content-Type: application/json\r\nContent-Length: 13" in head
    assert body == b'{"for": "2h"}'


def test_a_denied_request_is_answered_with_its_status(serve: Serve) -> None:
    path = serve(b'HTTP/1.0 404 Not Found\r\n\r\n{"error": "no keep 9"}')
    with pytest.raises(DeniedError, match=r"^no keep 9$") as caught:
        request("DELETE", "/api/keep/9", socket_path=path)
    assert caught.value.status == 404


def test_a_daemon_that_hangs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RESPONSE_TIMEOUT", 0.05)
    with pytest.raises(UnreachableError, match="not answer"):
        get("/", serve(None))


@pytest.mark.parametrize(("group", "term"), [("games", "sudo adduser $USER games"), ("root", "run as root")])
def test_the_remedy_names_the_group_of_the_socket(
    group: str, term: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "group", lambda _: group)
    with pytest.raises(UnreachableError) as caught, translate_errors(str(tmp_path / "s")):
        raise PermissionError(13, "Permission denied")
    assert term in str(caught.value)
    assert ("adduser" in str(caught.value)) is (group != "root")
