from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read, recorded

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.kea import KeaReader

MAC = "02:00:00:00:00:01"
NOON = 1795262400.0
HEADER = (
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context"
)
HEADER6 = (
    "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,"
    "hostname,hwaddr,state,user_context,hwtype,hwaddr_source"
)


def row(
    mac: str = MAC, lifetime: str = "3600", expire: str = "1795262400", name: str = "pc", state: str = "0"
) -> str:
    return f"10.0.0.1,{mac},,{lifetime},{expire},1,0,0,{name},{state},\n"


def test_recorded_from_a_server() -> None:
    result = entries_of(KeaReader, recorded("kea-leases4.csv"))
    assert {key: (entry.mac, entry.name) for key, entry in result.items()} == {
        "10.77.78.100": ("02:77:00:00:00:02", "laptop"),
        "10.77.78.101": ("02:77:00:00:00:03", "tvupstairs12"),
        "10.77.78.102": ("02:77:00:00:00:04", "phone"),
    }
    assert result["10.77.78.102"].expires == 1795261462  # it has released its address


def test_recorded_right_after_a_cleanup() -> None:
    assert not entries_of(KeaReader, recorded("kea-cleaned.csv"))
    both = recorded("kea-cleaned.csv.2") + "\n" + recorded("kea-cleaned.csv")
    assert len(entries_of(KeaReader, both)) == 2


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (row(), [HostEntry("10.0.0.1", MAC, "pc", NOON)]),
        (row(name="old") + row(), [HostEntry("10.0.0.1", MAC, "pc", NOON)]),
        (row(lifetime="4294967295"), [HostEntry("10.0.0.1", MAC, "pc", None)]),
        (row(lifetime="4294967295", state="2"), [HostEntry("10.0.0.1", MAC, "pc", 0.0)]),
        (row(name="a&#x2cb&#x2C."), [HostEntry("10.0.0.1", MAC, "a,b,", NOON)]),
        (row(name=""), [HostEntry("10.0.0.1", MAC, None, NOON)]),
        (row(lifetime="0"), [HostEntry("10.0.0.1", MAC, "pc", NOON)]),
        (row() + row(mac="", lifetime="0"), []),
        (row() + row(mac="", state="1"), []),
        (row(mac=""), [HostEntry("10.0.0.1", None, "pc", NOON)]),
        (row(expire="9" * 500), [HostEntry("10.0.0.1", MAC, "pc", float(1 << 40))]),
    ],
)
def test_rows(rows: str, expected: list[HostEntry]) -> None:
    assert list(entries_of(KeaReader, f"{HEADER}\n{rows}").values()) == expected


def test_columns_are_found_by_name() -> None:
    text = f"address,state,pool_id,hwaddr,valid_lifetime,expire\n10.0.0.1,0,7,{MAC},60,1795262400\n"
    assert entries_of(KeaReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", MAC, None, NOON)}


def test_ipv6() -> None:
    text = (
        f"{HEADER6}\n"
        f"fd00:0::1,00:01:00:01:32:94:40:65:{MAC},60,1795262400,1,30,0,7,128,0,0,pc,,0,,,\n"
        f"fd00::2,00:04:aa,60,1795262400,1,30,1,7,128,0,0,,{MAC},0,,1,0\n"
        f"fd00:1::,00:03:00:01:{MAC},60,1795262400,1,30,2,7,64,0,0,,,0,,,\n"
    )
    assert entries_of(KeaReader, text) == {
        "fd00::1": HostEntry("fd00::1", MAC, "pc", NOON),
        "fd00::2": HostEntry("fd00::2", MAC, None, NOON),
    }


def test_a_file_without_a_header_is_invalid() -> None:
    result = read(KeaReader, row())
    assert [entry.address for entry in result.entries] == ["10.0.0.1"]
    assert result.warnings
