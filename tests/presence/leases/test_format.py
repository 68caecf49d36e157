"""The promises of every Reader, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import JUNK, corrupted, cpu_limit, pieces, read, recorded

from powerd.presence.leases import FORMATS, hostapd
from powerd.presence.leases.format import FormatReader, HostEntry

LEASE = """\
lease 10.0.0.1 {
  starts 6 2026/11/21 09:00:00;
  ends 6 2026/11/21 10:00:00;
  binding state active;
  hardware ethernet 02:00:00:00:00:01;
  uid "\\001\\002{;";
  client-hostname "laptop";
}
"""
VALID: dict[str, tuple[str, ...]] = {
    "dhcpd.leases": (
        LEASE,
        LEASE * 3,
        recorded("dhcpd.leases"),
        recorded("dhcpd-local.leases"),
        recorded("dhcpd6.leases"),
        "host pc { dynamic; hardware ethernet 02:00:00:00:00:02; fixed-address 10.0.0.2; }\n",
    ),
    "dhcpd.conf": (
        'group { # "\n host pc { hardware ethernet 02:00:00:00:00:02; fixed-address 10.0.0.2, tv.lan; } }\n',
        'include "/etc/dhcp/hosts";\nhost "tv" { option host-name "t;v"; hardware ethernet 2:0:0:0:0:1; }\n',
    ),
    "dnsmasq": (recorded("dnsmasq.leases"), recorded("dnsmasq-endless.leases")),
    "pihole.toml": ('[dhcp]\n  hosts = [\n    "02:00:00:00:00:01,10.0.0.1,pc"\n  ] # x\n[dns]\nport = 53\n',),
    "dnsmasq.conf": (
        "# hosts\ndhcp-host=02:00:00:00:00:01,set:x,10.0.0.1,pc,12h\nconf-dir=/etc/dnsmasq.d,*.conf\n",
    ),
    "dnsmasq hosts": ("02:00:00:00:00:01,[fd00::7],10.0.0.1,pc # mine\n",),
    "kea": (recorded("kea-leases4.csv"), recorded("kea-cleaned.csv.2")),
    "kea.conf": (
        """{ /* x */ "Dhcp4": { "reservations": [ // y
        { "hw-address": "02:00:00:00:00:01", "ip-address": "10.0.0.1", }, <?include "more.json"?> ] } }""",
    ),
    "systemd-networkd": (
        """{"Leases":[{"Address":[10,0,0,1],"Hostname":"pc","HardwareAddress":[2,0,0,0,0,1],
        "ExpirationRealtimeUSec":1795265000000000}]}""",
    ),
    "odhcpd": ("# br-lan 020000000001 ipv4 pc 1795265000 a 32 10.0.0.1/32\n10.0.0.1 pc\n",),
    "hostapd": ("02:00:00:00:00:01\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=1\n",),
}
READERS: dict[str, Callable[[], FormatReader]] = {
    **{form.name: form.new_reader for form in FORMATS},
    "hostapd": hostapd.StationReader,
}
HOSTILE = (
    *(
        '"',
        '\\"',
        '"\\',
        "{",
        "}",
        ";",
        "#",
        "# ",
        "/*",
        "/*/",
        "//",
        "[",
        "[,",
        ",",
        ":",
        "=",
        "\0",
        " ",
        "\n",
    ),
    *(
        "lease 1",
        "lease 10.0.0.1 {\n",
        "  ends never;\n",
        'lease "',
        "host ",
        'host "a" {',
        '<?include "',
        "ia_na ",
    ),
    *(
        "02:",
        "0-",
        "*:",
        "a.",
        "&#x",
        '{"Leases":[',
        "1 ",
        "duid ",
        "[dhcp]\n",
        'hosts = ["',
        "dhcp-host=",
        "1" * 50,
    ),
)
every_reader = pytest.mark.parametrize("name", READERS)


def test_every_reader_has_examples() -> None:
    assert VALID.keys() == READERS.keys()


@every_reader
def test_examples_are_understood(name: str) -> None:
    for text in VALID[name]:
        found = read(READERS[name], text)
        assert found.entries
        assert not found.skipped


@every_reader
@given(text=st.text(max_size=300) | JUNK)
def test_any_text_is_taken(name: str, text: str) -> None:
    found = read(READERS[name], text)
    assert len(found.errors) == min(found.skipped, 3)


@every_reader
@given(data=st.data(), cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_pieces_make_no_difference(name: str, data: st.DataObject, cuts: list[int]) -> None:
    text = data.draw(corrupted(VALID[name]))
    whole = read(READERS[name], text)
    assert read(READERS[name], *pieces(text, cuts)) == whole
    assert len(whole.errors) == min(whole.skipped, 3)
    assert len({lead.key for lead in whole.entries}) == len(whole.entries)


@every_reader
def test_letter_by_letter(name: str) -> None:
    for text in VALID[name]:
        assert read(READERS[name], *text) == read(READERS[name], text)


@pytest.mark.parametrize("name", ["dhcpd.leases", "dhcpd.conf", "dnsmasq", "kea", "odhcpd"])
def test_cut_off_anywhere_is_no_fault(name: str) -> None:
    """A file being written: what is not there yet is missing, and nothing else is wrong."""
    for text in VALID[name]:
        whole = {lead.key for lead in read(READERS[name], text).entries}
        for end in range(len(text)):
            found = read(READERS[name], text[:end])
            assert not found.skipped, text[:end]
            assert {lead.key for lead in found.entries} <= whole


@every_reader
@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_text_takes_linear_time(name: str, pattern: str) -> None:
    """A quarter of a million letters, as they come from a file, and at once amid what makes sense."""
    text = pattern * (250_000 // len(pattern))
    with cpu_limit():
        read(READERS[name], *(text[i : i + 65536] for i in range(0, len(text), 65536)))
        read(READERS[name], VALID[name][0][:40] + text + "\n" + VALID[name][0])


def test_the_key_of_an_entry() -> None:
    assert HostEntry("10.0.0.1", "02:00:00:00:00:01", "pc").key == "10.0.0.1"
    assert HostEntry(None, "02:00:00:00:00:01", "pc").key == "02:00:00:00:00:01"
    assert HostEntry(None, None, "pc").key == "pc"
