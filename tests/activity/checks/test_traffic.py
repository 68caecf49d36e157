"""Flows and interfaces on virtual moments; test_traffic_real.py reads the counters of real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Final

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.checks.traffic import Options, Traffic, evaluate, flow_of, parse_ignored
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.ports import Ports
from powerd.linux.values import HostError, Interface, NotAvailableError, TcpConnection
from powerd.simulation.clock import SimulatedClock

CARD: Final = Interface(2, "eth0", "", addresses=(ip_interface("192.168.1.2/24"),))
DOCKER: Final = Interface(
    3, "docker0", "bridge", guests_only=True, addresses=(ip_interface("172.17.0.1/16"),)
)
VETH: Final = Interface(4, "veth1", "veth", "docker0")
TUNNEL: Final = Interface(5, "wg0", "wireguard", addresses=(ip_interface("10.8.0.1/24"),))

Bytes = Callable[[float], float]
"""Bytes moved in all until a moment, in seconds since the work began."""


@dataclass
class Server(RecordingPorts):
    """A server whose connections and interfaces move what the scenario says.

    Attributes:
        now: CLOCK_MONOTONIC; the first poll is at 0.
        flows: connections, and the bytes that each has moved at ``now``; None = it is not open.
        traffic: bytes of each interface besides the flows.
    """

    now: float = 0.0
    flows: list[tuple[TcpConnection, Callable[[float], float | None]]] = field(default_factory=list)
    traffic: dict[Interface, Bytes] = field(default_factory=dict)
    has_sock_diag: bool = True
    questions: int = 0

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        self.questions += 1
        if not self.has_sock_diag:
            raise NotAvailableError("no tcp_diag")
        counted = ((connection, moved(self.now)) for connection, moved in self.flows)
        return tuple(each._replace(bytes_sent=int(moved)) for each, moved in counted if moved is not None)

    async def interfaces(self) -> tuple[Interface, ...]:
        carried = {connection.local: int((moved(self.now) or 0) * 1.07) for connection, moved in self.flows}
        return tuple(
            Interface(
                *(each.index, each.name, each.kind, each.master, each.loopback, each.guests_only),
                each.addresses,
                int(moved(self.now)) + sum(carried.get(str(own.ip), 0) for own in each.addresses),
            )
            for each, moved in self.traffic.items()
        )

    def check(self, options: Options | None = None) -> Traffic:
        clock = SimulatedClock(mono=lambda: self.now)
        ports = Ports(self, self, self, self, self, RecordingPorts().ports().read_wakeup_state)
        return Traffic(options or Options(), check_ports(ports, clock))


def connection(
    remote: str = "192.168.1.9", port: int = 8096, *, local: str = "192.168.1.2", cookie: int = 1
) -> TcpConnection:
    return TcpConnection(local, port, remote, 50000, "established", 0, 0, 0.0, cookie)


def polls(  # noqa: PLR0913 - each names what a test varies
    server: Server,
    until: float,
    *,
    every: float = 60.0,
    begin: float = 0.0,
    options: Options | None = None,
    depth: PollDepth = PollDepth.ROUTINE,
) -> list[tuple[float, tuple[Activity, ...]]]:
    """The time and the result of each poll."""

    async def run() -> list[tuple[float, tuple[Activity, ...]]]:
        check = server.check(options)
        results = []
        server.now = begin
        while server.now <= until:
            results.append((server.now, await check.poll(depth)))
            server.now += every
        return results

    return asyncio.run(run())


def awake_at(results: Sequence[tuple[float, tuple[Activity, ...]]]) -> list[float]:
    return [at for at, found in results if any(each.keeps_awake for each in found)]


def steady(rate: float, begin: float = 0.0, end: float = float("inf")) -> Bytes:
    """This number of bytes per second between two moments."""
    return lambda now: max(min(now, end) - begin, 0.0) * rate


def bursts(size: float, every: float, begin: float = 0.0, end: float = float("inf")) -> Bytes:
    """This number of bytes at once, repeatedly."""
    return lambda now: 0.0 if now < begin else ((min(now, end) - begin) // every + 1) * size


BEGIN, END = 630.0, 4230.0
WORK: Final = {
    "a film": steady(1e6, BEGIN, END),
    "a film buffered every 10 s": bursts(5e6, 10, BEGIN, END),
    "a film buffered every 2 min": bursts(60e6, 120, BEGIN, END),
    "music, 128 kbit/s": steady(16e3, BEGIN, END),
    "music buffered every 2 min": bursts(2e6, 120, BEGIN, END),
    "a slow upload": steady(12e3, BEGIN, END),
}
BACKGROUND: Final = {
    "a stale connection": lambda _now: 5e9,
    "an idle mount of SMB, an echo a minute": bursts(200, 60),
    "a scrape every 15 s": bursts(20e3, 15),
    "a larger scrape every minute": bursts(150e3, 60),
    "keystrokes of an idle shell's clock": bursts(300, 1),
}


@pytest.mark.parametrize("every", [5.0, 60.0, 300.0])
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_work_keeps_the_server_awake_until_it_ends(work: Bytes, every: float) -> None:
    """From the second poll after it began, and at most the window and a poll after its end."""
    server = Server(flows=[(connection(), lambda now: None if now < BEGIN else work(now))])
    server.traffic = {CARD: steady(100)}
    results = polls(server, END + 1000, every=every)
    awake = awake_at(results)
    during = [at for at, _ in results if BEGIN + max(every, 30) <= at <= END]
    assert set(during) <= set(awake)
    assert min(awake) >= BEGIN
    assert max(awake) <= END + 180 * 1.1 + every


@pytest.mark.parametrize("every", [5.0, 60.0, 300.0])
@pytest.mark.parametrize("background", BACKGROUND.values(), ids=BACKGROUND)
def test_the_background_lets_it_sleep(background: Bytes, every: float) -> None:
    for opened in (0.0, 100.0):

        def moved(now: float, opened: float = opened) -> float | None:
            return None if now < opened else background(now) - background(opened)

        server = Server(flows=[(connection(port=445), moved)], traffic={CARD: steady(1000)})
        assert awake_at(polls(server, 3600, every=every)) == []


def test_all_of_the_background_together_lets_it_sleep() -> None:
    server = Server(
        flows=[
            (connection(f"192.168.1.{cookie}", 445, cookie=cookie), moved)
            for cookie, moved in enumerate(BACKGROUND.values(), 10)
        ],
        traffic={CARD: steady(2000), DOCKER: steady(0), VETH: steady(5000), TUNNEL: bursts(150, 25)},
    )
    assert awake_at(polls(server, 3600)) == []


def test_a_new_connection_for_each_scrape_lets_it_sleep() -> None:
    def scrape(number: int) -> Callable[[float], float | None]:
        return lambda now: 20e3 if number * 15 <= now < number * 15 + 1 else None

    server = Server(flows=[(connection(cookie=n), scrape(n)) for n in range(120)])
    assert awake_at(polls(server, 1800, every=5)) == []


def test_segments_of_a_film_in_a_connection_each_keep_it_awake() -> None:
    """Most are closed between two polls: the card's counter sees them."""
    server = Server(traffic={CARD: bursts(2e6, 10, 600, 1200)})
    awake = awake_at(polls(server, 3000))
    assert [at for at, _ in polls(server, 1200) if at > 630] == [at for at in awake if 630 < at <= 1200]
    assert max(awake) < 1500


@pytest.mark.parametrize(
    ("interface", "name"), [(CARD, "eth0"), (VETH, "veth1"), (TUNNEL, "wg0")], ids=lambda each: str(each)[:30]
)
def test_traffic_without_a_connection_of_the_server(interface: Interface, name: str) -> None:
    """Of QUIC, of a container, of a tunnel; and none of what is below the floor."""
    server = Server(traffic={DOCKER: steady(1e6), interface: steady(40e3, 600, 1200)})
    results = polls(server, 3000)
    assert set(range(780, 1201, 60)) <= set(awake_at(results))
    assert max(awake_at(results)) <= 1200 + 240
    assert {each.subject for _, found in results for each in found} == {name}
    assert awake_at(polls(Server(traffic={interface: steady(29e3)}), 3000)) == []


def test_a_flow_is_not_counted_again_as_traffic_of_its_interface() -> None:
    bond, slave = Interface(6, "bond0", "bond", addresses=CARD.addresses), Interface(7, "eth1", "", "bond0")
    for interfaces in ([CARD], [bond, slave]):
        server = Server(flows=[(connection(), steady(1e6))], traffic=dict.fromkeys(interfaces, steady(0)))
        server.traffic[interfaces[-1]] = steady(1.08e6 if interfaces[-1] is slave else 0)
        assert {each.subject for _, found in polls(server, 600) for each in found} == {"192.168.1.9"}


def test_a_small_flow_hides_no_other_traffic() -> None:
    """50 flows below their floor, and music over QUIC: only what counts by itself is subtracted."""
    server = Server(
        flows=[(connection(f"192.168.1.{n}", cookie=n), steady(3e3)) for n in range(3, 53)],
        traffic={CARD: steady(32e3)},
    )
    assert awake_at(polls(server, 600))[-1] == 600


@pytest.mark.parametrize("remote", ["10.8.0.7", "192.168.77.9", "2001:db8::9", "fe80::9%eth0", "203.0.113.5"])
def test_whoever_the_peer_is(remote: str) -> None:
    server = Server(flows=[(connection(remote), steady(1e5))], traffic={CARD: steady(0), TUNNEL: steady(0)})
    assert awake_at(polls(server, 600))[-1] == 600


@pytest.mark.parametrize("remote", ["172.17.0.5", "172.17.0.1", "192.168.1.2"])
def test_connections_with_containers_and_with_itself_do_not_count(remote: str) -> None:
    """A container that talks to a database of this server does so all night."""
    flow = (connection(remote, local="172.17.0.1"), steady(1e5))
    assert polls(Server(flows=[flow], traffic={CARD: steady(0), DOCKER: steady(0)}), 600)[-1][1] == ()


def test_the_connections_of_one_peer_with_one_port_add_up() -> None:
    several = [(connection(cookie=n), steady(1500)) for n in range(4)]
    assert awake_at(polls(Server(flows=list(several)), 600))[-1] == 600
    ports = [(connection(port=9100 + n, cookie=n), steady(1500)) for n in range(4)]
    assert awake_at(polls(Server(flows=list(ports)), 600)) == []


def test_before_a_sleep_a_minute_of_polls_is_needed() -> None:
    """After a start with ``after_start = "0s"`` nothing is known of what moves; unknown means awake."""
    server = Server(flows=[(connection(), steady(0))])
    assert awake_at(polls(server, 300, every=20, depth=PollDepth.BEFORE_SLEEP)) == [0, 20, 40]
    assert awake_at(polls(server, 300, every=20)) == []


def test_a_flow_counts_across_a_sleep() -> None:
    """CLOCK_MONOTONIC stands still meanwhile; a connection that has survived goes on with its counters."""
    server = Server(flows=[(connection(), steady(1e5, 600, 700))])
    assert awake_at(polls(server, 900, begin=540)) == [660, 720, 780, 840]


def test_ignored_peers_and_interfaces() -> None:
    """An IP camera that records to this server: neither its flow nor its packets count; others still do."""
    camera = (connection("192.168.1.30", 554), steady(5e5))
    options = Options(ignore=tuple(map(parse_ignored, ("192.168.1.30", "tun*", "fd00::/8"))))
    tunnel = Interface(8, "tun0", "tun")
    server = Server(flows=[camera], traffic={CARD: steady(5e3), tunnel: steady(1e6)})
    assert awake_at(polls(server, 600)) != []
    assert awake_at(polls(server, 600, options=options)) == []
    server = Server(flows=[camera], traffic={CARD: steady(1e5), tunnel: steady(1e6)})
    assert awake_at(polls(server, 600, options=options))[-1] == 600
    server = Server(flows=[camera, (connection("192.168.1.31"), steady(1e5))], traffic={CARD: steady(0)})
    assert awake_at(polls(server, 600, options=options))[-1] == 600


def test_an_ignored_peer_hides_no_traffic_of_another_port_of_its_bridge() -> None:
    lan = Interface(6, "br0", "bridge", addresses=CARD.addresses)
    wire, guest = Interface(7, "eth0", "", "br0"), Interface(8, "vnet0", "tun", "br0")
    server = Server(
        flows=[(connection("192.168.1.30", 554), steady(5e5))],
        traffic={lan: steady(0), wire: steady(5.4e5), guest: steady(1e5)},
    )
    options = Options(ignore=(parse_ignored("192.168.1.30"),))
    last = polls(server, 600, options=options)[-1][1]
    assert "vnet0" in {each.subject for each in last if each.keeps_awake}


def test_a_kernel_without_sock_diag_leaves_the_interfaces() -> None:
    server = Server(flows=[(connection(), steady(1e5))], traffic={CARD: steady(0)}, has_sock_diag=False)
    assert awake_at(polls(server, 600))[-1] == 600
    assert server.questions == 1, "for each the kernel looks for its module"
    assert awake_at(polls(Server(traffic={CARD: steady(0)}, has_sock_diag=False), 600)) == []


@pytest.mark.parametrize("refused", ["tcp_connections", "interfaces"])
def test_peer_p1_counters_that_cannot_be_read_are_no_silence(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Openmediavault-autoshutdown #37 took a card that it could not read for one without traffic."""

    async def refuse(_server: Server) -> tuple[()]:
        raise HostError("cannot read")

    monkeypatch.setattr(Server, refused, refuse)
    with pytest.raises(HostError, match="cannot read"):
        polls(Server(), 0)


@pytest.mark.parametrize("pause", [10, 45, 110, 170])
def test_peer_p8_a_pause_between_two_polls_is_no_end(pause: float) -> None:
    """Checks of one moment slept in the pause of a player that fills its buffer."""
    server = Server(flows=[(connection(), bursts(pause * 16e3, pause, 0, 3600))])
    assert [at for at, _ in polls(server, 3600)][3:] == [
        at for at in awake_at(polls(server, 3600)) if at >= 180
    ]


@pytest.mark.parametrize("name", ["wlp3s0", "enx0242ac110002", "lan", "eth0.7", "bond0p1", "0"])
def test_peer_p9_a_card_of_any_name(name: str) -> None:
    """Openmediavault-autoshutdown #125 knew eth and no Wi-Fi."""
    assert awake_at(polls(Server(traffic={Interface(9, name, ""): steady(1e5)}), 600))[-1] == 600


PEERS: Final = st.sampled_from(["192.168.1.9", "10.8.0.7", "172.17.0.5", "192.168.1.2", "fd00::9"])
MEASURED: Final = st.lists(
    st.tuples(
        st.builds(connection, PEERS, st.sampled_from([445, 8096]), cookie=st.integers(1, 50)),
        st.floats(0, 50_000),
    ),
    max_size=8,
)
CARRIED: Final = st.fixed_dictionaries(
    {(each.index, each.name): st.floats(0, 100_000) for each in (CARD, DOCKER, VETH, TUNNEL)}
)


@given(MEASURED, CARRIED, MEASURED)
def test_one_more_connection_never_leads_to_a_sleep(
    measured: list[tuple[TcpConnection, float]],
    carried: dict[tuple[int, str], float],
    more: list[tuple[TcpConnection, float]],
) -> None:
    """What is subtracted from an interface keeps the server awake by itself."""
    interfaces = (CARD, DOCKER, VETH, TUNNEL)
    before, after = (
        any(each.keeps_awake for each in evaluate(flows, interfaces, carried, Options()))
        for flows in (measured, measured + more)
    )
    assert after or not before


def test_values_and_thresholds() -> None:
    server = Server(
        flows=[(connection(), steady(1e5)), (connection("192.168.1.8", 445, cookie=2), steady(0))]
    )
    (film, stale) = polls(server, 600)[-1][1]
    assert (film.value, film.unit, film.threshold, film.since) == (100.0, "kB/s", 4, 60.0)
    assert (stale.keeps_awake, stale.value) == (False, 0.0)
    assert not any(character.isdigit() for character in film.text.replace("8096", ""))


def test_a_thousand_peers_are_not_all_listed() -> None:
    flows = [(connection(f"10.0.{n // 250}.{n % 250}", cookie=n), steady(n * 10.0)) for n in range(1000)]
    last = polls(Server(flows=list(flows)), 600)[-1][1]
    assert len(last) == 20
    assert last[0].value == 10.0


@pytest.mark.parametrize(
    ("local", "remote", "port", "outbound"),
    [
        (445, 50000, 445, False),
        (2049, 812, 2049, False),  # a client of NFS binds a reserved port
        (50000, 443, 443, True),
        (812, 2049, 2049, True),
        (51413, 60000, 51413, False),
    ],
)
def test_the_port_of_the_service(local: int, remote: int, port: int, outbound: bool) -> None:  # noqa: FBT001 - a parameter of the test
    flow = flow_of(connection()._replace(local_port=local, remote_port=remote))
    assert (flow.port, flow.outbound) == (port, outbound)


@pytest.mark.parametrize("text", ["", " ", "10.0.0.300", "10.0.0.1/33", "fd00::/200", "192.168.1.1/24"])
def test_what_is_neither_peer_nor_interface(text: str) -> None:
    with pytest.raises(ValueError, match=r"must not be empty|is not an IPv4 address|is not a network"):
        parse_ignored(text)
