from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read

from powerd.presence.leases.format import HostEntry, Include
from powerd.presence.leases.isc_conf import DhcpdConfReader, block_mac, host_block_entries
from powerd.presence.leases.isc_syntax import IscBlock

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
        entry.key: entry
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


def host_block(**fields: str) -> IscBlock:
    return IscBlock("host", '"pc"', 1, {key.replace("_", "-"): value for key, value in fields.items()})


def test_addresses_take_precedence_over_names() -> None:
    block = host_block(hardware=f"ethernet {MAC}", fixed_address="tv.lan, 10.0.0.1 ,10.0.0.2")
    assert host_block_entries(block) == (
        HostEntry("10.0.0.1", MAC, "pc", None, "reservation"),
        HostEntry("10.0.0.2", MAC, "pc", None, "reservation"),
    )


def test_a_fixed_address_may_be_a_name() -> None:
    assert host_block_entries(host_block(fixed_address="tv.lan")) == (
        HostEntry(None, None, "tv.lan", None, "reservation"),
    )


def test_a_block_without_address_and_mac_has_no_entry() -> None:
    assert host_block_entries(host_block()) == ()
    assert host_block_entries(host_block(hardware="fddi 02:00:00:00:00:01")) == ()


def test_ddns_hostname_is_a_name() -> None:
    assert host_block_entries(host_block(ddns_hostname='"x"', hardware=f"ethernet {MAC}"))[0].name == "x"


def test_an_invalid_mac() -> None:
    with pytest.raises(ValueError, match='"01:00:5e:00:00:01" is no Ethernet address'):
        block_mac(host_block(hardware="ethernet 01:00:5e:00:00:01"))
