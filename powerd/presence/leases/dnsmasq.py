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
_MIN_TIMESTAMP: Final = 1_000_000_000
_MAX_TIMESTAMP: Final = 1 << 40

_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*")
_HARDWARE: Final = re.compile(
    r"(?>(?:[0-9A-Fa-f]{1,2}-)?)((?:[0-9A-Fa-f]{1,2}|\*)(?>(?::(?:[0-9A-Fa-f]{1,2}|\*))+))"
)
_LEASE_TIME: Final = re.compile(r"\d+[wdhms]?|infinite|deprecated")
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
        if len(fields) != _FIELD_COUNT:
            self.skip(f"{quote(text)} has not the five fields of a lease")
            return
        expires, hardware, address, name, client = fields
        host = parse_address(address)
        if not host:
            self.skip(f"{quote(address)} is no address")
        elif not (expires.isascii() and expires.isdecimal()):
            self.skip(f"{quote(expires)} is no time")
        else:
            mac = (
                mac_from_duid(parse_octets(client))
                if ":" in host
                else parse_mac(_HARDWARE_TYPE.sub("", hardware, 1))
            )
            host_name = None if name == "*" else sanitize_name(name)
            self.output.add(HostEntry(host, mac, host_name, _parse_expiry(expires)))


def _parse_expiry(text: str) -> float | None:
    """POSIX seconds; None for 0 = never, and for a duration, which dnsmasq writes if built without an RTC."""
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


def dhcp_host_entries(value: str) -> tuple[HostEntry, ...]:
    """The reservations of one ``dhcp-host`` value. Its parts come in any order, with tags and lease times.

    With several MACs (a laptop's Ethernet and Wi-Fi) the first gets the address, since an address has one
    entry.

    Raises:
        ValueError: a part is invalid; the text is a clause about it.
    """
    macs: list[str] = []
    addresses: list[str] = []
    name = None
    for part in (item.strip() for item in value.split(",")):
        if part == "ignore":
            return ()  # dnsmasq does not serve this host
        if mac := parse_mac(part if ":" in part else ""):
            macs.append(mac)
        elif match := _HARDWARE.fullmatch(part):  # with a hardware type, or with wildcards
            macs.extend(filter(None, [parse_mac(match[1])]))
        elif part.startswith("[") and part.endswith("]"):
            addresses.extend(_bracketed_ipv6(part[1:-1]))
        elif address := parse_address(part):
            addresses.append(address)
        elif not part or part.startswith(("id:", "set:", "tag:", "net:")) or _LEASE_TIME.fullmatch(part):
            continue
        elif is_host_name(part):
            name = sanitize_name(part)
        else:
            raise ValueError(f"{quote(part)} is no address, MAC or name")
    entries = [
        HostEntry(address, macs[0] if macs else None, name, kind="reservation") for address in addresses
    ]
    macs_without_address = macs[1:] if addresses else macs
    return (*entries, *(HostEntry(None, mac, name, kind="reservation") for mac in macs_without_address))


def _bracketed_ipv6(text: str) -> tuple[str, ...]:
    """A complete IPv6 address; () for a prefix and for an interface identifier alone (``[::17]``)."""
    if text.startswith("::") or "/" in text:
        return ()
    address = parse_address(text)
    if not address:
        raise ValueError(f"{quote(text)} is no address")
    return (address,)


class DnsmasqHostsReader(LineReader):
    """Parses a file of ``dhcp-hostsfile``: one value of ``dhcp-host`` per line."""

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if value := _COMMENT.sub("", text).strip():
            self.read_dhcp_host(value)

    def read_dhcp_host(self, value: str) -> None:
        """Parse one value of ``dhcp-host``."""
        try:
            self.output.add(*dhcp_host_entries(value.replace('"', "")))
        except ValueError as error:
            self.skip(str(error))


class DnsmasqConfReader(DnsmasqHostsReader):
    """Parses a configuration: ``dhcp-host``, and options that name other files."""

    def read_line(self, text: str) -> None:
        """See LineReader."""
        key, _, value = (part.strip() for part in _COMMENT.sub("", text).partition("="))
        if key == "dhcp-host":
            self.read_dhcp_host(value)
        elif value and (includes := _INCLUDES.get(key)):
            self.output.includes.extend(includes(value))


def _conf_dir_includes(value: str) -> list[Include]:
    """``DIR``; ``DIR,*.conf,...`` includes only these; ``DIR,.bak,...`` excludes these."""
    folder, *parts = (part.strip() for part in value.split(","))
    included_patterns = [part for part in parts if part.startswith("*")]
    excluded_suffixes = tuple(part for part in parts if part and not part.startswith("*"))
    return [
        Include(f"{folder.rstrip('/')}/{part}", excluded_suffixes=excluded_suffixes)
        for part in included_patterns or ["*"]
    ]


_INCLUDES: Final[dict[str, Callable[[str], list[Include]]]] = {
    "conf-file": lambda value: [Include(value)],
    "conf-dir": _conf_dir_includes,
    "dhcp-hostsfile": lambda value: [Include(value, _HOSTS_FORMAT_NAME)],
    "dhcp-hostsdir": lambda value: [Include(f"{value.rstrip('/')}/*", _HOSTS_FORMAT_NAME)],
    "dhcp-leasefile": lambda value: [Include(value, "dnsmasq", optional=True)],
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

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._in_dhcp_table = False
        self._lines: list[str] = []

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if match := _TOML_TABLE.fullmatch(text):
            self._in_dhcp_table = match[1] == "dhcp"
        elif self._in_dhcp_table and not text.startswith("#") and len(self._lines) < _MAX_TABLE_LINES:
            self._lines.append(text)

    def finish(self) -> ParseResult:
        """Parse the table; see LineReader."""
        super().finish()
        try:
            table = tomllib.loads("\n".join(self._lines))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            return parse_failure(f"its table [dhcp] is not valid TOML: {error}")
        hosts = table.get("hosts", [])
        for host in hosts if isinstance(hosts, list) else []:
            try:
                self.output.add(*dhcp_host_entries(str(host)))
            except ValueError as error:
                self.output.skip(quote(str(host)), str(error))
        return self.output.result()


PIHOLE_FORMAT: Final = LeaseFormat(
    name="pihole.toml",
    paths=("/etc/pihole/pihole.toml",),
    recognise=lambda text: _PIHOLE_SIGNATURE.search(text) is not None,
    new_reader=PiholeReader,
    essential=False,
)
