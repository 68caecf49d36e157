from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.tcp import KIND, Options, TcpCheck
from powerd.config.load import ConfigError, parse
from powerd.core.poller import PollDepth
from powerd.linux.values import NotAvailableError, TcpConnection

DESKTOP = TcpConnection("10.0.0.1", 3389, "10.0.0.9", 50000, "established", 0, 0, 9000.0, 1)


@dataclass(slots=True)
class Connections(RecordingPorts):
    """A server with these connections; None = a kernel that does not show any."""

    connections: tuple[TcpConnection, ...] | None = ()

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        if self.connections is None:
            raise NotAvailableError("no tcp_diag")
        return self.connections


def peers(*connections: TcpConnection, options: Options | None = None) -> list[str]:
    fake = Connections(connections=connections)
    check = TcpCheck(options or Options(ports=(3389, 25565)), check_ports(fake.ports()))
    return [each.subject for each in asyncio.run(check.poll(PollDepth.ROUTINE)) if each.keeps_awake]


def test_a_connection_counts_however_idle_it_is() -> None:
    assert peers(DESKTOP) == ["10.0.0.9"]
    assert peers(DESKTOP, DESKTOP._replace(cookie=2, remote_port=50001)) == ["10.0.0.9"]
    assert peers(DESKTOP, DESKTOP._replace(local_port=25565, remote="fd00::9")) == ["10.0.0.9", "fd00::9"]


@pytest.mark.parametrize(
    "other",
    [
        DESKTOP._replace(local_port=445),
        DESKTOP._replace(local_port=50000, remote_port=3389),
        DESKTOP._replace(state="close-wait"),
        DESKTOP._replace(state="fin-wait-2"),
        DESKTOP._replace(remote="10.0.7.9"),
        DESKTOP._replace(remote="fe80::9%eth0"),
    ],
    ids=["another port", "of another server", "closed by the peer", "closed here", "ignored", "ignored IPv6"],
)
def test_what_does_not_count(other: TcpConnection) -> None:
    assert peers(other, options=Options(ports=(3389,), ignore=("10.0.7.0/24", "fe80::/10"))) == []


def test_a_kernel_without_sock_diag_is_not_applicable() -> None:
    check = TcpCheck(Options(ports=(22,)), check_ports(Connections(connections=None).ports()))
    with pytest.raises(NotApplicableError):
        asyncio.run(check.poll(PollDepth.ROUTINE))


def test_its_table() -> None:
    config = parse(b'[activity.tcp]\nports = [3389, 25565]\nignore = ["10.0.0.7"]\n', "f")
    (found,) = (each.options for each in config.activity.checks if each.kind == KIND.name)
    assert found == Options(ports=(3389, 25565), ignore=("10.0.0.7/32",))


@pytest.mark.parametrize(
    "line", ["", "ports = []", "ports = 22", "ports = [0]", 'ports = ["22"]', "ports = [65536]"]
)
def test_a_table_without_a_port(line: str) -> None:
    with pytest.raises(ConfigError):
        parse(f"[activity.tcp]\n{line}\n".encode(), "f")


@pytest.mark.parametrize("peer", ["tv", "10.0.0.1/24", ""])
def test_what_is_no_peer(peer: str) -> None:
    with pytest.raises(ConfigError):
        parse(f'[activity.tcp]\nports = [22]\nignore = ["{peer}"]\n'.encode(), "f")
