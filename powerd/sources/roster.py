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
from powerd.sources.learned import LearnedHosts
from powerd.sources.leases.found import HostEntry

EXPIRED_LEASE_RETENTION: Final = 30 * 86400.0
"""A lease that has run out names a client for so long yet, seconds: servers sleep, leases lapse."""
_NEVER_EXPIRES: Final = float("inf")


@dataclass(slots=True)
class _ClientDraft:
    """A client being put together; addresses with the end of their leases, POSIX seconds."""

    mac: str | None = None
    name: str | None = None
    addresses: dict[str, float] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    stale: bool = True


class ClientMerger:
    """Joins what is added: leads first, then hosts, then learned ones."""

    def __init__(self) -> None:
        self._drafts: dict[str, _ClientDraft] = {}
        self._owner_by_address: dict[str, str] = {}

    def add_entry(self, entry: HostEntry, label: str, *, stale: bool, now: float) -> None:
        """A host that the file ``label`` names, or named while ``stale``; a lease long run out is none."""
        address = _ipv4_or_none(entry.address)
        key = entry.mac or (address and self._owner_by_address.get(address, address))
        if key is None or (entry.expires is not None and entry.expires < now - EXPIRED_LEASE_RETENTION):
            return
        draft = self._draft_for(key, "hostapd" if entry.kind == "station" else label, stale=stale)
        draft.mac = draft.mac or entry.mac
        if entry.name and (entry.kind == "reservation" or draft.name is None):
            draft.name = entry.name
        if address is not None:
            self._assign_address(
                key, address, _NEVER_EXPIRES if entry.expires is None else entry.expires, entry.kind
            )

    def add_configured_host(self, host: str, addresses: tuple[str, ...]) -> None:
        """One of ``[clients] hosts`` and what it resolves to; () = it could not be resolved."""
        owner = next(
            (self._owner_by_address[address] for address in addresses if address in self._owner_by_address),
            host,
        )
        draft = self._draft_for(owner, "hosts", stale=False)
        if host not in addresses:
            draft.name = draft.name or host
        for address in addresses:
            draft.addresses.setdefault(address, _NEVER_EXPIRES)
            self._owner_by_address.setdefault(address, owner)

    def add_learned(self, learned_hosts: LearnedHosts) -> None:
        """Hosts met on the LAN: known already by MAC or by address, or new."""
        for mac, learned in learned_hosts.items():
            owner = mac if mac in self._drafts else self._owner_by_address.get(learned.address, mac)
            draft = self._draft_for(owner, "learned", stale=False)
            draft.mac = draft.mac or mac
            draft.addresses.setdefault(learned.address, _NEVER_EXPIRES)
            self._owner_by_address.setdefault(learned.address, owner)

    def clients(self, lan: Lan) -> Iterator[Client]:
        """Everybody who may be home; this server and its gateways never are.

        A host with a MAC but no address is left out, for it cannot be asked, unless the configuration wants
        it or it is a station of this server's own access point.
        """
        infrastructure = lan.own_addresses | lan.gateways
        for key, draft in self._drafts.items():
            reachable = draft.addresses or not {"hosts", "hostapd"}.isdisjoint(draft.sources)
            if reachable and infrastructure.isdisjoint(draft.addresses):
                yield _client_from_draft(key, draft)

    def _draft_for(self, key: str, source: str, *, stale: bool) -> _ClientDraft:
        draft = self._drafts.setdefault(key, _ClientDraft())
        draft.sources[source] = None
        draft.stale = draft.stale and stale
        return draft

    def _assign_address(self, key: str, address: str, expires: float, kind: str) -> None:
        """Give ``address`` to ``key`` unless another host holds it for longer by a lease.

        A reservation (``until`` for ever) yields to no lease and takes from none: dhcpd leases outlive edits
        of its configuration, so then both are asked.
        """
        owner = self._owner_by_address.get(address, key)
        owner_draft = self._drafts[owner]
        owner_expires = owner_draft.addresses.get(address, 0.0)
        if owner != key and kind == "lease" and owner_expires < _NEVER_EXPIRES:
            if owner_expires > expires:
                return
            owner_draft.addresses.pop(address, None)
        self._owner_by_address[address] = key
        draft = self._drafts[key]
        draft.addresses[address] = max(expires, draft.addresses.get(address, 0.0))


def _client_from_draft(key: str, draft: _ClientDraft) -> Client:
    addresses = sorted(draft.addresses, key=lambda address: -draft.addresses[address])
    return Client(ClientId(key), tuple(addresses), draft.mac, draft.name, tuple(draft.sources), draft.stale)


def _ipv4_or_none(address: str | None) -> str | None:
    """``address`` if it is IPv4: an IPv6 one is joined by its MAC, and never asked."""
    try:
        return None if address is None else str(IPv4Address(address))
    except AddressValueError:
        return None
