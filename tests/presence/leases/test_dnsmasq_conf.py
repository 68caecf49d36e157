from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read

from powerd.presence.leases.dnsmasq import (
    DnsmasqConfReader,
    DnsmasqHostsReader,
    add_dhcp_host,
    split_value,
)
from powerd.presence.leases.format import HostEntry, Include, ParseOutput

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"


def host(address: str | None, mac: str | None = MAC, name: str | None = None) -> HostEntry:
    return HostEntry(address, mac, name, None, "reservation")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{MAC},10.0.0.1", [host("10.0.0.1")]),
        (f"10.0.0.1,{MAC}", [host("10.0.0.1")]),
        (f"{MAC},pc,10.0.0.1,12h", [host("10.0.0.1", name="pc")]),
        (f"12h, 10.0.0.1 , pc,{MAC}", [host("10.0.0.1", name="pc")]),
        (f"{MAC},set:known,tag:eth1,net:old,id:01:02,pc,infinite", [host(None, name="pc")]),
        ("2:0:0:0:0:1,10.0.0.1", [host("10.0.0.1")]),
        (f"6-{MAC},10.0.0.1", [host("10.0.0.1")]),
        (f"{MAC},{OTHER},10.0.0.1,pc", [host("10.0.0.1", name="pc"), host("10.0.0.1", OTHER, "pc")]),
        (f"{MAC},{OTHER}", [host(None), host(None, OTHER)]),
        ("02:00:00:*:*:*,10.0.0.1", [host("10.0.0.1", None)]),
        (f"{MAC},[fd00:0::7],10.0.0.1", [host("fd00::7"), host("10.0.0.1")]),
        (f"{MAC},[::7],pc", [host(None, name="pc")]),
        ("id:*,[fd00::/64],pc", []),
        ("pc,10.0.0.1", [host("10.0.0.1", None, "pc")]),
        ("pc", []),
        (f"{MAC},b\u00fcro,10.0.0.1", [host("10.0.0.1", name="b\u00fcro")]),
        (f"{MAC},10.0.0.1,B\u00dcRO.lan", [host("10.0.0.1", name="B\u00dcRO.lan")]),
        (f"{MAC},10.0.0.1,x_y,2W", [host("10.0.0.1", name="x_y")]),
        (f"{MAC},10.0.0.1,,1 2H", [host("10.0.0.1")]),
        ("ID:x:y,10.0.0.1", [host("10.0.0.1", None)]),
        ("002:0:00:000:0:1,10.0.0.1", [host("10.0.0.1")]),
        ("02:00:00:01,10.0.0.1", [host("10.0.0.1", None)]),
        (f"{MAC},[fd00::/64],10.0.0.1", [host("10.0.0.1")]),
        (f"{MAC},[::1:7]", [host(None)]),
        (f"{MAC},ignore", []),
        ("", []),
    ],
)
def test_values_of_dhcp_host(value: str, expected: list[HostEntry]) -> None:
    output = ParseOutput("")
    add_dhcp_host(output, "", split_value(value))
    assert list(output.result().entries) == expected
    assert not output.warnings
    assert not output.skipped


def test_configuration() -> None:
    text = (
        "# dhcp-host=02:00:00:00:00:09,10.0.0.9\n"
        "domain-needed\n"
        "interface=eth0 # not that one: dhcp-host=x\n"
        f'  dhcp-host = {MAC},"pc",10.0.0.1  # mine\n'
        "dhcp-range=10.0.0.50,10.0.0.99\n"
        f"dhcp-host={OTHER},tv"
    )
    assert entries_of(DnsmasqConfReader, text) == {
        "10.0.0.1": host("10.0.0.1", name="pc"),
        OTHER: host(None, OTHER, "tv"),
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("conf-file=/etc/more.conf", [Include("/etc/more.conf")]),
        ("conf-dir=/etc/dnsmasq.d/", [Include("/etc/dnsmasq.d/*", is_pattern=True)]),
        ("conf-dir=/d,.bak,.old", [Include("/d/*", excluded_suffixes=(".bak", ".old"), is_pattern=True)]),
        (
            "conf-dir=/d/,*.conf,*.x",
            [Include("/d/*.conf", is_pattern=True), Include("/d/*.x", is_pattern=True)],
        ),
        (
            "dhcp-hostsfile=/etc/hosts.dhcp",
            [Include("/etc/hosts.dhcp", "dnsmasq hosts", may_be_directory=True)],
        ),
        ("dhcp-hostsdir=/run/hosts/", [Include("/run/hosts/*", "dnsmasq hosts", is_pattern=True)]),
        ("dhcp-leasefile=/srv/leases", [Include("/srv/leases", "dnsmasq", optional=True)]),
        ("conf-file=", []),
        ('conf-file="a""b #c', [Include('a"b', is_pattern=False)]),
        ('conf-file= "a"#b', [Include("a")]),
        ('conf-file=x"a"#b', [Include("xa#b")]),
        ('dhcp-leasefile="/srv/my.leases"', [Include("/srv/my.leases", "dnsmasq", optional=True)]),
        (
            'dhcp-leasefile = "/srv/a \\"b\\", # c" # d',
            [Include('/srv/a "b", # c', "dnsmasq", optional=True)],
        ),
        ("dhcp-leasefile=/srv/a b#c\t# d", [Include("/srv/a b#c", "dnsmasq", optional=True)]),
        ('conf-file="/etc/more".conf', [Include("/etc/more.conf")]),
        (
            'conf-dir="/d,1/",*.conf,".bak"',
            [Include("/d,1/*.conf", excluded_suffixes=(".bak",), is_pattern=True)],
        ),
        ("conf-dir=/d*/,*", [Include("/d[*]/*", is_pattern=True)]),
        ("Conf-file=/etc/more.conf", []),
        ("conf-file", []),
    ],
)
def test_other_files(line: str, expected: list[Include]) -> None:
    assert list(read(DnsmasqConfReader, f"{line}\n").includes) == expected


def test_hosts_file() -> None:
    assert entries_of(DnsmasqHostsReader, f"# all of them\n{MAC},10.0.0.1,pc # mine\n\n") == {
        "10.0.0.1": host("10.0.0.1", name="pc")
    }


@pytest.mark.parametrize("option", ["leasefile-ro", "conf-script=/bin/x", "read-ethers"])
def test_what_powerd_does_not_read_is_a_warning(option: str) -> None:
    result = read(DnsmasqConfReader, f"# {option}\n{option}\n")
    assert len(result.warnings) == 1
    assert not result.skipped


def test_a_missing_quote() -> None:
    assert read(DnsmasqConfReader, f'dhcp-host={MAC},"10.0.0.1\n').skipped
