from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from unittest.mock import patch

import pytest

from powerd.config.load import parse
from powerd.config.options import ClientOptions
from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Reading, Unavailable
from powerd.linux.values import HostError, Lan, Link, ProbeOutcome, ProbeReply
from powerd.presence.model import MAX_CLIENTS, Client, ClientId, EvidenceKind, Observation, PresenceFacts
from powerd.presence.policy import client_policies
from powerd.presence.registry import ClientRegistry
from powerd.presence.silences import NapClass, Silences
from powerd.presence.source import PresenceSource
from powerd.presence.watch import MAX_WATCHED
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.lan import (
    ANSWERS,
    CONTROL,
    FAILED,
    LEASES,
    SimulatedLan,
    arp_reply,
    link,
    mac,
    make_lan,
    neighbour,
)
from powerd.simulation.virtual_loop import run

ROUTINE, BEFORE_SLEEP, FULL = PollDepth.ROUTINE, PollDepth.BEFORE_SLEEP, PollDepth.FULL


def blocks_sleep_for(options: ClientOptions) -> Callable[[Client], bool]:
    policy_of = client_policies(options)
    return lambda client: policy_of(client).blocks_sleep


class PresenceFixture:
    """A PresenceSource on a fake LAN; one poll per minute by default."""

    def __init__(self, lan: SimulatedLan, clients: str = "", learn: str = "0s") -> None:
        self.lan = lan
        self.options = parse(f'[clients]\nlearn = "{learn}"\n{clients}'.encode(), "test").clients
        self.registry = ClientRegistry(lan, lan, {}, lambda *_: None)
        self.clock = SimulatedClock()
        self.source = PresenceSource(lan, self.clock, lambda: self.options, self.registry, blocks_sleep_for)

    async def poll(self, depth: PollDepth = ROUTINE, *, after: float = 60.0) -> PollResult:
        await asyncio.sleep(after)
        self.lan.sweeps.clear()
        return await self.source.poll(depth)

    async def poll_error(self) -> str:
        with pytest.raises(HostError) as error:
            await self.poll()
        return str(error.value)

    @property
    def probed(self) -> list[list[str]]:
        """Addresses of each sweep of the last poll."""
        return [sweep.addresses for sweep in self.lan.sweeps]


def readings_of(result: PollResult) -> Mapping[ClientId, Reading[Observation] | Unavailable]:
    assert result.part(PresenceFacts).observations is not None
    return result.part(PresenceFacts).observations


def observation(result: PollResult, n: int) -> Observation:
    reading = readings_of(result)[ClientId(mac(n))]
    assert isinstance(reading, Reading), reading
    return reading.value


def failure_of(result: PollResult, name: str) -> str:
    reading = readings_of(result)[ClientId(name)]
    assert isinstance(reading, Unavailable), reading
    return reading.reason


def run_presence(
    test: Callable[[PresenceFixture], Awaitable[None]],
    clients: str = "",
    numbers: tuple[int, ...] = (1, 2, 3),
    learn: str = "0s",
    *,
    is_large: bool = False,
) -> None:
    """Run ``test`` on a LAN whose hosts ``numbers`` have leases; one answer may end a poll on a large one."""

    async def main() -> None:
        lan = SimulatedLan()
        if numbers:
            lan.set_leases(*numbers)
        await test(PresenceFixture(lan, clients, learn))

    with patch("powerd.presence.source.MAX_WATCHED", 0 if is_large else MAX_WATCHED):
        run(main())


def test_all_are_probed_in_each_round() -> None:
    """So who has left is known when the last present client leaves."""

    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = ANSWERS
        for _ in range(10):
            result = await w.poll()
            assert sorted(w.probed[0]) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
            assert not w.lan.sweeps[0].until_first
        assert observation(result, 1).silent_since == pytest.approx(60, abs=1)
        assert readings_of(result)[ClientId(mac(1))].at == pytest.approx(600, abs=1)

    run_presence(test)


def test_the_client_seen_last_is_probed_alone_and_one_answer_ends_it() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = ANSWERS
        await w.poll()
        assert w.probed == [["10.0.0.1", "10.0.0.2", "10.0.0.3"]]
        result = await w.poll()
        assert w.probed == [["10.0.0.2"]]
        assert (w.lan.sweeps[0].tries, w.lan.sweeps[0].until_first) == (1, True)
        assert observation(result, 2).last_seen == pytest.approx(120, abs=1)
        assert readings_of(result)[ClientId(mac(1))].at == pytest.approx(60, abs=1), (
            "it was not probed, so its reading stays"
        )

    run_presence(test, is_large=True)


def test_all_are_probed_only_if_the_client_seen_last_stays_silent() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = ANSWERS
        await w.poll()
        w.lan.replies = {"10.0.0.3": ANSWERS}
        result = await w.poll()
        assert w.probed == [["10.0.0.2"], ["10.0.0.2", "10.0.0.1", "10.0.0.3"]], (
            "the client seen last comes first"
        )
        assert observation(result, 2).silent_since == pytest.approx(60, abs=1), "since it was last seen"
        assert observation(result, 3).last_seen == pytest.approx(120, abs=1)
        await w.poll()
        assert w.probed == [["10.0.0.3"]]

    run_presence(test, is_large=True)


def test_a_client_seen_long_ago_is_probed_with_all_others() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = ANSWERS
        await w.poll()
        await w.poll(after=151)
        assert w.probed == [["10.0.0.2", "10.0.0.1", "10.0.0.3"]]

    run_presence(test)


def test_a_refresh_probes_all_and_to_the_end() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = ANSWERS
        result = await w.poll(FULL)
        assert w.probed == [["10.0.0.1", "10.0.0.2", "10.0.0.3"]]
        assert not w.lan.sweeps[0].until_first
        assert observation(result, 1).silent_since is not None
        assert observation(result, 3).silent_since is not None

    run_presence(test, 'ignore = ["host3"]')


def test_a_client_that_never_counts_is_not_probed_without_need() -> None:
    async def test(w: PresenceFixture) -> None:
        result = await w.poll()
        assert w.probed == [["10.0.0.1"]]
        assert set(readings_of(result)) == {mac(1)}

    run_presence(
        test, 'ignore = ["host3"]\n[[clients.class]]\nname = "tv"\nmatch = ["host2"]\nkeeps_awake = false'
    )


def test_a_client_that_still_counts_is_probed_whatever_its_name() -> None:
    async def main() -> None:
        lan = SimulatedLan()
        lan.set_leases(1, 2)
        w = PresenceFixture(lan, 'ignore = ["host*"]')
        w.source = PresenceSource(
            lan, SimulatedClock(), lambda: w.options, w.registry, lambda _: lambda client: client.id == mac(2)
        )
        await w.poll()
        assert w.probed == [["10.0.0.2"]]

    run(main())


def test_nobody_that_counts_is_nobody_to_ask() -> None:
    async def test(w: PresenceFixture) -> None:
        result = await w.poll()
        assert w.probed == []
        assert result.part(PresenceFacts).clients is not None
        assert len(result.part(PresenceFacts).clients) == 3

    run_presence(test, 'ignore = ["host*"]')


def test_before_a_sleep_silence_is_asked_for_longer() -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        usual = w.lan.sweeps[0]
        await w.poll(BEFORE_SLEEP)
        close = w.lan.sweeps[0]
        assert close.tries > usual.tries
        assert close.timeout > usual.timeout
        assert close.until_first

    run_presence(test)


def test_impatient_options_are_asked_for_twice_a_round() -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        assert w.lan.sweeps[0].tries == 2

    run_presence(test, 'absent_after = "2min"')


@pytest.mark.parametrize(
    "clients",
    [
        "",
        '[[clients.class]]\nname = "x"\nmatch = ["x"]\nabsent_after = "1h"',
        'absent_after = "1h"\n[[clients.class]]\nname = "x"\nmatch = ["x"]\nabsent_after = "auto"',
    ],
)
def test_a_learned_limit_may_be_short_whatever_the_other_limits_are(clients: str) -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        assert w.lan.sweeps[0].tries == 2

    run_presence(test, f'every = "10min"\n{clients}')


@pytest.mark.parametrize(("slept", "restarts"), [(2e-6, False), (0.005, False), (5.0, True)])
def test_only_a_sleep_of_the_server_restarts_silences(slept: float, *, restarts: bool) -> None:
    """CLOCK_BOOTTIME - CLOCK_MONOTONIC differs by microseconds from reading to reading."""

    async def test(w: PresenceFixture) -> None:
        for _ in range(3):
            first = observation(await w.poll(), 1).silent_since
        w.clock.slept = slept
        assert (observation(await w.poll(), 1).silent_since != first) is restarts

    run_presence(test)


@pytest.mark.parametrize(("timeout", "interval"), [("1s", 20.0), ("2s", 20.0), ("3s", 60.0), ("10s", 60.0)])
def test_clients_are_watched_only_if_all_tries_fit_between_two_polls(timeout: str, interval: float) -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.replies.clear()
        await w.poll(after=200)
        assert w.source.poll_interval == interval

    run_presence(test, f'timeout = "{timeout}"')


def test_between_two_rounds_only_clients_in_a_nap_are_probed_and_nothing_is_news() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.replies.clear()
        assert (await w.poll()).has_news
        stats = w.lan.files
        w.lan.files = {}  # nothing is read
        for _ in range(2):
            result = await w.poll(after=20)
            assert w.probed == [["10.0.0.1"]]
            assert not result.has_news
            assert w.source.poll_interval == 20
        w.lan.files = stats
        await w.poll(after=20)
        assert ["10.0.0.1", "10.0.0.2", "10.0.0.3"] in w.probed
        assert (w.lan.sweeps[-1].addresses, w.lan.sweeps[-1].tries) == (["10.0.0.1"], 3), (
            "no packet is missed"
        )
        w.lan.replies["10.0.0.1"] = ANSWERS
        result = await w.poll(after=20)
        assert result.has_news
        assert observation(result, 1).silent_since is None
        assert w.source.poll_interval == 40, "rounds keep their times"

    run_presence(test)


@pytest.mark.parametrize("change", ["options", "sleep"])
def test_a_poll_between_two_rounds_is_complete_after_a_change(change: str) -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.replies.clear()
        await w.poll()
        if change == "options":
            w.options = parse(b'[clients]\nlearn = "0s"\nignore = ["host3"]', "t").clients
        else:
            w.clock.slept = 100
        result = await w.poll(after=20)
        assert result.has_news
        assert ["10.0.0.1", "10.0.0.2", *(["10.0.0.3"] if change == "sleep" else [])] in w.probed

    run_presence(test)


def test_a_nap_that_is_longer_than_the_limit_is_learned() -> None:
    """The phone is absent by its limit when it answers, and another client is present all the time."""

    async def test(w: PresenceFixture) -> None:
        now = w.clock.now().wall.timestamp()
        nap_class = NapClass(13, weight=300, longest=600, last=now, first=now - 20 * 86400)
        known = Silences((nap_class,), count=300, since=now - 20 * 86400, last=now)
        w.source = PresenceSource(
            w.lan,
            w.clock,
            lambda: w.options,
            w.registry,
            blocks_sleep_for,
            silences={ClientId(mac(1)): known},
        )
        w.lan.replies = {"10.0.0.1": ANSWERS, "10.0.0.2": ANSWERS}
        result = await w.poll()
        assert observation(result, 1).limit.basis == "naps"
        del w.lan.replies["10.0.0.1"]
        for _ in range(45):
            result = await w.poll(after=20)
        silent_since = observation(result, 1).silent_since
        assert silent_since is not None
        assert w.clock.now().mono - silent_since > observation(result, 1).limit.seconds
        w.lan.replies["10.0.0.1"] = ANSWERS
        result = await w.poll(after=20)
        assert observation(result, 1).limit.basis == "surprise"
        assert observation(result, 1).limit.longest_nap == pytest.approx(900, abs=70)

    run_presence(test, numbers=(1, 2))


@pytest.mark.parametrize("is_large", [False, True])
def test_whether_a_pc_answers_icmp_is_learned_while_another_client_answers(*, is_large: bool) -> None:
    """Otherwise its network card, which answers ARP while it sleeps, would be taken for it."""

    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = arp_reply(2)
        await w.poll()
        w.lan.replies |= {"10.0.0.1": ANSWERS, "10.0.0.2": ANSWERS}
        await w.poll()
        del w.lan.replies["10.0.0.2"]
        for _ in range(20):
            result = await w.poll()
        assert (w.probed == [["10.0.0.1"]]) is is_large
        w.lan.replies["10.0.0.2"] = ANSWERS
        for _ in range(16):
            result = await w.poll()
        assert observation(result, 2).answers_icmp

    run_presence(test, numbers=(1, 2), is_large=is_large)


def test_all_sweeps_of_a_poll_end_before_its_deadline() -> None:
    async def test(w: PresenceFixture) -> None:
        for every, deadline in ((5.0, 14.5), (40.0, 39.5), (3600.0, 89.5)):
            text = f'[clients]\nlearn = "0s"\nabsent_after = "1h"\nevery = "{every:g}s"'
            w.options = parse(text.encode(), "t").clients
            await w.poll()
            assert w.lan.sweeps[0].deadline == pytest.approx(deadline, abs=0.1)

    run_presence(test)


@pytest.mark.parametrize(
    ("arp", "first", "later"),
    [("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_when_link_layer_evidence_counts(arp: str, *, first: bool, later: bool) -> None:
    """``later``: after the client has answered an echo request once."""

    async def test(w: PresenceFixture) -> None:
        await w.poll()
        assert w.lan.sweeps[0].probes[0].arp_sufficient is first
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll(FULL)
        w.lan.replies["10.0.0.1"] = arp_reply(1)
        result = await w.poll()
        assert w.lan.sweeps[0].probes[0].arp_sufficient is later
        counts = later or arp == "auto"  # as the card of a dozing phone
        assert (observation(result, 1).silent_since is None) is counts

    run_presence(test, f'arp = "{arp}"', (1,))


def test_a_client_that_answers_icmp_is_probed_by_icmp_as_soon_as_it_answers_arp() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        del w.lan.replies["10.0.0.1"]
        for _ in range(4):
            await w.poll()
        assert [request.icmp for request in w.lan.sweeps[0].probes] == [False]
        w.lan.replies["10.0.0.1"] = ProbeReply(arp=ProbeOutcome.ANSWERED, macs=(mac(1),))
        result = await w.poll()
        assert [[request.icmp for request in sweep.probes] for sweep in w.lan.sweeps] == [[False], [True]]
        assert observation(result, 1).silent_since is not None, "its network card alone proves nothing"
        w.lan.replies["10.0.0.1"] = ANSWERS
        result = await w.poll()
        assert observation(result, 1).evidence is EvidenceKind.ICMP

    run_presence(test, numbers=(1,))


def test_a_host_that_drops_icmp_is_seen_by_arp() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = arp_reply(1)
        result = await w.poll()
        assert (observation(result, 1).evidence, observation(result, 1).answers_icmp) == (
            EvidenceKind.ARP,
            False,
        )

    run_presence(test, numbers=(1,))


def test_a_gateway_that_answers_arp_for_others_proves_nothing() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(254),)
        w.lan.replies["10.0.0.1"] = ProbeReply(ProbeOutcome.SILENT, ProbeOutcome.ANSWERED, macs=(mac(254),))
        result = await w.poll()
        assert observation(result, 1).last_seen is None

    run_presence(test, numbers=(1,))


def test_a_gateway_that_answers_arp_for_others_does_not_end_the_poll() -> None:
    """Otherwise no other client would be probed while one client is away."""

    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(254),)
        w.lan.replies["10.0.0.1"] = ProbeReply(ProbeOutcome.SILENT, ProbeOutcome.ANSWERED, macs=(mac(254),))
        await w.poll()
        assert [request.proxy_macs for request in w.lan.sweeps[0].probes] == [frozenset({mac(254)})] * 3

    run_presence(test)


def test_each_address_behind_a_repeater_is_a_client() -> None:
    """One of them answers ping and leaves; the other one drops ICMP and stays."""

    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(9, "10.0.0.60"), neighbour(9, "10.0.0.61"))
        w.lan.replies = {"10.0.0.60": ANSWERS, "10.0.0.61": arp_reply(9)}
        await w.poll(FULL)
        w.lan.neighbour_table = ()
        del w.lan.replies["10.0.0.60"]
        result = await w.poll(FULL)
        readings = readings_of(result)
        first, second = (readings[ClientId(f"{mac(9)}/10.0.0.{n}")] for n in (60, 61))
        assert isinstance(first, Reading)
        assert isinstance(second, Reading)
        assert first.value.silent_since is not None
        assert (second.value.silent_since, second.value.evidence) == (None, EvidenceKind.ARP)

    run_presence(test, numbers=(), learn="1d")


def test_a_host_with_the_mac_of_the_gateway_is_known_by_icmp_only() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(254), neighbour(254, "10.0.0.60"))
        name = ClientId(f"{mac(254)}/10.0.0.60")
        w.lan.replies["10.0.0.60"] = arp_reply(254)
        reading = readings_of(await w.poll())[name]
        assert isinstance(reading, Reading)
        assert (reading.value.last_seen, reading.value.on_link) == (None, False)
        w.lan.replies["10.0.0.60"] = ANSWERS
        reading = readings_of(await w.poll())[name]
        assert isinstance(reading, Reading)
        assert reading.value.evidence is EvidenceKind.ICMP

    run_presence(test, numbers=(), learn="1d")


@pytest.mark.parametrize("arp", ["auto", "always", "never"])
def test_another_mac_that_answers_for_a_client_makes_it_unknown(arp: str) -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.replies["10.0.0.1"] = arp_reply(66)
        result = await w.poll()
        if arp == "never":
            assert observation(result, 1).silent_since is not None
        else:
            assert mac(66) in failure_of(result, mac(1))

    run_presence(test, f'arp = "{arp}"', (1,))


def test_an_echo_request_that_the_kernel_sent_to_another_mac_proves_nothing() -> None:
    """A forged entry of the neighbour table, while the client itself answers ARP."""

    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.replies["10.0.0.1"] = arp_reply(1)
        w.lan.neighbour_table = (neighbour(66, "10.0.0.1"),)
        assert mac(66) in failure_of(await w.poll(), mac(1))

    run_presence(test, numbers=(1,))


def test_a_client_silent_to_arp_is_probed_by_icmp_only_before_a_sleep_or_at_full_depth() -> None:
    async def test(w: PresenceFixture) -> None:
        pings = []
        for depth in (ROUTINE, ROUTINE, BEFORE_SLEEP, FULL, ROUTINE):
            await w.poll(depth)
            pings.append(w.lan.sweeps[-1].probes[0].icmp)
        assert pings == [True, False, True, True, False]
        w.lan.replies["10.0.0.1"] = arp_reply(1)
        await w.poll()
        await w.poll()
        assert w.lan.sweeps[0].probes[0].icmp, "it has answered ARP, so ICMP can reach it"

    run_presence(test, numbers=(1,))


def test_a_probe_that_could_not_be_sent_makes_that_client_unknown() -> None:
    async def test(w: PresenceFixture) -> None:
        first = await w.poll()
        assert observation(first, 1).silent_since is not None
        w.lan.replies["10.0.0.1"] = FAILED
        result = await w.poll()
        assert failure_of(result, mac(1)).endswith("No route to host")
        assert isinstance(result.status, Reading), "the other probes were sent"
        w.lan.replies.clear()
        again = await w.poll()
        assert observation(again, 1).silent_since == pytest.approx(180, abs=1), "its silence starts again"
        assert observation(again, 2).silent_since == pytest.approx(60, abs=1)

    run_presence(test)


def test_when_all_probes_fail_all_are_unknown() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies = {f"10.0.0.{n}": FAILED for n in (1, 2, 3)}
        result = await w.poll()
        assert [type(reading) for reading in readings_of(result).values()] == [Unavailable] * 3

    run_presence(test)


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ((), "no Ethernet or Wi-Fi interface"),
        ((link(ready=False), link(3, name="wlan0", ready=False)), "eth0, wlan0: no carrier"),
        ((link(address=""),), "eth0: no IPv4 address"),
        ((link(ready=False), link(3, "", name="wlan0")), "eth0, wlan0: no IPv4 address"),
    ],
)
def test_a_server_without_a_link_is_unavailable(links: tuple[object, ...], text: str) -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.links = make_lan(*links)  # type: ignore[arg-type] # a tuple of Link, loosely typed for parametrize
        assert text in await w.poll_error()
        assert w.probed == []

    run_presence(test)


def test_no_known_client_is_unavailable_with_a_remedy() -> None:
    async def test(w: PresenceFixture) -> None:
        assert "no client is known" in await w.poll_error()

    run_presence(test, numbers=())


def test_no_known_client_because_of_an_invalid_file_names_it() -> None:
    async def test(w: PresenceFixture) -> None:
        assert "/srv/leases: there is no" in await w.poll_error()

    run_presence(test, 'leases = ["/srv/leases"]', ())


def test_a_failed_poll_interrupts_every_silence() -> None:
    async def test(w: PresenceFixture) -> None:
        first = await w.poll()
        assert observation(first, 1).silent_since == pytest.approx(60, abs=1)
        w.lan.links = make_lan(link(ready=False))
        await w.poll_error()
        w.lan.links = make_lan(link())
        result = await w.poll()
        assert observation(result, 1).silent_since == pytest.approx(180, abs=1)

    run_presence(test)


def flapped(*links: Link) -> Lan:
    """The same links, which have lost their carrier once more in between."""
    return make_lan(*(replace(each, carrier_losses=each.carrier_losses + 1) for each in links))


def test_a_link_that_lost_its_carrier_between_two_polls_restarts_the_silence_of_its_clients() -> None:
    """The probes of the last poll may have been sent into the gap."""

    async def test(w: PresenceFixture) -> None:
        w.lan.files[LEASES] += f"0 {mac(7)} 10.0.1.7 host7 *\n"
        eth0, wlan0 = link(), link(3, "10.0.1.1/24", name="wlan0")
        w.lan.links = make_lan(eth0, wlan0)
        first = await w.poll()
        assert observation(first, 1).silent_since == observation(first, 7).silent_since
        w.lan.links = make_lan(replace(eth0, carrier_losses=1), wlan0)
        result = await w.poll()
        assert observation(result, 1).silent_since == pytest.approx(120, abs=1)
        assert observation(result, 7).silent_since == pytest.approx(60, abs=1)
        result = await w.poll()
        assert observation(result, 1).silent_since == pytest.approx(120, abs=1), "only once"

    run_presence(test, numbers=(1,))


def test_a_link_that_loses_its_carrier_during_the_last_sweep_restarts_the_silence() -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        lans = [make_lan(link()), flapped(link())]

        async def lan() -> Lan:
            return lans.pop(0) if len(lans) > 1 else lans[0]

        w.lan.lan = lan  # type: ignore[method-assign] # the links change between two calls
        result = await w.poll(BEFORE_SLEEP)
        assert observation(result, 1).silent_since is None

    run_presence(test, numbers=(1,))


def test_one_of_two_links_without_carrier() -> None:
    """Clients on the link without carrier are unknown, not silent; all others are probed."""

    async def test(w: PresenceFixture) -> None:
        w.lan.links = make_lan(link(), link(3, "10.0.1.1/24", name="wlan0", ready=False))
        w.lan.files[LEASES] += f"0 {mac(7)} 10.0.1.7 host7 *\n"
        result = await w.poll()
        assert w.probed == [["10.0.0.1"]]
        assert failure_of(result, mac(7)) == "wlan0 has no carrier"
        assert observation(result, 1).silent_since is not None

    run_presence(test, numbers=(1,))


def test_a_client_with_one_address_on_a_link_without_carrier_is_unknown() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.links = make_lan(link(), link(3, "10.0.1.1/24", name="wlan0", ready=False))
        w.lan.files[LEASES] += f"0 {mac(1)} 10.0.1.7 host1 *\n"
        result = await w.poll()
        assert failure_of(result, mac(1)) == "wlan0 has no carrier"
        w.lan.replies["10.0.0.1"] = ANSWERS
        assert observation(await w.poll(), 1).last_seen is not None, "seen at its other address"

    run_presence(test, numbers=(1,))


def test_all_clients_on_a_link_without_carrier() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.links = make_lan(link(ready=False), link(3, "10.0.1.1/24", name="wlan0"))
        result = await w.poll()
        assert w.probed == []
        assert [type(reading) for reading in readings_of(result).values()] == [Unavailable] * 3

    run_presence(test)


def test_a_client_behind_a_router_is_probed_by_icmp_only() -> None:
    async def test(w: PresenceFixture) -> None:
        result = await w.poll()
        (request,) = w.lan.sweeps[0].probes
        assert (request.address, request.link, request.icmp) == ("192.168.7.7", None, True)
        reading = readings_of(result)[ClientId("192.168.7.7")]
        assert isinstance(reading, Reading)
        assert not reading.value.on_link

    run_presence(test, 'hosts = ["192.168.7.7"]', ())


def test_a_shared_address_is_probed_in_every_way_that_either_client_could_answer() -> None:
    """One client answers ICMP, so its ARP reply is insufficient; the other drops ICMP but is not silent."""

    async def test(w: PresenceFixture) -> None:
        w.lan.files["/etc/dhcp/dhcpd.conf"] = (
            f"host desk {{ hardware ethernet {mac(8)}; fixed-address 10.0.0.1; }}\n"
        )
        w.lan.files[LEASES] += f"0 {mac(1)} 10.0.0.9 host1 *\n"
        w.lan.replies["10.0.0.9"] = ANSWERS
        await w.poll(FULL)
        w.lan.replies = {"10.0.0.1": arp_reply(8)}
        result = await w.poll(FULL)
        assert observation(result, 8).evidence is EvidenceKind.ARP
        assert len(w.probed[0]) == len(set(w.probed[0])) == 2

    run_presence(test, numbers=(1,))


def test_a_reachable_neighbour_is_evidence() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(2, ago=9.0),)
        result = await w.poll()
        assert observation(result, 2).evidence is EvidenceKind.NEIGHBOUR
        assert observation(result, 2).last_seen == pytest.approx(51, abs=1)

    run_presence(test)


def test_an_ipv6_neighbour_is_evidence_for_the_client_with_its_mac() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(2, "fe80::2", ago=30.0), neighbour(2, "fd00::2", ago=4.0))
        result = await w.poll()
        assert observation(result, 2).last_seen == pytest.approx(56, abs=1), "by its latest confirmation"

    run_presence(test)


def test_a_stale_neighbour_proves_nothing() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(2, reachable=False),)
        result = await w.poll()
        assert observation(result, 2).last_seen is None

    run_presence(test)


def test_a_neighbour_that_answers_icmp_must_answer_it_again() -> None:
    """The card of a sleeping PC keeps its entry in the neighbour table reachable."""

    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.2"] = ANSWERS
        await w.poll()
        w.lan.replies.clear()
        w.lan.neighbour_table = (neighbour(2),)
        result = await w.poll()
        assert observation(result, 2).silent_since is not None

    run_presence(test)


def test_passive_evidence_ends_the_poll_after_the_client_seen_last() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.replies.clear()
        w.lan.neighbour_table = (neighbour(2),)
        result = await w.poll()
        assert w.probed == [["10.0.0.1"]]
        assert observation(result, 2).evidence is EvidenceKind.NEIGHBOUR

    run_presence(test, is_large=True)


def test_an_associated_station_is_present() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.associated = (mac(2),)
        result = await w.poll()
        assert observation(result, 2).evidence is EvidenceKind.STATION
        assert observation(result, 2).last_seen == pytest.approx(60, abs=1)

    run_presence(test, f'leases = ["auto", "{CONTROL}"]')


def test_a_lease_that_is_renewed_is_evidence() -> None:
    """It costs no packet, and shows a phone whose chip answers nothing."""

    async def test(w: PresenceFixture) -> None:
        def set_end(seconds: float) -> None:
            end = w.clock.now().wall.timestamp() + seconds
            w.lan.files[LEASES] = f"{end:.0f} {mac(1)} 10.0.0.1 host1 *\n"

        set_end(1800)
        await w.poll()
        result = await w.poll()
        assert observation(result, 1).last_seen is None
        set_end(3600)
        result = await w.poll()
        assert observation(result, 1).evidence is EvidenceKind.LEASE
        assert observation(result, 1).last_seen == pytest.approx(180, abs=1)
        result = await w.poll()
        assert observation(result, 1).silent_since == pytest.approx(180, abs=1), "once"

    run_presence(test, numbers=(1,))


def test_a_station_without_an_address_is_present_and_leaves() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.associated = (mac(9),)
        result = await w.poll()
        assert observation(result, 9).evidence is EvidenceKind.STATION
        w.lan.associated = ()
        result = await w.poll()
        assert observation(result, 9).silent_since == pytest.approx(60, abs=1)

    run_presence(test)


def test_an_access_point_that_does_not_answer_hides_no_client() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.associated = (mac(9),)
        await w.poll()
        w.lan.hostapd_hangs = True
        for _ in range(20):  # longer than the grace period
            result = await w.poll()
        assert "access point" in failure_of(result, mac(9))
        w.lan.hostapd_hangs = False
        result = await w.poll()
        assert observation(result, 9).evidence is EvidenceKind.STATION

    run_presence(test)


def test_a_name_that_does_not_resolve_is_unknown() -> None:
    async def test(w: PresenceFixture) -> None:
        result = await w.poll()
        assert "[clients] hosts" in failure_of(result, "tv.lan")
        assert isinstance(result.status, Reading)

    run_presence(test, 'hosts = ["tv.lan"]')


def test_ipv6_addresses_in_hosts_are_probed_on_the_link_that_they_name() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.replies = {"fd00::5": FAILED, "fe80::5%eth0": ANSWERS}
        result = await w.poll(FULL)
        assert {(request.address, request.link) for request in w.lan.sweeps[0].probes} == {
            ("fd00::5", None),
            ("fe80::5%eth0", link()),
        }
        assert failure_of(result, "fd00::5").endswith("No route to host")
        reading = readings_of(result)[ClientId("fe80::5%eth0")]
        assert isinstance(reading, Reading)
        assert reading.value.evidence is EvidenceKind.ICMP

    run_presence(test, 'hosts = ["fd00::5", "fe80::5%eth0"]', ())


def test_a_host_in_hosts_on_a_link_that_is_gone_is_unknown() -> None:
    async def test(w: PresenceFixture) -> None:
        assert "eth9" in failure_of(await w.poll(), "fe80::5%eth9")

    run_presence(test, 'hosts = ["fe80::5%eth9"]')


def test_a_vanished_lease_file_keeps_its_clients_while_the_source_is_unavailable() -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        del w.lan.files[LEASES]
        result = await w.poll()
        assert isinstance(result.status, Reading)
        assert result.part(PresenceFacts).clients is not None
        assert result.part(PresenceFacts).clients[ClientId(mac(1))].stale
        for _ in range(15):
            result = await w.poll(after=280)
        assert isinstance(result.status, Unavailable)
        assert "no longer exists" in result.status.reason
        assert observation(result, 1).silent_since is not None

    run_presence(test)


def test_a_removed_client_is_forgotten() -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        w.lan.set_leases(1)
        for _ in range(12):
            result = await w.poll()
        assert set(readings_of(result)) == {mac(1)}

    run_presence(test)


def test_new_options_hold_from_the_next_poll() -> None:
    async def test(w: PresenceFixture) -> None:
        await w.poll()
        w.options = parse(b'[clients]\nlearn = "0s"\nevery = "20s"\nignore = ["host1"]', "t").clients
        result = await w.poll()
        assert w.probed == [["10.0.0.2", "10.0.0.3"]]
        assert w.source.poll_interval == 20
        assert readings_of(result)[ClientId(mac(1))].at == pytest.approx(60, abs=1)

    run_presence(test)


def many(lan: SimulatedLan, count: int) -> None:
    lan.files[LEASES] = "".join(
        f"0 02:00:00:01:{n >> 8:02x}:{n & 255:02x} 10.1.{n >> 8}.{n & 255} host{n} *\n" for n in range(count)
    )


@pytest.mark.parametrize("count", [512, 2048])
def test_the_event_loop_runs_after_every_256_clients(count: int) -> None:
    async def test(w: PresenceFixture) -> None:
        many(w.lan, count)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await w.source.poll(FULL)
        task.cancel()
        assert turns >= count // 256

    run_presence(test, numbers=())


@pytest.mark.long
def test_more_clients_than_can_be_probed_are_unknown() -> None:
    async def test(w: PresenceFixture) -> None:
        many(w.lan, MAX_CLIENTS + 1)
        result = await w.poll(FULL)
        assert isinstance(result.status, Unavailable)
        assert "at most 4,096" in result.status.reason
        assert len(result.part(PresenceFacts).clients) == MAX_CLIENTS
        many(w.lan, MAX_CLIENTS)
        for _ in range(4):
            result = await w.poll(FULL, after=280)
        assert isinstance(result.status, Reading)

    run_presence(test, numbers=())


def test_of_too_many_clients_those_that_never_count_are_left_out_with_a_warning() -> None:
    async def test(w: PresenceFixture) -> None:
        many(w.lan, MAX_CLIENTS + 100)
        result = await w.poll(FULL)
        assert isinstance(result.status, Reading)
        assert any("at most 4,096" in warning for warning in result.status.value)
        names = {client.name for client in result.part(PresenceFacts).clients.values()}
        assert {f"host{n}" for n in range(MAX_CLIENTS + 100) if str(n)[0] != "1"} <= names

    run_presence(test, 'ignore = ["host1*"]', ())


def test_a_poll_of_many_clients_ends_at_once_when_it_is_cancelled() -> None:
    async def test(w: PresenceFixture) -> None:
        many(w.lan, 20_000)
        task = asyncio.create_task(w.source.poll(FULL))
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert w.lan.sweeps == []

    run_presence(test, numbers=())


def test_what_is_known_of_a_client_follows_it_when_its_lease_ends() -> None:
    """The client is then known by its MAC and address; its network card must not count as a new client."""

    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(1, reachable=False),)
        w.lan.replies["10.0.0.1"] = ANSWERS
        known = observation(await w.poll(), 1)
        w.lan.replies["10.0.0.1"] = arp_reply(1)
        w.lan.set_leases(2)
        for _ in range(12):
            result = await w.poll()
        assert ClientId(mac(1)) not in readings_of(result)
        reading = readings_of(result)[ClientId(f"{mac(1)}/10.0.0.1")]
        assert isinstance(reading, Reading)
        assert known.answers_icmp
        assert reading.value.answers_icmp
        w.lan.set_leases(1)
        assert observation(await w.poll(), 1).answers_icmp

    run_presence(test, numbers=(1,), learn="1d")


def test_what_is_known_of_a_repeater_does_not_follow_one_of_its_hosts() -> None:
    async def test(w: PresenceFixture) -> None:
        w.lan.neighbour_table = (neighbour(1, reachable=False),)
        w.lan.replies["10.0.0.1"] = ANSWERS
        await w.poll()
        w.lan.neighbour_table = (neighbour(1, reachable=False), neighbour(1, "10.0.0.60", reachable=False))
        w.lan.replies["10.0.0.1"] = arp_reply(1)
        w.lan.set_leases(2)
        for _ in range(12):
            result = await w.poll()
        for id_, reading in readings_of(result).items():
            assert "/" not in id_ or not isinstance(reading, Reading) or not reading.value.answers_icmp

    run_presence(test, numbers=(1,), learn="1d")
