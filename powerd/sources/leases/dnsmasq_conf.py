"""dnsmasq's configuration, dnsmasq(8): hosts named by ``dhcp-host``, here and in files of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from powerd.sources.leases.found import HostEntry, Include, LeaseFormat, ParseResult
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import is_host_name, parse_address, parse_mac, quote, sanitize_name

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


def dhcp_host_entries(value: str) -> tuple[HostEntry, ...]:
    """What a value of ``dhcp-host`` says: its parts may come in any order, tags and times among them.

    Of several MACs (a laptop's cable and its Wi-Fi) the first gets the address, for an address is named once.

    Raises:
        ValueError: with the part that makes no sense, as a clause.
    """
    macs: list[str] = []
    addresses: list[str] = []
    name = None
    for part in (item.strip() for item in value.split(",")):
        if part == "ignore":
            return ()  # dnsmasq will not serve it
        if mac := parse_mac(part if ":" in part else ""):
            macs.append(mac)
        elif match := _HARDWARE.fullmatch(part):  # with a type before it, or a pattern for many
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
    """A whole IPv6 address; not a range, nor the host's part alone (``[::17]``), which fits any prefix."""
    if text.startswith("::") or "/" in text:
        return ()
    address = parse_address(text)
    if not address:
        raise ValueError(f"{quote(text)} is no address")
    return (address,)


class DnsmasqHostsReader(LineReader):
    """Reads a file of ``dhcp-hostsfile``: one value of ``dhcp-host`` per line."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, HostEntry] = {}

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if value := _COMMENT.sub("", text).strip():
            self.read_dhcp_host(value)

    def read_dhcp_host(self, value: str) -> None:
        """Take a value of ``dhcp-host``."""
        try:
            self._entries.update((entry.key, entry) for entry in dhcp_host_entries(value.replace('"', "")))
        except ValueError as error:
            self.errors.add(self.line_number, str(error))

    def result(self) -> ParseResult:
        """See LineReader."""
        return ParseResult(
            tuple(self._entries.values()), self.errors.skipped, tuple(self.errors.descriptions)
        )


class DnsmasqConfReader(DnsmasqHostsReader):
    """Reads a configuration: ``dhcp-host``, and options that name further files."""

    def __init__(self) -> None:
        super().__init__()
        self._includes: list[Include] = []

    def read_line(self, text: str) -> None:
        """See LineReader."""
        key, _, value = (part.strip() for part in _COMMENT.sub("", text).partition("="))
        if key == "dhcp-host":
            self.read_dhcp_host(value)
        elif value and (includes := _INCLUDES.get(key)):
            self._includes.extend(includes(value))

    def result(self) -> ParseResult:
        """See LineReader."""
        entries = tuple(self._entries.values())
        return ParseResult(
            entries, self.errors.skipped, tuple(self.errors.descriptions), tuple(self._includes)
        )


def _conf_dir_includes(value: str) -> list[Include]:
    """``DIR``; ``DIR,*.conf,…`` = only such; ``DIR,.bak,…`` = all but such."""
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
