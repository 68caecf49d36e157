"""The Network port on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from powerd.linux import datagram, files, magic_packet, netlink, sock_diag, stream_exchange, subprocess
from powerd.linux.rtnetlink import GuestDetector
from powerd.linux.values import (
    HostError,
    Interface,
    Lan,
    Neighbour,
    ProbeOutcome,
    ProbeReply,
    ProbeRequest,
    SweepResult,
    TcpConnection,
)
from powerd.presence.leases import hostapd
from powerd.presence.probe.arp import ArpSocket
from powerd.presence.probe.icmpv6 import sweep_ipv6
from powerd.presence.probe.sweep import sweep

_RESOLVE_TIMEOUT: Final = 5.0
"""Seconds for a name; the resolver gives up on a name server after as many (resolv.conf(5))."""
_NOT_FOUND: Final = 2
"""getent(1): a key was not found."""


class HostNetwork:
    """Links, probes, access points and names of this machine.

    ARP sockets are kept between sweeps and stop listening meanwhile; concurrent sweeps have one each.

    Args:
        root: the directory below which control sockets of hostapd are looked up.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._idle_arp_sockets: list[ArpSocket] = []
        self._guests = GuestDetector()

    async def lan(self) -> Lan:
        """Links, own addresses, gateways and guests, from rtnetlink."""
        return netlink.read_lan(self._guests)

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbour table of IPv4 and IPv6."""
        return netlink.read_neighbours()

    async def interfaces(self) -> tuple[Interface, ...]:
        """All interfaces with their byte counters, from rtnetlink."""
        return netlink.read_interfaces()

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        """The TCP connections with other hosts, by sock_diag."""
        return sock_diag.read_connections()

    async def sweep(
        self,
        requests: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - the time that a reply may take, not the call's
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        """Probe all hosts concurrently by ICMP and ARP, IPv6 hosts by ICMPv6 before."""
        by_ipv6 = [request for request in requests if ":" in request.address]
        replies = (
            await sweep_ipv6(
                by_ipv6, timeout=timeout, tries=tries, until_first=until_first, deadline=deadline / 2
            )
            if by_ipv6
            else {}
        )
        others = [request for request in requests if ":" not in request.address]
        if not others or (
            until_first and any(each.icmp is ProbeOutcome.ANSWERED for each in replies.values())
        ):
            return SweepResult(dict.fromkeys((each.address for each in others), ProbeReply()) | replies)
        result = await sweep(
            self,
            others,
            timeout=timeout,
            tries=tries,
            until_first=until_first,
            deadline=deadline / (1 + bool(by_ipv6)),
        )
        return SweepResult({**replies, **result.replies}, result.duration)

    async def stations(self, control: str) -> str:
        """Associated stations of the hostapd with control socket ``control``."""
        path = self._root / control.lstrip("/")
        try:
            return await hostapd.query_stations(str(path))
        except OSError as error:
            raise HostError(files.error_text("ask", control, path, error)) from error

    async def resolve(self, name: str) -> tuple[str, ...]:
        """IPv4 addresses of a host name, by getent(1) as a child process; () = not found."""
        result = await subprocess.run(["getent", "--", "ahostsv4", name], timeout=_RESOLVE_TIMEOUT)
        if result.status not in {0, _NOT_FOUND}:
            raise HostError(
                f"cannot resolve {name}: getent ended with status {result.status}; see /etc/nsswitch.conf"
            )
        return tuple(dict.fromkeys(line.split()[0] for line in result.stdout.splitlines() if line.strip()))

    async def exchange(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        is_complete: Callable[[bytes], bool],
        limit: int,
        timeout: float,  # noqa: ASYNC109 - the time of the whole exchange
    ) -> bytes:
        """Send a request to a server, as the function of linux/stream_exchange.py, and return the answer."""
        return await stream_exchange.exchange(
            server, request, is_complete=is_complete, limit=limit, timeout=timeout
        )

    async def query(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        accepts: Callable[[bytes], bool],
        timeout: float,  # noqa: ASYNC109 - the time of each try
    ) -> bytes | None:
        """Send a datagram and return the reply, as the function of linux/datagram.py."""
        return await datagram.query(server, request, accepts=accepts, timeout=timeout)

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        """Send a Wake-on-LAN magic packet for ``mac`` to each broadcast address in ``to``."""
        await magic_packet.send_magic_packets(mac, to)

    def acquire_arp_socket(self) -> ArpSocket:
        """An ARP socket that listens, for the time of one sweep."""
        arp_socket = self._idle_arp_sockets.pop() if self._idle_arp_sockets else ArpSocket()
        arp_socket.listen()
        return arp_socket

    def release_arp_socket(self, arp_socket: ArpSocket) -> None:
        """Stop listening, and keep the socket for the next sweep."""
        arp_socket.stop_listening()
        self._idle_arp_sockets.append(arp_socket)

    def is_ready(self, index: int) -> bool:
        """Whether this link is up and has carrier."""
        return netlink.is_link_ready(index)

    def close(self) -> None:
        """Close the ARP sockets."""
        while self._idle_arp_sockets:
            self._idle_arp_sockets.pop().close()
