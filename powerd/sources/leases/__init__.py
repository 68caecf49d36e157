"""Known clients from DHCP servers' own files, one file per format."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Final

from powerd.sources.leases import (
    dnsmasq,
    dnsmasq_conf,
    isc_conf,
    isc_leases,
    kea,
    kea_conf,
    networkd,
    odhcpd,
    pihole,
)
from powerd.sources.leases.found import Format

FORMATS: Final = (
    isc_leases.FORMAT,
    isc_conf.FORMAT,
    dnsmasq.FORMAT,
    pihole.FORMAT,
    dnsmasq_conf.FORMAT,
    dnsmasq_conf.HOSTS,
    kea.FORMAT,
    kea_conf.FORMAT,
    networkd.FORMAT,
    odhcpd.FORMAT,
)
"""All but hostapd's, whose stations are asked of it and not read. The first that recognises a text has it."""


def named(name: str) -> Format:
    """The format of that name; KeyError for one that does not exist."""
    return {form.name: form for form in FORMATS}[name]


def recognise(path: str, head: str) -> Format | None:
    """The format of a file, by how it begins, else by its name; None = unknown.

    Args:
        path: of the file.
        head: its first KiB, as text.
    """
    by_content = next((form for form in FORMATS if form.recognise(head)), None)
    return by_content or next((form for form in FORMATS if _is_named_so(path, form)), None)


def _is_named_so(path: str, form: Format) -> bool:
    names = (PurePosixPath(pattern).name for pattern in form.paths)
    return any(fnmatch(PurePosixPath(path).name, name) for name in names if name != "*")
