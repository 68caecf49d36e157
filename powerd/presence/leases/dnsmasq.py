"""Formats of dnsmasq and Pi-hole: lease files, configurations, and files of reserved hosts.

Leases (lease.c in dnsmasq's source; Pi-hole and OpenWrt use the same file): a line is ``EXPIRES MAC ADDRESS
NAME CLIENT-ID``, with ``*`` for a missing value. IPv6 leases follow a line ``duid ...``, as ``EXPIRES [T]IAID
ADDRESS NAME DUID``. dnsmasq rewrites the file in place at each change.

Configuration (dnsmasq(8)): ``dhcp-host`` reserves an address, in the configuration or in a file of its own.
Pi-hole 6 has the same values in ``hosts`` of the table ``dhcp`` of pihole.toml; its leases are dnsmasq's, in
/etc/pihole/dhcp.leases.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from glob import escape
from itertools import product
from typing import Final

from powerd.presence.leases.fields import (
    is_host_name,
    mac_from_duid,
    parse_address,
    parse_mac,
    parse_octets,
    quote,
    sanitize_name,
)
from powerd.presence.leases.format import (
    HostEntry,
    Include,
    LeaseFormat,
    LineReader,
    ParseOutput,
    ParseResult,
    parse_failure,
)

_LEASES_SIGNATURE: Final = re.compile(
    r"\s*+(?:duid (?:[\da-f]{2}:)+[\da-f]{2}\s"
    r"|\d{1,12} (?:[\da-f]{2}[:-]){0,20}[\da-f]{2} [\d.]{7,15} \S+ \S+\s"
    r"|\d{1,12} T?\d{1,10} [\da-f:]{2,39} \S+ \S+\s)"
)
_HARDWARE_TYPE: Final = re.compile(r"[0-9a-f]{2}-")
_FIELD_COUNT: Final = 5
_MIN_FIELDS: Final = 3
_MIN_TIMESTAMP: Final = 1_000_000_000
_MAX_TIMESTAMP: Final = 1 << 40

_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*")
_QUOTED: Final = re.compile(r'"((?>(?:[^"\\]++|\\.)*))"')
_ESCAPE: Final = re.compile(r'\\(["tnebr\\])')
_ESCAPED: Final = {"t": "\t", "n": "\n", "e": "\033", "b": "\b", "r": "\r"}
_OPTION: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_COMMA: Final = "\ue000"
"""Stands for a comma within quotes, which separates nothing."""
_HARDWARE: Final = re.compile(
    r"(?>(?:[0-9A-Fa-f]{1,2}-)?)((?:0*[0-9A-Fa-f]{1,2}|\*)(?>(?::(?:0*[0-9A-Fa-f]{1,2}|\*))+))"
)
_OTHER_PART: Final = re.compile(
    r"|\d[\d ]*[wdhmsWDHMS]?|infinite|[iI][dD]:.*|(?:set|tag|net):.*|\[(?:::.*|.*/.*)\]", re.ASCII | re.DOTALL
)
"""A lease time, a client identifier, a tag, or an IPv6 prefix or interface identifier."""
_NON_ASCII: Final = re.compile(r"[^\0-\x7f]")
_CONF_SIGNATURE: Final = re.compile(
    r"^\s*+(?:dhcp-(?:host|range|option|leasefile|hostsfile|authoritative)|conf-dir|conf-file|domain-needed|bogus-priv|interface)"
    r"\s*(?:=|$)",
    re.MULTILINE,
)
_HOSTS_SIGNATURE: Final = re.compile(r"^\s*+(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2},", re.MULTILINE)
_HOSTS_FORMAT_NAME: Final = "dnsmasq hosts"

_TOML_TABLE: Final = re.compile(r"\[\s*([\w.-]+)\s*\]\s*(?:#.*)?")
_PIHOLE_SIGNATURE: Final = re.compile(r"^\s*+\[dhcp\][ \t]*+(?:#.*)?$", re.MULTILINE)
_MAX_TABLE_LINES: Final = 100_000


class DnsmasqReader(LineReader):
    """Parses a lease file: one lease per line."""

    def read_line(self, text: str) -> None:
        """See LineReader."""
        fields = text.split()
        if fields[0] == "duid" and len(fields) > 1:
            return  # the server's own identifier
        if len(fields) < _MIN_FIELDS:
            self.skip(f"{quote(text)} does not have the five fields of a lease")
            return
        expires, hardware, address, name, client, *_ = *fields, "*", "*"
        host = parse_address(address)
        if not host:
            self.skip(f"{quote(address)} is not an address")
            return
        if len(fields) != _FIELD_COUNT:
            self.warn(f"{quote(text)} does not have the five fields of a lease")
        try:
            expiry = _parse_expiry(expires)
        except ValueError as error:
            self.warn(str(error))
            expiry = None
        mac = (
            mac_from_duid(parse_octets(client))
            if ":" in host
            else parse_mac(_HARDWARE_TYPE.sub("", hardware, 1))
        )
        host_name = None if name == "*" else sanitize_name(name)
        self.output.add(HostEntry(host, mac, host_name, expiry))


def _parse_expiry(text: str) -> float | None:
    """POSIX seconds; None for 0 = never, and for a duration, which dnsmasq writes if built without an RTC.

    Raises:
        ValueError: it is not a number.
    """
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{quote(text)} is not a time")
    seconds = int(text[:20])
    return float(seconds) if _MIN_TIMESTAMP <= seconds <= _MAX_TIMESTAMP else None


LEASES_FORMAT: Final = LeaseFormat(
    name="dnsmasq",
    paths=(
        "/var/lib/misc/dnsmasq.leases",
        "/var/lib/dnsmasq/dnsmasq.leases",
        "/var/db/dnsmasq.leases",
        "/etc/pihole/dhcp.leases",
        "/tmp/dhcp.leases",  # noqa: S108 - the path on OpenWrt; it is only read
        # Without the leases of libvirt and LXC: their clients run on this machine and sleep with it.
    ),
    recognise=lambda text: _LEASES_SIGNATURE.match(text) is not None,
    new_reader=DnsmasqReader,
)


def add_dhcp_host(output: ParseOutput, place: str, parts: list[str]) -> None:
    """Add the reservations of one ``dhcp-host`` value, whose parts come in any order.

    With several MACs (a laptop's Ethernet and Wi-Fi) whichever is in use gets the address.

    Args:
        output: gets the entries, or what is wrong with a part.
        place: where the value is, for errors.
        parts: what the commas separate.
    """
    macs: list[str] = []
    addresses: list[str] = []
    name, invalid = None, []
    if "ignore" in parts:
        return  # dnsmasq does not serve this host
    for part in parts:
        if _OTHER_PART.fullmatch(part):
            continue
        if match := _HARDWARE.fullmatch(part):  # with a hardware type, with wildcards, or of another length
            macs.extend(filter(None, [parse_mac(match[1])]))
        elif address := parse_address(part.strip("[]")):
            addresses.append(address)
        elif is_host_name(_NON_ASCII.sub("x", part)):  # dnsmasq translates the letters of an IDN
            name = sanitize_name(part)
        else:
            invalid.append(f"{quote(part)} is not an address, MAC or name")
    for error in invalid:
        if addresses:
            output.warn(place, error)
        else:  # it may be the address
            output.skip(place, error)
    if addresses or macs:
        output.add(
            *(
                HostEntry(address, mac, name, kind="reservation")
                for address, mac in product(addresses or (None,), macs or (None,))
            )
        )


class DnsmasqHostsReader(LineReader):
    """Parses a file of ``dhcp-hostsfile``: one value of ``dhcp-host`` per line."""

    is_configuration = True

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if value := self.plain_text(text):
            self.add_dhcp_host(value)

    def add_dhcp_host(self, value: str) -> None:
        """Parse one value of ``dhcp-host``."""
        add_dhcp_host(self.output, f"line {self.line_number}", split_value(value))

    def plain_text(self, text: str) -> str:
        """A line without quotes and without its comment; what a quoted string has of commas is hidden."""
        if '"' not in text:
            return _COMMENT.sub("", text).strip()
        plain: list[str] = []
        at, after_space = 0, True
        while at < len(text):
            if text[at] == '"':
                match = _QUOTED.match(text, at)
                if match is None:
                    self.skip(f"{quote(text[at:])} has no closing quote")
                    break
                plain.append(_ESCAPE.sub(_unescape, match[1]).replace(",", _COMMA))
                at = match.end()
            letter = text[at : at + 1]  # dnsmasq takes it as it is, even if it is another quote
            if letter == "#" and after_space:
                break
            plain.append(letter)
            at, after_space = at + 1, letter.isspace()
        return "".join(plain).strip()


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[1])


def split_value(value: str) -> list[str]:
    """The parts of a value that commas outside of quotes separate."""
    return [part.strip().replace(_COMMA, ",") for part in value.split(",")]


class DnsmasqConfReader(DnsmasqHostsReader):
    """Parses a configuration: ``dhcp-host``, and options that name other files."""

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if not (plain := self.plain_text(text)):
            return
        key, _, value = (part.strip() for part in plain.partition("="))
        if not _OPTION.fullmatch(key):
            self.skip(f"{quote(text)} is not an option")
        elif key == "dhcp-host":
            self.add_dhcp_host(value)
        elif key in _UNREAD:
            self.warn(f"{_UNREAD[key]}, which powerd does not read; name the hosts in clients.hosts")
        elif value and (includes := _INCLUDES.get(key)):
            self.output.includes.extend(includes(value))


def _conf_dir_includes(value: str) -> list[Include]:
    """``DIR``; ``DIR,*.conf,...`` includes only these; ``DIR,.bak,...`` excludes these."""
    folder, *parts = split_value(value)
    included_suffixes = [part[1:] for part in parts if part.startswith("*") and part != "*"]
    excluded_suffixes = tuple(part for part in parts if part and not part.startswith("*"))
    return [
        Include(
            _in_folder(folder, f"*{escape(suffix)}"), excluded_suffixes=excluded_suffixes, is_pattern=True
        )
        for suffix in included_suffixes or [""]
    ]


def _in_folder(folder: str, pattern: str) -> str:
    return f"{escape(folder.rstrip('/'))}/{pattern}"


def _file_name(value: str) -> str:
    return value.replace(_COMMA, ",")


_UNREAD: Final = {
    "leasefile-ro": "dnsmasq keeps no lease file (leasefile-ro), but hands its leases to a program",
    "conf-script": "dnsmasq reads options from a program (conf-script)",
    "read-ethers": "dnsmasq reads hosts from /etc/ethers (read-ethers)",
}
_INCLUDES: Final[dict[str, Callable[[str], list[Include]]]] = {
    "conf-file": lambda value: [Include(_file_name(value))],
    "conf-dir": _conf_dir_includes,
    "dhcp-hostsfile": lambda value: [Include(_file_name(value), _HOSTS_FORMAT_NAME, may_be_directory=True)],
    "dhcp-hostsdir": lambda value: [
        Include(_in_folder(_file_name(value), "*"), _HOSTS_FORMAT_NAME, is_pattern=True)
    ],
    "dhcp-leasefile": lambda value: [Include(_file_name(value), "dnsmasq", optional=True)],
}

CONF_FORMAT: Final = LeaseFormat(
    name="dnsmasq.conf",
    paths=("/etc/dnsmasq.conf", "/etc/dnsmasq.d/*"),
    recognise=lambda text: _CONF_SIGNATURE.search(text) is not None,
    new_reader=DnsmasqConfReader,
    essential=False,
)
HOSTS_FORMAT: Final = LeaseFormat(
    name=_HOSTS_FORMAT_NAME,
    paths=(),
    recognise=lambda text: _HOSTS_SIGNATURE.search(text) is not None,
    new_reader=DnsmasqHostsReader,
    essential=False,
)


class PiholeReader(LineReader):
    """Parses the table ``dhcp`` alone: tomllib is slow, and nine tenths of the file are comments."""

    is_configuration = True

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._in_dhcp_table = self._has_dhcp_table = False
        self._lines: list[str] = []

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if match := _TOML_TABLE.fullmatch(text):
            self._in_dhcp_table = match[1] == "dhcp"
            self._has_dhcp_table |= self._in_dhcp_table
        elif self._in_dhcp_table and not text.startswith("#") and len(self._lines) < _MAX_TABLE_LINES:
            self._lines.append(text)

    def finish(self) -> ParseResult:
        """Parse the table; see LineReader."""
        super().finish()
        if not self._lines and self.line_number and not self._has_dhcp_table:
            return parse_failure("it has no table [dhcp]")
        try:
            table = tomllib.loads("\n".join(self._lines))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            return parse_failure(f"its table [dhcp] is not valid TOML: {error}")
        hosts = table.get("hosts", [])
        for host in hosts if isinstance(hosts, list) else []:
            add_dhcp_host(self.output, quote(str(host)), split_value(str(host)))
        return self.output.result()


PIHOLE_FORMAT: Final = LeaseFormat(
    name="pihole.toml",
    paths=("/etc/pihole/pihole.toml",),
    recognise=lambda text: _PIHOLE_SIGNATURE.search(text) is not None,
    new_reader=PiholeReader,
    essential=False,
)
