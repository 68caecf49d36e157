"""The connection to the broker on virtual time: what is published, and what becomes of what arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import pytest
from fakes.broker import FakeBroker
from fakes.ports import RecordingPorts
from fakes.storage import MemoryStorage
from ui.statuses import at, family, idle, warning

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import RequestRefusedError, Sleep, WakeTime
from powerd.core.service import Environment
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.linux.values import Lan
from powerd.mqtt.model import PeerFacts, PeerServer
from powerd.mqtt.payloads import MAX_PEERS, encode_server
from powerd.mqtt.policy import GONE_HOLDS_FOR
from powerd.mqtt.service import FAREWELL_TIMEOUT, MqttService
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import run

LOGIN: Final = 'broker = "mqtt://10.0.0.3"\nname = "nas"\nuser = "powerd"\n'
SERVER, STATE = "powerd/nas/server", "powerd/nas/state"
CONFIG = "homeassistant/device/powerd_nas/config"


class NoLan(RecordingPorts):
    async def lan(self) -> Lan:
        return Lan(())


class Requests:
    """What has been requested."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.error: str | None = None

    async def keep(self, seconds: float, reason: str) -> None:
        self._record("keep", seconds, reason)

    async def sleep(self, *, over_clients: bool) -> None:
        self._record("sleep", over_clients)

    async def wake_host(self, host: str) -> None:
        self._record("wake", host)

    def _record(self, *call: object) -> None:
        if self.error:
            raise RequestRefusedError(self.error)
        self.calls.append(call)


class Server:
    """A server with the service of the domain, and the broker."""

    def __init__(self, config: str = LOGIN, storage: MemoryStorage | None = None) -> None:
        self.options: Options = parse(f"[mqtt]\n{config}".encode(), "test")
        self.broker, self.requests, self.state = FakeBroker(), Requests(), StateStore()
        self.errors: list[str] = []
        self.clock = SimulatedClock()
        self.storage = storage or MemoryStorage({})
        environment = Environment(
            self.clock, self.state, lambda: self.options, self.storage, self.errors.append, ""
        )
        ports = replace(NoLan().ports(), connect_to_broker=self.broker.connect)
        self.may_write = True
        self.service = MqttService(
            ports,
            environment,
            self.requests,  # type: ignore[arg-type] # has the same methods
            lambda: 3600.0,
            lambda: self.may_write,
        )

    @property
    def dependents(self) -> set[str]:
        return {name for name, each in self.facts.known.items() if each.needs_this}

    @property
    def facts(self) -> PeerFacts:
        return self.state.snapshot().part(PeerFacts)

    def stored(self, topic: str = SERVER) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.broker.stored[topic])
        return document

    async def decide(self, status: Status | None = None) -> None:
        """A decision, and a moment for what it causes."""
        self.service.on_decision(status or family())
        await asyncio.sleep(0.01)

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run ``scene`` while the service runs."""

        async def main() -> None:
            (task,) = self.service.tasks().values()
            life = asyncio.ensure_future(task)
            await asyncio.sleep(0.01)
            await scene()
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life

        run(main())


def peer(state: str, *needs: str) -> str:
    return json.dumps({"state": state, "needs": needs})


def test_birth_and_farewell() -> None:
    server = Server()

    async def scene() -> None:
        assert server.broker.published == [], "nothing before the first decision"
        await server.decide()
        assert [topic for topic, _ in server.broker.published] == [STATE, CONFIG, SERVER]
        assert server.stored()["state"] == "up"
        assert server.facts.synchronised
        assert json.loads(server.broker.logins[0].will[1])["state"] == "gone"

    server.run(scene)
    assert server.broker.latest.ended == "closed with will", "a restart is not news"
    assert server.stored()["state"] == "up"


def test_nothing_is_sent_while_nothing_changes() -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        sent = len(server.broker.published)
        for _ in range(100):
            await server.decide()
        assert len(server.broker.published) == sent
        await server.decide(idle())
        assert [topic for topic, _ in server.broker.published[sent:]] == [STATE]

    server.run(scene)


def going_down() -> Status:
    given = warning()
    running = replace(given.snapshot, running_actions=frozenset({Sleep(0, "suspend")}))
    return replace(given, snapshot=running)


def test_a_sleep_is_announced_and_ends() -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        await server.service.before_sleep(WakeTime(at(3600), "backup.timer"))
        assert server.stored()["state"] == "asleep"
        assert server.stored()["until"] == server.stored(STATE)["next_wake"] == "2026-01-12T22:16:00+01:00"
        assert server.stored(STATE)["state"] == "asleep"
        assert server.facts.synchronised, "the connection that is closed is not a reason to stay awake"
        sent = len(server.broker.published)
        await server.decide(going_down())
        await asyncio.sleep(100)
        assert len(server.broker.published) == sent
        await server.decide()
        assert server.stored()["state"] == "up"
        assert server.stored(STATE)["state"] == "awake"

    server.run(scene)


def test_a_resume_makes_a_new_connection() -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        await server.service.before_sleep(None)
        memory = replace(family().decision.memory, resumed_at=family().now.mono)
        woken = replace(going_down(), decision=replace(family().decision, memory=memory))
        await server.decide(woken)
        assert len(server.broker.logins) == 2
        assert server.stored()["state"] == "up"

    server.run(scene)


@pytest.mark.parametrize("connected", [True, False])
def test_a_broker_that_does_not_answer_delays_a_sleep_by_two_seconds_at_most(*, connected: bool) -> None:
    server = Server()
    server.broker.acknowledges = False
    if not connected:
        server.broker.error = "refused"

    async def scene() -> None:
        await server.decide()
        began = asyncio.get_running_loop().time()
        await server.service.before_sleep(None)
        assert asyncio.get_running_loop().time() - began <= FAREWELL_TIMEOUT + 0.1
        assert server.broker.clients == []

    server.run(scene)


def test_the_broker_is_lost_and_comes_back() -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        server.broker.stop("no connection to the broker: refused")
        await asyncio.sleep(3600)
        assert (server.facts.synchronised, server.facts.problem) == (False, server.broker.error)
        assert 10 < len(server.broker.logins) < 25, "the pauses grow to five minutes"
        server.broker.error = None
        await asyncio.sleep(301)
        assert (server.facts.synchronised, server.facts.problem) == (True, "")
        assert server.stored()["state"] == "up"

    server.run(scene)


@pytest.mark.parametrize("lasts", [1.0, 60.0])
def test_pauses_grow_if_connections_are_short(lasts: float) -> None:
    """As with two servers of one name, each of which ends the connection of the other."""
    server = Server()

    async def scene() -> None:
        await server.decide()
        for _ in range(3600):
            await asyncio.sleep(lasts)
            if server.broker.clients:
                server.broker.stop("it has ended the connection")
                server.broker.error = None
        assert len(server.broker.logins) < 25 + 3600 * lasts / 300
        pauses = len(server.broker.logins)
        await asyncio.sleep(3600)
        server.broker.stop("it has ended the connection")
        server.broker.error = None
        await asyncio.sleep(3)
        assert len(server.broker.logins) <= pauses + 2
        assert server.facts.synchronised, "after a long connection the next attempt is made at once"

    server.run(scene)


def test_other_servers() -> None:
    storage = MemoryStorage({})
    server = Server(storage=storage)
    server.broker.stored["powerd/tv/server"] = peer("up", "nas")

    async def scene() -> None:
        await server.decide()
        assert server.facts.peers["tv"].needs == ("nas",)
        assert server.dependents == {"tv"}
        since = server.facts.peers["tv"].since
        await asyncio.sleep(60)
        server.broker.send("powerd/tv/server", peer("up", "nas"))
        await asyncio.sleep(1)
        assert server.facts.peers["tv"].since == since
        server.broker.send("powerd/tv/server", peer("asleep", "nas"))
        await asyncio.sleep(1)
        assert server.facts.peers["tv"].state == "asleep"
        server.broker.send("powerd/tv/server", "")
        await asyncio.sleep(1)
        assert server.facts.peers == {}
        assert server.dependents == set()
        server.may_write = False
        await server.decide()
        assert Server(storage=storage).dependents == {"tv"}, "the disk of the state directory is in standby"
        server.may_write = True
        await server.decide()

    server.run(scene)
    server = Server(storage=storage)
    assert server.dependents == set()


def test_servers_that_need_this_one_are_known_after_a_restart() -> None:
    storage = MemoryStorage({})
    first = Server(storage=storage)
    first.broker.stored["powerd/tv/server"] = peer("asleep", "nas")
    first.may_write = False
    first.run(first.decide)
    assert Server(storage=storage).dependents == set()
    first.service.close()
    assert Server(storage=storage).dependents == {"tv"}


def test_a_broker_without_persistence_forgets_a_server_and_powerd_does_not() -> None:
    server = Server(f'{LOGIN}needs = ["hub"]\n')
    server.broker.stored["powerd/tv/server"] = peer("asleep", "nas")
    server.broker.stored["powerd/hub/server"] = peer("asleep")

    async def scene() -> None:
        await server.decide()
        server.broker.stop("refused")
        server.broker.stored.clear()
        await asyncio.sleep(1)
        server.broker.error = None
        await asyncio.sleep(60)
        assert server.facts.synchronised
        assert server.facts.peers.keys() == {"tv"}, "it may have woken up since"
        assert server.facts.known.keys() == {"tv", "hub"}
        server.broker.send("powerd/tv/server", "no message of powerd's")
        await asyncio.sleep(1)
        assert server.dependents == {"tv"}
        server.broker.send("powerd/tv/server", "")
        await asyncio.sleep(1)
        assert server.dependents == set()

    server.run(scene)


def test_a_server_is_remembered_by_when_it_was_last_up() -> None:
    server = Server()

    def seen_ago() -> float:
        return server.clock.now().wall.timestamp() - server.facts.known["tv"].seen_at

    async def scene() -> None:
        await server.decide()
        server.broker.send("powerd/tv/server", peer("up", "nas"))
        await asyncio.sleep(2 * 86400)
        server.broker.send("powerd/tv/server", peer("gone", "nas"))
        server.broker.send("powerd/tv/server", peer("asleep", "nas"), retained=True)
        await asyncio.sleep(1)
        assert seen_ago() > 86400
        server.broker.send("powerd/tv/server", peer("asleep", "nas"))
        await asyncio.sleep(1)
        assert seen_ago() < 86400

    server.run(scene)


def present(server: Server) -> Status:
    return replace(family(), now=server.clock.now())


def test_a_server_that_is_up_for_months_is_known_to_be_up() -> None:
    """It has nothing to send, and then the broker fails."""
    server = Server()

    async def scene() -> None:
        await server.decide()
        server.broker.send("powerd/tv/server", peer("up", "nas"))
        server.broker.send("powerd/hub/server", peer("asleep", "nas"))
        await asyncio.sleep(40 * 86400)
        later = present(server)
        await server.decide(later)
        assert later.now.wall.timestamp() - server.facts.known["tv"].seen_at < 86400
        assert later.now.wall.timestamp() - server.facts.known["hub"].seen_at > 39 * 86400
        server.broker.stop("no answer")
        await asyncio.sleep(40 * 86400)
        last = present(server)
        await server.decide(last)
        assert last.now.wall.timestamp() - server.facts.known["tv"].seen_at > 39 * 86400, "nobody knows it"

    server.run(scene)


def test_a_disk_in_standby_is_not_started_to_store_times_alone() -> None:
    storage = MemoryStorage({})
    server = Server(storage=storage)
    server.broker.stored["powerd/tv/server"] = peer("up", "nas")

    async def scene() -> None:
        await server.decide(present(server))
        await server.decide(present(server))
        server.may_write = False
        for days, stores in ((2, False), (10, True)):
            await asyncio.sleep(days * 86400)
            await server.decide(present(server))
            before = len(storage.written)
            server.service.close()
            assert (len(storage.written) > before) == stores

    server.run(scene)


def test_a_server_that_was_renamed_while_powerd_did_not_run_leaves_nothing_behind() -> None:
    storage = MemoryStorage({})
    first = Server(storage=storage)
    first.run(first.decide)
    first.service.close()
    second = Server(LOGIN.replace('"nas"', '"attic"'), storage)
    second.broker.stored = dict(first.broker.stored)
    second.run(second.decide)
    assert {second.broker.stored[each] for each in (SERVER, STATE, CONFIG)} == {""}
    assert second.stored("powerd/attic/server")["state"] == "up"


async def _restart(broker: FakeBroker, *, after: float) -> None:
    await asyncio.sleep(after)
    broker.stop("refused")
    await asyncio.sleep(1)
    broker.error = None
    await asyncio.sleep(60)


def test_a_server_that_is_not_stored_any_more_counts_as_gone_once() -> None:
    """A broker that is restarted without persistence learns of it only when it connects.

    It was up, or has woken up since; one that needs nothing here and was asleep is of no interest.
    """
    server = Server()
    server.broker.stored["powerd/tv/server"] = peer("up", "nas")
    server.broker.stored["powerd/hub/server"] = peer("asleep", "nas")
    server.broker.stored["powerd/lamp/server"] = peer("up")
    server.broker.stored["powerd/attic/server"] = peer("asleep")

    async def scene() -> None:
        await server.decide()
        server.broker.stored.clear()
        await _restart(server.broker, after=0)
        first = server.facts.peers
        assert {name: each.state for name, each in first.items()} == dict.fromkeys(
            ("hub", "lamp", "tv"), "gone"
        )
        await _restart(server.broker, after=GONE_HOLDS_FOR / 2)
        assert server.facts.peers == first
        await _restart(server.broker, after=GONE_HOLDS_FOR / 2)
        assert server.facts.peers == {name: first[name] for name in ("hub", "tv")}, "they keep no server up"
        server.broker.send("powerd/tv/server", "")
        await server.decide()
        assert server.facts.peers.keys() == server.dependents == {"hub"}, "a person has deleted its topic"

    server.run(scene)


def test_a_server_counts_also_after_a_restart_of_powerd_and_of_a_broker_without_persistence() -> None:
    """Until it has connected again, which takes it minutes; the hold ends by itself."""
    first = Server()
    first.broker.stored["powerd/tv/server"] = peer("up", "nas")
    first.broker.stored["powerd/lamp/server"] = peer("up")
    first.run(first.decide)
    first.service.close()
    second = Server(storage=first.storage)

    async def scene() -> None:
        await second.decide()
        assert second.facts.synchronised
        (tv,) = second.facts.peers.values()
        assert (tv.state, tv.needs) == ("gone", ("nas",))
        assert second.dependents == {"tv"}
        second.broker.send("powerd/tv/server", peer("up", "nas"))
        await second.decide()
        assert second.facts.peers["tv"].state == "up"

    second.run(scene)


@pytest.mark.parametrize(
    ("payload", "call"),
    [
        ("keep 1h", ("keep", 3600.0, "requested over MQTT")),
        ("sleep", ("sleep", False)),
        ("wake 02:00:00:00:00:01", ("wake", "02:00:00:00:00:01")),
    ],
)
def test_commands(payload: str, call: tuple[object, ...]) -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        server.broker.send("powerd/nas/command", payload)
        await asyncio.sleep(1)
        assert server.requests.calls == [call]
        assert server.errors == []

    server.run(scene)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "keep",
        "keep for ever",
        "keep 1h 2h",
        "keep -1h",
        "sleep now",
        "wake",
        "wake a b",
        "\x1b[31m",
        "x" * 9000,
    ],
)
def test_another_command_is_one_line(payload: str) -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        for _ in range(50):
            server.broker.send("powerd/nas/command", payload)
        await asyncio.sleep(1)
        assert server.requests.calls == []
        (error,) = server.errors
        assert error.isprintable()
        assert len(error) < 300
        assert server.facts.synchronised

    server.run(scene)


def test_a_command_that_is_refused_is_one_line() -> None:
    server = Server()
    server.requests.error = "it cannot sleep"

    async def scene() -> None:
        await server.decide()
        server.broker.send("powerd/nas/command", "sleep")
        await asyncio.sleep(1)
        assert len(server.errors) == 1

    server.run(scene)


def test_a_stored_command_is_not_executed() -> None:
    server = Server()
    server.broker.stored["powerd/nas/command"] = "sleep"
    server.run(server.decide)
    assert server.requests.calls == []


@pytest.mark.parametrize(
    ("config", "accepted"),
    [
        ('broker = "mqtt://10.0.0.3"\nname = "nas"\n', False),
        ('broker = "mqtt://10.0.0.3"\nname = "nas"\ncommands = "always"\n', True),
        (f'{LOGIN}commands = "never"\n', False),
        (LOGIN, True),
    ],
)
def test_commands_need_a_login_or_permission(config: str, *, accepted: bool) -> None:
    server = Server(config)

    async def scene() -> None:
        await server.decide()
        server.broker.send("powerd/nas/command", "sleep")
        await asyncio.sleep(1)
        assert bool(server.requests.calls) == accepted
        assert ("sleep" in server.stored(CONFIG)["components"]) == accepted

    server.run(scene)


def test_a_topic_of_this_server_that_somebody_deletes_is_published_again() -> None:
    """As by a copy of this server that was given another name, and deletes its old one."""
    server = Server()

    async def scene() -> None:
        await server.decide()
        server.broker.stored[SERVER] = ""
        server.broker.send(SERVER, "")
        await asyncio.sleep(1)
        assert server.stored()["state"] == "up"

    server.run(scene)


def test_hostile_messages_change_nothing() -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        for n in range(3 * MAX_PEERS):
            server.broker.send(f"powerd/s{n}/server", peer("up"))
        for payload in ("[" * 5000, '{"state": ["up"]}', "\udc80", '{"state": "up", "needs": {}}'):
            server.broker.send("powerd/evil/server", payload.encode(errors="replace").decode())
        server.broker.send("powerd/a/b/c", "x")
        await asyncio.sleep(1)
        assert len(server.facts.peers) == MAX_PEERS
        assert server.facts.synchronised
        assert len(server.broker.logins) == 1

    server.run(scene)


@pytest.mark.parametrize("payload", ["x", "{}", '{"state": "unknown"}', "x" * 5000])
def test_a_server_whose_message_cannot_be_read_is_as_before(payload: str) -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        server.broker.send("powerd/tv/server", peer("up", "nas"))
        server.broker.send("powerd/tv/server", payload)
        await asyncio.sleep(1)
        assert server.facts.peers["tv"].state == "up"

    server.run(scene)


@pytest.mark.parametrize("others", [peer("up"), peer("asleep", "nas"), peer("gone", "nas")])
@pytest.mark.parametrize("comes_first", [True, False])
def test_no_number_of_servers_hides_one_that_needs_this_one(
    others: str,
    comes_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        names = [f"s{n}" for n in range(3 * MAX_PEERS)]
        for name in names if comes_first else (*names, "tv"):
            if comes_first and name == names[1]:
                server.broker.send("powerd/tv/server", peer("up", "nas"))
            server.broker.send(f"powerd/{name}/server", peer("up", "nas") if name == "tv" else others)
        await asyncio.sleep(1)
        assert server.facts.peers["tv"].state == "up"
        assert len(server.facts.peers) == MAX_PEERS

    server.run(scene)


def test_without_a_broker_there_is_no_connection() -> None:
    server = Server("")

    async def scene() -> None:
        await server.decide()
        await server.service.before_sleep(None)
        server.options = parse(f"[mqtt]\n{LOGIN}".encode(), "test")
        server.service.on_reconfigure()
        await server.decide()
        assert server.stored()["state"] == "up"
        server.options = parse(f'[mqtt]\n{LOGIN}discovery = ""\n'.encode(), "test")
        server.service.on_reconfigure()
        await server.decide()
        assert len(server.broker.logins) == 2
        assert server.broker.stored[CONFIG] == "", "Home Assistant forgets the device"
        sent = len(server.broker.published)
        await server.decide()
        assert len(server.broker.published) == sent

    server.run(scene)


def test_a_password_that_cannot_be_read_is_a_problem() -> None:
    server = Server(f'{LOGIN}password_file = "/nonexistent/password"\n')

    async def scene() -> None:
        await server.decide()
        assert "/nonexistent/password does not exist" in server.facts.problem
        assert server.broker.logins == []

    server.run(scene)


def test_what_this_server_says_about_itself() -> None:
    server = Server(f'{LOGIN}needs = ["hub"]\n')
    server.run(server.decide)
    known = PeerServer("up", family().now, True, ("hub",))  # noqa: FBT003 - the fields in their order
    assert server.stored() == json.loads(encode_server(known))


def test_another_name_leaves_no_server_behind() -> None:
    server = Server()

    async def scene() -> None:
        await server.decide()
        server.options = parse(f"[mqtt]\n{LOGIN}".replace('"nas"', '"attic"').encode(), "test")
        server.service.on_reconfigure()
        await server.decide()
        assert (SERVER, "gone") in [
            (topic, json.loads(text or "{}").get("state")) for topic, text in server.broker.published
        ]
        assert server.broker.stored[SERVER] == server.broker.stored[CONFIG] == ""
        assert server.stored("powerd/attic/server")["state"] == "up"

    server.run(scene)
