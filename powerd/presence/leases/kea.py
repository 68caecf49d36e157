"""Kea's leases in its memfile: CSV with a header, a log in which the last row of an address counts.

Source: Kea Administrator Reference Manual, "Memfile - Basic Storage for Leases" and "The LFC Process".
The clean-up (LFC) leaves a header alone in the file itself; what it has kept is in ``.completed``, or in
``.2`` and ``.1``. Columns have been added by nearly each version, so they go by their names.

Kea's configuration: reservations, at whatever level they stand.

Source: Kea Administrator Reference Manual, "JSON Syntax" and "Host Reservations in DHCPv4". It is JSON with
comments, trailing commas and ``<?include "FILE"?>``; an included file may hold any piece of JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from powerd.presence.leases.fields import (
    mac_from_duid,
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
    ParseErrors,
    ParseResult,
    parse_failure,
)

_HEADER_START: Final = "address,"
_ESCAPED: Final = re.compile(r"&#x([0-9a-fA-F]{2})")
_PREFIX_DELEGATION: Final = "2"
_DEFAULT_STATE: Final = "0"
_INFINITE_LIFETIME: Final = 0xFFFFFFFF
_MAX_NUMBER: Final = 1 << 40


class KeaReader(LineReader):
    """Reads the companions and then the file, each with a header of its own; lines count from its header."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[str] = []
        self._entries: dict[str, HostEntry] = {}

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if text.startswith(_HEADER_START):
            self._columns = [name.strip() for name in text.split(",")]
            self.number = 1
            return
        cells = text.split(",")
        if len(cells) != len(self._columns):
            self.errors.add(
                self.number, f"{quote(text)} has not the {len(self._columns)} columns of the header"
            )
            return
        try:
            self._add_row(dict(zip(self._columns, cells, strict=True)))
        except ValueError as error:
            self.errors.add(self.number, str(error))

    def _add_row(self, row: dict[str, str]) -> None:
        if row.get("lease_type") == _PREFIX_DELEGATION:
            return
        address = parse_address(row["address"])
        if not address:
            raise ValueError(f"{quote(row['address'])} is no address")
        lifetime = _parse_number(row.get("valid_lifetime", ""))
        expires = None if lifetime == _INFINITE_LIFETIME else float(_parse_number(row.get("expire", "")))
        mac = parse_mac(row.get("hwaddr", "")) or mac_from_duid(parse_octets(row.get("duid", "")))
        ended = lifetime == 0 or row.get("state", _DEFAULT_STATE) != _DEFAULT_STATE
        if ended and not mac:
            self._entries.pop(address, None)
            return
        name = sanitize_name(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), row.get("hostname", "")))
        self._entries[address] = HostEntry(address, mac, name, 0.0 if ended and expires is None else expires)

    def result(self) -> ParseResult:
        """See LineReader."""
        return ParseResult(
            tuple(self._entries.values()), self.errors.skipped, tuple(self.errors.descriptions)
        )


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{quote(text)} is no number")
    return min(int(text[:20]), _MAX_NUMBER)


LEASES_FORMAT: Final = LeaseFormat(
    name="kea",
    paths=("/var/lib/kea/kea-leases4.csv", "/var/lib/kea/kea-leases6.csv"),
    recognise=lambda text: text.lstrip().startswith(_HEADER_START),
    new_reader=KeaReader,
    companions=((".completed",), (".2", ".1")),
)


_STRING: Final = r'"(?>(?:[^"\\]++|\\.?+)*)(?:"|\Z)'
_COMMENT_OR_INCLUDE: Final = re.compile(
    rf"(?P<string>{_STRING})"
    r"|//[^\n]*+|#[^\n]*+|/\*(?>(?:[^*]++|\*(?!/))*)(?:\*/|\Z)"
    r'|<\?include\s*+"(?P<file>[^"\n]*+)"\s*+\?>',
    re.DOTALL,
)
_JSON_GAPS: Final = re.compile(
    rf"(?P<string>{_STRING})|(?P<open>[\[{{])(?>(?:\s*+,)+)|(?P<comma>,)(?=\s*+[,}}\]])|(?P<colon>:)(?=\s*+[,}}\]])",
    re.DOTALL,
)
_CONF_SIGNATURE: Final = re.compile(r'"Dhcp[46]"\s*:')
_RESERVATIONS: Final = "reservations"
_IDENTIFIERS: Final = frozenset({"hw-address", "duid", "client-id", "circuit-id", "flex-id"})
_LEASE_DATABASE: Final = "lease-database"
_DOCUMENTATION_PREFIXES: Final = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")
"""Addresses for documentation (RFC 5737, RFC 3849): Kea is installed with a sample that reserves some."""


class KeaConfReader(DocumentReader):
    """Reads a configuration, or a file that one includes."""

    def parse(self, text: str) -> ParseResult:
        """See WholeReader."""
        plain_json, files = _strip_comments(text)
        try:
            tree = _load_json(plain_json)
        except json.JSONDecodeError as error:
            return parse_failure(f"line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError):  # a number too long, or nested too deeply
            return parse_failure("it is no JSON that a server would read")
        includes = [Include(file) for file in files]
        entries: dict[str, HostEntry] = {}
        errors = ParseErrors()
        for kind, item in _find_items(tree):
            if kind == _LEASE_DATABASE:
                includes.extend(_lease_file_includes(item))
                continue
            try:
                entries.update((entry.key, entry) for entry in _reservation_entries(item))
            except ValueError as error:
                errors.skipped += 1
                errors.descriptions.append(f"a reservation: {error}")
        return ParseResult(
            tuple(entries.values()), errors.skipped, tuple(errors.descriptions[:3]), tuple(includes)
        )


def _strip_comments(text: str) -> tuple[str, list[str]]:
    """Plain JSON, its lines where they were, and the files that it includes."""
    files: list[str] = []

    def replace_comment(match: re.Match[str]) -> str:
        if match["string"]:
            return match[0]
        if match["file"]:
            files.append(match["file"])
        return "\n" * match[0].count("\n") or " "

    def replace_gap(match: re.Match[str]) -> str:
        return match["string"] or match["open"] or (": null" if match["colon"] else "")

    return _JSON_GAPS.sub(replace_gap, _COMMENT_OR_INCLUDE.sub(replace_comment, text)), files


def _load_json(text: str) -> object:
    """The text as a value; an included file may also hold a list's items, or an object's members."""
    if not text.strip():
        return None  # nothing but comments and includes
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
    """Reservations and descriptions of lease files, wherever they are; without recursion, however deep."""
    queue: list[tuple[str, object]] = [("", tree)]
    while queue:
        key, value = queue.pop()
        if isinstance(value, list):
            queue.extend((key, item) for item in value)
        elif isinstance(value, dict):
            if key in {_RESERVATIONS, _LEASE_DATABASE} or (not key and not _IDENTIFIERS.isdisjoint(value)):
                yield key, value
            queue.extend((name, item) for name, item in value.items() if isinstance(item, dict | list))


def _lease_file_includes(database: dict[str, object]) -> Iterator[Include]:
    name = database.get("name")
    if database.get("type") == "memfile" and isinstance(name, str) and name:
        yield Include(name, "kea", optional=True)


def _reservation_entries(item: dict[str, object]) -> tuple[HostEntry, ...]:
    hardware, duid = str(item.get("hw-address", "")), str(item.get("duid", ""))
    mac = parse_mac(hardware) or mac_from_duid(parse_octets(duid))
    if hardware and not mac:
        raise ValueError(f"{quote(hardware)} is no Ethernet address")
    name = sanitize_name(str(item.get("hostname", "")))
    address_list = item.get("ip-addresses")
    entries = []
    for text in [item.get("ip-address"), *(address_list if isinstance(address_list, list) else [])]:
        address = parse_address(str(text or ""))
        if address and address.startswith(_DOCUMENTATION_PREFIXES):
            return ()
        if address:
            entries.append(HostEntry(address, mac, name, kind="reservation"))
        elif text:
            raise ValueError(f"{quote(str(text))} is no address")
    return tuple(entries) or ((HostEntry(None, mac, name, kind="reservation"),) if mac else ())


CONF_FORMAT: Final = LeaseFormat(
    name="kea.conf",
    paths=("/etc/kea/kea-dhcp4.conf", "/etc/kea/kea-dhcp6.conf"),
    recognise=lambda text: _CONF_SIGNATURE.search(text) is not None,
    new_reader=KeaConfReader,
    essential=False,
)
