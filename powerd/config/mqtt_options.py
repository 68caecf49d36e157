"""Options of MQTT: the broker, Home Assistant, and the other servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from powerd.config.declare import (
    InvalidCombination,
    OptionType,
    absolute_path,
    choice,
    list_of,
    option,
    text_as,
)
from powerd.config.values import is_url_host
from powerd.core.dataclass import dataclass

_BROKER: Final = re.compile(r"(mqtts?)://(\[[0-9a-fA-F:]+\]|[\w.-]{1,253})(?::(\d{1,5}))?/?", re.ASCII)
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX: Final = re.compile(r"[\w-]{1,64}(/[\w-]{1,64}){0,3}", re.ASCII)


class BrokerAddress(NamedTuple):
    """Where the broker listens.

    Attributes:
        host: an IP address or a host name.
        port: the TCP port.
        tls: whether the connection is encrypted.
    """

    host: str
    port: int
    tls: bool


def broker_address(url: str) -> BrokerAddress:
    """The parts of a valid ``mqtt.broker``.

    Raises:
        ValueError: the text is not the URL of a broker; one clause without the text, which may hold a
            password.
    """
    match = _BROKER.fullmatch(url)
    port = int(match[3] or _PORTS[match[1]]) if match else 0
    if match is None or not 0 < port < 1 << 16 or not is_url_host(match[2]):
        raise ValueError(
            'must be "mqtt://HOST" or "mqtts://HOST", with ":PORT" where it is not 1883 or 8883; '
            "user and password are options of their own"
        )
    return BrokerAddress(match[2].strip("[]"), port, match[1] == "mqtts")


def parse_server_name(text: str) -> str:
    """Check the name of a server in topics.

    Raises:
        ValueError: it is not a valid name.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(f'"{text}" is not a name for a server; write 1 to 64 letters, digits, "-" and "_"')
    return text


def _empty_or(parse: Callable[[str], object]) -> OptionType[str]:
    """A string that ``parse`` accepts, or ""."""

    def check(text: str) -> str:
        if text:
            parse(text)
        return text

    return text_as(check)


def _parse_prefix(text: str) -> None:
    if not _PREFIX.fullmatch(text):
        raise ValueError(f'"{text}" is not a prefix of topics; write it like "homeassistant"')


def _parse_user(text: str) -> None:
    if not text.isprintable():
        raise ValueError("has an invisible character; remove it")


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """An MQTT broker, over which Home Assistant and other servers receive the state of this one."""

    broker: str = option(
        "", '"mqtt://HOST" or, with TLS, "mqtts://HOST"; none = no MQTT', _empty_or(broker_address)
    )
    user: str = option("", "login at the broker; none = no login", _empty_or(_parse_user))
    password_file: str = option(
        "", "file, closed to others, with the password of this login", absolute_path()
    )
    ca_file: str = option(
        "",
        "certificates of authorities that are trusted for TLS; none = those of the system",
        absolute_path(),
    )
    name: str = option(
        "",
        "name of this server in topics; none = its host name",
        _empty_or(parse_server_name),
    )
    discovery: str = option(
        "homeassistant",
        'prefix of the discovery topics of Home Assistant; "" = none are published',
        _empty_or(_parse_prefix),
    )
    commands: Literal["auto", "always", "never"] = option(
        "auto",
        'whether buttons of Home Assistant work: "auto" (with a login at the broker), "always" (everybody '
        'who reaches the broker can put the server to sleep), "never"',
        choice("auto", "always", "never"),
    )
    needs: tuple[str, ...] = option(
        (),
        'names of servers at the same broker that have to be up while this one is, e.g. ["nas"]',
        list_of(parse_server_name),
    )

    def server_name(self, host: str) -> str:
        """The name of this server in topics; ``host`` is its host name."""
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "-", host.partition(".")[0])[:64] or "server"

    @property
    def accepts_commands(self) -> bool:
        """Whether commands that arrive by the broker are executed."""
        return self.commands == "always" or (self.commands == "auto" and bool(self.user))


def invalid_mqtt_combinations(options: MqttOptions) -> Iterator[InvalidCombination]:
    """Errors of options that are valid by themselves but not together."""
    if options.needs and not options.broker:
        yield InvalidCombination(("mqtt.needs", "mqtt.broker"), "requires a broker; set mqtt.broker")
    if options.name and options.name in options.needs:
        yield InvalidCombination(
            ("mqtt.needs", "mqtt.name"), f'"{options.name}" is this server itself; remove it'
        )
    if options.password_file and not options.user:
        yield InvalidCombination(("mqtt.password_file", "mqtt.user"), "requires a login; set mqtt.user")
    if options.ca_file and options.broker and not broker_address(options.broker).tls:
        text = 'requires TLS; write broker = "mqtts://HOST"'
        yield InvalidCombination(("mqtt.ca_file", "mqtt.broker"), text)
