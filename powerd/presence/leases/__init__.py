"""The formats of lease files; each module defines the formats of one DHCP server."""

from __future__ import annotations

from fnmatch import fnmatch
from itertools import chain
from pathlib import PurePosixPath
from typing import Final

from powerd.presence.leases import dnsmasq, isc_conf, isc_leases, kea, networkd, odhcpd
from powerd.presence.leases.format import LeaseFormat

FORMATS: Final = (
    isc_leases.FORMAT,
    kea.LEASES_FORMAT,
    kea.CONF_FORMAT,
    isc_conf.FORMAT,
    dnsmasq.LEASES_FORMAT,
    dnsmasq.PIHOLE_FORMAT,
    dnsmasq.CONF_FORMAT,
    dnsmasq.HOSTS_FORMAT,
    networkd.FORMAT,
    odhcpd.FORMAT,
)
"""All formats of files; the first that recognises a text is chosen. hostapd is queried over its socket."""


def format_by_name(name: str) -> LeaseFormat:
    """The format with this name; raises KeyError if there is none."""
    return {file_format.name: file_format for file_format in FORMATS}[name]


def detect_format(path: str, head: str) -> LeaseFormat | None:
    """The format of a file by its first KiB of text, else by its name; None = unknown."""
    by_content = (file_format for file_format in FORMATS if file_format.recognise(head))
    by_name = (file_format for file_format in FORMATS if _file_name_matches(path, file_format))
    return next(chain(by_content, by_name), None)


def _file_name_matches(path: str, file_format: LeaseFormat) -> bool:
    names = (PurePosixPath(pattern).name for pattern in file_format.paths)
    return any(fnmatch(PurePosixPath(path).name, name) for name in names if name != "*")
