"""Known clients from DHCP servers' own files, one file per format."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Final

from powerd.presence.leases import dnsmasq, isc_conf, isc_leases, kea, networkd, odhcpd
from powerd.presence.leases import dnsmasq as dnsmasq_conf
from powerd.presence.leases import dnsmasq as pihole
from powerd.presence.leases import kea as kea_conf
from powerd.presence.leases.format import LeaseFormat

FORMATS: Final = (
    isc_leases.FORMAT,
    isc_conf.FORMAT,
    dnsmasq.LEASES_FORMAT,
    pihole.PIHOLE_FORMAT,
    dnsmasq_conf.CONF_FORMAT,
    dnsmasq_conf.HOSTS_FORMAT,
    kea.LEASES_FORMAT,
    kea_conf.CONF_FORMAT,
    networkd.FORMAT,
    odhcpd.FORMAT,
)
"""All but hostapd's, whose stations are asked of it and not read. The first that recognises a text has it."""


def format_by_name(name: str) -> LeaseFormat:
    """The format of that name; KeyError for one that does not exist."""
    return {file_format.name: file_format for file_format in FORMATS}[name]


def detect_format(path: str, head: str) -> LeaseFormat | None:
    """The format of a file, by how it begins, else by its name; None = unknown.

    Args:
        path: of the file.
        head: its first KiB, as text.
    """
    by_content = next((form for form in FORMATS if form.recognise(head)), None)
    return by_content or next((form for form in FORMATS if _file_name_matches(path, form)), None)


def _file_name_matches(path: str, file_format: LeaseFormat) -> bool:
    names = (PurePosixPath(pattern).name for pattern in file_format.paths)
    return any(fnmatch(PurePosixPath(path).name, name) for name in names if name != "*")
