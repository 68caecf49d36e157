"""Kea's configuration: reservations, at whatever level they stand.

Source: Kea Administrator Reference Manual, "JSON Syntax" and "Host Reservations in DHCPv4". It is JSON with
comments, trailing commas and ``<?include "FILE"?>``; an included file may hold any piece of JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from powerd.sources.leases.found import Format, Found, Include, Lead
from powerd.sources.leases.reading import Faults, WholeReader, nothing
from powerd.sources.leases.words import address_of, mac_of, mac_of_duid, name_of, octets_of, shown

_STRING: Final = r'"(?>(?:[^"\\]++|\\.?+)*)(?:"|\Z)'
_BESIDES: Final = re.compile(
    rf"(?P<string>{_STRING})"
    r"|//[^\n]*+|#[^\n]*+|/\*(?>(?:[^*]++|\*(?!/))*)(?:\*/|\Z)"
    r'|<\?include\s*+"(?P<file>[^"\n]*+)"\s*+\?>',
    re.DOTALL,
)
_GAPS: Final = re.compile(
    rf"(?P<string>{_STRING})|(?P<open>[\[{{])(?>(?:\s*+,)+)|(?P<comma>,)(?=\s*+[,}}\]])|(?P<colon>:)(?=\s*+[,}}\]])",
    re.DOTALL,
)
_FIRST: Final = re.compile(r'"Dhcp[46]"\s*:')
_RESERVATIONS: Final = "reservations"
_IDENTIFIERS: Final = frozenset({"hw-address", "duid", "client-id", "circuit-id", "flex-id"})
_LEASES: Final = "lease-database"
_SAMPLES: Final = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")
"""Addresses for documentation (RFC 5737, RFC 3849): Kea is installed with a sample that reserves some."""


class Reader(WholeReader):
    """Reads a configuration, or a file that one includes."""

    def parse(self, text: str) -> Found:
        """See WholeReader."""
        bare, files = _strip(text)
        try:
            tree = _load(bare)
        except json.JSONDecodeError as error:
            return nothing(f"line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError):  # a number too long, or nested too deeply
            return nothing("it is no JSON that a server would read")
        includes = [Include(file) for file in files]
        leads: dict[str, Lead] = {}
        faults = Faults()
        for kind, item in _items(tree):
            if kind == _LEASES:
                includes.extend(_lease_file(item))
                continue
            try:
                leads.update((lead.key, lead) for lead in _reservation(item))
            except ValueError as error:
                faults.skipped += 1
                faults.first.append(f"a reservation: {error}")
        return Found(tuple(leads.values()), faults.skipped, tuple(faults.first[:3]), tuple(includes))


def _strip(text: str) -> tuple[str, list[str]]:
    """Plain JSON, its lines where they were, and the files that it includes."""
    files: list[str] = []

    def stripped(match: re.Match[str]) -> str:
        if match["string"]:
            return match[0]
        if match["file"]:
            files.append(match["file"])
        return "\n" * match[0].count("\n") or " "

    def closed(match: re.Match[str]) -> str:
        return match["string"] or match["open"] or (": null" if match["colon"] else "")

    return _GAPS.sub(closed, _BESIDES.sub(stripped, text)), files


def _load(text: str) -> object:
    """The text as a value; an included file may also hold a list's items, or an object's members."""
    if not text.strip():
        return None  # nothing but comments and includes
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        for opening, closing in ("[]", "{}"):
            try:
                return json.loads(_GAPS.sub(lambda match: match["string"] or "", f"{opening}{text}{closing}"))
            except json.JSONDecodeError:
                continue
        raise


def _items(tree: object) -> Iterator[tuple[str, dict[str, object]]]:
    """Reservations and descriptions of lease files, wherever they are; without recursion, however deep."""
    waiting: list[tuple[str, object]] = [("", tree)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend((key, item) for item in value)
        elif isinstance(value, dict):
            if key in {_RESERVATIONS, _LEASES} or (not key and not _IDENTIFIERS.isdisjoint(value)):
                yield key, value
            waiting.extend((name, item) for name, item in value.items() if isinstance(item, dict | list))


def _lease_file(database: dict[str, object]) -> Iterator[Include]:
    name = database.get("name")
    if database.get("type") == "memfile" and isinstance(name, str) and name:
        yield Include(name, "kea", may_lack=True)


def _reservation(item: dict[str, object]) -> tuple[Lead, ...]:
    hardware, duid = str(item.get("hw-address", "")), str(item.get("duid", ""))
    mac = mac_of(hardware) or mac_of_duid(octets_of(duid))
    if hardware and not mac:
        raise ValueError(f"{shown(hardware)} is no Ethernet address")
    name = name_of(str(item.get("hostname", "")))
    many = item.get("ip-addresses")
    leads = []
    for text in [item.get("ip-address"), *(many if isinstance(many, list) else [])]:
        address = address_of(str(text or ""))
        if address and address.startswith(_SAMPLES):
            return ()
        if address:
            leads.append(Lead(address, mac, name, kind="reservation"))
        elif text:
            raise ValueError(f"{shown(str(text))} is no address")
    return tuple(leads) or ((Lead(None, mac, name, kind="reservation"),) if mac else ())


FORMAT: Final = Format(
    name="kea.conf",
    paths=("/etc/kea/kea-dhcp4.conf", "/etc/kea/kea-dhcp6.conf"),
    recognise=lambda text: _FIRST.search(text) is not None,
    reader=Reader,
    vital=False,
)
