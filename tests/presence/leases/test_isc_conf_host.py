from __future__ import annotations

import pytest

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.isc_conf import block_mac, host_block_entries
from powerd.presence.leases.isc_syntax import IscBlock

MAC = "02:00:00:00:00:01"


def host(**fields: str) -> IscBlock:
    return IscBlock("host", '"pc"', 1, {key.replace("_", "-"): value for key, value in fields.items()})


def test_addresses_before_names() -> None:
    block = host(hardware=f"ethernet {MAC}", fixed_address="tv.lan, 10.0.0.1 ,10.0.0.2")
    assert host_block_entries(block) == (
        HostEntry("10.0.0.1", MAC, "pc", None, "reservation"),
        HostEntry("10.0.0.2", MAC, "pc", None, "reservation"),
    )


def test_a_name_to_resolve_is_kept_for_the_host() -> None:
    assert host_block_entries(host(fixed_address="tv.lan")) == (
        HostEntry(None, None, "tv.lan", None, "reservation"),
    )


def test_no_address_and_no_mac_is_nobody() -> None:
    assert host_block_entries(host()) == ()
    assert host_block_entries(host(hardware="fddi 02:00:00:00:00:01")) == ()


def test_ddns_hostname_is_a_name() -> None:
    assert host_block_entries(host(ddns_hostname='"x"', hardware=f"ethernet {MAC}"))[0].name == "x"


def test_what_is_no_mac() -> None:
    with pytest.raises(ValueError, match='"01:00:5e:00:00:01" is no Ethernet address'):
        block_mac(host(hardware="ethernet 01:00:5e:00:00:01"))
