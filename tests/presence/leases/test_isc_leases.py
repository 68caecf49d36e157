from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read, recorded

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.isc_leases import DhcpdLeasesReader

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
TEN = 1795255200.0  # 2026-11-21 10:00:00 UTC, as of date(1)


def block(*statements: str, address: str = "10.0.0.1", mac: str | None = MAC) -> str:
    hardware = [f"hardware ethernet {mac}"] if mac else []
    return f"lease {address} {{\n" + "".join(f"  {line};\n" for line in [*statements, *hardware]) + "}\n"


ACTIVE = ("ends 6 2026/11/21 10:00:00", "binding state active", "next binding state free")


def test_recorded_from_a_server() -> None:
    result = entries_of(DhcpdLeasesReader, recorded("dhcpd.leases"))
    assert {key: (entry.mac, entry.name) for key, entry in result.items()} == {
        "10.77.78.100": ("02:77:00:00:00:02", "laptop"),
        "10.77.78.101": ("02:77:00:00:00:03", None),
        "10.77.78.102": ("02:77:00:00:00:04", None),  # it has released its address, and its name with it
    }
    assert result["10.77.78.100"].expires == result["10.77.78.102"].expires + 3600  # type: ignore[operator] # both have an end


def test_recorded_with_local_times_infinite_leases_and_actions() -> None:
    result = entries_of(DhcpdLeasesReader, recorded("dhcpd-local.leases"))
    assert result["10.77.78.100"] == HostEntry("10.77.78.100", "02:77:00:00:00:02", "laptop", None)
    assert result["10.77.78.102"].expires == 1795261463


def test_recorded_from_a_failover_pair() -> None:
    result = entries_of(DhcpdLeasesReader, recorded("dhcpd-failover.leases"))
    macs = {entry.mac for entry in result.values()}
    assert macs == {"02:77:00:00:00:03", "02:77:00:00:00:04", "02:77:00:00:00:05"}


def test_recorded_ipv6() -> None:
    result = entries_of(DhcpdLeasesReader, recorded("dhcpd6.leases"))
    assert [entry.mac for entry in result.values()] == [
        "02:77:00:00:00:02",  # from a DUID-LLT
        "02:77:00:00:00:03",  # from a DUID-LL
    ]
    assert all(key.startswith("fd00:77::") for key in result)
    assert all(entry.expires and entry.expires > TEN for entry in result.values())


def test_ipv6_as_the_manual_page_has_it() -> None:
    text = (
        f"ia_na 01:02:03:04:00:03:00:01:{MAC} {{\n cltt 6 2026/11/21 09:00:00;\n"
        " iaaddr fd00:0::7 { binding state active; max-life 10; ends 6 2026/11/21 10:00:00; }\n"
        " iaaddr fd00::8 { binding state expired; ends never; }\n}\n"
        "ia_ta 01:02:03:04:00:04:aa { iaaddr fd00::9 { binding state released; } }\n"
        "ia_pd 01:02:03:04:00:03 { iaprefix fd00:1::/64 { binding state active; } }\n"
    )
    assert entries_of(DhcpdLeasesReader, text) == {
        "fd00::7": HostEntry("fd00::7", MAC, None, TEN),
        "fd00::8": HostEntry("fd00::8", MAC, None, 0.0),  # ended at an unknown time
    }


def test_the_last_entry_for_an_address_counts() -> None:
    text = block(*ACTIVE, 'client-hostname "old"') + block(*ACTIVE, 'client-hostname "new"', mac=OTHER)
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", OTHER, "new", TEN)}


@pytest.mark.parametrize("state", ["free", "expired", "released", "reset", "abandoned", "backup"])
def test_an_ended_lease_without_a_mac_is_dropped(state: str) -> None:
    over = block("ends 6 2026/11/21 10:00:00", f"binding state {state}", mac=None)
    assert entries_of(DhcpdLeasesReader, block(*ACTIVE) + over) == {}


@pytest.mark.parametrize("state", ["free", "expired", "released", "reset", "backup"])
def test_an_ended_lease_with_a_mac_stays_with_its_end(state: str) -> None:
    text = block("ends 6 2026/11/21 10:00:00", f"binding state {state}")
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", MAC, None, TEN)}


def test_an_ended_lease_without_an_end_has_expired() -> None:
    assert entries_of(DhcpdLeasesReader, block("ends never", "binding state free"))["10.0.0.1"].expires == 0.0


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ends 6 2026/11/21 10:00:00", TEN),
        ("ends 0 2028/2/29 00:00:00", 1835395200.0),
        ("ends 6 2026/11/21 10:00:00 UTC", TEN),
        ("ENDS\t6 2026/11/21\n10 : 00:00", TEN),
        ("ends epoch 1795255200; # Sat Nov 21 10:00:00 2026", TEN),
        ("ends never", None),
        ("binding state active", None),
    ],
)
def test_ends(written: str, expected: float | None) -> None:
    assert entries_of(DhcpdLeasesReader, block(written))["10.0.0.1"].expires == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"laptop"', "laptop"),
        ('"laptop.lan."', "laptop.lan"),
        (r'"a\"b\\c"', 'a"b\\c'),
        (r'"caf\303\251"', "caf\u00e9"),
        (r'"\033[31mred"', "[31mred"),
        ('"{};#"', "{};#"),
        ("bare", "bare"),
        ('""', None),
    ],
)
def test_names(written: str, expected: str | None) -> None:
    assert entries_of(DhcpdLeasesReader, block(f"client-hostname {written}"))["10.0.0.1"].name == expected


@pytest.mark.parametrize(
    "noise",
    [
        r'uid "\001\002w\000;{}#\""',
        'set vendor-class-identifier = "MSFT 5.0"',
        r'option agent.circuit-id "\000\004"',
        "tstp 6 2026/11/21 10:00:00",
        "rewind binding state free",
        "reserved",
        'on expiry { set x = "}"; log (info, "ends never;"); }',
        'on release or expiry {\n    if (1 = 1) {\n execute ("/bin/x");\n } }',
        '# client-hostname "commented";\n  bootp',
    ],
)
def test_other_statements_do_not_matter(noise: str) -> None:
    assert entries_of(DhcpdLeasesReader, block(*ACTIVE, noise)) == {
        "10.0.0.1": HostEntry("10.0.0.1", MAC, None, TEN)
    }


def test_recorded_from_openbsd() -> None:
    text = (
        f"lease 10.0.0.1 {{\n\tstarts 6 2026/11/21 09:00:00 UTC;\n\tends 6 2026/11/21 10:00:00 UTC;\n"
        f'\thardware ethernet {MAC};\n\tuid 01:{MAC};\n\tclient-hostname "pc";\n}}\n'
        "lease 10.0.0.2 {\n\tstarts 6 2026/11/21 09:00:00 UTC;\n\tends 6 2026/11/21 10:00:00 UTC;\n"
        "\tabandoned;\n}\n"
    )
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", MAC, "pc", TEN)}


def test_layout_does_not_matter() -> None:
    text = f"lease 10.0.0.1{{ends 6 2026/11/21 10:00:00;BINDING\tState Active;Hardware  Ethernet {MAC};}}"
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", MAC, None, TEN)}
    assert entries_of(DhcpdLeasesReader, block(*ACTIVE).replace("\n", "\r\n")) == entries_of(
        DhcpdLeasesReader, text
    )


@pytest.mark.parametrize("hardware", ["token-ring 02:00:00:00:00:01", "infiniband 00:01", "unknown-7 02:00"])
def test_other_hardware_has_no_mac(hardware: str) -> None:
    assert entries_of(DhcpdLeasesReader, block(f"hardware {hardware}", mac=None))["10.0.0.1"].mac is None


def test_hosts_created_over_omapi() -> None:
    host = f"host pc {{\n  dynamic;\n  hardware ethernet {MAC};\n  fixed-address 10.0.0.9;\n}}\n"
    assert entries_of(DhcpdLeasesReader, host) == {
        "10.0.0.9": HostEntry("10.0.0.9", MAC, "pc", None, "reservation")
    }
    assert entries_of(DhcpdLeasesReader, host + "host pc {\n  dynamic;\n  deleted;\n}\n") == {}


def test_errors_have_line_numbers_and_only_the_first_are_described() -> None:
    text = "".join(block(*ACTIVE, address=f"10.0.0.{300 + n}") for n in range(5))
    result = read(DhcpdLeasesReader, "# a\n\n" + block(*ACTIVE) + text)
    assert result.skipped == 5
    assert result.errors == tuple(
        f'line {n}: lease "10.0.0.{m}": no address' for n, m in ((9, 300), (15, 301), (21, 302))
    )
