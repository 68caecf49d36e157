from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read

from powerd.presence.leases.format import HostEntry, Include
from powerd.presence.leases.isc_conf import FORMAT, DhcpdConfReader

MAC = "02:00:00:00:00:01"
WHOLE = f"""\
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
    assert entries_of(DhcpdConfReader, WHOLE) == {
        lead.key: lead
        for lead in (
            HostEntry(None, "02:00:00:00:00:04", "inpool", None, "reservation"),
            HostEntry("10.0.0.5", "02:00:00:00:00:02", "printer", None, "reservation"),
            HostEntry("10.0.0.6", "02:00:00:00:00:03", "storage", None, "reservation"),
            HostEntry("10.0.1.6", "02:00:00:00:00:03", "storage", None, "reservation"),
            HostEntry(None, MAC, "laptop.lan", None, "reservation"),
            HostEntry("fd00::5", "02:00:00:00:00:05", "v6", None, "reservation"),
        )
    }


def test_further_files() -> None:
    text = (
        'include "/etc/dhcp/hosts.conf"; group { include "more"; }\n# include "not";\n'
        'lease-file-name "/srv/leases";\n'
    )
    assert read(DhcpdConfReader, text).includes == (
        Include("/etc/dhcp/hosts.conf"),
        Include("more"),
        Include("/srv/leases", "dhcpd.leases", optional=True),
    )


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ("host a { fixed-address 10.0.0.300; }", 'line 1: host "a": "10.0.0.300" is no address'),
        ("host a { fixed-address a b; }", '"a b" is no address'),
        ("host a { hardware ethernet 02:00; }", '"02:00" is no Ethernet address'),
        (f"host a {{ hardware ethernet {MAC} }}", "has no semicolon"),
        (f"host a {{ hardware ethernet {MAC};\n", 'host "a" is not closed'),
        ("group { } }", "a closing brace without an opening one"),
    ],
)
def test_one_harm_is_one_host_skipped(harm: str, fault: str) -> None:
    found = read(DhcpdConfReader, f"{harm}\nhost ok {{ hardware ethernet {MAC}; fixed-address 10.0.0.7; }}\n")
    assert found.skipped == 1
    assert fault in found.errors[0]
    assert found.entries == (HostEntry("10.0.0.7", MAC, "ok", None, "reservation"),)


def test_as_deep_as_it_gets() -> None:
    host = f"host pc {{ hardware ethernet {MAC}; }}"
    deep = "group { " * 20 + host + " }" * 20
    assert entries_of(DhcpdConfReader, deep).keys() == {MAC}
    too_deep = "group { " * 2000 + host + " }" * 2000
    assert entries_of(DhcpdConfReader, too_deep + host.replace("pc", "tv"))[MAC].name == "tv"


def test_recognised() -> None:
    assert FORMAT.recognise(WHOLE)
    assert not FORMAT.recognise("lease 10.0.0.1 {\n  ends never;\n}\n")
