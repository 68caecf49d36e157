"""Who is known: leads of all lease files, hosts of the configuration and learned hosts, joined into clients.

One host is often named three times: by a reservation, a lease and the neighbour table. MAC addresses join
them; where only an address is known, the address does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from powerd.host.values import Lan
from powerd.model import Client, ClientId
from powerd.sources.learned import Book
from powerd.sources.leases.found import Lead

EXPIRED_KNOWN: Final = 30 * 86400.0
"""A lease that has run out names a client for so long yet, seconds: servers sleep, leases lapse."""
_FOREVER: Final = float("inf")


@dataclass(slots=True)
class _Draft:
    """A client being put together; addresses with the end of their leases, POSIX seconds."""

    mac: str | None = None
    name: str | None = None
    addresses: dict[str, float] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    stale: bool = True


class Roster:
    """Joins what is added: leads first, then hosts, then learned ones."""

    def __init__(self) -> None:
        self._drafts: dict[str, _Draft] = {}
        self._owner: dict[str, str] = {}

    def add_lead(self, lead: Lead, label: str, *, stale: bool, now: float) -> None:
        """A host that the file ``label`` names, or named while ``stale``; a lease long run out is none."""
        address = _ipv4(lead.address)
        key = lead.mac or (address and self._owner.get(address, address))
        if key is None or (lead.expires is not None and lead.expires < now - EXPIRED_KNOWN):
            return
        draft = self._draft(key, "hostapd" if lead.kind == "station" else label, stale=stale)
        draft.mac = draft.mac or lead.mac
        if lead.name and (lead.kind == "reservation" or draft.name is None):
            draft.name = lead.name
        if address is not None:
            self._claim(key, address, _FOREVER if lead.expires is None else lead.expires, lead.kind)

    def add_host(self, host: str, addresses: tuple[str, ...]) -> None:
        """One of ``[clients] hosts`` and what it resolves to; () = it could not be resolved."""
        owner = next((self._owner[address] for address in addresses if address in self._owner), host)
        draft = self._draft(owner, "hosts", stale=False)
        if host not in addresses:
            draft.name = draft.name or host
        for address in addresses:
            draft.addresses.setdefault(address, _FOREVER)
            self._owner.setdefault(address, owner)

    def add_learned(self, book: Book) -> None:
        """Hosts met on the LAN: known already by MAC or by address, or new."""
        for mac, met in book.items():
            owner = mac if mac in self._drafts else self._owner.get(met.address, mac)
            draft = self._draft(owner, "learned", stale=False)
            draft.mac = draft.mac or mac
            draft.addresses.setdefault(met.address, _FOREVER)
            self._owner.setdefault(met.address, owner)

    def clients(self, lan: Lan) -> Iterator[Client]:
        """Everybody who may be home; this server and its gateways never are.

        A host with a MAC but no address is left out, for it cannot be asked, unless the configuration wants
        it or it is a station of this server's own access point.
        """
        infrastructure = lan.own | lan.gateways
        for key, draft in self._drafts.items():
            reachable = draft.addresses or not {"hosts", "hostapd"}.isdisjoint(draft.sources)
            if reachable and infrastructure.isdisjoint(draft.addresses):
                yield _client(key, draft)

    def _draft(self, key: str, source: str, *, stale: bool) -> _Draft:
        draft = self._drafts.setdefault(key, _Draft())
        draft.sources[source] = None
        draft.stale = draft.stale and stale
        return draft

    def _claim(self, key: str, address: str, until: float, kind: str) -> None:
        """Give ``address`` to ``key`` unless another host holds it for longer by a lease.

        A reservation (``until`` for ever) yields to no lease and takes from none: dhcpd leases outlive edits
        of its configuration, so then both are asked.
        """
        owner = self._owner.get(address, key)
        holder = self._drafts[owner]
        held = holder.addresses.get(address, 0.0)
        if owner != key and kind == "lease" and held < _FOREVER:
            if held > until:
                return
            holder.addresses.pop(address, None)
        self._owner[address] = key
        draft = self._drafts[key]
        draft.addresses[address] = max(until, draft.addresses.get(address, 0.0))


def _client(key: str, draft: _Draft) -> Client:
    addresses = sorted(draft.addresses, key=lambda address: -draft.addresses[address])
    return Client(ClientId(key), tuple(addresses), draft.mac, draft.name, tuple(draft.sources), draft.stale)


def _ipv4(address: str | None) -> str | None:
    """``address`` if it is IPv4: an IPv6 one is joined by its MAC, and never asked."""
    try:
        return None if address is None else str(IPv4Address(address))
    except AddressValueError:
        return None
