from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read, recorded

from powerd.presence.leases.dnsmasq import LEASES_FORMAT, DnsmasqReader
from powerd.presence.leases.format import HostEntry

MAC = "02:00:00:00:00:01"
NOON = 1795262400.0


def test_recorded_from_a_server() -> None:
    found = entries_of(DnsmasqReader, recorded("dnsmasq.leases"))
    assert {lead.mac: lead.name for lead in found.values()} == {
        "02:77:00:00:00:02": "laptop",
        "02:77:00:00:00:03": None,
    }
    assert all(lead.expires for lead in found.values())


def test_recorded_endless_and_ipv6() -> None:
    laptop, by_v6 = entries_of(DnsmasqReader, recorded("dnsmasq-endless.leases")).values()
    assert (laptop.mac, laptop.name, laptop.expires) == ("02:77:00:00:00:02", "laptop", None)
    assert by_v6.address
    assert by_v6.address.startswith("fd00:77::")
    assert by_v6.mac == laptop.mac  # out of its DUID, not out of the second field
    assert by_v6.expires


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (f"1795262400 {MAC} 10.0.0.1 pc 01:{MAC}", HostEntry("10.0.0.1", MAC, "pc", NOON)),
        (f"0 {MAC} 10.0.0.1 * *", HostEntry("10.0.0.1", MAC)),
        (f"43200 {MAC} 10.0.0.1 * *", HostEntry("10.0.0.1", MAC)),  # a duration: no clock in that router
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
def test_lines(line: str, meant: HostEntry) -> None:
    assert entries_of(DnsmasqReader, f"{line}\n") == {meant.key: meant}


def test_later_lines_count() -> None:
    text = f"0 {MAC} 10.0.0.1 old *\nduid 00:01:00:01\n\n0 {MAC} 10.0.0.1 new *\r\n"
    assert entries_of(DnsmasqReader, text)["10.0.0.1"].name == "new"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1795262400 02:00", '"1795262400 02:00" has not the five fields of a lease'),
        ("duid", '"duid" has not'),
        (f"0 {MAC} 10.0.0 pc *", '"10.0.0" is no address'),
        (f"0 {MAC} 224.0.0.1 pc *", '"224.0.0.1" is no address'),
        (f"\u0661 {MAC} 10.0.0.1 pc *", "is no time"),
        ("x" * 70_000, "is too long for an entry"),
    ],
)
def test_one_harm_is_one_line_skipped(line: str, fault: str) -> None:
    found = read(DnsmasqReader, f"0 {MAC} 10.0.0.7 a *\n{line}\n0 {MAC} 10.0.0.8 b *\n")
    assert {lead.name for lead in found.entries} == {"a", "b"}
    assert (found.skipped, len(found.errors)) == (1, 1)
    assert found.errors[0].startswith("line 2: ")
    assert fault in found.errors[0]


def test_a_last_line_without_end_counts_if_it_has_all_fields() -> None:
    assert read(DnsmasqReader, f"0 {MAC} 10.0.0.7 a *").entries
    assert read(DnsmasqReader, f"0 {MAC} 10.0.0.7 a") == read(DnsmasqReader, "")


def test_recognised() -> None:
    assert LEASES_FORMAT.recognise(recorded("dnsmasq.leases"))
    assert LEASES_FORMAT.recognise(recorded("dnsmasq-endless.leases"))
    assert LEASES_FORMAT.recognise("duid 00:01:00:01:32\n")
    assert not LEASES_FORMAT.recognise("1795262400 is a number\n")
