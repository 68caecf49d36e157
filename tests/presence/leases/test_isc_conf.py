from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, label, read

from powerd.presence.leases.format import HostEntry, Include
from powerd.presence.leases.isc_conf import DhcpdConfReader

MAC = "02:00:00:00:00:01"
TEXT = f"""\
# dhcpd.conf with "quotes" and {{ braces in a comment
option domain-name "lan {{ # ;";
ddns-update-style none; default-lease-time 600;
failover peer "pair" {{ primary; address 10.0.0.2; port 647; }}
class "phones" {{ match if substring (option vendor-class-identifier, 0, 7) = "android"; }}
subclass "phones" 1:02:00:00:00:00:77;
shared-network home {{
  subnet 10.0.0.0 netmask 255.255.255.0 {{
    option routers 10.0.0.1;
    pool {{ range 10.0.0.100 10.0.0.150; host inpool {{ hardware ethernet 02:00:00:00:00:04; }} }}
    host printer {{ hardware ethernet 2:0:0:0:0:2; fixed-address 10.0.0.5; }}
  }}
}}
group {{ use-host-decl-names on;
  host "nas" {{
    hardware ethernet 02:00:00:00:00:03;     # the box
    fixed-address 10.0.0.6, 10.0.1.6;
    option host-name "storage";
    if exists user-class {{ filename "x"; }} else {{ filename "y"; }}
  }}
}}
host laptop {{ hardware ethernet {MAC}; fixed-address laptop.lan; }}
host v6 {{ hardware ethernet 02:00:00:00:00:05; fixed-address6 fd00:0::5; }}
host nobody {{ option dhcp-client-identifier "x"; }}
"""


def test_hosts_at_any_nesting_level() -> None:
    assert entries_of(DhcpdConfReader, TEXT) == {
        label(entry): entry
        for entry in (
            HostEntry(None, "02:00:00:00:00:04", "inpool", None, "reservation"),
            HostEntry("10.0.0.5", "02:00:00:00:00:02", "printer", None, "reservation"),
            HostEntry("10.0.0.6", "02:00:00:00:00:03", "storage", None, "reservation"),
            HostEntry("10.0.1.6", "02:00:00:00:00:03", "storage", None, "reservation"),
            HostEntry(None, MAC, "laptop.lan", None, "reservation"),
            HostEntry("fd00::5", "02:00:00:00:00:05", "v6", None, "reservation"),
        )
    }


def test_other_files() -> None:
    text = (
        'include "/etc/dhcp/hosts.conf"; group { include "more"; }\n# include "not";\n'
        'lease-file-name "/srv/leases";\n'
    )
    assert read(DhcpdConfReader, text).includes == (
        Include("/etc/dhcp/hosts.conf"),
        Include("more"),
        Include("/srv/leases", "dhcpd.leases", optional=True),
    )


def test_the_followed_depth_is_limited() -> None:
    host = f"host pc {{ hardware ethernet {MAC}; }}"
    deep = "group { " * 20 + host + " }" * 20
    assert entries_of(DhcpdConfReader, deep).keys() == {MAC}
    too_deep = "group { " * 2000 + host + " }" * 2000
    assert entries_of(DhcpdConfReader, too_deep + host.replace("pc", "tv"))[MAC].name == "tv"


def host(address: str | None, mac: str | None = MAC, name: str | None = "pc") -> HostEntry:
    return HostEntry(address, mac, name, None, "reservation")


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("hardware ethernet\t02:00:00:00:00:01;", [host(None)]),
        ("Hardware Ethernet 02:00:00:00:00:01; Fixed-Address 10.0.0.1;", [host("10.0.0.1")]),
        ("hardware\nethernet # x\n 2 : 0:0 :000:00:01\r\n;", [host(None)]),
        ("fixed-address 10 . 00 . # ;\n 0.001;", [host("10.0.0.1", None)]),
        ('HARDWARE ETHERNET 02:00:00:00:00:01; OPTION HOST-NAME = "tv";', [host(None, name="tv")]),
        (
            'hardware ethernet 02:00:00:00:00:01; option host-name "a\\"\\x42\\103\\t;{#";',
            [host(None, name='a"BC;{#')],
        ),
        ('hardware ethernet 02:00:00:00:00:01; option host-name "a\nb";', [host(None, name="ab")]),
        ('hardware ethernet 02:00:00:00:00:01; option host-name = concat("a", "b");', [host(None)]),
        ("fixed-address tv.lan, 10.0.0.1 ,10.0.0.2;", [host("10.0.0.1", None), host("10.0.0.2", None)]),
        ("fixed-address tv.lan;", [host(None, None, "tv.lan")]),
        ("fixed-address6 FD00:0::5;", [host("fd00::5", None)]),
        ("fixed-address 224.0.0.1;", []),
        ("hardware fddi 02:00:00:00:00:01;", []),
        ('hardware ethernet 02:00:00:00:00:01; ddns-hostname "x";', [host(None, name="x")]),
        ("", []),
    ],
)
def test_statements_of_a_host(statements: str, expected: list[HostEntry]) -> None:
    for head in ("host pc {", "HOST\tpc{", "host # a\n pc\n{", "group { Host pc {"):
        text = f"{head}{statements}{'}' * head.count('{')}\n"
        assert entries_of(DhcpdConfReader, text) == {label(entry): entry for entry in expected}


def test_keywords_of_files_in_any_case_and_with_any_white_space() -> None:
    text = 'INCLUDE\n"/etc/\\x61"; Lease-File-Name # x\n\t"srv/leases";'
    assert read(DhcpdConfReader, text).includes == (
        Include("/etc/a"),
        Include("srv/leases", "dhcpd.leases", optional=True),
    )


def test_hosts_in_ldap_are_not_read() -> None:
    (warning,) = read(DhcpdConfReader, 'ldap-server "x";\nLDAP-method\n dynamic;\n').warnings
    assert "LDAP" in warning
    assert not read(DhcpdConfReader, "ldap-method static;\n").warnings


@pytest.mark.parametrize("text", ["host a {", "group { host b { } ", 'option x "', "authoritative", "host"])
def test_a_configuration_that_ends_early_is_not_complete(text: str) -> None:
    assert read(DhcpdConfReader, text).skipped == 1
    assert not read(DhcpdConfReader, text.split(maxsplit=1)[0] + ";\n# " + text).skipped
