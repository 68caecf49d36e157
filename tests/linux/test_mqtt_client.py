"""The MQTT client with a real broker, mosquitto, with and without TLS; its keep-alives on virtual time."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest
from rig.lan import stop
from rig.wait import until

from powerd.linux import mqtt_client
from powerd.linux import mqtt_codec as codec
from powerd.linux.mqtt import BrokerLogin, MqttMessage
from powerd.linux.mqtt_client import BrokerConnection, connect
from powerd.linux.values import HostError
from powerd.simulation.virtual_loop import run

ADDRESS: Final = "127." + ".".join(str(os.getpid() >> bits & 255) for bits in (16, 8, 0))
"""A loopback address of this process alone."""
CONFIG: Final = """\
per_listener_settings true
listener 1883 {address}
password_file {directory}/password
listener 8883 {address}
allow_anonymous true
certfile {directory}/cert.pem
keyfile {directory}/key.pem
user root
"""
TOPIC: Final = "powerd/nas/server"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A broker on port 1883 with a login, and with TLS on port 8883; returns the directory of its files."""
    directory = tmp_path_factory.mktemp("broker")
    (directory / "password").touch(0o600)
    subprocess.run(
        ["mosquitto_passwd", "-b", directory / "password", "me", "secret"], check=True, capture_output=True
    )
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-days", "2"),
            *("-subj", "/CN=broker.lan", "-addext", "subjectAltName=DNS:broker.lan"),
        ],
        check=True,
        capture_output=True,
    )
    config = directory / "mosquitto.conf"
    config.write_text(CONFIG.format(address=ADDRESS, directory=directory))
    process = subprocess.Popen(["mosquitto", "-c", config], stderr=subprocess.DEVNULL)
    try:
        until(lambda: asyncio.run(is_open()), "mosquitto listens")
        yield directory
    finally:
        stop(process)


async def is_open() -> bool:
    _, writer = await asyncio.open_connection(ADDRESS, 8883)
    writer.transport.abort()
    return True


LOGIN: Final = BrokerLogin("the broker", ADDRESS, 1883, "", "", "me", "secret", "powerd-nas", (TOPIC, "gone"))


def tls(directory: Path, host: str = "broker.lan") -> BrokerLogin:
    return replace(LOGIN, port=8883, host=host, ca_file=str(directory / "cert.pem"), user="")


def failure(login: BrokerLogin) -> str:
    """Why there is no connection."""
    with pytest.raises(HostError) as caught:
        asyncio.run(connect(login))
    return str(caught.value)


@pytest.mark.process
@pytest.mark.parametrize("encrypted", [False, True])
def test_messages(broker: Path, *, encrypted: bool) -> None:
    topics = [f"test/{encrypted}/{n}" for n in range(100)]

    async def scene() -> None:
        connection = await connect(tls(broker) if encrypted else LOGIN)
        connection.subscribe([f"test/{encrypted}/#"])
        for topic in topics:
            connection.publish(topic, "x" * 1000)
        received = [await connection.receive() for _ in topics]
        assert received == [MqttMessage(topic, b"x" * 1000, retained=False) for topic in topics]
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(swallow(connection))
            await connection.flush()
            await connection.close()
            receiving.cancel()
        again = await connect(tls(broker) if encrypted else LOGIN)
        again.subscribe([topics[0]])
        assert (await again.receive()).retained
        await again.close()

    asyncio.run(scene())


async def swallow(connection: BrokerConnection) -> None:
    with suppress(HostError):
        while True:
            await connection.receive()


@pytest.mark.process
def test_reasons_for_no_connection(broker: Path) -> None:
    assert "refuses the login" in failure(replace(LOGIN, password="wrong"))  # noqa: S106 - it is wrong
    assert "the broker run there?" in failure(replace(LOGIN, port=1))
    assert "Hostname mismatch" in failure(tls(broker, "other.lan"))
    assert "certificate is not trusted" in failure(replace(tls(broker), ca_file=""))
    assert "/nonexistent" in failure(replace(tls(broker), ca_file="/nonexistent"))
    assert "no connection" in failure(replace(tls(broker), port=1883))
    assert "no connection" in failure(replace(LOGIN, port=8883))


@pytest.mark.process
@pytest.mark.usefixtures("broker")
def test_the_will_of_a_client_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "WILL_DELAY", 1)

    async def scene() -> None:
        watcher = await connect(replace(LOGIN, client="watcher"))
        watcher.subscribe([TOPIC])
        nas = await connect(LOGIN)
        nas.publish(TOPIC, "up")
        assert (await watcher.receive()).payload == b"up"
        nas.abort()
        successor = await connect(LOGIN)  # in time: no will
        successor.publish(TOPIC, "up again")
        assert (await watcher.receive()).payload == b"up again"
        successor.abort()
        assert (await watcher.receive()).payload == b"gone"
        stopped = await connect(LOGIN)
        await stopped.close(with_will=True)
        assert (await watcher.receive()).payload == b"gone"
        await watcher.close()

    asyncio.run(scene())


@pytest.mark.process
def test_tls_after_main_has_disabled_the_import_of_ssl(broker: Path) -> None:
    code = (
        "import sys; sys.modules['ssl'] = None\n"
        "import asyncio, json\n"
        "from powerd.linux.mqtt import BrokerLogin\n"
        "from powerd.linux.mqtt_client import connect\n"
        "login = json.loads(sys.stdin.read())\n"
        "asyncio.run(connect(BrokerLogin(*login)))\n"
    )
    login = [getattr(tls(broker), name) for name in BrokerLogin.__slots__]
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(login), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Writer:
    """The writing side of a connection to a broker that answers keep-alives until it is ``silent``."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader, self._packets = reader, codec.PacketReader()
        self.sent: list[tuple[float, int]] = []
        self.silent = False
        self.transport = self

    def write(self, data: bytes) -> None:
        for packet in self._packets.feed(data):
            self.sent.append((asyncio.get_running_loop().time(), packet.kind))
            if packet.kind == codec.PINGREQ and not self.silent:
                self._reader.feed_data(codec.encode(codec.PINGRESP))
            if packet.kind == codec.PUBLISH:
                topic = int.from_bytes(packet.body[:2], "big")
                self._reader.feed_data(codec.encode(codec.PUBACK, packet.body[2 + topic : 4 + topic]))

    def get_extra_info(self, name: str) -> Any:  # noqa: ANN401 - as asyncio's
        assert name == "socket"
        return self

    def setsockopt(self, *_: int) -> None:
        pass

    def abort(self) -> None:
        self._reader.feed_eof()

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass


def on_virtual_time(scene: Callable[[BrokerConnection, Writer], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        reader = asyncio.StreamReader()
        writer = Writer(reader)
        await scene(BrokerConnection(LOGIN, reader, cast("asyncio.StreamWriter", writer), None), writer)

    run(main())


def test_one_keep_alive_in_15_minutes_while_nothing_happens() -> None:
    async def scene(connection: BrokerConnection, writer: Writer) -> None:
        receiving = asyncio.ensure_future(swallow(connection))
        await asyncio.sleep(86_401)
        receiving.cancel()
        assert [kind for _, kind in writer.sent] == [codec.PINGREQ] * (86_400 // 900)

    on_virtual_time(scene)


def test_a_message_defers_the_keep_alive() -> None:
    async def scene(connection: BrokerConnection, writer: Writer) -> None:
        receiving = asyncio.ensure_future(swallow(connection))
        await asyncio.sleep(800)
        connection.publish("a", "b")
        await asyncio.sleep(950)
        receiving.cancel()
        times = [round(at) for at, kind in writer.sent if kind == codec.PINGREQ]
        assert times == [1700]

    on_virtual_time(scene)


def test_a_broker_that_answers_no_keep_alive_is_lost() -> None:
    async def scene(connection: BrokerConnection, writer: Writer) -> None:
        writer.silent = True
        with pytest.raises(HostError, match="keep-alive"):
            await connection.receive()
        assert asyncio.get_running_loop().time() == pytest.approx(930, abs=1)

    on_virtual_time(scene)


def test_few_messages_wait_for_their_acknowledgement_and_newer_ones_replace_those_that_wait() -> None:
    async def scene(connection: BrokerConnection, writer: Writer) -> None:
        for n in range(1000):
            connection.publish(f"t{n % 100}", str(n))
        assert len(writer.sent) == 16
        receiving = asyncio.ensure_future(swallow(connection))
        await connection.flush()
        receiving.cancel()
        assert len(writer.sent) < 120

    on_virtual_time(scene)


@pytest.mark.parametrize("error", [ssl.SSLWantReadError(), ssl.SSLError(1, "shut down"), BrokenPipeError()])
def test_nothing_that_is_sent_raises(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> None:
        raise error

    async def scene(connection: BrokerConnection, writer: Writer) -> None:
        monkeypatch.setattr(writer, "write", fail)
        connection.publish("a", "b")
        connection.subscribe(["a"])
        with pytest.raises(HostError, match="has ended"):
            await connection.receive()
        await connection.close()

    on_virtual_time(scene)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (codec.encode(codec.DISCONNECT, b"\x8e"), "another client uses the same name"),
        (codec.encode(codec.DISCONNECT), "shuts down"),
        (codec.encode(codec.PUBACK, b"\0\1\x87"), "does not permit"),
        (codec.encode(codec.SUBACK, b"\0\1\0\x87"), "does not permit"),
        (codec.encode(codec.PUBLISH, b"\xff\xff"), "cut off"),
        (b"\x30\xff\xff\xff\x7f", "sends more than was requested"),
        (b"", "closed the connection"),
    ],
)
def test_ends_of_a_connection(data: bytes, text: str) -> None:
    async def main() -> None:
        reader = asyncio.StreamReader()
        connection = BrokerConnection(LOGIN, reader, cast("asyncio.StreamWriter", Writer(reader)), None)
        reader.feed_data(data)
        reader.feed_eof()
        with pytest.raises(HostError, match=text):
            await connection.receive()

    run(main())


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\0\0\xff", b"\0\0\5\x26\0\1", b"\0\0\1\x7f", b"\0\0\3\x26\0\4", b"\0\0\1\x0b"]
)
def test_a_damaged_answer_to_the_login_is_the_broker_s_fault(body: bytes) -> None:
    async def main() -> None:
        reader = asyncio.StreamReader()
        connection = BrokerConnection(LOGIN, reader, cast("asyncio.StreamWriter", Writer(reader)), None)
        reader.feed_data(codec.encode(codec.CONNACK, body))
        reader.feed_eof()
        with pytest.raises(HostError):
            await connection.log_in(LOGIN)

    run(main())
