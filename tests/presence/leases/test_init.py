"""The registry of formats; tests of single formats are beside this file."""

from __future__ import annotations

import pytest
from presence.leases.parsing import recorded

from powerd.presence.leases import FORMATS, detect_format, format_by_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (recorded("dhcpd.leases"), "dhcpd.leases"),
        (recorded("dhcpd6.leases"), "dhcpd.leases"),
        (recorded("dnsmasq.leases"), "dnsmasq"),
        (recorded("dnsmasq-endless.leases"), "dnsmasq"),
        (recorded("kea-cleaned.csv"), "kea"),
        ("host pc { hardware ethernet 02:00:00:00:00:01; }", "dhcpd.conf"),
        ("dhcp-range=10.0.0.1,10.0.0.9\n", "dnsmasq.conf"),
        ("02:00:00:00:00:01,10.0.0.1\n", "dnsmasq hosts"),
        ('# mine\n{ "Dhcp4": {} }', "kea.conf"),
        ('{"Leases": []}', "systemd-networkd"),
        ("[dns]\n[dhcp]\nhosts = []\n", "pihole.toml"),
        ("# br-lan 020000000001 ipv4 pc -1 a 32 10.0.0.1/32\n", "odhcpd"),
    ],
)
def test_recognised_by_content(text: str, name: str) -> None:
    form = detect_format("/srv/x", text)
    assert form
    assert form.name == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/dhcpd.leases", "dhcpd.leases"),
        ("/srv/dnsmasq.conf", "dnsmasq.conf"),
        ("/srv/kea-leases4.csv", "kea"),
        ("/srv/pihole.toml", "pihole.toml"),
    ],
)
def test_recognised_by_name_if_the_content_is_ambiguous(path: str, name: str) -> None:
    form = detect_format(path, "# nothing yet\n")
    assert form
    assert form.name == name


def test_unknown() -> None:
    assert detect_format("/srv/x", "Dear diary,\n") is None
    assert detect_format("/srv/x.conf", "") is None


def test_names_are_unique() -> None:
    assert len({form.name for form in FORMATS}) == len(FORMATS)
    assert all(format_by_name(form.name) is form for form in FORMATS)
