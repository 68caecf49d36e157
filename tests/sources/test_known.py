from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from sources.village import CONTROL, LEASES, Village, lan_of, link, mac, neighbour

from powerd.config import Clients, parse
from powerd.host.values import HostError
from powerd.model import Client, ClientId
from powerd.rehearse.loop import run
from powerd.sources.known import Known
from powerd.sources.learned import Book, Learned

T0 = 1_780_000_000.0
DAY = 86400.0


class Registry:
    """A Known in a village, with what it was told to remember."""

    def __init__(self, clients: str = "", book: Book | None = None) -> None:
        self.village = Village()
        self.remembered: list[Book] = []
        self.options = self.configured(clients)
        self.known = Known(self.village, book or {}, self.remembered.append)

    @staticmethod
    def configured(clients: str) -> Clients:
        return parse(f"[clients]\n{clients}".encode(), "test").clients

    async def look(self, now: float = T0, *, closely: bool = False) -> Mapping[ClientId, Client]:
        table = self.village.table
        return await self.known.look(self.options, self.village.place, table, now, closely=closely)

    async def names(self, now: float = T0) -> set[str]:
        return {client.label for client in (await self.look(now)).values()}


def looking(test: Callable[[Registry], Awaitable[None]], clients: str = "", book: Book | None = None) -> None:
    async def main() -> None:
        await test(Registry(clients, book))

    run(main())


def test_nothing_new_is_the_same_mapping() -> None:
    async def test(r: Registry) -> None:
        r.village.leases(1, 2)
        r.village.table = (neighbour(3),)
        first = await r.look()
        r.village.table = (neighbour(3, ago=9.0),)
        assert await r.look(T0 + 60) is first
        r.village.table = (neighbour(3), neighbour(4))
        assert len(await r.look(T0 + 120)) == 4

    looking(test)


def test_a_link_that_comes_up_makes_the_roster_anew() -> None:
    """An address that has become this server's own is no client's."""

    async def test(r: Registry) -> None:
        r.village.leases(1, 2)
        await r.look()
        r.village.place = lan_of(link(), link(3, "10.0.0.1/24"))
        assert await r.names() == {"host2"}

    looking(test)


def test_leases_that_lapse_are_noticed_although_nothing_changes() -> None:
    async def test(r: Registry) -> None:
        r.village.files[LEASES] = (
            f"{T0 + 60:.0f} {mac(1)} 10.0.0.1 brief *\n{T0 + DAY:.0f} {mac(2)} 10.0.0.2 long *\n"
        )
        assert await r.names() == {"brief", "long"}
        assert await r.names(T0 + 30 * DAY) == {"brief", "long"}
        assert await r.names(T0 + 30.5 * DAY) == {"long"}

    looking(test, 'learn = "0s"')


def test_who_talks_to_this_server_is_learned_and_remembered() -> None:
    async def test(r: Registry) -> None:
        r.village.table = (neighbour(3),)
        assert await r.names() == {"10.0.0.3"}
        assert r.remembered == [{mac(3): Learned("10.0.0.3", T0 - 1)}]
        r.village.table = ()
        assert await r.names(T0 + 29 * DAY) == {"10.0.0.3"}
        assert await r.names(T0 + 31 * DAY) == set()
        assert r.remembered[-1] == {}

    looking(test)


def test_a_learned_host_that_has_moved_is_remembered_where_it_is() -> None:
    async def test(r: Registry) -> None:
        r.village.table = (neighbour(9, "10.0.0.10"),)
        await r.look()
        assert r.remembered == [{mac(9): Learned("10.0.0.10", T0 - 1)}]
        await r.look(T0 + 60)
        assert len(r.remembered) == 1, "that it is still there is not worth a write"

    looking(test, book={mac(9): Learned("10.0.0.9", T0 - DAY)})


def test_a_stranger_who_stays_is_remembered_anew_every_few_days() -> None:
    """Or a server that is up for a month and then loses its power would have forgotten who was there."""

    async def test(r: Registry) -> None:
        for day in range(7):
            r.village.table = (neighbour(9),)
            await r.look(T0 + day * DAY)
        assert r.remembered == [{mac(9): Learned("10.0.0.9", T0 + day * DAY - 1)} for day in (3, 6)]

    looking(test, book={mac(9): Learned("10.0.0.9", T0 - DAY)})


def test_only_whom_nothing_else_names_must_be_remembered() -> None:
    async def test(r: Registry) -> None:
        r.village.leases(3)
        r.village.table = (neighbour(3),)
        await r.look()
        assert r.remembered == []
        assert r.known.strangers == {}

    looking(test)


def test_who_was_learned_before_a_restart_is_known() -> None:
    async def test(r: Registry) -> None:
        assert await r.names() == {"10.0.0.9"}

    looking(test, book={mac(9): Learned("10.0.0.9", T0 - DAY)})


def test_learning_can_be_switched_off_and_on() -> None:
    async def test(r: Registry) -> None:
        r.village.table = (neighbour(3),)
        assert await r.names() == set()
        r.options = r.configured('learn = "1d"')
        assert await r.names() == {"10.0.0.3"}
        r.options = r.configured('learn = "0s"')
        assert await r.names() == set()

    looking(test, 'learn = "0s"', {mac(9): Learned("10.0.0.9", T0)})


def test_other_lease_files_hold_from_the_next_look() -> None:
    async def test(r: Registry) -> None:
        r.village.leases(1)
        r.village.files["/srv/other.leases"] = f"0 {mac(2)} 10.0.0.2 other *\n"
        assert await r.names() == {"host1"}
        r.options = r.configured('leases = ["/srv/other.leases"]')
        assert await r.names() == {"other"}

    looking(test)


def test_a_lease_file_that_must_be_there_and_is_not_is_blind() -> None:
    async def test(r: Registry) -> None:
        await r.look()
        assert r.known.blind is not None
        assert r.known.blind.startswith("/srv/other.leases: there is no such lease file")

    looking(test, 'leases = ["/srv/other.leases"]')


def test_a_garbled_entry_is_a_warning() -> None:
    async def test(r: Registry) -> None:
        r.village.leases(1)
        r.village.files[LEASES] += "this is no lease\n"
        assert await r.names() == {"host1"}
        (warning,) = r.known.warnings
        assert warning.startswith(f"{LEASES}: 1 entry skipped")
        assert r.known.blind is None

    looking(test)


def test_stations_are_told_apart_from_those_that_left() -> None:
    async def test(r: Registry) -> None:
        r.village.associated = (mac(1), mac(2))
        await r.look()
        assert r.known.stations == {mac(1), mac(2)}
        r.village.associated = (mac(2),)
        assert set(await r.look(T0 + 60)) == {mac(1), mac(2)}
        assert r.known.stations == {mac(2)}

    looking(test, f'leases = ["{CONTROL}"]\nlearn = "0s"')


def test_an_address_needs_no_resolver() -> None:
    async def test(r: Registry) -> None:
        assert await r.names() == {"10.0.0.44"}
        assert r.village.resolved == []

    looking(test, 'hosts = ["10.0.0.44"]')


def test_names_are_resolved_now_and_then() -> None:
    async def test(r: Registry) -> None:
        r.village.names = {"tv.lan": ("10.0.0.5",)}
        for after in (0, 60, 3599, 3600, 3660):
            found = await r.look(T0 + after)
            assert found[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert r.village.resolved == ["tv.lan", "tv.lan"]

    looking(test, 'hosts = ["tv.lan"]')


def test_before_a_sleep_an_address_that_has_moved_is_noticed() -> None:
    """Asked at its old address it would be silent, and the server would sleep on whoever watches."""

    async def test(r: Registry) -> None:
        r.village.names = {"tv.lan": ("10.0.0.5",)}
        await r.look()
        r.village.names = {"tv.lan": ("10.0.0.6",)}
        assert (await r.look(T0 + 120))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert (await r.look(T0 + 121, closely=True))[ClientId("tv.lan")].addresses == ("10.0.0.6",)
        await r.look(T0 + 131, closely=True)
        assert len(r.village.resolved) == 2, "but not at each of the close looks"

    looking(test, 'hosts = ["tv.lan"]')


def test_a_name_that_no_longer_resolves_keeps_its_address() -> None:
    async def test(r: Registry) -> None:
        r.village.names = {"tv.lan": ("10.0.0.5",)}
        await r.look()
        r.village.names = {}
        assert (await r.look(T0 + 4000))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        r.village.names = {"tv.lan": HostError("cannot resolve tv.lan: getent ended with status 3")}
        assert (await r.look(T0 + 4300))[ClientId("tv.lan")].addresses == ("10.0.0.5",)
        assert r.known.warnings == ("cannot resolve tv.lan: getent ended with status 3",)
        r.village.names = {"tv.lan": ("10.0.0.6",)}
        found = await r.look(T0 + 4600)
        assert found[ClientId("tv.lan")].addresses == ("10.0.0.6",)
        assert list(r.known.warnings) == []

    looking(test, 'hosts = ["tv.lan"]')


def test_a_resolver_in_trouble_does_not_hide_the_others() -> None:
    async def test(r: Registry) -> None:
        r.village.leases(1)
        r.village.names = {"tv.lan": HostError("cannot resolve tv.lan: it is slow")}
        found = await r.look()
        assert found[ClientId("tv.lan")].addresses == ()
        assert ClientId(mac(1)) in found

    looking(test, 'hosts = ["tv.lan"]')


def test_a_wall_clock_set_back_asks_again() -> None:
    async def test(r: Registry) -> None:
        r.village.names = {"tv.lan": ("10.0.0.5",)}
        await r.look()
        await r.look(T0 - 9 * 3600)
        assert len(r.village.resolved) == 2

    looking(test, 'hosts = ["tv.lan"]')


def test_many_names_are_asked_for_together() -> None:
    """A resolver that has lost its server takes 5 s for each name; a look has 15."""

    async def test(r: Registry) -> None:
        resolve = r.village.resolve

        class Slow(Village):
            async def resolve(self, name: str) -> tuple[str, ...]:
                await asyncio.sleep(5)
                return await resolve(name)

        known = Known(Slow(), {}, lambda _: None)
        await known.look(r.options, r.village.place, (), T0, closely=False)
        assert asyncio.get_running_loop().time() < 6
        assert len(r.village.resolved) == 20

    looking(test, f"hosts = {[f'host{n}.lan' for n in range(20)]}")


def test_a_reservation_by_name_is_resolved_unless_it_has_a_lease() -> None:
    conf = "".join(
        f"host h{n} {{ hardware ethernet {mac(n)}; fixed-address {name}; }}\n"
        for n, name in ((1, "tv.lan"), (2, "10.0.0.2"), (3, "gone.lan"), (4, "leased.lan"))
    )

    async def test(r: Registry) -> None:
        r.village.files["/etc/dhcp/dhcpd.conf"] = conf
        r.village.leases(4)
        r.village.names["tv.lan"] = ("10.0.0.44",)
        clients = await r.look()
        assert clients[ClientId(mac(1))].addresses == ("10.0.0.44",)
        assert clients[ClientId(mac(2))].addresses == ("10.0.0.2",)
        assert ClientId(mac(3)) not in clients, "it cannot be asked, and nobody in the configuration wants it"
        assert clients[ClientId(mac(4))].addresses == ("10.0.0.4",)
        assert set(r.village.resolved) == {"tv.lan", "gone.lan"}

    looking(test, 'learn = "0s"')


def test_a_thousand_clients_are_joined_without_holding_up_the_loop() -> None:
    async def test(r: Registry) -> None:
        r.village.files[LEASES] = "".join(
            f"0 02:00:00:01:{n >> 8:02x}:{n & 255:02x} 10.1.{n >> 8}.{n & 255} host{n} *\n"
            for n in range(1024)
        )
        assert len(await r.look()) == 1024
        assert r.village.breaths >= 8

    looking(test, 'learn = "0s"')
