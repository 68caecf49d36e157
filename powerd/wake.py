"""Waking another machine: whom a word means, and on which links it is to be sent for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple, Protocol

from powerd.host.values import HostError, Lan
from powerd.model import Client, ClientId, RefusedError, Woken

_MAC: Final = re.compile(r"[0-9a-f]{12}")
_NEAREST: Final = 3
_NO_BROADCAST: Final = 31
"""A network with this prefix or a longer one has no broadcast address (RFC 3021)."""


class Eyes(Protocol):
    """What has to be seen for it."""

    async def lan(self) -> Lan:
        """Links and addresses. Raises HostError when the kernel does not tell."""
        ...


class Hands(Protocol):
    """What has to be done for it."""

    async def magic(self, mac: str, to: Sequence[str]) -> None:
        """Send magic packets for ``mac`` to broadcast addresses. Raises HostError when it cannot."""
        ...


class Sleeper(NamedTuple):
    """Who is to be woken: ``addresses`` are where it was last, () = unknown."""

    label: str
    mac: str
    addresses: tuple[str, ...] = ()


async def wake(word: str, known: Mapping[ClientId, Client], eyes: Eyes, hands: Hands) -> Woken:
    """Send for whom ``word`` names: a client's name, address or MAC, or anybody's MAC.

    Raises:
        RefusedError: nobody is known by it, several are, or nothing could be sent.
    """
    sleeper = find(word, known.values())
    try:
        sent = broadcasts(sleeper.addresses, await eyes.lan())
        if not sent:
            raise RefusedError("no network card with an IPv4 address is up and has carrier; see: ip address")
        await hands.magic(sleeper.mac, tuple(dict.fromkeys(address for _, address in sent)))
    except HostError as error:
        raise RefusedError(str(error)) from None
    return Woken(sleeper.label, sleeper.mac, sent)


def find(word: str, clients: Iterable[Client]) -> Sleeper:
    """Whom ``word`` means; a name may leave out its domain.

    Raises:
        RefusedError: nobody, several, or one whose MAC is unknown.
    """
    clients, word = tuple(clients), word.strip().lower().rstrip(".")
    mac = canonical(word)
    fitting = [client for client in clients if mac == client.mac] if mac else []
    if mac and not fitting:
        return Sleeper(mac, mac)
    named = {client: client.name.lower() for client in clients if client.name}
    fitting = (
        fitting
        or [client for client in clients if word in client.addresses]
        or [client for client in named if named[client] == word]
        or [client for client in named if named[client].partition(".")[0] == word]
    )
    if not fitting:
        raise RefusedError(_unknown(word, clients), unknown=True)
    with_mac = {client.mac: client for client in fitting if client.mac}
    if not with_mac:
        raise RefusedError(
            f"the MAC address of {fitting[0].label} is not known; give that, or let it talk to this server"
        )
    if len(with_mac) > 1:
        macs = ", ".join(sorted(map(str, with_mac)))
        raise RefusedError(f'"{word}" is the name of several clients; say which: {macs}', unknown=True)
    ((found, client),) = with_mac.items()
    return Sleeper(client.label, str(found), client.addresses)


def canonical(word: str) -> str | None:
    """A MAC address, however it is punctuated, as lower case with colons; None = it is none."""
    digits = re.sub(r"[:.-]", "", word.lower())
    if not _MAC.fullmatch(digits):
        return None
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2))


def broadcasts(addresses: Iterable[str], lan: Lan) -> tuple[tuple[str, str], ...]:
    """Link and directed broadcast address (RFC 919) of each network with one of ``addresses``, else of all.

    Links without carrier are left out, and of two on one network the first is named.
    """
    every: dict[str, tuple[str, IPv4Network]] = {}
    for link in lan.links:
        for own in link.addresses if link.ready else ():
            if own.network.prefixlen < _NO_BROADCAST:
                every.setdefault(str(own.network.broadcast_address), (link.name, own.network))
    places = [IPv4Address(address) for address in addresses]
    near = {to: place for to, place in every.items() if any(each in place[1] for each in places)}
    return tuple((name, to) for to, (name, _) in (near or every).items())


def _unknown(word: str, clients: tuple[Client, ...]) -> str:
    names = sorted({client.name for client in clients if client.name})
    close = get_close_matches(word, names, n=_NEAREST, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; `powerd clients` names all"
    return f'no client is known as "{word}"{hint}'
