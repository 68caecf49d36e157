"""Wake-on-LAN: finds the machine that a name means, and sends a magic packet on the links that reach it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

from powerd.core.actions import RequestRefusedError
from powerd.linux.ports import Network
from powerd.linux.values import HostError, Lan
from powerd.presence.model import Client, ClientId
from powerd.requests.model import WakeOnLanResult

_MAC: Final = re.compile(r"[0-9a-f]{2}(?P<separator>[:-]?)(?:[0-9a-f]{2}(?P=separator)){4}[0-9a-f]{2}")
_DOTTED_MAC: Final = re.compile(r"[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}")
_MAX_SUGGESTIONS: Final = 3
_MIN_PREFIX_WITHOUT_BROADCAST: Final = 31
"""A network with this prefix or a longer one has no broadcast address (RFC 3021)."""


class WakeTarget(NamedTuple):
    """The machine to wake; ``addresses`` are its last known IPv4 addresses, () = unknown."""

    label: str
    mac: str
    addresses: tuple[str, ...] = ()


async def wake_host(name: str, clients: Mapping[ClientId, Client], network: Network) -> WakeOnLanResult:
    """Send a magic packet to ``name``: the name, address or MAC address of a client, or any MAC address.

    Raises:
        RequestRefusedError: no client or several clients match, a MAC address is unknown, or no packet could
            be sent.
    """
    target = find_target(name, clients.values())
    try:
        destinations = broadcast_addresses(target.addresses, await network.lan())
        if not destinations:
            raise RequestRefusedError(
                "no network card with an IPv4 address is up and has carrier; see: ip address"
            )
        await network.send_magic_packet(
            target.mac, tuple(dict.fromkeys(address for _, address in destinations))
        )
    except HostError as error:
        raise RequestRefusedError(str(error)) from None
    return WakeOnLanResult(target.label, target.mac, destinations)


def find_target(name: str, clients: Iterable[Client]) -> WakeTarget:
    """The machine that ``name`` means; the domain of a host name may be omitted.

    Raises:
        RequestRefusedError: no client or several clients match, or the MAC address of the client is unknown.
    """
    clients, name = tuple(clients), name.strip().lower().rstrip(".")
    named = [
        (client, each.lower()) for client in clients for each in (client.name, *client.other_names) if each
    ]
    matching = [client for client in clients if name in client.addresses]
    mac = None if matching else normalize_mac(name)
    if mac:
        client = next((client for client in clients if mac in client.macs), None)
        return WakeTarget(client.label, mac, client.addresses) if client else WakeTarget(mac, mac)
    matching = (
        matching
        or [client for client, each in named if each == name]
        or [client for client, each in named if each.partition(".")[0] == name]
    )
    if not matching:
        raise RequestRefusedError(_unknown_host_message(name, clients), not_found=True)
    with_mac = {client.mac: client for client in matching if client.mac}
    if not with_mac:
        raise RequestRefusedError(
            f"the MAC address of {matching[0].label} is not known; give the MAC address, or let the "
            "client exchange traffic with this server first"
        )
    if len(with_mac) > 1:
        macs = ", ".join(
            f"{mac} ({client.maker})" if client.maker else str(mac)
            for mac, client in sorted(with_mac.items(), key=str)
        )
        raise RequestRefusedError(
            f'"{name}" is the name of several clients; name one: {macs}', not_found=True
        )
    ((found, client),) = with_mac.items()
    return WakeTarget(client.label, str(found), client.addresses)


def normalize_mac(text: str) -> str | None:
    """The MAC address in ``text``, in lower case with colons; None = ``text`` is not a MAC address.

    Its forms are ``aa:bb:cc:dd:ee:ff``, ``aa-bb-cc-dd-ee-ff``, ``aabb.ccdd.eeff`` and ``aabbccddeeff``;
    192.168.178.100 has twelve digits too.
    """
    text = text.lower()
    if not _MAC.fullmatch(text) and not _DOTTED_MAC.fullmatch(text):
        return None
    digits = re.sub(r"[:.-]", "", text)
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2))


def broadcast_addresses(addresses: Iterable[str], lan: Lan) -> tuple[tuple[str, str], ...]:
    """Link and directed broadcast address (RFC 919) of each network that contains one of ``addresses``.

    If no network contains one, all networks are returned. Links without carrier are omitted; if two links are
    on one network, the first one is returned.
    """
    networks: dict[str, tuple[str, IPv4Network]] = {}
    for link in lan.links:
        for own in link.addresses if link.ready else ():
            if own.network.prefixlen < _MIN_PREFIX_WITHOUT_BROADCAST:
                networks.setdefault(str(own.network.broadcast_address), (link.name, own.network))
    targets = [IPv4Address(address) for address in addresses if ":" not in address]
    local = {to: network for to, network in networks.items() if any(each in network[1] for each in targets)}
    return tuple((name, to) for to, (name, _) in (local or networks).items())


def _unknown_host_message(name: str, clients: tuple[Client, ...]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - 0.2 MB, only a wrong name needs it

    names = sorted({each for client in clients for each in (client.name, *client.other_names) if each})
    close = get_close_matches(name, names, n=_MAX_SUGGESTIONS, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; `powerd clients` lists all"
    return f'no client is known as "{name}"{hint}'
