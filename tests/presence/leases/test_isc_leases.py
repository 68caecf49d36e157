from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of, read, recorded

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.isc_leases import FORMAT, DhcpdLeasesReader

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
TEN = 1795255200.0  # 2026-11-21 10:00:00 UTC, as of date(1)


def block(*statements: str, address: str = "10.0.0.1", mac: str | None = MAC) -> str:
    hardware = [f"hardware ethernet {mac}"] if mac else []
    return f"lease {address} {{\n" + "".join(f"  {line};\n" for line in [*statements, *hardware]) + "}\n"


ACTIVE = ("ends 6 2026/11/21 10:00:00", "binding state active", "next binding state free")


def test_recorded_from_a_server() -> None:
    found = entries_of(DhcpdLeasesReader, recorded("dhcpd.leases"))
    assert {key: (lead.mac, lead.name) for key, lead in found.items()} == {
        "10.77.78.100": ("02:77:00:00:00:02", "laptop"),
        "10.77.78.101": ("02:77:00:00:00:03", None),
        "10.77.78.102": ("02:77:00:00:00:04", None),  # it has released its address, and its name with it
    }
    assert found["10.77.78.100"].expires == found["10.77.78.102"].expires + 3600  # type: ignore[operator] # both end


def test_recorded_with_local_times_endless_leases_and_actions() -> None:
    found = entries_of(DhcpdLeasesReader, recorded("dhcpd-local.leases"))
    assert found["10.77.78.100"] == HostEntry("10.77.78.100", "02:77:00:00:00:02", "laptop", None)
    assert found["10.77.78.102"].expires == 1795261463


def test_recorded_from_a_failover_pair() -> None:
    found = entries_of(DhcpdLeasesReader, recorded("dhcpd-failover.leases"))
    macs = {lead.mac for lead in found.values()}
    assert macs == {"02:77:00:00:00:03", "02:77:00:00:00:04", "02:77:00:00:00:05"}


def test_recorded_ipv6() -> None:
    found = entries_of(DhcpdLeasesReader, recorded("dhcpd6.leases"))
    assert [lead.mac for lead in found.values()] == [
        "02:77:00:00:00:02",  # from a DUID-LLT
        "02:77:00:00:00:03",  # from a DUID-LL
    ]
    assert all(key.startswith("fd00:77::") for key in found)
    assert all(lead.expires and lead.expires > TEN for lead in found.values())


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
        "fd00::8": HostEntry("fd00::8", MAC, None, 0.0),  # over, and nobody knows since when
    }


def test_the_last_entry_for_an_address_counts() -> None:
    text = block(*ACTIVE, 'client-hostname "old"') + block(*ACTIVE, 'client-hostname "new"', mac=OTHER)
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", OTHER, "new", TEN)}


@pytest.mark.parametrize("state", ["free", "expired", "released", "reset", "abandoned", "backup"])
def test_what_is_over_without_a_mac_is_nobody(state: str) -> None:
    over = block("ends 6 2026/11/21 10:00:00", f"binding state {state}", mac=None)
    assert entries_of(DhcpdLeasesReader, block(*ACTIVE) + over) == {}


@pytest.mark.parametrize("state", ["free", "expired", "released", "reset", "backup"])
def test_what_is_over_with_a_mac_is_known_with_its_end(state: str) -> None:
    text = block("ends 6 2026/11/21 10:00:00", f"binding state {state}")
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", MAC, None, TEN)}


def test_what_is_over_but_never_ends_has_ended() -> None:
    assert entries_of(DhcpdLeasesReader, block("ends never", "binding state free"))["10.0.0.1"].expires == 0.0


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ends 6 2026/11/21 10:00:00", TEN),
        ("ends 0 2028/2/29 00:00:00", 1835395200.0),
        ("ends epoch 1795255200; # Sat Nov 21 10:00:00 2026", TEN),
        ("ends never", None),
        ("binding state active", None),
    ],
)
def test_ends(written: str, meant: float | None) -> None:
    assert entries_of(DhcpdLeasesReader, block(written))["10.0.0.1"].expires == meant


@pytest.mark.parametrize(
    ("written", "meant"),
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
def test_names(written: str, meant: str | None) -> None:
    assert entries_of(DhcpdLeasesReader, block(f"client-hostname {written}"))["10.0.0.1"].name == meant


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


def test_layout_does_not_matter() -> None:
    text = f"lease 10.0.0.1{{ends 6 2026/11/21 10:00:00;binding\tstate active;hardware  ethernet {MAC};}}"
    assert entries_of(DhcpdLeasesReader, text) == {"10.0.0.1": HostEntry("10.0.0.1", MAC, None, TEN)}
    assert entries_of(DhcpdLeasesReader, block(*ACTIVE).replace("\n", "\r\n")) == entries_of(
        DhcpdLeasesReader, text
    )


@pytest.mark.parametrize("hardware", ["token-ring 02:00:00:00:00:01", "infiniband 00:01", "unknown-7 02:00"])
def test_other_hardware_has_no_mac(hardware: str) -> None:
    assert entries_of(DhcpdLeasesReader, block(f"hardware {hardware}", mac=None))["10.0.0.1"].mac is None


def test_hosts_made_over_omapi() -> None:
    host = f"host pc {{\n  dynamic;\n  hardware ethernet {MAC};\n  fixed-address 10.0.0.9;\n}}\n"
    assert entries_of(DhcpdLeasesReader, host) == {
        "10.0.0.9": HostEntry("10.0.0.9", MAC, "pc", None, "reservation")
    }
    assert entries_of(DhcpdLeasesReader, host + "host pc {\n  dynamic;\n  deleted;\n}\n") == {}


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (block(*ACTIVE, address="10.0.0.300"), 'line 1: lease "10.0.0.300": no address'),
        (block("ends 6 2026/13/21 10:00:00"), '"6 2026/13/21 10:00:00" is no time'),
        (block("ends epoch x"), '"epoch x" is no time'),
        (block(*ACTIVE, mac="02:00:zz"), '"02:00:zz" is no Ethernet address'),
        ("lease 10.0.0.1 {\n  ends never;\n", 'line 1: lease "10.0.0.1" is not closed'),
        ("host pc { hardware ethernet x; }", 'line 1: host "pc": "x" is no Ethernet address'),
        ("iaaddr fd00::1 { ends x; }\nwhat;\n", 'line 2: "what" is no entry'),
        ("}\n", "line 1: a closing brace without an opening one"),
        ("what is this;\n", 'line 1: "what is this" is no entry'),
        ("\0\0\0garbage\n", "is no entry"),
        ("\N{REPLACEMENT CHARACTER} { x; }\n", "is no entry"),
        ('lease 10.0.0.1 {\n  client-hostname "x\n}\n', "has no semicolon"),
        ("x" * 100_000 + ";\n", "line 1: a statement is too long"),
    ],
)
def test_one_harm_is_one_entry_skipped(harm: str, fault: str) -> None:
    found = read(DhcpdLeasesReader, harm + block(*ACTIVE, address="10.0.0.2"))
    assert found.skipped == 1
    assert fault in found.errors[0]
    assert found.entries == (HostEntry("10.0.0.2", MAC, None, TEN),)


def test_faults_name_their_lines_and_only_the_first_are_reported() -> None:
    text = "".join(block(*ACTIVE, address=f"10.0.0.{300 + n}") for n in range(5))
    found = read(DhcpdLeasesReader, "# a\n\n" + block(*ACTIVE) + text)
    assert found.skipped == 5
    assert found.errors == tuple(
        f'line {n}: lease "10.0.0.{m}": no address' for n, m in ((9, 300), (15, 301), (21, 302))
    )


def test_recognised() -> None:
    for name in ("dhcpd.leases", "dhcpd-local.leases", "dhcpd6.leases", "dhcpd-failover.leases"):
        assert FORMAT.recognise(recorded(name))
    assert FORMAT.recognise(block(*ACTIVE))
    assert not FORMAT.recognise("subnet 10.0.0.0 netmask 255.0.0.0 { max-lease-time 7; }")
