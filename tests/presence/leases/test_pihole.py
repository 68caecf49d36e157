from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read

from powerd.presence.leases.dnsmasq import PiholeReader
from powerd.presence.leases.format import HostEntry

TEXT = """\
# Pi-hole configuration file (v6.0)
[dns]
  hosts = [ "10.0.0.9 not.this" ]
  revServers = []

[dhcp]
  # Is the embedded DHCP server enabled?
  active = true ### CHANGED, default = false
  ipv6 = false

  # Per host parameters for the DHCP server.
  # [ "example" ]
  hosts = [
    "02:00:00:00:00:01,10.0.0.1,pc",
    "02:00:00:00:00:02,set:x,tv"
  ] ### CHANGED, default = []

[ntp] # time
  sync = "[dhcp]"
  [ntp.ipv4]
    hosts = 7
"""


def test_hosts_of_the_dhcp_table_alone() -> None:
    assert entries_of(PiholeReader, TEXT) == {
        "10.0.0.1": HostEntry("10.0.0.1", "02:00:00:00:00:01", "pc", None, "reservation"),
        "02:00:00:00:00:02": HostEntry(None, "02:00:00:00:00:02", "tv", None, "reservation"),
    }


@pytest.mark.parametrize("hosts", ['"x"', "7", "[]", "{}"])
def test_no_hosts(hosts: str) -> None:
    assert entries_of(PiholeReader, f"[dhcp]\nhosts = {hosts}\n") == {}


@pytest.mark.parametrize("table", ["hosts = [", "= 7", "x = " + "[" * 10_000, "x = " + "1" * 5000])
def test_invalid_toml(table: str) -> None:
    result = read(PiholeReader, f"[dhcp]\n{table}\n")
    assert (result.entries, result.skipped) == ((), 1)
    assert "[dhcp]" in result.errors[0]
