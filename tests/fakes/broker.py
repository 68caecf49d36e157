"""An MQTT broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from powerd.linux.mqtt import BrokerLogin, MqttMessage
from powerd.linux.values import HostError


@dataclass
class FakeBroker:
    """Stores messages, and sends all of them to each client.

    Attributes:
        stored: the last message of each topic.
        published: all messages, by topic and payload.
        logins: of all connections.
        error: why the next connections fail; None = they succeed.
        acknowledges: False = it takes messages and never acknowledges one.
    """

    stored: dict[str, str] = field(default_factory=dict)
    published: list[tuple[str, str]] = field(default_factory=list)
    logins: list[BrokerLogin] = field(default_factory=list)
    error: str | None = None
    acknowledges: bool = True
    clients: list[FakeConnection] = field(default_factory=list)

    async def connect(self, login: BrokerLogin) -> FakeConnection:
        """As ConnectToBroker."""
        self.logins.append(login)
        if self.error is not None:
            raise HostError(self.error)
        self.latest = FakeConnection(self)
        self.clients.append(self.latest)
        return self.latest

    def send(self, topic: str, payload: str, *, retained: bool = False) -> None:
        """A message of another client."""
        for each in self.clients:
            each.queue.put_nowait(MqttMessage(topic, payload.encode(), retained))

    def stop(self, error: str) -> None:
        """End all connections, and refuse new ones with ``error``."""
        self.error = error
        for each in self.clients:
            each.queue.put_nowait(None)
        self.clients.clear()


class FakeConnection:
    """A client's connection; see linux.mqtt.MqttConnection."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.queue = asyncio.Queue[MqttMessage | None]()
        self.ended = ""

    def subscribe(self, topics: Sequence[str]) -> None:
        del topics
        for topic, payload in self._broker.stored.items():
            self.queue.put_nowait(MqttMessage(topic, payload.encode(), retained=True))

    def publish(self, topic: str, payload: str) -> None:
        self._broker.published.append((topic, payload))
        self._broker.stored[topic] = payload
        self._broker.send(topic, payload)

    async def receive(self) -> MqttMessage:
        message = await self.queue.get()
        if message is None:
            raise HostError("the connection has ended")
        return message

    async def flush(self) -> None:
        if not self._broker.acknowledges:
            await asyncio.Event().wait()

    async def close(self, *, with_will: bool = False) -> None:
        self.ended = "closed with will" if with_will else "closed"
        self._leave()

    def abort(self) -> None:
        self.ended = "aborted"
        self._leave()

    def _leave(self) -> None:
        if self in self._broker.clients:
            self._broker.clients.remove(self)
        self.queue.put_nowait(None)
