from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fakes.lan import CONTROL, LEASES, FakeLan, link, mac, make_lan, neighbour

from powerd.config.load import parse
from powerd.config.options import ClientOptions
from powerd.linux.values import HostError
from powerd.presence.model import Client, ClientId
from powerd.presence.neighbours import LearnedHost, LearnedHosts
from powerd.presence.registry import ClientRegistry
from powerd.simulation.virtual_loop import run

T0 = 1_780_000_000.0
DAY = 86400.0


class RegistryFixture:
    """A Known in a village, with what it was told to remember."""

    def __init__(self, clients: str = "", book: LearnedHosts | None = None) -> None:
        self.village = FakeLan()
        self.remembered: list[LearnedHosts] = []
        self.options = self.configured(clients)
        self.known = ClientRegistry(self.village, book or {}, self.remembered.append)

    @staticmethod
    def configured(clients: str) -> ClientOptions:
        return parse(f"[clients]\n{clients}".encode(), "test").clients

    async def poll(self, now: float = T0, *, closely: bool = False) -> Mapping[ClientId, Client]:
        table = self.village.neighbour_table
        return await self.known.poll(self.options, self.village.links, table, now, near_sleep=closely)

    async def names(self, now: float = T0) -> set[str]:
        return {client.label for client in (await self.poll(now)).values()}


def run_registry(
    test: Callable[[RegistryFixture], Awaitable[None]], clients: str = "", book: LearnedHosts | None = None
) -> None:
    async def main() -> None:
        await test(RegistryFixture(clients, book))

    run(main())


def test_nothing_new_is_the_same_mapping() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.set_leases(1, 2)
        r.village.neighbour_table = (neighbour(3),)
        first = await r.poll()
        r.village.neighbour_table = (neighbour(3, ago=9.0),)
        assert await r.poll(T0 + 60) is first
        r.village.neighbour_table = (neighbour(3), neighbour(4))
        assert len(await r.poll(T0 + 120)) == 4

    run_registry(test)


def test_a_link_that_comes_up_rebuilds_the_registry() -> None:
    """An address that has become this server's own is no client's."""

    async def test(r: RegistryFixture) -> None:
        r.village.set_leases(1, 2)
        await r.poll()
        r.village.links = make_lan(link(), link(3, "10.0.0.1/24"))
        assert await r.names() == {"host2"}

    run_registry(test)


def test_leases_that_lapse_are_noticed_although_nothing_changes() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.files[LEASES] = (
            f"{T0 + 60:.0f} {mac(1)} 10.0.0.1 brief *\n{T0 + DAY:.0f} {mac(2)} 10.0.0.2 long *\n"
        )
        assert await r.names() == {"brief", "long"}
        assert await r.names(T0 + 30 * DAY) == {"brief", "long"}
        assert await r.names(T0 + 30.5 * DAY) == {"long"}

    run_registry(test, 'learn = "0s"')


def test_who_talks_to_this_server_is_learned_and_remembered() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.neighbour_table = (neighbour(3),)
        assert await r.names() == {"10.0.0.3"}
        assert r.remembered == [{mac(3): LearnedHost("10.0.0.3", T0 - 1)}]
        r.village.neighbour_table = ()
        assert await r.names(T0 + 29 * DAY) == {"10.0.0.3"}
        assert await r.names(T0 + 31 * DAY) == set()
        assert r.remembered[-1] == {}

    run_registry(test)


def test_a_learned_host_that_has_moved_is_remembered_where_it_is() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.neighbour_table = (neighbour(9, "10.0.0.10"),)
        await r.poll()
        assert r.remembered == [{mac(9): LearnedHost("10.0.0.10", T0 - 1)}]
        await r.poll(T0 + 60)
        assert len(r.remembered) == 1, "that it is still there is not worth a write"

    run_registry(test, book={mac(9): LearnedHost("10.0.0.9", T0 - DAY)})


def test_an_unlisted_neighbour_that_stays_is_refreshed_every_few_days() -> None:
    """Or a server that is up for a month and then loses its power would have forgotten who was there."""

    async def test(r: RegistryFixture) -> None:
        for day in range(7):
            r.village.neighbour_table = (neighbour(9),)
            await r.poll(T0 + day * DAY)
        assert r.remembered == [{mac(9): LearnedHost("10.0.0.9", T0 + day * DAY - 1)} for day in (3, 6)]

    run_registry(test, book={mac(9): LearnedHost("10.0.0.9", T0 - DAY)})


def test_only_whom_nothing_else_names_must_be_remembered() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.set_leases(3)
        r.village.neighbour_table = (neighbour(3),)
        await r.poll()
        assert r.remembered == []
        assert r.known.unlisted_neighbours == {}

    run_registry(test)


def test_a_learned_client_survives_a_restart() -> None:
    async def test(r: RegistryFixture) -> None:
        assert await r.names() == {"10.0.0.9"}

    run_registry(test, book={mac(9): LearnedHost("10.0.0.9", T0 - DAY)})


def test_learning_can_be_switched_off_and_on() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.neighbour_table = (neighbour(3),)
        assert await r.names() == set()
        r.options = r.configured('learn = "1d"')
        assert await r.names() == {"10.0.0.3"}
        r.options = r.configured('learn = "0s"')
        assert await r.names() == set()

    run_registry(test, 'learn = "0s"', {mac(9): LearnedHost("10.0.0.9", T0)})


def test_other_lease_files_hold_from_the_next_poll() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.set_leases(1)
        r.village.files["/srv/other.leases"] = f"0 {mac(2)} 10.0.0.2 other *\n"
        assert await r.names() == {"host1"}
        r.options = r.configured('leases = ["/srv/other.leases"]')
        assert await r.names() == {"other"}

    run_registry(test)


def test_a_missing_required_lease_file_is_unavailable() -> None:
    async def test(r: RegistryFixture) -> None:
        await r.poll()
        assert r.known.unavailable_reason is not None
        assert r.known.unavailable_reason.startswith("/srv/other.leases: there is no such lease file")

    run_registry(test, 'leases = ["/srv/other.leases"]')


def test_a_garbled_entry_is_a_warning() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.set_leases(1)
        r.village.files[LEASES] += "this is no lease\n"
        assert await r.names() == {"host1"}
        (warning,) = r.known.warnings
        assert warning.startswith(f"{LEASES}: 1 entry skipped")
        assert r.known.unavailable_reason is None

    run_registry(test)


def test_associated_stations_are_distinguished_from_those_that_left() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.associated = (mac(1), mac(2))
        await r.poll()
        assert r.known.associated_stations == {mac(1), mac(2)}
        r.village.associated = (mac(2),)
        assert set(await r.poll(T0 + 60)) == {mac(1), mac(2)}
        assert r.known.associated_stations == {mac(2)}

    run_registry(test, f'leases = ["{CONTROL}"]\nlearn = "0s"')


def test_an_address_needs_no_resolver() -> None:
    async def test(r: RegistryFixture) -> None:
        assert await r.names() == {"10.0.0.44"}
        assert r.village.resolved_names == []

    run_registry(test, 'hosts = ["10.0.0.44"]')


def test_names_are_resolved_now_and_then() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.dns = {"tv.lan": ("10.0.0.5",)}
        for after in (0, 60, 3599, 3600, 3660):
            found = await r.poll(T0 + after)
            assert found[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert r.village.resolved_names == ["tv.lan", "tv.lan"]

    run_registry(test, 'hosts = ["tv.lan"]')


def test_before_a_sleep_an_address_that_has_moved_is_noticed() -> None:
    """Asked at its old address it would be silent, and the server would sleep on whoever watches."""

    async def test(r: RegistryFixture) -> None:
        r.village.dns = {"tv.lan": ("10.0.0.5",)}
        await r.poll()
        r.village.dns = {"tv.lan": ("10.0.0.6",)}
        assert (await r.poll(T0 + 120))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert (await r.poll(T0 + 121, closely=True))[ClientId("tv.lan")].addresses == ("10.0.0.6",)
        await r.poll(T0 + 131, closely=True)
        assert len(r.village.resolved_names) == 2, "but not at each of the close looks"

    run_registry(test, 'hosts = ["tv.lan"]')


def test_a_name_that_no_longer_resolves_keeps_its_address() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.dns = {"tv.lan": ("10.0.0.5",)}
        await r.poll()
        r.village.dns = {}
        assert (await r.poll(T0 + 4000))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        r.village.dns = {"tv.lan": HostError("cannot resolve tv.lan: getent ended with status 3")}
        assert (await r.poll(T0 + 4300))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert r.known.warnings == ("cannot resolve tv.lan: getent ended with status 3",)
        r.village.dns = {"tv.lan": ("10.0.0.6",)}
        found = await r.poll(T0 + 4600)
        assert found[ClientId("tv.lan")].addresses == ("10.0.0.6",)
        assert list(r.known.warnings) == []

    run_registry(test, 'hosts = ["tv.lan"]')


def test_a_failing_resolver_does_not_hide_the_others() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.set_leases(1)
        r.village.dns = {"tv.lan": HostError("cannot resolve tv.lan: it is slow")}
        found = await r.poll()
        assert found[ClientId("tv.lan")].addresses == ()
        assert ClientId(mac(1)) in found

    run_registry(test, 'hosts = ["tv.lan"]')


def test_a_wall_clock_set_back_asks_again() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.dns = {"tv.lan": ("10.0.0.5",)}
        await r.poll()
        await r.poll(T0 - 9 * 3600)
        assert len(r.village.resolved_names) == 2

    run_registry(test, 'hosts = ["tv.lan"]')


def test_many_names_are_asked_for_together() -> None:
    """A resolver that has lost its server takes 5 s for each name; a look has 15."""

    async def test(r: RegistryFixture) -> None:
        resolve = r.village.resolve

        class Slow(FakeLan):
            async def resolve(self, name: str) -> tuple[str, ...]:
                await asyncio.sleep(5)
                return await resolve(name)

        known = ClientRegistry(Slow(), {}, lambda _: None)
        await known.poll(r.options, r.village.links, (), T0, near_sleep=False)
        assert asyncio.get_running_loop().time() < 6
        assert len(r.village.resolved_names) == 20

    run_registry(test, f"hosts = {[f'host{n}.lan' for n in range(20)]}")


def test_a_reservation_by_name_is_resolved_unless_it_has_a_lease() -> None:
    conf = "".join(
        f"host h{n} {{ hardware ethernet {mac(n)}; fixed-address {name}; }}\n"
        for n, name in ((1, "tv.lan"), (2, "10.0.0.2"), (3, "gone.lan"), (4, "leased.lan"))
    )

    async def test(r: RegistryFixture) -> None:
        r.village.files["/etc/dhcp/dhcpd.conf"] = conf
        r.village.set_leases(4)
        r.village.dns["tv.lan"] = ("10.0.0.44",)
        clients = await r.poll()
        assert clients[ClientId(mac(1))].addresses == ("10.0.0.44",)
        assert clients[ClientId(mac(2))].addresses == ("10.0.0.2",)
        assert ClientId(mac(3)) not in clients, "it cannot be asked, and nobody in the configuration wants it"
        assert clients[ClientId(mac(4))].addresses == ("10.0.0.4",)
        assert set(r.village.resolved_names) == {"tv.lan", "gone.lan"}

    run_registry(test, 'learn = "0s"')


def test_a_thousand_clients_are_joined_without_holding_up_the_loop() -> None:
    async def test(r: RegistryFixture) -> None:
        r.village.files[LEASES] = "".join(
            f"0 02:00:00:01:{n >> 8:02x}:{n & 255:02x} 10.1.{n >> 8}.{n & 255} host{n} *\n"
            for n in range(1024)
        )
        assert len(await r.poll()) == 1024
        assert r.village.yields >= 8

    run_registry(test, 'learn = "0s"')
