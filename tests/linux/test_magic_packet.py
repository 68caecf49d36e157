from __future__ import annotations

import asyncio
import socket
from operator import attrgetter

import pytest

from powerd.linux import magic_packet
from powerd.linux.values import HostError

MAC = "02:00:5e:10:00:09"


def test_a_packet_is_six_times_ff_and_sixteen_times_the_address() -> None:
    frame = magic_packet.magic_packet(MAC)
    assert len(frame) == 102
    assert frame[:6] == b"\xff" * 6
    assert frame[6:] == bytes([2, 0, 0x5E, 0x10, 0, 9]) * 16


@pytest.mark.parametrize("mac", ["", "02:00", "02:00:5e:10:00:09:01", "xx:00:5e:10:00:09"])
def test_what_is_no_address_is_refused(mac: str) -> None:
    with pytest.raises(ValueError, match=r"MAC|hexadecimal"):
        magic_packet.magic_packet(mac)


def test_three_packets_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        monkeypatch.setattr(magic_packet, "PORT", listener.getsockname()[1])
        asyncio.run(magic_packet.send_magic_packets(MAC, ["127.0.0.1"]))
        assert [listener.recv(2000) for _ in range(3)] == [magic_packet.magic_packet(MAC)] * 3
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.recv(2000)


def test_what_the_kernel_refuses_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(magic_packet, "magic_packet", lambda _: bytes(70_000))
    with pytest.raises(HostError, match=r"127\.0\.0\.1: Message too long"):
        asyncio.run(magic_packet.send_magic_packets(MAC, ["127.0.0.1"]))


def test_a_network_that_cannot_be_sent_to_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that the service's IPAddressAllow= leaves out; the kernel's part is played here."""
    send = attrgetter("_send_datagram")(magic_packet)

    def fenced(udp_socket: socket.socket, frame: bytes, address: str) -> None:
        if address == "203.0.113.255":
            raise HostError("cannot send to 203.0.113.255: Operation not permitted")
        send(udp_socket, frame, address)

    monkeypatch.setattr(magic_packet, "_send_datagram", fenced)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        monkeypatch.setattr(magic_packet, "PORT", listener.getsockname()[1])
        with pytest.raises(HostError, match="Operation not permitted"):
            asyncio.run(magic_packet.send_magic_packets(MAC, ["203.0.113.255", "127.0.0.1"]))
        assert [listener.recv(2000) for _ in range(3)] == [magic_packet.magic_packet(MAC)] * 3
