"""When clients are asked for their names, and what becomes of the names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ports import RecordingPorts
from presence.names.test_packets import AVAHI, DNSMASQ, NMBD

from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.linux.values import ProcessResult
from powerd.presence.model import Client, ClientId, ClientState, ClientStatus
from powerd.presence.names.finder import FoundName, FoundNames, NameFinder, parse_maker
from powerd.simulation.lan import SimulatedLan, link, make_lan
from powerd.simulation.virtual_loop import run

EVERY = 60.0
MAC = "00:22:72:00:00:05"


class Fixture:
    """A finder on a LAN 10.77.9.0/24 whose hosts answer as scripted."""

    def __init__(self, storage: Storage | None = None, *, may_read: bool = True) -> None:
        self.lan = SimulatedLan(links=make_lan(link(address="10.77.9.1/24")))
        self.processes = RecordingPorts(
            command_result=ProcessResult(0, "ID_OUI_FROM_DATABASE=Dell Inc.\n", "")
        )
        self.may_read = may_read
        self.now = Moment(1000.0, 0.0, datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
        self.lan.files["/etc/resolv.conf"] = "nameserver 10.77.9.7\n"
        self.finder = NameFinder(
            self.lan, self.lan, self.processes, storage or Storage(None), lambda: self.may_read
        )

    def later(self, seconds: float) -> Fixture:
        """Let time pass."""
        self.now = Moment(self.now.mono + seconds, 0.0, self.now.wall + timedelta(seconds=seconds))
        return self

    async def see(self, *statuses: ClientStatus) -> list[tuple[str, int]]:
        """A decision about these clients; returns who is asked."""
        self.lan.calls.clear()
        self.finder.on_clients({each.client.id: each for each in statuses}, self.now, EVERY)
        for _ in range(50):
            await asyncio.sleep(0)
        return [(str(call[1]), int(str(call[2]))) for call in self.lan.calls if call[0] == "query"]

    def status(
        self,
        address: str = "10.77.9.5",
        *,
        name: str | None = None,
        state: ClientState = ClientState.PRESENT,
        answered_ago: float | None = 10.0,
        mac: str | None = MAC,
    ) -> ClientStatus:
        client = Client(ClientId(mac or address), (address,), mac, name, ("learned",))
        answered = None if answered_ago is None else self.now.mono - answered_ago
        return ClientStatus(client, state, "", self.now, answered_at=answered)


def run_finder(test: Callable[[Fixture], object], **settings: bool) -> None:
    async def main() -> None:
        fixture = Fixture(**settings)  # type: ignore[arg-type]  # only the flag is passed
        task = asyncio.create_task(fixture.finder.run())
        await test(fixture)  # type: ignore[misc]  # a coroutine function
        task.cancel()

    run(main())


def test_the_first_that_knows_a_name_gives_it() -> None:
    async def test(f: Fixture) -> None:
        assert await f.see(f.status()) == [("10.77.9.7", 53), ("10.77.9.5", 5353), ("10.77.9.5", 137)]
        f.lan.datagrams[("10.77.9.6", 137)] = NMBD
        await f.see(f.status("10.77.9.6", mac="00:22:72:00:00:06"))
        f.lan.datagrams[("10.77.9.5", 5353)] = AVAHI
        await f.see(f.status(mac="00:22:72:00:00:07"))
        f.lan.datagrams[("10.77.9.7", 53)] = DNSMASQ
        assert await f.see(f.status("10.77.9.8", mac="00:22:72:00:00:08")) == [("10.77.9.7", 53)]
        f.lan.files["/etc/hosts"] = "10.77.9.9 nas\n"
        assert await f.see(f.status("10.77.9.9", mac="00:22:72:00:00:09")) == []
        names = [f.finder.found.clients[f"00:22:72:00:00:0{n}"].name for n in range(5, 10)]
        assert names == [None, "annas-pc", "living-room-tv.local", "printer.lan", "nas"]

    run_finder(test)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": ClientState.DOZING},
        {"state": ClientState.ABSENT},
        {"state": ClientState.UNKNOWN},
        {"answered_ago": None},
        {"answered_ago": 1000.0},
        {"name": "tv"},
        {"address": "192.168.5.5"},
        {"address": "fe80::1%wlan7"},
    ],
)
def test_who_dozes_or_has_a_name_or_is_elsewhere_is_not_asked(changes: dict[str, object]) -> None:
    async def test(f: Fixture) -> None:
        assert await f.see(f.status(**changes)) == []  # type: ignore[arg-type]  # a table of its arguments

    run_finder(test)


def test_a_client_is_asked_once_and_again_after_growing_times() -> None:
    async def test(f: Fixture) -> None:
        asked = [bool(await f.see(f.later(time).status())) for time in (0, 60, 3600, 3600, 4 * 3600)]
        assert asked == [True, False, True, False, True]
        f.lan.datagrams[("10.77.9.5", 5353)] = AVAHI
        assert await f.see(f.later(7 * 86400).status())
        named = "living-room-tv.local"
        assert not await f.see(f.later(86400).status(name=named))
        f.lan.datagrams.clear()
        assert await f.see(f.later(7 * 86400).status(name=named))
        found = f.finder.found.clients[MAC]
        assert (found.name, found.failures) == ("living-room-tv.local", 1)

    run_finder(test)


def test_a_client_that_is_slow_to_answer_is_not_asked_twice() -> None:
    async def test(f: Fixture) -> None:
        go_on = asyncio.Event()
        query = f.lan.query

        async def wait(
            server: tuple[str, int],
            request: bytes,
            *,
            accepts: Callable[[bytes], bool],
            timeout: float,  # noqa: ASYNC109 - the signature of the port Network
        ) -> bytes | None:
            await go_on.wait()
            return await query(server, request, accepts=accepts, timeout=timeout)

        f.lan.query = wait  # type: ignore[method-assign]  # a network that is slow
        for _ in range(3):
            assert await f.see(f.later(1).status()) == []
        go_on.set()
        assert len(await f.see(f.later(1).status())) == 3

    run_finder(test)


@pytest.mark.parametrize("failures", range(12))
def test_the_time_to_the_next_attempt_is_bounded(failures: int) -> None:
    found = FoundName(1000.0, None, min(failures, 10))
    assert found.is_due(1000.0 + 7 * 86400)
    assert not found.is_due(1000.0 + 3599)
    assert found.is_due(999.0)  # the clock was ahead


def test_what_was_found_survives_a_restart(tmp_path: Path) -> None:
    found = FoundNames({MAC: FoundName(5.0, "tv"), "10.0.0.1": FoundName(7.0, None, 3)}, {"002272000": "x"})
    fixture = Fixture(Storage(tmp_path))
    fixture.finder.found = found
    fixture.finder.save()
    assert Fixture(Storage(tmp_path)).finder.found == found


def test_makers_are_looked_up_once_and_only_while_the_disk_spins() -> None:
    async def test(f: Fixture) -> None:
        absent = f.status(state=ClientState.ABSENT)
        private = f.status("10.77.9.6", state=ClientState.ABSENT, mac="02:00:00:00:00:06")
        await f.see(absent, private)
        assert f.processes.calls == []
        f.may_read = True
        for _ in range(2):
            await f.see(absent, private)
        assert [call[1] for call in f.processes.calls] == [("systemd-hwdb", "query", "OUI:002272000")]
        found = f.finder.found
        makers = [found.maker_of(each) for each in (MAC, "02:00:00:00:00:06", "00:00:00:00:00:01", None)]
        assert makers == ["Dell Inc.", "private address", None, None]

    run_finder(test, may_read=False)


def test_without_the_database_of_udev_there_are_no_makers() -> None:
    async def test(f: Fixture) -> None:
        f.processes.error = "there is no systemd-hwdb"
        await f.see(f.status(name="tv"))
        await f.see(f.status(name="tv"), f.status("10.77.9.6", name="pc", mac="00:22:72:00:00:06"))
        assert len(f.processes.calls) == 1
        assert f.finder.found.maker_of(MAC) is None

    run_finder(test)


@pytest.mark.parametrize(
    ("output", "maker"),
    [
        ("ID_OUI_FROM_DATABASE=A\x1b[1m=B \n", "A[1m=B"),
        ("", None),
        ("ID_OUI_FROM_DATABASE=\n", None),
        ("X=1\nID_OUI_FROM_DATABASE=" + "y" * 200, "y" * 80),
    ],
)
def test_the_output_of_hwdb(output: str, maker: str | None) -> None:
    assert parse_maker(output) == maker


def test_the_number_of_names_is_bounded() -> None:
    async def test(f: Fixture) -> None:
        many = {f"x{n}": FoundName(1.0) for n in range(5000)}
        f.finder.found = replace(f.finder.found, clients=many)
        await f.see(f.status())
        clients = f.finder.found.clients
        assert len(clients) == 4096
        assert MAC in clients

    run_finder(test)


def test_the_number_of_makers_is_bounded() -> None:
    async def test(f: Fixture) -> None:
        present = f.status(name="tv")
        many = {f"{n:09x}": "Dell Inc." for n in range(5000)} | {"002272000": "HP"}
        f.finder.found = replace(f.finder.found, makers=many)
        await f.see(present)
        assert f.finder.found.makers == {"002272000": "HP"}

    run_finder(test)
