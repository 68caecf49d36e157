"""Formats of Kea: the lease file (memfile) and the configuration.

Leases (Kea Administrator Reference Manual, "Memfile - Basic Storage for Leases" and "The LFC Process"): CSV
with a header, a log in which the last row of an address counts. After a cleanup (LFC) the file holds only the
header; the leases are in ``.completed``, or in ``.2`` and ``.1``. Nearly every version of Kea adds columns,
so columns are found by name.

Configuration (the same manual, "JSON Syntax" and "Host Reservations in DHCPv4"; dhcp4_lexer.ll): JSON with
comments, trailing commas, numbers like ``.5`` and ``5.``, and ``<?include "FILE"?>``. An included file may
hold any fragment of JSON; a reservation that is split over two files is read as two. Reservations occur at
any level, but what is in ``user-context`` is for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from powerd.presence.leases.fields import (
    mac_from_duid,
    mac_from_octets,
    parse_address,
    parse_mac,
    parse_octets,
    quote,
    sanitize_name,
)
from powerd.presence.leases.format import (
    DocumentReader,
    HostEntry,
    Include,
    LeaseFormat,
    LineReader,
    ParseResult,
    parse_failure,
)

_HEADER_START: Final = "address,"
_ESCAPED: Final = re.compile(r"&#x([0-9a-fA-F]{2})")
_PREFIX_DELEGATION: Final = "2"
_DEFAULT_STATE: Final = "0"
_INFINITE_LIFETIME: Final = 0xFFFFFFFF
_MAX_NUMBER: Final = 1 << 40

_STRING: Final = r'"(?>(?:[^"\\]++|\\.?+)*)(?:"|\Z)'
_LEXEME: Final = re.compile(
    rf"(?P<string>{_STRING})"
    r"|//[^\n]*+|#[^\n]*+|/\*(?>(?:[^*]++|\*(?!/))*)(?:\*/|(?P<unclosed>\Z))"
    r'|<\?\s*+include\s*+"(?P<file>[^"\n]++)"\s*+\?>'
    r"|(?P<number>[+-]?(?:\d++\.?\d*+|\.\d++)(?>(?:[eE][+-]?\d++)?))",
    re.DOTALL | re.ASCII,
)
_JSON_GAPS: Final = re.compile(
    rf"(?P<string>{_STRING})|(?P<open>[\[{{])(?>(?:\s*+,)+)|(?P<comma>,)(?=\s*+[,}}\]])|(?P<colon>:)(?=\s*+[,}}\]])",
    re.DOTALL,
)
_HARDWARE: Final = re.compile(
    r"(?:0x)?([0-9A-Fa-f]{1,12})|([0-9A-Fa-f]{1,2}(?:[: ][0-9A-Fa-f]{1,2}){5})|'(.{6})'"
)
_CONF_SIGNATURE: Final = re.compile(r'"Dhcp[46]"')
_RESERVATIONS: Final = "reservations"
_IDENTIFIERS: Final = frozenset({"hw-address", "duid", "client-id", "circuit-id", "flex-id"})
_LEASE_DATABASE: Final = "lease-database"
_HOST_DATABASES: Final = frozenset({"hosts-database", "hosts-databases"})
_ITEMS: Final = frozenset({_RESERVATIONS, _LEASE_DATABASE, *_HOST_DATABASES})
_FOR_PEOPLE: Final = "user-context"
_MEMFILE: Final = "memfile"
_DATA_DIRECTORY: Final = PurePosixPath("/var/lib/kea")
"""Where Kea keeps a lease file whose name is not a whole path."""
_DOCUMENTATION_PREFIXES: Final = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")
"""Addresses for documentation (RFC 5737, RFC 3849), which the configuration in Kea's package reserves."""


class KeaReader(LineReader):
    """Parses the companions and then the file, each with a header of its own, which is line 1."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._columns: list[str] = []

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if text.startswith(_HEADER_START):
            self._columns = [name.strip() for name in text.split(",")]
            self.line_number = 1
            return
        cells = text.split(",")
        row = dict(zip(self._columns or ["address"], cells, strict=False))
        if row.get("lease_type") == _PREFIX_DELEGATION:
            return
        address = parse_address(row["address"])
        if not address:
            self.skip(f"{quote(row['address'])} is not an address")
            return
        if len(cells) != len(self._columns):
            self.warn(f"{quote(text)} does not have the {len(self._columns)} columns of the header")
        self._add_lease(address, row)

    def _add_lease(self, address: str, row: dict[str, str]) -> None:
        lifetime = expires = None
        try:
            lifetime = _parse_number(row.get("valid_lifetime", ""))
            expires = None if lifetime == _INFINITE_LIFETIME else float(_parse_number(row.get("expire", "")))
        except ValueError as error:
            self.warn(str(error))
        mac = parse_mac(row.get("hwaddr", "")) or mac_from_duid(parse_octets(row.get("duid", "")))
        ended = lifetime == 0 or row.get("state", _DEFAULT_STATE) != _DEFAULT_STATE
        if ended and not mac:
            self.output.entries.pop(address, None)
            return
        name = sanitize_name(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), row.get("hostname", "")))
        expires = 0.0 if ended and expires is None else expires
        self.output.store(address, HostEntry(address, mac, name, expires, "lease", self.output.source))


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{quote(text)} is not a number")
    return min(int(text[:20]), _MAX_NUMBER)


LEASES_FORMAT: Final = LeaseFormat(
    name="kea",
    paths=("/var/lib/kea/kea-leases4.csv", "/var/lib/kea/kea-leases6.csv"),
    recognise=lambda text: text.lstrip().startswith(_HEADER_START),
    new_reader=KeaReader,
    companions=((".completed",), (".2", ".1")),
)


class KeaConfReader(DocumentReader):
    """Parses a configuration, or a file that a configuration includes."""

    def parse(self, text: str) -> ParseResult:
        """See DocumentReader."""
        plain_json, files = _plain_json(text)
        try:
            tree = _load_json(plain_json)
        except json.JSONDecodeError as error:
            return parse_failure(f"line {error.lineno}: {error.msg}")
        except RecursionError:
            return parse_failure("it is nested too deeply")
        self.output.includes.extend(Include(file) for file in files)
        for kind, item in _find_items(tree):
            if kind == _LEASE_DATABASE:
                self._add_database(item)
            elif kind in _HOST_DATABASES:
                self.output.warn(
                    kind,
                    f"Kea reads hosts from {_database_type(item)}, which powerd does not; {_ADVICE}",
                )
            else:
                self._add_reservation(item)
        return self.output.result()

    def _add_database(self, database: dict[str, object]) -> None:
        kind, name = _database_type(database), database.get("name")
        if kind != _MEMFILE:
            self.output.warn(
                _LEASE_DATABASE,
                f"Kea keeps its leases in {kind}, which powerd does not read; {_ADVICE}",
            )
        elif database.get("persist") is False:
            self.output.warn(
                _LEASE_DATABASE,
                f'Kea keeps its leases in memory ("persist": false), not in a file; {_ADVICE}',
            )
        elif isinstance(name, str) and name:
            self.output.includes.append(Include(str(_DATA_DIRECTORY / name), "kea", optional=True))

    def _add_reservation(self, item: dict[str, object]) -> None:
        hardware, duid = str(item.get("hw-address", "")), str(item.get("duid", ""))
        mac = _parse_hardware(hardware) or mac_from_duid(parse_octets(duid))
        if hardware and not mac:
            self.output.warn("a reservation", f"{quote(hardware)} is not an Ethernet address")
        name = sanitize_name(str(item.get("hostname", "")))
        address_list = item.get("ip-addresses")
        entries = []
        for text in [item.get("ip-address"), *(address_list if isinstance(address_list, list) else [])]:
            address = parse_address(str(text or ""))
            if address and address.startswith(_DOCUMENTATION_PREFIXES):
                return
            if address:
                entries.append(HostEntry(address, mac, name, kind="reservation"))
            elif text:
                self.output.skip("a reservation", f"{quote(str(text))} is not an address")
        if not entries and mac:
            entries = [HostEntry(None, mac, name, kind="reservation")]
        self.output.add(*entries)


_ADVICE: Final = "name the hosts in clients.hosts, or let powerd learn them (clients.learn)"


def _database_type(database: dict[str, object]) -> str:
    return str(database.get("type", _MEMFILE))


def _parse_hardware(text: str) -> str | None:
    """The MAC in a ``hw-address``: octets with colons, with spaces or not separated, or six characters."""
    match = _HARDWARE.fullmatch(text)
    if match is None:
        return None
    digits, octets, characters = match.groups()
    if digits:
        return mac_from_octets(bytes.fromhex(digits.rjust(12, "0")))
    if characters:
        return mac_from_octets(characters.encode())
    return parse_mac(octets.replace(" ", ":"))


def _plain_json(text: str) -> tuple[str, list[str]]:
    """JSON with unchanged line numbers, all numbers 0, and the paths of the files that the text includes."""
    files: list[str] = []

    def replace_lexeme(match: re.Match[str]) -> str:
        if match["string"] or match["unclosed"] is not None:
            return match[0]
        if match["number"]:
            return "0"
        if match["file"]:
            files.append(match["file"])
        return "\n" * match[0].count("\n") or " "

    def replace_gap(match: re.Match[str]) -> str:
        return match["string"] or match["open"] or (": null" if match["colon"] else "")

    return _JSON_GAPS.sub(replace_gap, _LEXEME.sub(replace_lexeme, text)), files


def _load_json(text: str) -> object:
    """The parsed text; an included file may hold the items of a list, or the members of an object."""
    if not text.strip():
        return None  # only comments and includes
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        for opening, closing in ("[]", "{}"):
            try:
                return json.loads(
                    _JSON_GAPS.sub(lambda match: match["string"] or "", f"{opening}{text}{closing}")
                )
            except json.JSONDecodeError:
                continue
        raise


def _find_items(tree: object) -> Iterator[tuple[str, dict[str, object]]]:
    """Reservations and databases at any level; iterative, so that depth is not limited."""
    queue: list[tuple[str, object]] = [("", tree)]
    while queue:
        key, value = queue.pop()
        if isinstance(value, list):
            queue.extend((key, item) for item in value)
        elif isinstance(value, dict):
            if key in _ITEMS or (not key and not _IDENTIFIERS.isdisjoint(value)):
                yield key, value
            queue.extend(
                (name, item)
                for name, item in value.items()
                if isinstance(item, dict | list) and name != _FOR_PEOPLE
            )


CONF_FORMAT: Final = LeaseFormat(
    name="kea.conf",
    paths=("/etc/kea/kea-dhcp4.conf", "/etc/kea/kea-dhcp6.conf"),
    recognise=lambda text: _CONF_SIGNATURE.search(text) is not None,
    new_reader=KeaConfReader,
    essential=False,
)
