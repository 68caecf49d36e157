"""dnsmasq's configuration, dnsmasq(8): hosts named by ``dhcp-host``, here and in files of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from powerd.sources.leases.found import Format, Found, Include, Lead
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import address_of, is_host_name, mac_of, name_of, shown

_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*")
_HARDWARE: Final = re.compile(
    r"(?>(?:[0-9A-Fa-f]{1,2}-)?)((?:[0-9A-Fa-f]{1,2}|\*)(?>(?::(?:[0-9A-Fa-f]{1,2}|\*))+))"
)
_LEASE_TIME: Final = re.compile(r"\d+[wdhms]?|infinite|deprecated")
_FIRST: Final = re.compile(
    r"^\s*+(?:dhcp-(?:host|range|option|leasefile|hostsfile|authoritative)|conf-dir|conf-file|domain-needed|bogus-priv|interface)"
    r"\s*(?:=|$)",
    re.MULTILINE,
)
_FIRST_HOST: Final = re.compile(r"^\s*+(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2},", re.MULTILINE)
_HOSTS: Final = "dnsmasq hosts"


def host_leads(value: str) -> tuple[Lead, ...]:
    """What a value of ``dhcp-host`` says: its parts may come in any order, tags and times among them.

    Of several MACs (a laptop's cable and its Wi-Fi) the first gets the address, for an address is named once.

    Raises:
        ValueError: with the part that makes no sense, as a clause.
    """
    macs: list[str] = []
    addresses: list[str] = []
    name = None
    for part in (word.strip() for word in value.split(",")):
        if part == "ignore":
            return ()  # dnsmasq will not serve it
        if mac := mac_of(part if ":" in part else ""):
            macs.append(mac)
        elif match := _HARDWARE.fullmatch(part):  # with a type before it, or a pattern for many
            macs.extend(filter(None, [mac_of(match[1])]))
        elif part.startswith("[") and part.endswith("]"):
            addresses.extend(_address6(part[1:-1]))
        elif address := address_of(part):
            addresses.append(address)
        elif not part or part.startswith(("id:", "set:", "tag:", "net:")) or _LEASE_TIME.fullmatch(part):
            continue
        elif is_host_name(part):
            name = name_of(part)
        else:
            raise ValueError(f"{shown(part)} is no address, MAC or name")
    leads = [Lead(address, macs[0] if macs else None, name, kind="reservation") for address in addresses]
    more = macs[1:] if addresses else macs
    return (*leads, *(Lead(None, mac, name, kind="reservation") for mac in more))


def _address6(text: str) -> tuple[str, ...]:
    """A whole IPv6 address; not a range, nor the host's part alone (``[::17]``), which fits any prefix."""
    if text.startswith("::") or "/" in text:
        return ()
    address = address_of(text)
    if not address:
        raise ValueError(f"{shown(text)} is no address")
    return (address,)


class HostsReader(LineReader):
    """Reads a file of ``dhcp-hostsfile``: one value of ``dhcp-host`` per line."""

    def __init__(self) -> None:
        super().__init__()
        self._leads: dict[str, Lead] = {}

    def line(self, text: str) -> None:
        """See LineReader."""
        if value := _COMMENT.sub("", text).strip():
            self.host(value)

    def host(self, value: str) -> None:
        """Take a value of ``dhcp-host``."""
        try:
            self._leads.update((lead.key, lead) for lead in host_leads(value.replace('"', "")))
        except ValueError as error:
            self.faults.note(self.number, str(error))

    def found(self) -> Found:
        """See LineReader."""
        return Found(tuple(self._leads.values()), self.faults.skipped, tuple(self.faults.first))


class Reader(HostsReader):
    """Reads a configuration: ``dhcp-host``, and options that name further files."""

    def __init__(self) -> None:
        super().__init__()
        self._includes: list[Include] = []

    def line(self, text: str) -> None:
        """See LineReader."""
        key, _, value = (part.strip() for part in _COMMENT.sub("", text).partition("="))
        if key == "dhcp-host":
            self.host(value)
        elif value and (includes := _INCLUDES.get(key)):
            self._includes.extend(includes(value))

    def found(self) -> Found:
        """See LineReader."""
        leads = tuple(self._leads.values())
        return Found(leads, self.faults.skipped, tuple(self.faults.first), tuple(self._includes))


def _conf_dir(value: str) -> list[Include]:
    """``DIR``; ``DIR,*.conf,…`` = only such; ``DIR,.bak,…`` = all but such."""
    folder, *parts = (part.strip() for part in value.split(","))
    only = [part for part in parts if part.startswith("*")]
    but = tuple(part for part in parts if part and not part.startswith("*"))
    return [Include(f"{folder.rstrip('/')}/{part}", but=but) for part in only or ["*"]]


_INCLUDES: Final[dict[str, Callable[[str], list[Include]]]] = {
    "conf-file": lambda value: [Include(value)],
    "conf-dir": _conf_dir,
    "dhcp-hostsfile": lambda value: [Include(value, _HOSTS)],
    "dhcp-hostsdir": lambda value: [Include(f"{value.rstrip('/')}/*", _HOSTS)],
    "dhcp-leasefile": lambda value: [Include(value, "dnsmasq", may_lack=True)],
}

FORMAT: Final = Format(
    name="dnsmasq.conf",
    paths=("/etc/dnsmasq.conf", "/etc/dnsmasq.d/*"),
    recognise=lambda text: _FIRST.search(text) is not None,
    reader=Reader,
    vital=False,
)
HOSTS: Final = Format(
    name=_HOSTS,
    paths=(),
    recognise=lambda text: _FIRST_HOST.search(text) is not None,
    reader=HostsReader,
    vital=False,
)
