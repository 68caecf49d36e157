"""The connection to the MQTT broker: publishes this server, executes commands, and follows other servers.

What is to be published is a mapping from topic to text. After each decision the texts that have changed are
sent, so a server where nothing changes sends only a keep-alive in 15 minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from powerd.config.mqtt_options import MqttOptions, broker_address
from powerd.config.password import read_secret
from powerd.config.values import is_address
from powerd.core.actions import ActionResult, WakeTime
from powerd.core.reasons import failure_text
from powerd.core.service import Actuator, DomainService, Environment
from powerd.core.snapshot import Status
from powerd.linux.mqtt import BrokerLogin, MqttConnection, MqttMessage
from powerd.linux.ports import Ports
from powerd.linux.values import HostError
from powerd.messages.alarms import alarms
from powerd.mqtt import entities
from powerd.mqtt.commands import Commands
from powerd.mqtt.model import PeerFacts, PeerReport, PeerServer, ServerState, StoredServers, WakePeer
from powerd.mqtt.payloads import MAX_PEERS, decode_server, encode_server, server_of_topic, server_topic
from powerd.mqtt.policy import (
    is_going_down,
    must_be_stored,
    peers_after_connecting,
    remember,
    seen_now,
)
from powerd.requests.service import RequestService
from powerd.requests.wake_on_lan import broadcast_addresses

FAREWELL_TIMEOUT: Final = 2.0
"""Seconds that the broker may take to acknowledge the last messages before a sleep."""
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 300.0
"""Seconds until the next attempt to connect; each failure doubles them."""
_SHORT_CONNECTION: Final = 60.0
"""Seconds; a connection that lasts no longer than this and the pause before it is a failure."""
_STATES: Final[tuple[ServerState, ...]] = ("asleep", "gone", "up")
"""What keeps peers in memory, in ascending order of importance."""
_DOCUMENT: Final = "mqtt"


class MqttService(DomainService):
    """The service of the domain.

    Args:
        ports: the network and the broker.
        environment: from the daemon.
        requests: executes commands.
        asleep_seconds: returns the time asleep, of all sleeps.
        may_write: whether a write to the state directory starts no disk and keeps none from spinning down.
    """

    is_essential = False

    def __init__(
        self,
        ports: Ports,
        environment: Environment,
        requests: RequestService,
        asleep_seconds: Callable[[], float],
        may_write: Callable[[], bool],
    ) -> None:
        self._network = ports.network
        self._connect = ports.connect_to_broker
        self._environment = environment
        self._state = environment.state
        self._options = environment.options
        self._commands = Commands(requests, environment)
        self._asleep_seconds, self._may_write = asleep_seconds, may_write
        self._connection: MqttConnection | None = None
        self._status: Status | None = None
        self._used, self._name = MqttOptions(), self._configured_name()
        self._sent: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._components: dict[str, dict[str, Any]] = {}
        self._cards: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._seen: set[str] = set()
        self._announced_sleep = asyncio.Event()
        self._resumed_at: float | None = None
        self._changed = asyncio.Event()
        self.actuators = {
            WakePeer: Actuator(self._wake, lambda action: f"sent magic packets to {action.name}")
        }
        stored = environment.storage.load(_DOCUMENT, StoredServers).value or StoredServers()
        self._stored = self._to_store = stored
        self._put(known=stored.known)
        if stored.name not in {"", self._name}:  # renamed while powerd did not run
            self._sent = dict.fromkeys(self._topics(stored.name), "")

    def _configured_name(self) -> str:
        """The name of this server in topics."""
        return self._options().mqtt.server_name(os.uname().nodename)

    def _topics(self, name: str) -> tuple[str, str, str]:
        """The topics of a server of this name: the server, its values, and its discovery."""
        prefix = self._options().mqtt.discovery
        return server_topic(name), entities.state_topic(name), f"{prefix}/device/powerd_{name}/config"

    def tasks(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Stay connected."""
        return {"connecting to the MQTT broker": self._run()}

    def on_decision(self, status: Status) -> None:
        """Publish what has changed, and store it if that disturbs no disk; after a sleep, connect again."""
        self._status = status
        resumed_at = status.decision.memory.resumed_at
        has_resumed, self._resumed_at = resumed_at != self._resumed_at, resumed_at
        if has_resumed or (self._announced_sleep.is_set() and not is_going_down(status)):
            self._announced_sleep.clear()
            self._changed.set()  # a connection from before a sleep is closed, or will be found to be
        else:
            if self._connection is not None:
                self._put(known=seen_now(self._state.snapshot().part(PeerFacts), status.now))
            self._publish()
        if self._to_store != self._stored and self._may_write():
            self._save()

    def on_reconfigure(self) -> None:
        """Apply the new options to the connection."""
        if self._options().mqtt != self._used:
            self._changed.set()

    def close(self) -> None:
        """Store the changes, also on a disk in standby if a restart must know them."""
        new, old = self._to_store, self._stored
        if new != old and (self._may_write() or new.name != old.name or must_be_stored(old.known, new.known)):
            self._save()

    def _save(self) -> None:
        self._environment.storage.save(_DOCUMENT, self._to_store)
        self._stored = self._to_store

    async def before_sleep(self, wake_time: WakeTime | None) -> None:
        """Announce a sleep or a shutdown, in bounded time."""
        self._announced_sleep.set()
        if self._connection is None:  # one that is being made is given up
            self._changed.set()
        until = wake_time.at.wall.isoformat(timespec="seconds") if wake_time else None
        if not await self._announce("asleep", until):  # another server may have begun to need this one
            self._put(synchronised=False, problem="the broker has not acknowledged the announced sleep")

    async def _announce(self, state: ServerState, until: str | None = None) -> bool:
        """Publish the last messages, and disconnect; not longer than FAREWELL_TIMEOUT. False = it failed."""
        connection, status = self._connection, self._status
        if connection is None:
            return True
        self._connection = None  # nothing is published after this

        async def announce() -> None:
            if status is not None:
                last = self._new_values(status, asleep=state == "asleep")
                self._values = last | ({"next_wake": until} if until else {})
                connection.publish(entities.state_topic(self._name), json.dumps(self._values))
            connection.publish(server_topic(self._name), encode_server(self._own(state), until))
            await connection.flush()
            await connection.close()

        return await _end(connection, announce())

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._used, self._name = self._options().mqtt, self._configured_name()
            task = asyncio.ensure_future(self._stay_connected())
            try:
                await self._changed.wait()
                new = self._options().mqtt.broker, self._configured_name()
                if new != (self._used.broker, self._name):
                    await self._announce("gone")
            except asyncio.CancelledError:
                # The daemon stops, perhaps for a restart, which takes less time than the will.
                if (connection := self._connection) is not None:
                    self._connection = None
                    await _end(connection, connection.close(with_will=True))
                raise
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _stay_connected(self) -> None:
        """Connect again whenever the connection ends, with growing pauses, until a sleep or cancelled.

        From the announcement of a sleep to its end the facts do not change: the lost connection is then not a
        reason to stay awake.
        """
        pause, problem = _FIRST_PAUSE, ""
        while not self._announced_sleep.is_set():
            self._put(synchronised=False, problem=problem)
            if not self._used.broker:
                return
            started_at = self._environment.clock.now().mono
            try:
                await self._session()
            except HostError as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - people see it, and the next attempt may succeed
                problem = failure_text(error)
            # Not after any connection: of two servers with one name, each ends that of the other.
            if self._environment.clock.now().mono - started_at > pause + _SHORT_CONNECTION:
                pause = _FIRST_PAUSE
            if not self._announced_sleep.is_set():
                self._put(synchronised=False, problem=problem)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await asyncio.Event().wait()
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _session(self) -> None:
        """Connect, and handle messages until the connection ends.

        Raises:
            HostError: it has ended, or could not be made; one sentence.
        """
        options = self._used
        self._cards = await self._read_cards()
        connection = await self._connect(await self._login(options))
        try:
            self._seen.clear()
            self._sent = dict.fromkeys(self._sent, "")
            topics = [server_topic("+")]
            if options.accepts_commands:
                topics.append(entities.command_topic(self._name))
            connection.subscribe(topics)
            self._connection = connection
            self._publish()
            while True:
                self._handle(await connection.receive())
        finally:
            if self._connection is connection:
                self._connection = None
                connection.abort()

    async def _login(self, options: MqttOptions) -> BrokerLogin:
        address = broker_address(options.broker)
        found = [address.host] if is_address(address.host) else await self._network.resolve(address.host)
        if not found:
            raise HostError(f"no address is known for the broker {address.host}; check mqtt.broker")
        return BrokerLogin(
            f"the broker at {address.host} port {address.port}",
            found[0],
            address.port,
            address.host if address.tls else "",
            options.ca_file,
            options.user,
            _read_password(options.password_file),
            f"powerd-{self._name}",
            (server_topic(self._name), encode_server(self._own("gone"))),
        )

    async def _read_cards(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The MAC addresses and IPv4 addresses of this server on its LANs."""
        with suppress(HostError):
            links = (await self._network.lan()).links
            addresses = (str(own.ip) for link in links for own in link.addresses)
            return tuple(link.mac for link in links if link.mac), tuple(addresses)
        return (), ()

    def _own(self, state: ServerState) -> PeerServer:
        """This server, as it describes itself."""
        busy = state == "up" and self._status is not None and self._status.decision.part(PeerReport).busy
        return PeerServer(state, self._environment.clock.now(), busy, self._used.needs, *self._cards)

    def _new_values(self, status: Status, *, asleep: bool = False) -> dict[str, Any]:
        return entities.values(
            status, alarms(status), self._asleep_seconds(), self._values, going_down=asleep
        )

    def _publish(self) -> None:
        """Publish what has changed since the last call over this connection."""
        status, connection = self._status, self._connection
        if status is None or connection is None or self._announced_sleep.is_set():
            return
        options, name = self._used, self._name
        of_server, of_values, of_discovery = self._topics(name)
        self._values = self._new_values(status)
        topics = {of_values: json.dumps(self._values)}
        if options.discovery:
            document = entities.discovery(
                name, status, commands=options.accepts_commands, previous=self._components
            )
            self._components = document["components"]
            topics[of_discovery] = json.dumps(document)
        topics[of_server] = encode_server(self._own("up"))  # the last one: all else is published by then
        for topic in self._sent.keys() - topics.keys():  # an empty message deletes them
            del self._sent[topic]
            connection.publish(topic, "")
        for topic, text in topics.items():
            if self._sent.get(topic) != text:
                self._sent[topic] = text
                connection.publish(topic, text)

    def _handle(self, message: MqttMessage) -> None:
        """Take one message."""
        name = server_of_topic(message.topic)
        if name == self._name:
            # The broker sends what it had stored before it sends what arrives after the subscription.
            if not message.retained:
                self._synchronise()
            if not message.payload:  # another server, or a person, has deleted the topic of this one
                self._sent.pop(message.topic, None)
                self._publish()
        elif name is not None:
            self._update_peer(name, message)
        elif message.topic == entities.command_topic(self._name) and self._used.accepts_commands:
            self._commands.start(message)

    def _update_peer(self, name: str, message: MqttMessage) -> None:
        facts = self._state.snapshot().part(PeerFacts)
        peer = decode_server(message.payload, self._environment.clock.now())
        self._seen.add(name)
        peers = {other: each for other, each in facts.peers.items() if other != name}
        known = {other: each for other, each in facts.known.items() if other != name}
        if peer is None:
            if not message.payload:  # a person who has taken a server out of service deletes its topic
                self._put(peers=peers, known=known)
            return
        needs_this = self._name in peer.needs
        if needs_this or name in self._used.needs:
            is_proof = peer.state == "up" or (peer.state == "asleep" and not message.retained)
            known = dict(remember(facts.known, name, peer, needs_this=needs_this, is_proof=is_proof))
        before = facts.peers.get(name)
        if before is not None and before.state == peer.state:
            peer = replace(peer, since=before.since)
        peers[name] = peer
        if len(peers) > MAX_PEERS:
            del peers[min(peers, key=lambda each: self._importance(each, peers[each]))]
        if len(known) > MAX_PEERS:
            del known[min(known, key=lambda each: self._importance(each, peers.get(each)))]
        self._put(peers=peers, known=known)

    def _importance(self, name: str, peer: PeerServer | None) -> int:
        """If there are too many servers, drop the least important one; their number is untrusted."""
        if name in self._used.needs:
            return _STATES.index("up") + 2
        return 1 + _STATES.index(peer.state) if peer is not None and self._name in peer.needs else 0

    def _synchronise(self) -> None:
        """Everything that the broker had stored has arrived: what is missing is no longer stored."""
        facts = self._state.snapshot().part(PeerFacts)
        if not facts.synchronised:
            peers = peers_after_connecting(facts, self._seen, self._environment.clock.now())
            self._put(peers=peers, synchronised=True, problem="")

    def _put(self, **changes: Any) -> None:  # noqa: ANN401 - fields of PeerFacts
        """Publish changed facts, and note what is to be stored of them."""
        old = self._state.snapshot().part(PeerFacts)
        new = replace(old, name=self._name, **changes)
        if new != old:
            self._state.put(new)
        self._to_store = StoredServers(self._name if new.synchronised else self._to_store.name, new.known)

    async def _wake(self, action: WakePeer) -> ActionResult:
        """Send magic packets to all network cards of a server."""
        destinations = broadcast_addresses(action.addresses, await self._network.lan())
        if not destinations:
            raise HostError(f"{action.name} cannot be woken: no network card of this server is connected")
        for mac in action.macs:
            await self._network.send_magic_packet(mac, tuple({to: None for _, to in destinations}))
        return ActionResult(True, f"sent magic packets to {action.name}")


async def _end(connection: MqttConnection, last: Coroutine[None, None, None]) -> bool:
    """Send the last messages over a connection, in at most FAREWELL_TIMEOUT. False = it failed."""
    # A task of its own: in a task that is being cancelled, Python 3.11.2 raises no TimeoutError.
    task = asyncio.ensure_future(last)
    _, pending = await asyncio.wait({task}, timeout=FAREWELL_TIMEOUT)
    if pending:
        connection.abort()
    task.cancel()
    (error,) = await asyncio.gather(task, return_exceptions=True)
    return error is None


def _read_password(file: str) -> str:
    if not file:
        return ""
    try:
        return read_secret(Path(file), "create it, with the password at the broker").decode()
    except ValueError as error:  # also if it is not UTF-8
        raise HostError(f"no password for the broker: {error}") from None
