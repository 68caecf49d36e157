from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv6Interface

import pytest

from powerd.config.load import parse
from powerd.config.options import ClientOptions
from powerd.core.time import Moment
from powerd.linux.values import HostError
from powerd.presence.model import Client, ClientId
from powerd.presence.names.finder import FoundName, FoundNames
from powerd.presence.neighbours import LearnedHosts
from powerd.presence.registry import ClientRegistry
from powerd.simulation.lan import CONTROL, LEASES, SimulatedLan, link, mac, make_lan, neighbour
from powerd.simulation.virtual_loop import run

T0 = 1_780_000_000.0
DAY = 86400.0


def at(posix: float, *, stepped: float = 0.0) -> Moment:
    """A moment, a day after the boot at T0; ``stepped`` = the wall clock is ahead by these seconds."""
    return Moment(posix - T0 + DAY, 0.0, datetime.fromtimestamp(posix + stepped, UTC))


class RegistryFixture:
    """A ClientRegistry on a fake LAN, with the learned hosts that it saved."""

    def __init__(self, clients: str = "", learned: LearnedHosts | None = None) -> None:
        self.lan = SimulatedLan()
        self.saved: list[LearnedHosts] = []
        self.options = self.configured(clients)
        self.found = FoundNames()
        self.registry = ClientRegistry(
            self.lan,
            self.lan,
            learned or {},
            lambda hosts, _: self.saved.append(hosts),
            lambda: self.found,
        )

    @staticmethod
    def configured(clients: str) -> ClientOptions:
        return parse(f"[clients]\n{clients}".encode(), "test").clients

    async def poll(self, now: float = T0, *, near_sleep: bool = False) -> Mapping[ClientId, Client]:
        table = self.lan.neighbour_table
        return await self.registry.poll(self.options, self.lan.links, table, at(now), near_sleep=near_sleep)

    async def names(self, now: float = T0) -> set[str]:
        return {client.label for client in (await self.poll(now)).values()}


def run_registry(
    test: Callable[[RegistryFixture], Awaitable[None]], clients: str = "", learned: LearnedHosts | None = None
) -> None:
    async def main() -> None:
        await test(RegistryFixture(clients, learned))

    run(main())


def test_without_changes_the_mapping_is_identical() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(1, 2)
        r.lan.neighbour_table = (neighbour(3),)
        first = await r.poll()
        r.lan.neighbour_table = (neighbour(3, ago=9.0),)
        assert await r.poll(T0 + 60) is first
        r.lan.neighbour_table = (neighbour(3), neighbour(4))
        assert len(await r.poll(T0 + 120)) == 4

    run_registry(test)


def test_a_link_that_comes_up_rebuilds_the_registry() -> None:
    """An address that has become this server's own belongs to no client."""

    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(1, 2)
        await r.poll()
        r.lan.links = make_lan(link(), link(3, "10.0.0.1/24"))
        assert await r.names() == {"host2"}

    run_registry(test)


def test_expired_leases_are_dropped_without_any_other_change() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.files[LEASES] = (
            f"{T0 + 60:.0f} {mac(1)} 10.0.0.1 brief *\n{T0 + DAY:.0f} {mac(2)} 10.0.0.2 long *\n"
        )
        assert await r.names() == {"brief", "long"}
        assert await r.names(T0 + 30 * DAY) == {"brief", "long"}
        assert await r.names(T0 + 30.5 * DAY) == {"long"}

    run_registry(test, 'learn = "0s"')


def test_neighbours_are_learned_and_saved() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.neighbour_table = (neighbour(3),)
        assert await r.names() == {"10.0.0.3"}
        assert r.saved == [{(mac(3), "10.0.0.3"): T0 - 1}]
        r.lan.neighbour_table = ()
        assert await r.names(T0 + 29 * DAY) == {"10.0.0.3"}
        assert await r.names(T0 + 31 * DAY) == set()
        assert r.saved[-1] == {}

    run_registry(test)


def test_a_learned_host_with_a_new_address_is_saved_again() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.neighbour_table = (neighbour(9, "10.0.0.10"),)
        await r.poll()
        assert r.saved == [{(mac(9), "10.0.0.10"): T0 - 1, (mac(9), "10.0.0.9"): T0 - DAY}]
        await r.poll(T0 + 60)
        assert len(r.saved) == 1, "that it is still there is not worth a write"

    run_registry(test, learned={(mac(9), "10.0.0.9"): T0 - DAY})


def test_an_unlisted_neighbour_that_stays_is_saved_again_every_few_days() -> None:
    """Otherwise a server that loses power after a month would have dropped its learned hosts."""

    async def test(r: RegistryFixture) -> None:
        for day in range(7):
            r.lan.neighbour_table = (neighbour(9),)
            await r.poll(T0 + day * DAY)
        assert r.saved == [{(mac(9), "10.0.0.9"): T0 + day * DAY - 1} for day in (3, 6)]

    run_registry(test, learned={(mac(9), "10.0.0.9"): T0 - DAY})


def test_only_unlisted_neighbours_are_saved() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(3)
        r.lan.neighbour_table = (neighbour(3),)
        await r.poll()
        assert r.saved == []
        assert r.registry.unlisted_neighbours == {}

    run_registry(test)


def test_a_learned_client_survives_a_restart() -> None:
    async def test(r: RegistryFixture) -> None:
        assert await r.names() == {"10.0.0.9"}

    run_registry(test, learned={(mac(9), "10.0.0.9"): T0 - DAY})


def test_a_learned_ipv6_address_without_its_link_is_no_client_and_stays_saved() -> None:
    learned = {(mac(9), "fe80::9%eth9"): T0 - DAY, (mac(8), "fd99::8"): T0 - DAY}

    async def test(r: RegistryFixture) -> None:
        assert await r.names() == set()
        assert r.registry.unlisted_neighbours.keys() == learned.keys()

    run_registry(test, learned=learned)


def test_a_gateway_without_an_entry_in_the_neighbour_table_is_no_client() -> None:
    """After a resume the table has the router by its own address, and lacks it as the gateway."""
    own = replace(link(), ipv6_addresses=(IPv6Interface("fe80::1/64"), IPv6Interface("fd00::1/64")))
    router = (neighbour(7, "fe80::7"), neighbour(7, "fd00::7"))

    async def test(r: RegistryFixture) -> None:
        r.lan.links = make_lan(own)
        r.lan.neighbour_table = (neighbour(7, "10.0.0.254"), *router)
        assert await r.names() == set()
        r.lan.links = replace(make_lan(own), gateways=frozenset())
        r.lan.neighbour_table = ()
        await r.poll()
        r.lan.links = make_lan(own)
        r.lan.neighbour_table = router
        assert await r.names() == set()
        assert r.registry.gateway_macs == {mac(7)}
        r.lan.links = replace(make_lan(own), gateways=frozenset({"10.0.0.7"}))
        assert await r.names() != set(), "another router is the gateway now"

    run_registry(test)


def test_learning_can_be_switched_off_and_on() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.neighbour_table = (neighbour(3),)
        assert await r.names() == set()
        r.options = r.configured('learn = "1d"')
        assert await r.names() == {"10.0.0.3"}
        r.options = r.configured('learn = "0s"')
        assert await r.names() == set()

    run_registry(test, 'learn = "0s"', {(mac(9), "10.0.0.9"): T0})


def test_other_lease_files_apply_from_the_next_poll() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(1)
        r.lan.files["/srv/other.leases"] = f"0 {mac(2)} 10.0.0.2 other *\n"
        assert await r.names() == {"host1"}
        r.options = r.configured('leases = ["/srv/other.leases"]')
        assert await r.names() == {"other"}

    run_registry(test)


def test_a_missing_required_lease_file_is_unavailable() -> None:
    async def test(r: RegistryFixture) -> None:
        await r.poll()
        assert (r.registry.unavailable_reason or "").startswith("/srv/other.leases: ")

    run_registry(test, 'leases = ["/srv/other.leases"]')


def test_an_invalid_entry_makes_unavailable() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(1)
        r.lan.files[LEASES] += "this is not a lease\n"
        assert await r.names() == {"host1"}
        assert (r.registry.unavailable_reason or "").startswith(f"{LEASES}: 1 entry ")

    run_registry(test)


def test_associated_stations_are_distinguished_from_those_that_left() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.associated = (mac(1), mac(2))
        await r.poll()
        assert r.registry.associated_stations == {mac(1), mac(2)}
        r.lan.associated = (mac(2),)
        assert set(await r.poll(T0 + 60)) == {mac(1), mac(2)}
        assert r.registry.associated_stations == {mac(2)}

    run_registry(test, f'leases = ["{CONTROL}"]\nlearn = "0s"')


def test_an_address_needs_no_resolver() -> None:
    async def test(r: RegistryFixture) -> None:
        assert await r.names() == {"10.0.0.44"}
        assert r.lan.resolved_names == []

    run_registry(test, 'hosts = ["10.0.0.44"]')


def test_names_are_resolved_every_hour() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.dns = {"tv.lan": ("10.0.0.5",)}
        for after in (0, 60, 3599, 3600, 3660):
            found = await r.poll(T0 + after)
            assert found[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert r.lan.resolved_names == ["tv.lan", "tv.lan"]

    run_registry(test, 'hosts = ["tv.lan"]')


def test_names_are_resolved_more_often_before_a_sleep() -> None:
    """At its old address a present client would be silent, and the server would sleep."""

    async def test(r: RegistryFixture) -> None:
        r.lan.dns = {"tv.lan": ("10.0.0.5",)}
        await r.poll()
        r.lan.dns = {"tv.lan": ("10.0.0.6",)}
        assert (await r.poll(T0 + 120))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert (await r.poll(T0 + 121, near_sleep=True))[ClientId("tv.lan")].addresses == ("10.0.0.6",)
        await r.poll(T0 + 131, near_sleep=True)
        assert len(r.lan.resolved_names) == 2, "but not at each poll before a sleep"

    run_registry(test, 'hosts = ["tv.lan"]')


def test_a_name_that_no_longer_resolves_keeps_its_address() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.dns = {"tv.lan": ("10.0.0.5",)}
        await r.poll()
        r.lan.dns = {}
        assert (await r.poll(T0 + 4000))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        unresolved = "cannot resolve tv.lan: getent ended with status 3"
        r.lan.dns = {"tv.lan": HostError(unresolved)}
        assert (await r.poll(T0 + 4300))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert r.registry.warnings == (unresolved,)
        r.lan.dns = {"tv.lan": ("10.0.0.6",)}
        found = await r.poll(T0 + 4600)
        assert found[ClientId("tv.lan")].addresses == ("10.0.0.6",)
        assert list(r.registry.warnings) == []

    run_registry(test, 'hosts = ["tv.lan"]')


def test_a_failing_resolver_does_not_hide_the_others() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(1)
        r.lan.dns = {"tv.lan": HostError("cannot resolve tv.lan: it is slow")}
        found = await r.poll()
        assert found[ClientId("tv.lan")].addresses == ()
        assert ClientId(mac(1)) in found

    run_registry(test, 'hosts = ["tv.lan"]')


def test_names_are_resolved_again_after_the_wall_clock_was_set_back() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.dns = {"tv.lan": ("10.0.0.5",)}
        await r.poll()
        await r.poll(T0 - 9 * 3600)
        assert len(r.lan.resolved_names) == 2

    run_registry(test, 'hosts = ["tv.lan"]')


def test_many_names_are_resolved_concurrently() -> None:
    """A resolver without a server takes 5 s per name; a poll may take 15 s."""

    async def test(r: RegistryFixture) -> None:
        resolve = r.lan.resolve

        class Slow(SimulatedLan):
            async def resolve(self, name: str) -> tuple[str, ...]:
                await asyncio.sleep(5)
                return await resolve(name)

        known = ClientRegistry(Slow(), Slow(), {}, lambda *_: None)
        await known.poll(r.options, r.lan.links, (), at(T0), near_sleep=False)
        assert asyncio.get_running_loop().time() < 6
        assert len(r.lan.resolved_names) == 20

    run_registry(test, f"hosts = {[f'host{n}.lan' for n in range(20)]}")


def test_a_reservation_by_name_is_resolved_unless_it_has_a_lease() -> None:
    conf = "".join(
        f"host h{n} {{ hardware ethernet {mac(n)}; fixed-address {name}; }}\n"
        for n, name in ((1, "tv.lan"), (2, "10.0.0.2"), (3, "gone.lan"), (4, "leased.lan"))
    )

    async def test(r: RegistryFixture) -> None:
        r.lan.files["/etc/dhcp/dhcpd.conf"] = conf
        r.lan.set_leases(4)
        r.lan.dns["tv.lan"] = ("10.0.0.44",)
        clients = await r.poll()
        assert clients[ClientId(mac(1))].addresses == ("10.0.0.44",)
        assert clients[ClientId(mac(2))].addresses == ("10.0.0.2",)
        assert ClientId(mac(3)) not in clients, "it cannot be probed, and the configuration does not name it"
        assert clients[ClientId(mac(4))].addresses == ("10.0.0.4",)
        assert set(r.lan.resolved_names) == {"tv.lan", "gone.lan"}

    run_registry(test, 'learn = "0s"')


def test_a_thousand_clients_are_merged_without_blocking_the_event_loop() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.files[LEASES] = "".join(
            f"0 02:00:00:01:{n >> 8:02x}:{n & 255:02x} 10.1.{n >> 8}.{n & 255} host{n} *\n"
            for n in range(1024)
        )
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(count_turns())
        assert len(await r.poll()) == 1024
        task.cancel()
        assert turns >= 8

    run_registry(test, 'learn = "0s"')


def test_lease_files_with_too_many_hosts_are_not_merged_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerd.presence.registry._MAX_HOSTS", 10)

    async def test(r: RegistryFixture) -> None:
        r.lan.set_leases(*range(1, 12))
        assert len(await r.poll()) == 10
        assert r.registry.unavailable_reason is not None
        assert "more than 10 hosts" in r.registry.unavailable_reason
        r.lan.set_leases(*range(1, 10))
        for minute in range(12):
            await r.poll(T0 + minute * 60)
        assert r.registry.unavailable_reason is None

    run_registry(test, 'learn = "0s"')


@pytest.mark.parametrize("step", [31 * DAY, 365 * DAY, 10 * 365 * DAY])
def test_a_forward_step_of_the_wall_clock_drops_nobody(step: float) -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.files[LEASES] = f"{T0 + 60:.0f} {mac(1)} 10.0.0.1 leased *\n"
        r.lan.neighbour_table = (neighbour(3),)
        assert await r.names() == {"leased", "10.0.0.3"}
        r.lan.neighbour_table = ()
        for hours in (1, 24, 24 * 20):
            moment = at(T0 + hours * 3600, stepped=step)
            found = await r.registry.poll(r.options, r.lan.links, (), moment, near_sleep=False)
            assert len(found) == 2
        moment = at(T0 + 31 * DAY, stepped=step)
        assert await r.registry.poll(r.options, r.lan.links, (), moment, near_sleep=False) == {}

    run_registry(test)


@pytest.mark.parametrize("step", [-3600.0, -31 * DAY, -365 * DAY])
def test_a_backward_step_is_undone_once_the_clock_is_right_again_for_ten_minutes(step: float) -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.files[LEASES] = f"{T0 + 60 - 30 * DAY:.0f} {mac(1)} 10.0.0.1 leased *\n"

        async def names(after: float, stepped: float = 0.0) -> set[str]:
            moment = at(T0 + after, stepped=stepped)
            found = await r.registry.poll(
                r.options, r.lan.links, r.lan.neighbour_table, moment, near_sleep=False
            )
            return {client.label for client in found.values()}

        assert await names(0) == {"leased"}
        r.lan.neighbour_table = (neighbour(3),)
        assert await names(300, step) == {"leased", "10.0.0.3"}
        r.lan.neighbour_table = ()
        for after in (600, 900, 1199):
            assert await names(after) == {"leased", "10.0.0.3"}
        for after in range(1200, 9000, 600):
            found = await names(after)
        assert found == {"10.0.0.3"}, "the lease expired 30 days ago; the host was seen two hours ago"
        assert r.registry.learned_hosts == {(mac(3), "10.0.0.3"): pytest.approx(T0 + 299)}

    run_registry(test)


def test_no_lease_expires_by_a_clock_that_may_be_wrong() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.files[LEASES] = f"{T0:.0f} {mac(1)} 10.0.0.1 leased *\n"
        r.lan.clock_synchronised = False
        wall = datetime.fromtimestamp(T0 + 40 * DAY, UTC)
        for uptime, known in ((60.0, 1), (599.0, 1), (600.0, 0)):
            moment = Moment(uptime, 0.0, wall)
            found = await r.registry.poll(r.options, r.lan.links, (), moment, near_sleep=False)
            assert len(found) == known

    run_registry(test)


def test_only_a_new_end_renews_a_lease() -> None:
    """Not a file that is missing for a poll, a client that one read lacks, or an end a second later."""

    async def test(r: RegistryFixture) -> None:
        def set_leases(ends: Mapping[int, float]) -> None:
            r.lan.files[LEASES] = "".join(
                f"{T0 + end:.0f} {mac(n)} 10.0.0.{n} host{n} *\n" for n, end in ends.items()
            )

        set_leases({1: 40_000, 2: 30_000})
        await r.poll()
        text = r.lan.files.pop(LEASES)
        await r.poll(T0 + 60)
        r.lan.files[LEASES] = text
        for second, ends in enumerate(({1: 40_000, 2: 30_000}, {1: 40_001, 2: 30_001}, {1: 40_002}), 2):
            set_leases(ends)
            await r.poll(T0 + 60 * second)
            assert r.registry.renewed == {}
        set_leases({1: 40_003, 2: 30_001})
        await r.poll(T0 + 300)
        assert r.registry.renewed == {}
        set_leases({1: 43_400, 2: 73_000, 3: 43_400})
        await r.poll(T0 + 360)
        assert r.registry.renewed == {mac(1): True, mac(2): False, mac(3): True}
        set_leases({1: 43_400, 2: 73_000})
        await r.poll(T0 + 50_000)
        set_leases({1: 93_400, 2: 73_000})
        await r.poll(T0 + 50_060)
        assert r.registry.renewed == {mac(1): True}
        set_leases({1: 93_400})
        await r.poll(T0 + 73_060)
        set_leases({1: 93_400, 2: 74_600})
        await r.poll(T0 + 74_000)
        assert r.registry.renewed == {mac(2): False}, "a short lease ends in a nap"

    run_registry(test)


@pytest.mark.parametrize(
    ("match", "name"),
    [
        (mac(1), "TV"),
        ("10.0.0.1", "TV"),
        ("host1", "TV"),
        ("10.0.0.0/29", "TV"),
        ("found*", None),
        (mac(3), None),
    ],
)
def test_the_configured_name_comes_before_that_of_a_lease_and_before_a_found_one(
    match: str, name: str | None
) -> None:
    async def test(r: RegistryFixture) -> None:
        r.found = FoundNames(
            {mac(1): FoundName(1.0, "found1"), f"{mac(9)}/10.0.0.9": FoundName(1.0, "found9")}
        )
        r.lan.set_leases(1)
        r.lan.neighbour_table = (neighbour(9),)
        clients = await r.poll()
        lease = clients[ClientId(mac(1))]
        assert (lease.name, lease.other_names) == (name or "host1", ("host1",) if name else ())
        assert lease.maker == "private address"
        learned = clients[ClientId(f"{mac(9)}/10.0.0.9")]
        assert learned.name == ("TV" if match == "found*" else "found9")

    run_registry(test, f'[[clients.name]]\nmatch = "{match}"\nname = "TV"')


def test_a_name_that_is_found_or_configured_later_is_used_from_then_on() -> None:
    async def test(r: RegistryFixture) -> None:
        r.lan.neighbour_table = (neighbour(9),)
        assert await r.names() == {"10.0.0.9"}
        r.found = FoundNames({f"{mac(9)}/10.0.0.9": FoundName(1.0, "found9")})
        assert await r.names() == {"found9"}
        r.options = r.configured(f'[[clients.name]]\nmatch = "{mac(9)}"\nname = "TV"')
        (client,) = (await r.poll()).values()
        assert (client.name, client.other_names) == ("TV", ("found9",))

    run_registry(test)
