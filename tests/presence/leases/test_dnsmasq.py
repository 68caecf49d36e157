from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read, recorded

from powerd.presence.leases.dnsmasq import DnsmasqReader
from powerd.presence.leases.format import HostEntry, ParseResult

MAC = "02:00:00:00:00:01"
NOON = 1795262400.0


def test_recorded_from_a_server() -> None:
    result = entries_of(DnsmasqReader, recorded("dnsmasq.leases"))
    assert {entry.mac: entry.name for entry in result.values()} == {
        "02:77:00:00:00:02": "laptop",
        "02:77:00:00:00:03": None,
    }
    assert all(entry.expires for entry in result.values())


def test_recorded_infinite_and_ipv6_leases() -> None:
    laptop, by_v6 = entries_of(DnsmasqReader, recorded("dnsmasq-endless.leases")).values()
    assert (laptop.mac, laptop.name, laptop.expires) == ("02:77:00:00:00:02", "laptop", None)
    assert by_v6.address
    assert by_v6.address.startswith("fd00:77::")
    assert by_v6.mac == laptop.mac  # from its DUID, not from the second field
    assert by_v6.expires


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"1795262400 {MAC} 10.0.0.1 pc 01:{MAC}", HostEntry("10.0.0.1", MAC, "pc", NOON)),
        (f"0 {MAC} 10.0.0.1 * *", HostEntry("10.0.0.1", MAC)),
        (f"43200 {MAC} 10.0.0.1 * *", HostEntry("10.0.0.1", MAC)),  # a duration, from a router without an RTC
        (f"{'9' * 400} {MAC} 10.0.0.1 * *", HostEntry("10.0.0.1", MAC)),
        (f"1795262400 06-{MAC} 10.0.0.1 * *", HostEntry("10.0.0.1", MAC, None, NOON)),
        (
            "1795262400 20-80:00:02:08:fe:80 10.0.0.1 * *",
            HostEntry("10.0.0.1", "80:00:02:08:fe:80", None, NOON),
        ),
        ("1795262400 20-80:00:02:08:fe:80:00 10.0.0.1 * *", HostEntry("10.0.0.1", None, None, NOON)),
        ("1795262400 00-00 10.0.0.1 * ff:01", HostEntry("10.0.0.1", None, None, NOON)),
        (f"1795262400 T77 fd00::7 * 00:03:00:01:{MAC}", HostEntry("fd00::7", MAC, None, NOON)),
        ("1795262400 77 fd00::7 * 00:02:00:00:ab:11", HostEntry("fd00::7", None, None, NOON)),
    ],
)
def test_lines(line: str, expected: HostEntry) -> None:
    assert entries_of(DnsmasqReader, f"{line}\n") == {expected.key: expected}


def test_later_lines_count() -> None:
    text = f"0 {MAC} 10.0.0.1 old *\nduid 00:01:00:01\n\n0 {MAC} 10.0.0.1 new *\r\n"
    assert entries_of(DnsmasqReader, text)["10.0.0.1"].name == "new"


def test_a_last_line_without_a_newline_counts_if_it_is_complete() -> None:
    assert read(DnsmasqReader, f"0 {MAC} 10.0.0.7 a *").entries
    result = read(DnsmasqReader, f"0 {MAC} 10.0.0.7 a")
    assert result == ParseResult(cut_off=result.cut_off)
    assert result.cut_off
