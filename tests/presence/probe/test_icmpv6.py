"""IPv6 hosts on a real LAN of network namespaces."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from rig.lan import Host, Lan
from rig.namespace import inside
from rig.wait import until

from powerd.linux.values import HostError, ProbeOutcome, ProbeReply, ProbeRequest
from powerd.presence.probe.icmpv6 import sweep_ipv6
from powerd.presence.probe.network import HostNetwork
from powerd.simulation.lan import link

pytestmark = pytest.mark.lan

ANSWERED, SILENT, NOT_PROBED, FAILED = (
    ProbeOutcome.ANSWERED,
    ProbeOutcome.SILENT,
    ProbeOutcome.NOT_PROBED,
    ProbeOutcome.FAILED,
)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan(tmp_path) as lan:
        yield lan


def link_local(host: Host) -> str:
    """The host's link-local address, once no other host can have it (duplicate address detection)."""

    def address() -> str:
        shown = host.inside.run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link").stdout
        return "" if "tentative" in shown or not shown else shown.split()[3].partition("/")[0]

    return until(address, f"{host.label} has a link-local address")


def take(host: Host, address: str) -> str:
    subprocess.run(
        ["ip", "-n", host.inside.name, "address", "add", f"{address}/64", "dev", "eth0", "nodad"], check=True
    )
    return address


def swept(
    lan: Lan, *addresses: str, until_first: bool = False, tries: int = 1
) -> Mapping[str, tuple[ProbeOutcome, ProbeOutcome]]:
    """The found by echo and by solicitation; an address with % is probed on the server's link."""

    async def probe() -> Mapping[str, ProbeReply]:
        with closing(HostNetwork()) as machine:
            seen = await machine.lan()
            requests = [ProbeRequest(each, seen.link_for(each)) for each in addresses]
            result = await machine.sweep(requests, timeout=2, tries=tries, until_first=until_first)
            return result.replies

    with inside(lan.server.inside.name):
        replies = asyncio.run(probe())
    return {address: (reply.icmp, reply.arp) for address, reply in replies.items()}


def test_echo_solicitation_and_silence(lan: Lan) -> None:
    link_local(lan.server)
    up, drops, gone = lan.join("up"), lan.join("drops"), lan.join("gone")
    scoped = [f"{link_local(host)}%eth0" for host in (up, drops, gone)]
    drops.inside.sysctl("net.ipv6.icmp.echo_ignore_all", "1")
    gone.leave()
    found = swept(lan, *scoped)
    assert found[scoped[0]] == (ANSWERED, ANSWERED)
    assert found[scoped[1]][1] is ANSWERED
    assert found[scoped[1]][0] in {SILENT, NOT_PROBED}
    assert found[scoped[2]] == (SILENT, SILENT)


def test_unique_local_addresses_and_ipv4_in_one_sweep(lan: Lan) -> None:
    take(lan.server, "fd77::1")
    up, old = lan.join("up"), lan.join("old")
    address, ipv4 = take(up, "fd77::10"), old.take("10.77.1.11/24")
    assert swept(lan, address, ipv4, "fd77::99", "10.77.1.99") == {
        address: (ANSWERED, ANSWERED),
        ipv4: (ANSWERED, NOT_PROBED),
        "fd77::99": (SILENT, SILENT),
        "10.77.1.99": (SILENT, SILENT),
    }


def test_a_host_that_drops_pings_answers_solicitations_at_its_unique_local_address(lan: Lan) -> None:
    take(lan.server, "fd77::1")
    drops = lan.join("drops")
    drops.inside.sysctl("net.ipv6.icmp.echo_ignore_all", "1")
    address = take(drops, "fd77::10")
    assert swept(lan, address)[address] in {(SILENT, ANSWERED), (NOT_PROBED, ANSWERED)}


@pytest.mark.parametrize(
    ("kind", "icmp"), [("unreachable", FAILED), ("prohibit", FAILED), ("blackhole", SILENT)]
)
def test_the_report_of_a_router_is_no_silence(lan: Lan, kind: str, icmp: ProbeOutcome) -> None:
    take(lan.server, "fd77::1")
    router, other = lan.join("router"), "fd78::10"
    take(router, "fd77::fe")
    router.inside.sysctl("net.ipv6.conf.all.forwarding", "1")
    router.inside.run("ip", "-6", "route", "add", kind, "fd78::/64")
    lan.server.inside.run("ip", "-6", "route", "add", "fd78::/64", "via", "fd77::fe")
    assert swept(lan, other, "fd77::fe", tries=2) == {
        other: (icmp, NOT_PROBED),
        "fd77::fe": (ANSWERED, ANSWERED),
    }


def test_the_first_answer_ends_the_sweep(lan: Lan) -> None:
    take(lan.server, "fd77::1")
    address = take(lan.join("up"), "fd77::10")
    found = swept(lan, address, "fd77::99", "10.77.1.99", until_first=True)
    assert found[address][0] is ANSWERED or found[address][1] is ANSWERED
    assert {**found, address: (ANSWERED, NOT_PROBED)} == {
        address: (ANSWERED, NOT_PROBED),
        "fd77::99": (NOT_PROBED, NOT_PROBED),
        "10.77.1.99": (NOT_PROBED, NOT_PROBED),
    }


def test_an_address_without_a_route_has_failed(lan: Lan) -> None:
    assert swept(lan, "2001:db8::1") == {"2001:db8::1": (FAILED, NOT_PROBED)}


def test_without_ipv6_in_the_kernel_each_host_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    async def probe() -> Mapping[str, ProbeReply]:
        monkeypatch.setattr("powerd.presence.probe.icmpv6.socket.socket", refuse)
        requests = [ProbeRequest("fd77::1"), ProbeRequest("fe80::1%eth0", link())]
        return await sweep_ipv6(requests, timeout=1, tries=1, until_first=False, deadline=1)

    replies = asyncio.run(probe())
    assert [(reply.icmp, reply.arp) for reply in replies.values()] == [(FAILED, NOT_PROBED), (FAILED, FAILED)]


def test_without_the_right_to_raw_sockets_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    async def probe() -> None:
        monkeypatch.setattr("powerd.presence.probe.icmpv6.socket.socket", refuse)
        await sweep_ipv6([ProbeRequest("fd77::1")], timeout=1, tries=1, until_first=False, deadline=1)

    with pytest.raises(HostError, match="CAP_NET_RAW"):
        asyncio.run(probe())
