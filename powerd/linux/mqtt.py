"""A connection to an MQTT broker: its values and its port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from powerd.core.dataclass import dataclass
from powerd.linux.values import HostError


@dataclass(frozen=True, slots=True)
class BrokerLogin:
    """How to connect.

    Attributes:
        name: the broker in messages.
        address, port: an IP address and a TCP port.
        host: the name that the certificate of the broker must have; "" = no TLS.
        ca_file: authorities that are trusted; "" = those of the system.
        user, password: "" = no login.
        client: the name of this client at the broker.
        will: topic and payload that the broker publishes, retained, some time after the connection was lost.
    """

    name: str
    address: str
    port: int
    host: str
    ca_file: str
    user: str
    password: str
    client: str
    will: tuple[str, str]


class MqttMessage(NamedTuple):
    """A message from the broker.

    Attributes:
        topic: its topic.
        payload: whatever its sender has chosen.
        retained: the broker had stored it, and sends it because of a new subscription.
    """

    topic: str
    payload: bytes
    retained: bool


class MqttConnection(Protocol):
    """A connection to a broker."""

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe to topics; stored messages arrive first."""
        ...

    def publish(self, topic: str, payload: str) -> None:
        """Have the broker store a message for all present and future subscribers; an empty one deletes it.

        The message is sent as soon as the broker has acknowledged earlier ones; a newer message on the same
        topic replaces one that waits.
        """
        ...

    async def receive(self) -> MqttMessage:
        """The next message. Acknowledgements and keep-alives are handled by this call only.

        Raises:
            HostError: the connection has ended; one sentence.
        """
        ...

    async def flush(self) -> None:
        """Wait until the broker has acknowledged all messages, while another task receives."""
        ...

    async def close(self, *, with_will: bool = False) -> None:
        """Disconnect; ``with_will``: the broker publishes the will unless there is a new connection soon."""
        ...

    def abort(self) -> None:
        """Drop the connection: the broker publishes the will unless there is a new connection soon."""
        ...


ConnectToBroker: TypeAlias = Callable[[BrokerLogin], Awaitable[MqttConnection]]
"""Connects and logs in. Raises HostError: no connection, or no login; one sentence."""


async def no_broker(login: BrokerLogin) -> MqttConnection:
    """Of a host without MQTT, such as a simulated one."""
    raise HostError(f"no connection to {login.name}: this host has no network for MQTT")
