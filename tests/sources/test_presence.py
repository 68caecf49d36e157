from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from scripted import LoopClock
from sources.village import (
    ANSWERS,
    CONTROL,
    FAILED,
    LEASES,
    Village,
    answers_arp,
    lan_of,
    link,
    mac,
    neighbour,
)

from powerd.board import Facts
from powerd.config import Clients, parse
from powerd.host.values import Heard, HostError, Reply
from powerd.model import Blind, Client, ClientId, How, Seen, Sighting
from powerd.policy.clients import standings
from powerd.rehearse.loop import run
from powerd.sources.known import Known
from powerd.sources.presence import Presence
from powerd.sources.runner import Extent

ROUND, CLOSE, ALL = Extent.ROUND, Extent.CLOSE, Extent.ALL


def counting(options: Clients) -> Callable[[Client], bool]:
    standing = standings(options)
    return lambda client: standing(client).counts


class Watcher:
    """A Presence in a village; one look a minute unless told otherwise."""

    def __init__(self, village: Village, clients: str = "") -> None:
        self.village = village
        options = parse(f'[clients]\nlearn = "0s"\n{clients}'.encode(), "test").clients
        self.known = Known(village, {}, lambda _: None)
        self.presence = Presence(village, LoopClock(), options, self.known, counting)

    async def look(self, extent: Extent = ROUND, *, after: float = 60.0) -> Facts:
        await asyncio.sleep(after)
        self.village.sweeps.clear()
        return await self.presence.look(extent)

    async def blind(self) -> str:
        with pytest.raises(HostError) as error:
            await self.look()
        return str(error.value)

    @property
    def asked(self) -> list[list[str]]:
        """Addresses of each sweep of the last look."""
        return [sweep.addresses for sweep in self.village.sweeps]


def words(facts: Facts) -> Mapping[ClientId, Seen[Sighting] | Blind]:
    assert facts.sightings is not None
    return facts.sightings


def sighting(facts: Facts, n: int) -> Sighting:
    word = words(facts)[ClientId(mac(n))]
    assert isinstance(word, Seen), word
    return word.value


def why(facts: Facts, name: str) -> str:
    word = words(facts)[ClientId(name)]
    assert isinstance(word, Blind), word
    return word.why


def watched(
    test: Callable[[Watcher], Awaitable[None]], clients: str = "", numbers: tuple[int, ...] = (1, 2, 3)
) -> None:
    """Run ``test`` in a village whose hosts ``numbers`` have leases."""

    async def main() -> None:
        village = Village()
        if numbers:
            village.leases(*numbers)
        await test(Watcher(village, clients))

    run(main())


def test_who_was_heard_last_is_asked_alone_and_one_answer_ends_it() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.2"] = ANSWERS
        await w.look()
        assert w.asked == [["10.0.0.1", "10.0.0.2", "10.0.0.3"]]
        facts = await w.look()
        assert w.asked == [["10.0.0.2"]]
        assert (w.village.sweeps[0].tries, w.village.sweeps[0].until_first) == (1, True)
        assert sighting(facts, 2).heard == pytest.approx(120, abs=1)
        assert words(facts)[ClientId(mac(1))].at == pytest.approx(60, abs=1), (
            "not asked: an old word stays old"
        )

    watched(test)


def test_everybody_is_asked_only_if_the_last_one_heard_stays_silent() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.2"] = ANSWERS
        await w.look()
        w.village.answers = {"10.0.0.3": ANSWERS}
        facts = await w.look()
        assert w.asked == [["10.0.0.2"], ["10.0.0.2", "10.0.0.1", "10.0.0.3"]], "the last heard comes first"
        assert sighting(facts, 2).silent_since == pytest.approx(60, abs=1), "since it was last heard"
        assert sighting(facts, 3).how is How.ICMP
        await w.look()
        assert w.asked == [["10.0.0.3"]]

    watched(test)


def test_who_was_heard_long_ago_is_asked_with_all_others() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.2"] = ANSWERS
        await w.look()
        await w.look(after=151)
        assert w.asked == [["10.0.0.2", "10.0.0.1", "10.0.0.3"]]

    watched(test)


def test_a_person_s_look_asks_everybody_and_to_the_end() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.2"] = ANSWERS
        facts = await w.look(ALL)
        assert w.asked == [["10.0.0.1", "10.0.0.2", "10.0.0.3"]]
        assert not w.village.sweeps[0].until_first
        assert sighting(facts, 1).silent_since is not None
        assert sighting(facts, 3).silent_since is not None

    watched(test, 'ignore = ["host3"]')


def test_whoever_never_counts_is_not_asked_without_need() -> None:
    async def test(w: Watcher) -> None:
        facts = await w.look()
        assert w.asked == [["10.0.0.1"]]
        assert set(words(facts)) == {mac(1)}

    watched(
        test, 'ignore = ["host3"]\n[[clients.class]]\nname = "tv"\nmatch = ["host2"]\nkeeps_awake = false'
    )


def test_nobody_that_counts_is_nobody_to_ask() -> None:
    async def test(w: Watcher) -> None:
        facts = await w.look()
        assert w.asked == []
        assert facts.known is not None
        assert len(facts.known) == 3

    watched(test, 'ignore = ["host*"]')


def test_before_a_sleep_silence_is_asked_for_longer() -> None:
    async def test(w: Watcher) -> None:
        await w.look()
        usual = w.village.sweeps[0]
        await w.look(CLOSE)
        close = w.village.sweeps[0]
        assert close.tries > usual.tries
        assert close.timeout > usual.timeout
        assert close.until_first

    watched(test)


def test_impatient_options_are_asked_for_twice_a_round() -> None:
    async def test(w: Watcher) -> None:
        await w.look()
        assert w.village.sweeps[0].tries == 2

    watched(test, 'absent_after = "2min"')


def test_all_sweeps_of_a_look_end_before_it_must() -> None:
    async def test(w: Watcher) -> None:
        for every, deadline in ((5.0, 14.5), (40.0, 39.5), (3600.0, 89.5)):
            w.presence.options = parse(f'[clients]\nlearn = "0s"\nevery = "{every:g}s"'.encode(), "t").clients
            await w.look()
            assert w.village.sweeps[0].deadline == pytest.approx(deadline, abs=0.1)

    watched(test)


@pytest.mark.parametrize(
    ("arp", "first", "later"),
    [("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_whose_link_layer_counts(arp: str, *, first: bool, later: bool) -> None:
    """``later``: after the client has answered a ping once."""

    async def test(w: Watcher) -> None:
        await w.look()
        assert w.village.sweeps[0].asks[0].arp_counts is first
        w.village.answers["10.0.0.1"] = ANSWERS
        await w.look(ALL)
        w.village.answers["10.0.0.1"] = answers_arp(1)
        facts = await w.look()
        assert w.village.sweeps[0].asks[0].arp_counts is later
        assert (sighting(facts, 1).silent_since is None) is later

    watched(test, f'arp = "{arp}"', (1,))


def test_a_pinger_whose_card_answers_again_is_pinged_at_once() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.1"] = ANSWERS
        await w.look()
        del w.village.answers["10.0.0.1"]
        for _ in range(4):
            await w.look()
        assert [ask.icmp for ask in w.village.sweeps[-1].asks] == [False]
        w.village.answers["10.0.0.1"] = Reply(arp=Heard.ANSWERED, mac=mac(1))
        facts = await w.look()
        assert [[ask.icmp for ask in sweep.asks] for sweep in w.village.sweeps] == [[False], [True]]
        assert sighting(facts, 1).silent_since is not None, "its card alone is nobody"
        w.village.answers["10.0.0.1"] = ANSWERS
        facts = await w.look()
        assert sighting(facts, 1).how is How.ICMP

    watched(test, numbers=(1,))


def test_a_host_that_drops_pings_is_seen_by_arp() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.1"] = answers_arp(1)
        facts = await w.look()
        assert (sighting(facts, 1).how, sighting(facts, 1).answers_icmp) == (How.ARP, False)

    watched(test, numbers=(1,))


def test_a_gateway_that_answers_arp_for_others_proves_nobody() -> None:
    async def test(w: Watcher) -> None:
        w.village.table = (neighbour(254),)
        w.village.answers["10.0.0.1"] = Reply(Heard.SILENT, Heard.ANSWERED, mac=mac(254))
        facts = await w.look()
        assert sighting(facts, 1).heard is None

    watched(test, numbers=(1,))


def test_who_did_not_answer_arp_is_pinged_again_only_when_it_matters() -> None:
    async def test(w: Watcher) -> None:
        pings = []
        for extent in (ROUND, ROUND, CLOSE, ALL, ROUND):
            await w.look(extent)
            pings.append(w.village.sweeps[-1].asks[0].icmp)
        assert pings == [True, False, True, True, False]
        w.village.answers["10.0.0.1"] = answers_arp(1)
        await w.look()
        await w.look()
        assert w.village.sweeps[0].asks[0].icmp, "there is somebody again who could answer"

    watched(test, numbers=(1,))


def test_a_question_that_could_not_be_asked_makes_that_client_unknown() -> None:
    async def test(w: Watcher) -> None:
        first = await w.look()
        assert sighting(first, 1).silent_since is not None
        w.village.answers["10.0.0.1"] = FAILED
        facts = await w.look()
        assert why(facts, mac(1)) == "could not be asked: No route to host"
        assert isinstance(facts.word, Seen), "the others could"
        w.village.answers.clear()
        again = await w.look()
        assert sighting(again, 1).silent_since == pytest.approx(180, abs=1), "its silence begins anew"
        assert sighting(again, 2).silent_since == pytest.approx(60, abs=1)

    watched(test)


def test_when_all_questions_fail_all_are_unknown() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers = {f"10.0.0.{n}": FAILED for n in (1, 2, 3)}
        facts = await w.look()
        assert [type(word) for word in words(facts).values()] == [Blind] * 3

    watched(test)


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ((), "no Ethernet or Wi-Fi interface"),
        ((link(ready=False), link(3, name="wlan0", ready=False)), "eth0, wlan0: no carrier"),
        ((link(address=""),), "eth0: no IPv4 address"),
        ((link(ready=False), link(3, "", name="wlan0")), "eth0, wlan0: no IPv4 address"),
    ],
)
def test_a_server_without_an_ear_is_blind(links: tuple[object, ...], text: str) -> None:
    async def test(w: Watcher) -> None:
        w.village.place = lan_of(*links)  # type: ignore[arg-type] # a tuple of Link, loosely typed for parametrize
        assert text in await w.blind()
        assert w.asked == []

    watched(test)


def test_nobody_known_is_blind_and_says_what_to_do() -> None:
    async def test(w: Watcher) -> None:
        assert "no client is known" in await w.blind()

    watched(test, numbers=())


def test_nobody_known_because_a_file_is_unusable_says_so() -> None:
    async def test(w: Watcher) -> None:
        assert "/srv/leases: there is no such lease file" in await w.blind()

    watched(test, 'leases = ["/srv/leases"]', ())


def test_a_look_that_could_not_see_breaks_every_silence() -> None:
    async def test(w: Watcher) -> None:
        first = await w.look()
        assert sighting(first, 1).silent_since == pytest.approx(60, abs=1)
        w.village.place = lan_of(link(ready=False))
        await w.blind()
        w.village.place = lan_of(link())
        facts = await w.look()
        assert sighting(facts, 1).silent_since == pytest.approx(180, abs=1)

    watched(test)


def test_two_links_and_one_of_them_dead() -> None:
    """Whose own link is dead is unknown, not silent; the others are asked as ever."""

    async def test(w: Watcher) -> None:
        w.village.place = lan_of(link(), link(3, "10.0.1.1/24", name="wlan0", ready=False))
        w.village.files[LEASES] += f"0 {mac(7)} 10.0.1.7 host7 *\n"
        facts = await w.look()
        assert w.asked == [["10.0.0.1"]]
        assert why(facts, mac(7)) == "wlan0 has no carrier"
        assert sighting(facts, 1).silent_since is not None

    watched(test, numbers=(1,))


def test_a_client_with_one_address_on_a_dead_link_is_unknown() -> None:
    async def test(w: Watcher) -> None:
        w.village.place = lan_of(link(), link(3, "10.0.1.1/24", name="wlan0", ready=False))
        w.village.files[LEASES] += f"0 {mac(1)} 10.0.1.7 host1 *\n"
        facts = await w.look()
        assert why(facts, mac(1)) == "wlan0 has no carrier"
        w.village.answers["10.0.0.1"] = ANSWERS
        assert sighting(await w.look(), 1).heard is not None, "heard where it can be"

    watched(test, numbers=(1,))


def test_all_of_everybody_on_a_dead_link() -> None:
    async def test(w: Watcher) -> None:
        w.village.place = lan_of(link(ready=False), link(3, "10.0.1.1/24", name="wlan0"))
        facts = await w.look()
        assert w.asked == []
        assert [type(word) for word in words(facts).values()] == [Blind] * 3

    watched(test)


def test_a_client_behind_a_router_is_pinged_only() -> None:
    async def test(w: Watcher) -> None:
        facts = await w.look()
        (ask,) = w.village.sweeps[0].asks
        assert (ask.address, ask.link, ask.icmp) == ("192.168.7.7", None, True)
        word = words(facts)[ClientId("192.168.7.7")]
        assert isinstance(word, Seen)
        assert not word.value.on_link

    watched(test, 'hosts = ["192.168.7.7"]', ())


def test_two_clients_of_one_address_are_asked_what_either_could_answer() -> None:
    """One answers pings, so its ARP would not count; the other drops them and must not be silent for that."""

    async def test(w: Watcher) -> None:
        w.village.files["/etc/dhcp/dhcpd.conf"] = (
            f"host desk {{ hardware ethernet {mac(8)}; fixed-address 10.0.0.1; }}\n"
        )
        w.village.files[LEASES] += f"0 {mac(1)} 10.0.0.9 host1 *\n"
        w.village.answers["10.0.0.9"] = ANSWERS
        await w.look(ALL)
        w.village.answers = {"10.0.0.1": answers_arp(8)}
        facts = await w.look(ALL)
        assert sighting(facts, 8).how is How.ARP
        assert len(w.asked[0]) == len(set(w.asked[0])) == 2

    watched(test, numbers=(1,))


def test_a_reachable_neighbour_is_proof_without_a_question() -> None:
    async def test(w: Watcher) -> None:
        w.village.table = (neighbour(2, ago=9.0),)
        facts = await w.look()
        assert w.asked == []
        assert sighting(facts, 2).how is How.NEIGHBOUR
        assert sighting(facts, 2).heard == pytest.approx(51, abs=1)

    watched(test)


def test_an_ipv6_neighbour_is_its_client_by_mac() -> None:
    async def test(w: Watcher) -> None:
        w.village.table = (neighbour(2, "fe80::2", ago=30.0), neighbour(2, "fd00::2", ago=4.0))
        facts = await w.look()
        assert sighting(facts, 2).heard == pytest.approx(56, abs=1), "by its latest proof"

    watched(test)


def test_a_stale_neighbour_proves_nothing() -> None:
    async def test(w: Watcher) -> None:
        w.village.table = (neighbour(2, reachable=False),)
        facts = await w.look()
        assert sighting(facts, 2).heard is None

    watched(test)


def test_a_neighbour_that_answers_pings_must_answer_one() -> None:
    """The card of a sleeping PC keeps its entry in the neighbour table reachable."""

    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.2"] = ANSWERS
        await w.look()
        w.village.answers.clear()
        w.village.table = (neighbour(2),)
        facts = await w.look()
        assert sighting(facts, 2).silent_since is not None

    watched(test)


def test_proof_of_somebody_ends_the_search_after_the_last_heard_was_asked() -> None:
    async def test(w: Watcher) -> None:
        w.village.answers["10.0.0.1"] = ANSWERS
        await w.look()
        w.village.answers.clear()
        w.village.table = (neighbour(2),)
        facts = await w.look()
        assert w.asked == [["10.0.0.1"]]
        assert sighting(facts, 2).how is How.NEIGHBOUR

    watched(test)


def test_an_associated_station_is_there() -> None:
    async def test(w: Watcher) -> None:
        w.village.associated = (mac(2),)
        facts = await w.look()
        assert w.asked == []
        assert sighting(facts, 2).how is How.STATION
        assert sighting(facts, 2).heard == pytest.approx(60, abs=1)

    watched(test, f'leases = ["auto", "{CONTROL}"]')


def test_a_station_without_any_address_is_there_and_goes() -> None:
    async def test(w: Watcher) -> None:
        w.village.associated = (mac(9),)
        facts = await w.look()
        assert sighting(facts, 9).how is How.STATION
        w.village.associated = ()
        facts = await w.look()
        assert sighting(facts, 9).silent_since == pytest.approx(60, abs=1)

    watched(test)


def test_an_access_point_that_cannot_be_asked_hides_nobody() -> None:
    async def test(w: Watcher) -> None:
        w.village.associated = (mac(9),)
        await w.look()
        w.village.deaf = True
        for _ in range(20):  # longer than a station that has left is kept
            facts = await w.look()
        assert why(facts, mac(9)) == "its access point could not be asked"
        w.village.deaf = False
        facts = await w.look()
        assert sighting(facts, 9).how is How.STATION

    watched(test)


def test_a_name_that_does_not_resolve_is_unknown() -> None:
    async def test(w: Watcher) -> None:
        facts = await w.look()
        assert why(facts, "tv.lan") == '"tv.lan" in [clients] hosts has no address: check the name'
        assert isinstance(facts.word, Seen)

    watched(test, 'hosts = ["tv.lan"]')


def test_what_is_no_address_is_a_name() -> None:
    async def test(w: Watcher) -> None:
        facts = await w.look()
        assert why(facts, "10.0.0.300") == '"10.0.0.300" in [clients] hosts has no address: check the name'

    watched(test, 'hosts = ["10.0.0.300"]')


def test_a_vanished_lease_file_keeps_its_clients_in_sight_while_the_source_is_blind() -> None:
    async def test(w: Watcher) -> None:
        await w.look()
        del w.village.files[LEASES]
        facts = await w.look()
        assert isinstance(facts.word, Seen)
        assert facts.known is not None
        assert facts.known[ClientId(mac(1))].stale
        for _ in range(15):
            facts = await w.look(after=280)
        assert isinstance(facts.word, Blind)
        assert "has vanished" in facts.word.why
        assert sighting(facts, 1).silent_since is not None

    watched(test)


def test_a_client_that_is_no_longer_known_is_forgotten() -> None:
    async def test(w: Watcher) -> None:
        await w.look()
        w.village.leases(1)
        for _ in range(12):
            facts = await w.look()
        assert set(words(facts)) == {mac(1)}

    watched(test)


def test_new_options_hold_from_the_next_look() -> None:
    async def test(w: Watcher) -> None:
        await w.look()
        w.presence.options = parse(b'[clients]\nlearn = "0s"\nevery = "20s"\nignore = ["host1"]', "t").clients
        facts = await w.look()
        assert w.asked == [["10.0.0.2", "10.0.0.3"]]
        assert w.presence.every == 20
        assert words(facts)[ClientId(mac(1))].at == pytest.approx(60, abs=1)

    watched(test)
