"""One request by UDP and its reply, on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from powerd.linux import datagram

TIMEOUT = 60.0
"""Seconds; far more than a reply takes."""


@contextmanager
def server(answers: Callable[[bytes], list[bytes]]) -> Iterator[tuple[str, int]]:
    """Answer each request with some datagrams; an empty request ends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                request, peer = sock.recvfrom(4096)
                if not request:
                    return
                for answer in answers(request):
                    sock.sendto(answer, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        address: tuple[str, int] = sock.getsockname()
        try:
            yield address
        finally:
            sock.sendto(b"", address)
            thread.join()


def query(to: tuple[str, int], request: bytes = b"x", timeout: float = TIMEOUT) -> bytes | None:
    return asyncio.run(
        datagram.query(to, request, accepts=lambda packet: packet.startswith(b"y"), timeout=timeout)
    )


def test_the_first_datagram_that_is_a_reply_is_returned() -> None:
    with server(lambda request: [b"no", b"", b"y" + request, b"y2"]) as address:
        assert query(address) == b"yx"


def test_a_request_that_is_lost_is_sent_again() -> None:
    seen: list[bytes] = []

    def second_time(request: bytes) -> list[bytes]:
        seen.append(request)
        return [b"yes"] if len(seen) == 2 else []

    with server(second_time) as address:
        assert query(address, timeout=2) == b"yes"


def test_without_a_reply_there_is_none() -> None:
    with server(lambda _: []) as address:
        assert query(address, timeout=0.01) is None
    with server(lambda _: [b"n"] * 100) as address:
        assert query(address) is None


def test_a_closed_port_ends_it_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        address: tuple[str, int] = sock.getsockname()
    assert query(address) is None


def test_an_address_that_no_socket_can_use_has_no_reply() -> None:
    assert query(("fe80::1%nosuchlink", 53)) is None
    assert query(("255.255.255.255", 53)) is None  # permission denied
