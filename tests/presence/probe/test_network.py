from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from powerd.linux.values import HostError, ProcessResult
from powerd.presence.probe.network import HostNetwork


@pytest.mark.process
def test_resolve_uses_the_resolver_of_the_machine() -> None:
    assert "127.0.0.1" in asyncio.run(HostNetwork().resolve("localhost"))


@pytest.mark.parametrize("name", ["nobody-has-this-name.invalid", "-version"])
def test_resolve_of_an_unknown_name_is_empty(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def not_found(argv: list[str], *, timeout: float) -> ProcessResult:  # noqa: ASYNC109 - as process.run
        assert argv[-3:] == ["--", "ahostsv4", name]
        assert timeout <= 5
        return ProcessResult(2, "", "")

    monkeypatch.setattr("powerd.linux.subprocess.run", not_found)
    assert asyncio.run(HostNetwork().resolve(name)) == ()


def test_the_error_of_a_failed_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_argv: list[str], *, timeout: float) -> ProcessResult:  # noqa: ASYNC109 - as process.run
        return ProcessResult(1, "", str(timeout))

    monkeypatch.setattr("powerd.linux.subprocess.run", broken)
    with pytest.raises(HostError, match=r"resolve tv: getent .*1; "):
        asyncio.run(HostNetwork().resolve("tv"))


def test_the_error_of_a_missing_control_socket(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"/run/hostapd/wlan0: No such file or directory; "):
        asyncio.run(HostNetwork(tmp_path).stations("/run/hostapd/wlan0"))


def test_the_error_of_a_control_socket_without_a_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "wlan0"))
    with pytest.raises(HostError, match=r"/wlan0: Connection refused; "):
        asyncio.run(HostNetwork(tmp_path).stations("/wlan0"))


def test_the_arp_socket_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        calls: str = ""

        def listen(self) -> None:
            self.calls += "l"

        def stop_listening(self) -> None:
            self.calls += "d"

        def close(self) -> None:
            self.calls += "c"

    monkeypatch.setattr("powerd.presence.probe.network.ArpSocket", Fake)
    machine = HostNetwork()
    first, second = machine.acquire_arp_socket(), machine.acquire_arp_socket()
    assert first is not second, "two sweeps at once have one each"
    machine.release_arp_socket(first)
    assert machine.acquire_arp_socket() is first
    machine.release_arp_socket(first)
    machine.close()
    assert vars(first) == {"calls": "ldldc"}
