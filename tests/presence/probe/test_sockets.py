from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import IPv4Interface

import pytest

from powerd.linux.values import Link, ProbeOutcome, ProbeRequest
from powerd.presence.probe import arp
from powerd.presence.probe.arp import ArpReply, ArpSocket
from powerd.presence.probe.host_state import HostProbe
from powerd.presence.probe.sockets import ProbeSockets

LINK = Link(
    2,
    "eth0",
    "02:00:00:00:00:01",
    ready=True,
    addresses=(IPv4Interface("10.0.0.1/24"), IPv4Interface("10.1.0.1/16")),
)


class FakeArp(ArpSocket):
    """Records requests and returns prepared replies."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.answers: list[tuple[str, ArpReply]] = []

    def send_request(self, link: Link, packet: bytes) -> int:
        assert link is LINK
        self.sent.append(packet)
        return 0

    def read_replies(self) -> Iterator[tuple[str, ArpReply]]:
        yield from self.answers


class FakeKernel:
    def __init__(self) -> None:
        self.arp = FakeArp()
        self.returned = 0

    def acquire_arp_socket(self) -> ArpSocket:
        return self.arp

    def release_arp_socket(self, sock: ArpSocket) -> None:
        assert sock is self.arp
        self.returned += 1

    def is_ready(self, index: int) -> bool:
        return index == LINK.index


def probed(address: str, *answers: tuple[str, ArpReply]) -> tuple[FakeKernel, HostProbe, list[HostProbe]]:
    """Probe one host by ARP with these replies."""

    async def probe() -> tuple[FakeKernel, HostProbe, list[HostProbe]]:
        kernel, answered = FakeKernel(), list[HostProbe]()
        host = HostProbe(ProbeRequest(address, LINK, icmp=False), 1)
        prober = ProbeSockets(kernel, {address: host}, answered.append)
        prober.begin_round()
        kernel.arp.answers = list(answers)
        prober.send(host)
        prober.receive()
        prober.close()
        return kernel, host, answered

    return asyncio.run(probe())


@pytest.mark.parametrize(
    ("host", "sender"), [("10.0.0.9", "10.0.0.1"), ("10.1.7.9", "10.1.0.1"), ("192.0.2.9", "10.0.0.1")]
)
def test_the_sender_of_a_request_is_the_address_in_the_hosts_subnet(host: str, sender: str) -> None:
    kernel, _, _ = probed(host)
    own, theirs = (bytes(map(int, each.split("."))) for each in (sender, host))
    assert kernel.arp.sent == [arp.build_request(bytes.fromhex("020000000001"), own, theirs)]
    assert kernel.returned == 1


def test_a_reply_counts_only_from_the_probed_address_and_link() -> None:
    stranger = ("eth0", ArpReply("10.0.0.8", "02:00:00:00:00:08"))
    elsewhere = ("eth1", ArpReply("10.0.0.9", "02:00:00:00:00:66"))
    _, host, answered = probed("10.0.0.9", stranger, elsewhere)
    assert answered == []
    assert host.macs == ()
    _, host, answered = probed(
        "10.0.0.9", stranger, elsewhere, ("eth0", ArpReply("10.0.0.9", "02:00:00:00:00:09"))
    )
    assert answered == [host]
    assert host.macs == ("02:00:00:00:00:09",)
    assert host.reply(cut_short=False).arp is ProbeOutcome.ANSWERED


def test_all_macs_that_claim_one_address_are_recorded() -> None:
    claims = [("eth0", ArpReply("10.0.0.9", f"02:00:00:00:00:{last:02x}")) for last in (1, 2, 1)]
    _, host, answered = probed("10.0.0.9", *claims)
    assert set(answered) == {host}
    assert host.macs == ("02:00:00:00:00:01", "02:00:00:00:00:02")
