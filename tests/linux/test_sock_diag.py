"""The layouts are those of linux/inet_diag.h and linux/tcp.h; one test reads real sockets in namespaces."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.lan import Lan
from rig.namespace import inside
from rig.wait import until

from powerd.linux import sock_diag
from powerd.linux.values import HostError, NotAvailableError, TcpConnection

BYTES = 300_000


def reply(  # noqa: PLR0913 - each names one field of the message
    local: str = "10.0.0.1",
    remote: str = "10.0.0.9",
    *,
    family: int = socket.AF_INET,
    state: int = 1,
    info: bytes | None = None,
    first: bytes = b"",
) -> bytes:
    """One inet_diag_msg with struct tcp_info; ``first`` are attributes before it."""
    addresses = b"".join(socket.inet_pton(family, each).ljust(16, b"\0") for each in (local, remote))
    head = struct.pack("=BBxxHH", family, state, socket.htons(445), socket.htons(50000))
    body = head + addresses + struct.pack("=IQ12xII", 0, 77, 1000, 4242) + first
    counters = struct.pack("=52xII60xQQ", 2500, 4000, 123, 456) if info is None else info
    return body + struct.pack("=HH", 4 + len(counters), 2) + counters


def parsed(body: bytes) -> TcpConnection:
    found = sock_diag.parse_connection(body)
    assert found is not None
    return found[0]


def test_a_connection() -> None:
    expected = TcpConnection(
        *("10.0.0.1", 445, "10.0.0.9", 50000, "established"),
        bytes_sent=123,
        bytes_received=456,
        last_received_ago=2.5,
        cookie=77,
    )
    assert sock_diag.parse_connection(reply()) == (expected, 1000, 4242)
    shutdown = struct.pack("=HHBxxx", 5, 8, 0)
    assert parsed(reply(first=shutdown)) == expected
    assert parsed(reply(state=8)).state == "close-wait"


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        ("fd00::1", "fd00::9", "fd00::9"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.9", "10.0.0.9"),
        ("fe80::1", "fe80::9", "fe80::9"),
    ],
)
def test_addresses_of_ipv6_sockets(local: str, remote: str, expected: str) -> None:
    assert parsed(reply(local, remote, family=socket.AF_INET6)).remote == expected


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_left_out(remote: str) -> None:
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    assert sock_diag.parse_connection(reply(remote, remote, family=family)) is None


@pytest.mark.parametrize(
    "body",
    [
        reply(info=b""),
        reply(info=bytes(120)),
        reply(state=6),
        reply(first=bytes(4)),
        reply()[:40],
        reply()[:-1],
    ],
    ids=["a closed socket", "a kernel before 4.1", "time-wait", "an empty attribute", "a stub", "truncated"],
)
def test_no_connection(body: bytes) -> None:
    assert sock_diag.parse_connection(body) is None


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_fail(body: bytes) -> None:
    sock_diag.parse_connection(body)


def test_a_kernel_without_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> socket.socket:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(HostError, match="tcp_diag"):
        sock_diag.read_connections()


def test_a_protocol_without_a_handler_is_not_an_empty_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel puts ENOENT into the end of the dump (NLMSG_DONE), as it does without tcp_diag."""
    monkeypatch.setattr(socket, "IPPROTO_TCP", 250)
    with pytest.raises(NotAvailableError, match="tcp_diag"):
        sock_diag.read_connections()


@pytest.mark.lan
def test_real_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each family, with a known number of bytes; and none while the sockets are this process's own."""
    with Lan(tmp_path) as lan:
        client = lan.join("client")
        client.take(f"{lan.net}.10/24")
        server = lan.server.inside
        for host, number in ((lan.server, 1), (client, 10)):
            host.inside.run("ip", "address", "add", f"fd77::{number}/64", "dev", "eth0", "nodad")
            host.inside.run("ip", "address", "add", f"fe80::{number}/64", "dev", "eth0", "nodad")
        sockets: list[socket.socket] = []
        addresses = [f"{lan.net}.1", "fd77::1", "fe80::1%eth0"]
        try:
            for address in addresses:
                with inside(server.name):
                    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
                with inside(client.inside.name):
                    sending = socket.create_connection((address, listener.getsockname()[1]), 60)
                receiving = listener.accept()[0]
                receiving.settimeout(60)
                sending.sendall(bytes(BYTES))
                received = 0
                while received < BYTES:
                    received += len(receiving.recv(1 << 20))
                receiving.sendall(b"thanks")
                sockets += [listener, sending, receiving]
            with inside(server.name):
                assert sock_diag.read_connections() == ()
                monkeypatch.setattr(sock_diag, "_own_inodes", frozenset)

                def all_acknowledged() -> bool:
                    return all(each.bytes_sent >= 6 for each in sock_diag.read_connections())

                until(all_acknowledged, "the client has acknowledged what was sent")
                found = {each.local: each for each in sock_diag.read_connections()}
            assert found.keys() == set(addresses)
            assert len({each.cookie for each in found.values()}) == len(addresses)
            assert {each.state for each in found.values()} == {"established"}
            assert {each.bytes_received for each in found.values()} == {BYTES}
            assert max(each.last_received_ago for each in found.values()) < 60
            assert found["fe80::1%eth0"].remote == "fe80::10%eth0"
        finally:
            for each in sockets:
                each.close()
