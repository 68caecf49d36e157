"""Real sockets, a tun device and a container's bridge: their counters are read right. The time is virtual."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from fakes.checks import check_ports
from fakes.unused_ports import UnusedPorts
from rig.lan import Host, Lan
from rig.namespace import inside

from powerd.activity.checks.traffic import Options, Traffic
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux import sock_diag
from powerd.linux.ports import Ports
from powerd.power.model import WakeupState
from powerd.presence.probe.network import HostNetwork
from powerd.simulation.clock import SimulatedClock

pytestmark = pytest.mark.lan

REMOTE: Final = "10.99.0.2"
CONTAINER: Final = "172.17.0.5"
CHUNK: Final = 20_000
FILM: Final = 3_000_000
SCRAPE: Final = CHUNK
DATAGRAMS: Final = 5_000
SIZE: Final = DATAGRAMS * 1400
PACKET: Final = b"\x45" + bytes(1399)
"""Of IPv4, as the tun device requires; the kernel counts it, and drops it as malformed."""
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000  # linux/if_tun.h


@dataclass
class Machines:
    """A server, a client on its LAN, a client behind a router, and a container on a bridge of the server.

    Attributes:
        minutes: the time of the check.
    """

    lan: Lan
    resources: ExitStack
    minutes: int = 0
    _check: Traffic = field(init=False)

    def __post_init__(self) -> None:
        self.client, self.remote, self.container = map(self.lan.join, ("client", "remote", "container"))
        router = self.lan.join("router")
        self.client.take(f"{self.lan.net}.10/24")
        router.take(f"{self.lan.net}.254/24")
        router.inside.sysctl("net.ipv4.ip_forward", "1")
        server, behind, inner = (each.inside.name for each in (self.lan.server, self.remote, self.container))
        for each in (self.remote, self.container):
            each.leave()
        for command in (
            f"-n {router.inside.name} link add eth1 type veth peer name eth1 netns {behind}",
            f"-n {router.inside.name} address add 10.99.0.1/24 dev eth1",
            f"-n {router.inside.name} link set eth1 up",
            f"-n {behind} address add {REMOTE}/24 dev eth1",
            f"-n {behind} link set eth1 up",
            f"-n {behind} route add default via 10.99.0.1",
            f"-n {server} route add 10.99.0.0/24 via {self.lan.net}.254",
            f"-n {server} link add docker0 type bridge",
            f"-n {server} address add 172.17.0.1/16 dev docker0",
            f"-n {server} link add veth1 type veth peer name eth1 netns {inner}",
            f"-n {server} link set veth1 master docker0 up",
            f"-n {server} link set docker0 up",
            f"-n {inner} address add {CONTAINER}/16 dev eth1",
            f"-n {inner} link set eth1 up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        network = HostNetwork()
        unused = UnusedPorts()
        ports = Ports(unused, network, unused, unused, unused, WakeupState)
        clock = SimulatedClock(mono=lambda: self.minutes * 60.0)
        self._check = Traffic(Options(), check_ports(ports, clock))

    def poll(self) -> dict[str, Activity]:
        """The next minute's poll in the server's namespace."""
        with inside(self.lan.server.inside.name):
            found = asyncio.run(self._check.poll(PollDepth.ROUTINE))
        self.minutes += 1
        return {each.subject: each for each in found}

    def connect(self, host: Host, address: str) -> tuple[socket.socket, socket.socket]:
        """A TCP connection of ``host`` to the server; the server's end first."""
        with inside(self.lan.server.inside.name):
            listener = self.resources.enter_context(socket.create_server((address, 0)))
        with inside(host.inside.name):
            client = socket.create_connection(listener.getsockname(), 60)
        server = self.resources.enter_context(listener.accept()[0])
        self.resources.enter_context(client)
        server.settimeout(60)
        return server, client

    def send_datagrams(self, host: Host, address: str, interface: str) -> None:
        """UDP to a port of the server at which nobody listens, until ``interface`` has received SIZE bytes.

        The kernel drops packets that a busy machine does not process in time.
        """
        begin = self.received(interface)
        with inside(host.inside.name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while self.received(interface) < begin + SIZE:
                for _ in range(100):
                    sender.sendto(bytes(1400), (address, 4433))

    def received(self, interface: str) -> int:
        """Bytes that an interface of the server has received."""
        command = ["ip", "-n", self.lan.server.inside.name, "-s", "-j", "link", "show", interface]
        shown = subprocess.run(command, check=True, capture_output=True).stdout
        return int(json.loads(shown)[0]["stats64"]["rx"]["bytes"])

    def open_tunnel(self) -> int:
        """The descriptor of a tun device of the server, 10.8.0.1/24: what is written to it is received."""
        with inside(self.lan.server.inside.name):
            tunnel = os.open("/dev/net/tun", os.O_RDWR)
            self.resources.callback(os.close, tunnel)
            fcntl.ioctl(tunnel, _TUNSETIFF, struct.pack("16sH22x", b"tun0", _IFF_TUN | _IFF_NO_PI))
        name = self.lan.server.inside.name
        subprocess.run(["ip", "-n", name, "address", "add", "10.8.0.1/24", "dev", "tun0"], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "tun0", "up"], check=True)
        return tunnel


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setattr(sock_diag, "_own_inodes", frozenset)  # the sockets are those of this process
    with Lan(tmp_path) as lan, ExitStack() as resources:
        yield Machines(lan, resources)


def transfer(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    """Move this number of bytes, and wait until all are received."""
    for _ in range(size // CHUNK):
        sender.sendall(bytes(CHUNK))
        missing = CHUNK
        while missing:
            missing -= len(receiver.recv(missing))


def test_flows(machines: Machines) -> None:
    """A film through a router, a scrape, a stale connection, and a container that uses a database."""
    own = f"{machines.lan.net}.1"
    film, film_client = machines.connect(machines.remote, own)
    scrape, scrape_client = machines.connect(machines.client, own)
    database, application = machines.connect(machines.container, "172.17.0.1")
    assert not any(each.keeps_awake for each in machines.poll().values())
    stale = machines.connect(machines.client, own)
    transfer(film, film_client, FILM)
    transfer(scrape, scrape_client, SCRAPE)
    transfer(application, database, SCRAPE)
    found = machines.poll()
    assert [name for name, each in found.items() if each.keeps_awake] == [REMOTE]
    assert FILM * 0.9 / 60_000 <= (found[REMOTE].value or 0) <= FILM * 1.01 / 60_000
    assert CONTAINER not in found
    for each in (film, film_client, *stale):
        each.close()
    assert [bool(REMOTE in machines.poll()) for _ in range(4)] == [True, True, False, False]


def test_interfaces(machines: Machines) -> None:
    """QUIC to the card, a container that sends to the bridge, a VPN; each ends with its work."""
    tunnel = machines.open_tunnel()
    works: dict[str, Callable[[], object]] = {
        "eth0": lambda: machines.send_datagrams(machines.client, f"{machines.lan.net}.1", "eth0"),
        "veth1": lambda: machines.send_datagrams(machines.container, "172.17.0.1", "veth1"),
        "tun0": lambda: [os.write(tunnel, PACKET) for _ in range(DATAGRAMS)],
    }
    machines.poll()
    for name, work in works.items():
        assert not any(each.keeps_awake for each in machines.poll().values())
        work()
        found = machines.poll()
        assert [each for each in found if found[each].keeps_awake] == [name]
        assert SIZE / 180_000 <= (found[name].value or 0) <= SIZE * 1.1 / 60_000
        for _ in range(3):
            machines.poll()
