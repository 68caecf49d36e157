"""Sweeps over real links: each host is a network namespace, or an address of one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rig.lan import Host, Lan
from rig.limits import descriptors
from rig.namespace import inside, populate

from powerd.linux.values import Link, ProbeOutcome, ProbeReply, ProbeRequest, SweepResult
from powerd.presence.probe.icmp import EchoSocket
from powerd.presence.probe.network import HostNetwork

pytestmark = pytest.mark.lan

T = TypeVar("T")
DEAD = "10.77.1.99"


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan(tmp_path) as lan:
        yield lan


def joined(lan: Lan, label: str, number: int) -> Host:
    host = lan.join(label)
    host.take(f"10.77.1.{number}/24")
    return host


def on_server(lan: Lan, work: Coroutine[Any, Any, T]) -> T:
    with inside(lan.server.inside.name):
        return asyncio.run(work)


async def link_of(machine: HostNetwork, address: str) -> Link | None:
    return (await machine.lan()).link_of(IPv4Address(address))


async def swept(
    *addresses: str,
    timeout: float = 1.0,  # noqa: ASYNC109 - as HostNetwork.sweep
    tries: int = 1,
    until_first: bool = False,
) -> SweepResult:
    with closing(HostNetwork()) as machine:
        requests = [ProbeRequest(each, await link_of(machine, each)) for each in addresses]
        return await machine.sweep(requests, timeout=timeout, tries=tries, until_first=until_first)


def state(reply: ProbeReply) -> tuple[ProbeOutcome, ProbeOutcome]:
    return reply.icmp, reply.arp


def test_up_dropping_and_dead_are_distinguished(lan: Lan) -> None:
    up, drops = joined(lan, "up", 10), joined(lan, "drops", 11)
    drops.drop_pings()
    sweep = on_server(lan, swept("10.77.1.10", "10.77.1.11", DEAD))
    replies = sweep.replies
    assert state(replies["10.77.1.10"]) == (ProbeOutcome.ANSWERED, ProbeOutcome.NOT_PROBED)
    assert state(replies["10.77.1.11"]) == (ProbeOutcome.SILENT, ProbeOutcome.ANSWERED)
    assert state(replies[DEAD]) == (ProbeOutcome.SILENT, ProbeOutcome.SILENT)
    assert replies["10.77.1.11"].macs == (drops.mac,) != (up.mac,)
    assert all(0 < (replies[each].rtt or 0) <= sweep.duration for each in ("10.77.1.10", "10.77.1.11"))


def test_a_sweep_ends_when_all_have_answered(lan: Lan) -> None:
    joined(lan, "up", 10)
    assert on_server(lan, swept("10.77.1.10", timeout=20)).duration < 10


def test_a_host_that_is_probed_by_arp_alone(lan: Lan) -> None:
    joined(lan, "up", 10)

    async def probe() -> SweepResult:
        with closing(HostNetwork()) as machine:
            link = await link_of(machine, "10.77.1.10")
            requests = [ProbeRequest("10.77.1.10", link, icmp=False), ProbeRequest(DEAD, link, icmp=False)]
            return await machine.sweep(requests, timeout=1.0, tries=2, until_first=False)

    replies = on_server(lan, probe()).replies
    assert state(replies["10.77.1.10"]) == (ProbeOutcome.NOT_PROBED, ProbeOutcome.ANSWERED)
    assert state(replies[DEAD]) == (ProbeOutcome.NOT_PROBED, ProbeOutcome.SILENT)


def test_until_first_stops_at_a_sufficient_reply_and_the_others_are_not_probed(lan: Lan) -> None:
    joined(lan, "up", 10)
    others = [f"10.77.1.{number}" for number in range(100, 200)]
    sweep = on_server(lan, swept("10.77.1.10", *others, timeout=20, until_first=True))
    assert sweep.replies["10.77.1.10"].icmp is ProbeOutcome.ANSWERED
    assert Counter(state(sweep.replies[each]) for each in others) == {
        (ProbeOutcome.NOT_PROBED, ProbeOutcome.NOT_PROBED): 100
    }
    assert sweep.duration < 10


def test_until_first_finds_the_last_one_too(lan: Lan) -> None:
    joined(lan, "up", 10)
    others = [f"10.77.1.{number}" for number in range(100, 200)]
    sweep = on_server(lan, swept(*others, "10.77.1.10", timeout=20, until_first=True))
    assert sweep.replies["10.77.1.10"].icmp is ProbeOutcome.ANSWERED
    assert sweep.duration < 10


def test_until_first_goes_on_after_an_insufficient_arp_reply(lan: Lan) -> None:
    sleeping = joined(lan, "sleeping", 10)
    sleeping.drop_pings()

    async def probe(*, sufficient: bool) -> SweepResult:
        with closing(HostNetwork()) as machine:
            requests = [
                ProbeRequest("10.77.1.10", await link_of(machine, "10.77.1.10"), arp_sufficient=sufficient)
            ]
            return await machine.sweep(requests, timeout=1.0, tries=2, until_first=True)

    replies = on_server(lan, probe(sufficient=False)).replies
    assert state(replies["10.77.1.10"]) == (ProbeOutcome.SILENT, ProbeOutcome.ANSWERED)
    replies = on_server(lan, probe(sufficient=True)).replies
    assert state(replies["10.77.1.10"]) == (ProbeOutcome.NOT_PROBED, ProbeOutcome.ANSWERED)


FORGER = """
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for line in sys.stdin:
    identifier = int(line)
    for kind in (0, 3):
        raw.sendto(struct.pack("!BBHHH", kind, 0, 0, identifier, 1), ("10.77.1.1", 0))
    print("sent", flush=True)
"""


def test_a_reply_of_another_host_with_the_own_identifier_does_not_count(
    lan: Lan, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger = joined(lan, "forger", 66)
    monkeypatch.setattr("powerd.presence.probe.sockets.os.urandom", lambda _size: (777).to_bytes(2, "big"))
    senders: list[str] = []
    read_replies = EchoSocket.read_replies

    def listened(self: EchoSocket) -> Iterator[Any]:
        for echo in read_replies(self):
            senders.append(echo.address)
            yield echo

    monkeypatch.setattr(EchoSocket, "read_replies", listened)
    with subprocess.Popen(
        [*forger.inside.prefix(), "python3", "-c", FORGER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        async def forged() -> SweepResult:
            task = asyncio.create_task(swept(DEAD, timeout=4))
            await asyncio.sleep(0.1)
            stdin.write(b"777\n")
            stdin.flush()
            stdout.readline()
            return await task

        replies = on_server(lan, forged()).replies
        stdin.close()
    assert "10.77.1.66" in senders, "the forgery arrived"
    assert state(replies[DEAD]) == (ProbeOutcome.SILENT, ProbeOutcome.SILENT)


def test_a_reply_with_another_identifier_does_not_count(lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(lan, "up", 10)
    parse = EchoSocket.read_replies
    monkeypatch.setattr(
        EchoSocket, "read_replies", lambda self: (each._replace(sequence=9) for each in parse(self))
    )
    replies = on_server(lan, swept("10.77.1.10", timeout=0.2)).replies
    assert state(replies["10.77.1.10"]) == (ProbeOutcome.SILENT, ProbeOutcome.ANSWERED), (
        "no probe had that identifier"
    )


def test_a_stale_neighbour_that_has_left_is_silent(lan: Lan) -> None:
    left = joined(lan, "gone", 10)
    assert on_server(lan, swept("10.77.1.10")).replies["10.77.1.10"].icmp is ProbeOutcome.ANSWERED
    left.leave()
    lan.server.inside.run(
        "ip", "neighbour", "replace", "10.77.1.10", "lladdr", left.mac, "nud", "stale", "dev", "eth0"
    )
    assert state(on_server(lan, swept("10.77.1.10")).replies["10.77.1.10"]) == (
        ProbeOutcome.SILENT,
        ProbeOutcome.SILENT,
    )
    neighbours = on_server(lan, HostNetwork().neighbours())
    assert [each.reachable for each in neighbours if each.address == "10.77.1.10"] == [False]


def test_without_carrier_all_hosts_are_unknown(lan: Lan) -> None:
    joined(lan, "up", 10)
    lan.server.unplug()
    reply = on_server(lan, swept("10.77.1.10", timeout=0.1)).replies["10.77.1.10"]
    assert state(reply) == (ProbeOutcome.FAILED, ProbeOutcome.FAILED)
    assert "eth0 is down" in str(reply.error)


@pytest.mark.parametrize("how", ["cable", "card"])
def test_a_link_lost_during_the_sweep_invalidates_silence(lan: Lan, how: str) -> None:
    joined(lan, "up", 10)

    async def cut() -> SweepResult:
        task = asyncio.create_task(swept("10.77.1.10", DEAD, timeout=4))
        await asyncio.sleep(0.1)
        lan.server.unplug() if how == "cable" else lan.server.leave()
        return await task

    replies = on_server(lan, cut()).replies
    assert replies["10.77.1.10"].icmp is ProbeOutcome.ANSWERED
    assert state(replies[DEAD]) == (ProbeOutcome.FAILED, ProbeOutcome.FAILED)
    assert "eth0 went down" in str(replies[DEAD].error)


def test_no_route_is_unknown(lan: Lan) -> None:
    reply = on_server(lan, swept("198.51.100.7", timeout=0.1, tries=2)).replies["198.51.100.7"]
    assert state(reply) == (ProbeOutcome.FAILED, ProbeOutcome.NOT_PROBED)
    assert reply.error == os.strerror(101)


def test_a_forbidden_send_is_unknown(lan: Lan) -> None:
    lan.server.inside.run("ip", "route", "add", "prohibit", "198.51.100.8")
    reply = on_server(lan, swept("198.51.100.8", timeout=0.1)).replies["198.51.100.8"]
    assert reply.icmp is ProbeOutcome.FAILED
    assert reply.error == os.strerror(13)


def routed(lan: Lan, *extra: str) -> None:
    """A router at .254 with a host behind it."""
    router = joined(lan, "router", 254)
    router.inside.sysctl("net.ipv4.ip_forward", "1")
    router.inside.run("ip", "address", "add", "10.99.0.1/24", "dev", "lo")
    if extra:
        router.inside.run(*extra)
    lan.server.inside.run("ip", "route", "add", "default", "via", "10.77.1.254")


def test_an_off_link_host_is_probed_by_icmp_through_the_router(lan: Lan) -> None:
    routed(lan)
    sweep = on_server(lan, swept("10.99.0.1"))
    assert state(sweep.replies["10.99.0.1"]) == (ProbeOutcome.ANSWERED, ProbeOutcome.NOT_PROBED)


def test_network_unreachable_is_unknown_but_host_unreachable_is_silence(lan: Lan) -> None:
    routed(lan, "ip", "route", "add", "unreachable", "10.98.0.0/24")
    reply = on_server(lan, swept("10.97.0.7", "10.98.0.7", timeout=2)).replies
    assert reply["10.97.0.7"].icmp is ProbeOutcome.FAILED
    assert reply["10.97.0.7"].error == f"a router reports: {os.strerror(101)}"
    assert reply["10.98.0.7"].icmp is ProbeOutcome.SILENT, "it does not answer its router's ARP"


def slow_down(lan: Lan) -> None:
    """Limit the rate of the interface so that its queue is full."""
    lan.server.inside.run(
        *("tc", "qdisc", "add", "dev", "eth0", "root", "tbf"),
        *("rate", "8bit", "burst", "60", "limit", "1"),
    )


def test_a_full_queue_makes_a_present_host_unknown_never_silent(lan: Lan) -> None:
    joined(lan, "up", 10).say_hello("10.77.1.1")
    slow_down(lan)
    reply = on_server(lan, swept("10.77.1.10", timeout=0.1)).replies["10.77.1.10"]
    assert state(reply) == (ProbeOutcome.FAILED, ProbeOutcome.FAILED)
    assert reply.error == os.strerror(105)


def test_a_refused_probe_is_sent_again_until_it_is_accepted(lan: Lan) -> None:
    joined(lan, "up", 10).say_hello("10.77.1.1")
    slow_down(lan)

    async def opened() -> SweepResult:
        task = asyncio.create_task(swept("10.77.1.10", timeout=4))
        await asyncio.sleep(0.5)
        lan.server.inside.run("tc", "qdisc", "delete", "dev", "eth0", "root")
        return await task

    assert on_server(lan, opened()).replies["10.77.1.10"].icmp is ProbeOutcome.ANSWERED


def test_a_full_neighbour_table_makes_present_hosts_unknown_never_silent(lan: Lan) -> None:
    thresh3 = int(Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3").read_text())
    if thresh3 > 4096:
        pytest.skip(f"this kernel's neighbour table has room for {thresh3} entries: not filled for a test")
    up = joined(lan, "up", 10)
    present = [f"10.77.1.{number}" for number in range(100, 140)]
    populate(up, [f"{address}/24" for address in present])
    # All namespaces share one table, but a real client's own is not full: this entry is outside it.
    up.inside.run(
        "ip", "neighbour", "add", "10.77.1.1", "lladdr", lan.server.mac, "nud", "permanent", "dev", "eth0"
    )
    lan.server.take("10.81.0.1/16")
    fill = "".join(
        f"neighbour add {IPv4Address('10.81.1.0') + n} lladdr 02:00:00:00:00:01 nud reachable dev eth0\n"
        for n in range(thresh3 + 64)
    )
    argv = ["ip", "-n", lan.server.inside.name, "-force", "-b", "-"]
    subprocess.run(argv, input=fill, text=True, check=False, capture_output=True)

    async def icmp_only() -> SweepResult:
        with closing(HostNetwork()) as machine:
            requests = [ProbeRequest(address) for address in present]
            return await machine.sweep(requests, timeout=0.5, tries=1, until_first=False)

    full = on_server(lan, icmp_only()).replies.values()
    lan.server.inside.run("ip", "neighbour", "flush", "all")
    assert (ProbeOutcome.FAILED, os.strerror(105)) in {(reply.icmp, reply.error) for reply in full}
    # Another entry may have expired, and one of the hosts have taken its place.
    assert {reply.icmp for reply in full} <= {ProbeOutcome.FAILED, ProbeOutcome.ANSWERED}
    flushed = on_server(lan, icmp_only()).replies.values()
    assert {reply.icmp for reply in flushed} == {ProbeOutcome.ANSWERED}


def test_more_hosts_than_a_round_holds(lan: Lan) -> None:
    up, drops = lan.join("up"), lan.join("drops")
    drops.drop_pings()
    lan.server.take("10.80.0.1/16")
    kinds = {str(IPv4Address("10.80.1.0") + n): ("up", "drops", "dead")[n % 3] for n in range(600)}
    for host, kind in ((up, "up"), (drops, "drops")):
        populate(host, [f"{address}/16" for address, each in kinds.items() if each == kind])
    sweep = on_server(lan, swept(*kinds, timeout=1.5))
    assert Counter((kinds[address], *state(reply)) for address, reply in sweep.replies.items()) == {
        ("up", ProbeOutcome.ANSWERED, ProbeOutcome.ANSWERED): 200,
        ("drops", ProbeOutcome.SILENT, ProbeOutcome.ANSWERED): 200,
        ("dead", ProbeOutcome.SILENT, ProbeOutcome.SILENT): 200,
    }
    table = lan.server.inside.run("ip", "neighbour").stdout
    assert table.count("\n") < 10, "the neighbour table was left alone"


def test_hosts_without_a_full_round_at_the_deadline_are_unknown(lan: Lan) -> None:
    async def probe() -> SweepResult:
        with closing(HostNetwork()) as machine:
            requests = [ProbeRequest(DEAD, await link_of(machine, DEAD))]
            return await machine.sweep(requests, timeout=30, tries=3, until_first=False, deadline=0.3)

    sweep = on_server(lan, probe())
    assert state(sweep.replies[DEAD]) == (ProbeOutcome.FAILED, ProbeOutcome.FAILED)
    assert "the sweep ended before" in str(sweep.replies[DEAD].error)
    assert sweep.duration < 15


def test_a_cancelled_sweep_leaves_nothing_open(lan: Lan) -> None:
    joined(lan, "up", 10)

    async def cancel() -> tuple[int, int]:
        with closing(HostNetwork()) as machine:
            link = await link_of(machine, DEAD)
            before = descriptors()
            requests = [ProbeRequest(DEAD, link, icmp=False), ProbeRequest("10.77.1.98")]
            work = machine.sweep(requests, timeout=9, tries=1, until_first=False)
            task = asyncio.create_task(work)
            async with asyncio.timeout(5):
                while descriptors() - before < 2:  # noqa: ASYNC110 - the sweep opens them
                    await asyncio.sleep(0.01)
            assert descriptors() - before == 2
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            idle_socket = machine._idle_arp_sockets[0].sock  # noqa: SLF001 - the one socket that stays open
            assert not asyncio.get_running_loop().remove_reader(idle_socket)
            lan.server.inside.run("busybox", "arping", "-c1", "-I", "eth0", "10.77.1.10")
            with pytest.raises(BlockingIOError):
                idle_socket.recv(100)
        return before, descriptors()

    before, after = on_server(lan, cancel())
    assert after == before


def test_a_duplicate_or_invalid_address_is_an_error() -> None:
    async def probe(*addresses: str) -> None:
        await HostNetwork().sweep(
            [ProbeRequest(each) for each in addresses], timeout=1, tries=1, until_first=False
        )

    with pytest.raises(ValueError, match="the same address"):
        asyncio.run(probe("10.0.0.1", "10.0.0.1"))
    with pytest.raises(ValueError, match=r'"tv\.lan" is not an IPv4 address'):
        asyncio.run(probe("tv.lan"))


def test_a_sweep_without_requests_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kind: object) -> None:
        raise AssertionError

    monkeypatch.setattr("powerd.presence.probe.sockets.EchoSocket", refuse)
    assert asyncio.run(HostNetwork().sweep([], timeout=1, tries=1, until_first=False)).replies == {}


def test_a_missing_capability_is_one_sentence(lan: Lan) -> None:
    code = (
        "import asyncio\n"
        "from powerd.presence.probe.network import HostNetwork\n"
        "from powerd.linux.values import ProbeRequest, HostError\n"
        "requests = [ProbeRequest('10.77.1.9')]\n"
        "try: asyncio.run(HostNetwork().sweep(requests, timeout=1, tries=1, until_first=False))\n"
        "except HostError as error: print(error)\n"
    )
    done = lan.server.inside.run(
        "setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", sys.executable, "-c", code
    )
    assert "raw socket: " in done.stdout
    assert "CAP_NET_RAW" in done.stdout
    assert done.stdout.count("\n") == 1
