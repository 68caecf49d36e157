"""An MQTT client on asyncio's streams.

Not paho-mqtt, on which aiomqtt is based: it needs ssl, and takes 6.7 MB of resident memory instead of 0.1
MB; it connects, resolves names and agrees on TLS while it blocks, so it takes a thread; and aiomqtt wakes
up every second. Not gmqtt 0.8.0 (2026-10; the release before is of 2024-11): it takes 1.2 MB and needs no
ssl, but wakes up twice for each keep-alive, and detects a lost broker only after two of them; it connects
again at a constant interval, and a newer text of a topic does not replace one that waits. TLS, names and
errors for people would stay here. powerd needs seven of MQTT's packets (mqtt_codec.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from powerd.linux import mqtt_codec as codec
from powerd.linux.mqtt import BrokerLogin, MqttMessage
from powerd.linux.tls import TlsStream
from powerd.linux.values import HostError

KEEP_ALIVE: Final = 900
"""Seconds without a message to the broker until a keep-alive; the broker waits for 1.5 times as long."""
WILL_DELAY: Final = 60
"""Seconds from a lost connection to the will; a restart of powerd takes less."""
_CONNECT_TIMEOUT: Final = 10.0
_ANSWER_TIMEOUT: Final = 30.0
"""Seconds until the answer to a keep-alive, or the acknowledgement of sent bytes by the broker's kernel."""
_MAX_UNACKNOWLEDGED: Final = 16
_CHUNK: Final = 1 << 14
_PACKET_NUMBERS: Final = 0xFFFF


async def connect(login: BrokerLogin) -> BrokerConnection:
    """Connect and log in; as mqtt.ConnectToBroker."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(login.address, login.port)
            stream: TlsStream | None = None
            if login.host:
                stream = TlsStream(reader, writer, login.host, login.ca_file)
                await stream.handshake()
            connection = BrokerConnection(login, reader, writer, stream)
            await connection.log_in(login)
    except TimeoutError:
        _abort(writer)
        raise HostError(
            f"{login.name} gave no answer within {_CONNECT_TIMEOUT:g} s; is it overloaded?"
        ) from None
    except HostError as error:
        _abort(writer)
        raise HostError(f"no connection to {login.name}: {error}") from None
    except OSError as error:
        _abort(writer)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise HostError(f"no connection to {login.name}: {reason}; does the broker run there?") from None
    except BaseException:
        _abort(writer)
        raise
    return connection


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()


class BrokerConnection:
    """A connection to a broker; see mqtt.MqttConnection."""

    def __init__(
        self,
        login: BrokerLogin,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: TlsStream | None,
    ) -> None:
        self._name = login.name
        self._source: TlsStream | asyncio.StreamReader = tls or reader
        self._sink: TlsStream | asyncio.StreamWriter = tls or writer
        self._writer = writer
        self._packets = codec.PacketReader()
        self._messages = deque[MqttMessage]()
        self._waiting: dict[str, str] = {}
        self._unacknowledged: set[int] = set()
        self._limit = _MAX_UNACKNOWLEDGED
        self._keep_alive = KEEP_ALIVE
        self._last_packet = 0
        self._sent_at = asyncio.get_running_loop().time()
        self._answer_due: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        sock: socket.socket = writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_ANSWER_TIMEOUT * 1000))

    async def log_in(self, login: BrokerLogin) -> None:
        """Send CONNECT, and wait for its answer.

        Raises:
            HostError: the broker refuses; a clause.
            OSError: the connection was lost.
        """
        self._send(
            codec.encode_connect(
                login.client,
                KEEP_ALIVE,
                will=(login.will[0], login.will[1].encode()),
                will_delay=WILL_DELAY,
                session_expiry=WILL_DELAY,
                login=(login.user, login.password.encode()) if login.user else None,
            )
        )
        packets = list[codec.Packet]()
        while not packets:
            packets += await self._read()
        first, *rest = packets
        if first.kind != codec.CONNACK:
            raise HostError("it does not answer as an MQTT broker; check its address and port")
        try:
            accepted = codec.decode_connack(first.body)
        except ValueError as error:
            raise HostError(str(error)) from None
        if accepted.reason:
            refused = accepted.reason == codec.NOT_AUTHORIZED  # mosquitto's answer to a wrong password
            raise HostError(codec.reason_text(codec.BAD_LOGIN if refused else accepted.reason))
        self._limit = min(self._limit, accepted.receive_maximum)
        self._keep_alive = accepted.keep_alive or KEEP_ALIVE
        for packet in rest:
            self._handle(packet)

    def subscribe(self, topics: Sequence[str]) -> None:
        """See mqtt.MqttConnection."""
        self._send(codec.encode_subscribe(topics, self._next_packet()))

    def publish(self, topic: str, payload: str) -> None:
        """See mqtt.MqttConnection."""
        self._waiting[topic] = payload
        self._idle.clear()
        self._publish_waiting()

    async def receive(self) -> MqttMessage:
        """See mqtt.MqttConnection."""
        try:
            while not self._messages:
                for packet in await self._read():
                    self._handle(packet)
        except HostError as error:
            self._writer.transport.abort()
            raise HostError(f"the connection to {self._name} has ended: {error}") from None
        except OSError as error:
            self._writer.transport.abort()
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise HostError(f"the connection to {self._name} has ended: {reason}") from None
        return self._messages.popleft()

    async def flush(self) -> None:
        """See mqtt.MqttConnection."""
        await self._idle.wait()

    async def close(self, *, with_will: bool = False) -> None:
        """See mqtt.MqttConnection."""
        with suppress(OSError):
            self._send(codec.encode(codec.DISCONNECT, codec.WITH_WILL if with_will else b""))
            self._writer.close()
            await self._writer.wait_closed()

    def abort(self) -> None:
        """See mqtt.MqttConnection."""
        self._writer.transport.abort()

    async def _read(self) -> list[codec.Packet]:
        """The next packets; a keep-alive is sent when it is due.

        Raises:
            HostError: the connection has ended, or a packet is damaged; a clause.
            OSError: the connection was lost.
        """
        loop = asyncio.get_running_loop()
        while True:
            due = self._answer_due or self._sent_at + self._keep_alive
            try:
                async with asyncio.timeout_at(due):
                    data = await self._source.read(_CHUNK)
            except TimeoutError:
                if self._answer_due is not None:
                    raise HostError("it does not answer a keep-alive") from None
                if loop.time() >= self._sent_at + self._keep_alive:
                    self._send(codec.encode(codec.PINGREQ))
                    self._answer_due = loop.time() + _ANSWER_TIMEOUT
                continue
            if not data:
                raise HostError("it has closed the connection; see its log")
            self._answer_due = None
            try:
                return list(self._packets.feed(data))
            except ValueError as error:
                raise HostError(str(error)) from None

    def _handle(self, packet: codec.Packet) -> None:
        """Take one packet.

        Raises:
            HostError: the broker ends the connection, or the packet is damaged; a clause.
        """
        try:
            if packet.kind == codec.PUBLISH:
                self._messages.append(MqttMessage(*codec.decode_publish(packet), bool(packet.flags & 1)))
            elif packet.kind == codec.PUBACK:
                number, reason = codec.decode_puback(packet.body)
                self._acknowledge(number)
                self._require(reason)
            elif packet.kind == codec.SUBACK:
                self._require(codec.decode_suback(packet.body))
            elif packet.kind == codec.DISCONNECT:
                raise HostError(codec.reason_text(packet.body[0]) if packet.body else "it shuts down")
        except ValueError as error:
            raise HostError(str(error)) from None

    def _require(self, reason: int) -> None:
        if reason >= codec.FIRST_ERROR:
            raise HostError(codec.reason_text(reason))

    def _acknowledge(self, number: int) -> None:
        self._unacknowledged.discard(number)
        self._publish_waiting()
        if not self._unacknowledged and not self._waiting:
            self._idle.set()

    def _publish_waiting(self) -> None:
        while self._waiting and len(self._unacknowledged) < self._limit:
            topic = next(iter(self._waiting))
            number = self._next_packet()
            payload = self._waiting.pop(topic).encode(errors="replace")
            self._unacknowledged.add(number)
            self._send(codec.encode_publish(topic, payload, number, retain=True))

    def _next_packet(self) -> int:
        self._last_packet = self._last_packet % _PACKET_NUMBERS + 1
        return self._last_packet

    def _send(self, data: bytes) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        try:
            self._sink.write(data)
        except OSError:  # TLS fails, which must not end what publishes; receive() reports the end
            self._writer.transport.abort()
