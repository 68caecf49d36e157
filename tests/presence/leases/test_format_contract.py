"""The contract of all lease formats: what every parser guarantees, whatever the text.

Tests of what a single format means are in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import JUNK, SOURCE, corrupted, cpu_limit, label, pieces, read, recorded

from powerd.presence.leases import FORMATS, detect_format, format_by_name, hostapd
from powerd.presence.leases.format import FormatReader, HostEntry

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
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
READERS: dict[str, Callable[[str], FormatReader]] = {
    **{file_format.name: file_format.new_reader for file_format in FORMATS},
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
        '\\"\\"',
        '<?include "a"',
        "0.0.",
        "#\0\n",
        "1" * 50,
    ),
)
_DHCPD_LEASE = f"  ends 6 2026/11/21 10:00:00;\n  binding state active;\n  hardware ethernet {MAC};\n}}\n"
_KEA_HEADER = "address,hwaddr,valid_lifetime,expire,hostname\n"
INVALID: dict[str, tuple[str, set[str], list[tuple[str, str]]]] = {
    "dhcpd.leases": (
        "@lease 10.0.0.2 {\n" + _DHCPD_LEASE,
        {"10.0.0.2"},
        [
            ("lease 10.0.0.300 {\n" + _DHCPD_LEASE, 'line 1: lease "10.0.0.300": no address'),
            ("lease 10.0.0 {\n  ends never;\n", 'line 1: lease "10.0.0": no address'),
            ("iaaddr fd00::1 { ends x; }\nwhat;\n", 'line 2: "what" is not an entry'),
            ("what is this;\n", 'line 1: "what is this" is not an entry'),
            ("\N{REPLACEMENT CHARACTER} { x; }\n", "is not an entry"),
            ("x" * 100_000 + ";\n", "line 1: a statement is too long"),
        ],
    ),
    "dhcpd.conf": (
        f"@\nhost ok {{ hardware ethernet {MAC}; fixed-address 10.0.0.7; }}\n",
        {"10.0.0.7"},
        [
            ("host a { fixed-address 10.0.0.300; }", 'line 1: host "a": "10.0.0.300" is not an address'),
            ("host a { fixed-address a b; }", '"a b" is not an address'),
            ("host a { Fixed-Address 10.0.0; }", '"10.0.0" is not an address'),
        ],
    ),
    "dnsmasq": (
        f"0 {MAC} 10.0.0.7 a *\n@\n0 {MAC} 10.0.0.8 b *\n",
        {"10.0.0.7", "10.0.0.8"},
        [
            ("1795262400 02:00", 'line 2: "1795262400 02:00" does not have the five fields of a lease'),
            ("duid", 'line 2: "duid" does not have'),
            (f"0 {MAC} 10.0.0 pc *", 'line 2: "10.0.0" is not an address'),
            (f"0 {MAC} 224.0.0.1 pc *", 'line 2: "224.0.0.1" is not an address'),
            ("x" * 70_000, "line 2: is too long for an entry"),
        ],
    ),
    "dnsmasq.conf": (
        f"dhcp-host={MAC},@\ndhcp-host={OTHER},10.0.0.2\n",
        {MAC, "10.0.0.2"},
        [(part, "line 1: ") for part in ("10.0.0.300", "[fd00::x]", "a b", "[x", "-x")],
    ),
    "dnsmasq hosts": (f"{MAC},@\n{OTHER},10.0.0.2\n", {MAC, "10.0.0.2"}, [("10.0.0.300", "line 1: ")]),
    "pihole.toml": (
        f'[dhcp]\nhosts = ["@", "{MAC}"]\n',
        {MAC},
        [("10.0.0.300", '"10.0.0.300": "10.0.0.300" is not an address, MAC or name')],
    ),
    "kea": (
        f"{_KEA_HEADER}@10.0.0.2,{MAC},3600,1795262400,pc\n",
        {"10.0.0.2"},
        [
            ("soon\n", 'line 2: "soon" is not an address'),
            (f"10.0.0,{MAC},3600,1795262400,pc\n", 'line 2: "10.0.0" is not an address'),
        ],
    ),
    "kea.conf": (
        f'{{"Dhcp4": {{"reservations": [@, {{"hw-address": "{MAC}"}}]}}}}',
        {MAC},
        [(text, "a reservation: ") for text in ('{"ip-address": "10.0.0"}', '{"ip-addresses": ["x"]}')],
    ),
    "systemd-networkd": (
        '{"Leases": [@, {"Address": [10, 0, 0, 9]}]}',
        {"10.0.0.9"},
        [
            (f'{{"Address": {address}}}', "a lease: ")
            for address in ("null", "[10, 0, 0]", "[10, 0, 0, 300]", "[0, 0, 0, 0]", '"10.0.0.1"', "[[]]")
        ]
        + [("7", "a lease: ")],
    ),
    "odhcpd": (
        "# @\n# br-lan 020000000001 ipv4 pc -1 a 32 10.0.0.1/32\n",
        {"10.0.0.1"},
        [
            ("br-lan", "line 1: "),
            ("br-lan 02 ipv4 pc 7 a 32 10.0.0/32", 'line 1: "10.0.0/32" is not an address'),
        ],
    ),
}
"""For each format: a text with a place (@) for an invalid entry, the keys of its other entries, and invalid
entries with the error that describes each. In hostapd's answers unknown lines are ignored."""
NOT_OF_FORMAT = {
    "dhcpd.leases": "subnet 10.0.0.0 netmask 255.0.0.0 { max-lease-time 7; }",
    "dhcpd.conf": "lease 10.0.0.1 {\n  ends never;\n}\n",
    "dnsmasq": "1795262400 is a number\n",
    "pihole.toml": "[dhcpd]\n",
    "dnsmasq.conf": f"{MAC},10.0.0.1\n",
    "dnsmasq hosts": f"0 {MAC} 10.0.0.1 * *\n",
    "kea": "name,address\n",
    "kea.conf": '{"Leases": []}',
    "systemd-networkd": '{"Dhcp4": {}}',
    "odhcpd": "# a comment like any other\n",
}
DAMAGED: dict[str, tuple[str, ...]] = {
    "dhcpd.leases": (
        "lease 10.0.0.1 {\n  ends 6 2026/13/21 10:00:00;\n}\n",
        "lease 10.0.0.1 {\n  ends epoch x;\n}\n",
        "lease 10.0.0.1 {\n  hardware ethernet 02:00:zz;\n}\n",
        f"lease 10.0.0.1 {{\n  ends never;\nlease 10.0.0.2 {{\n{_DHCPD_LEASE}",
        'lease 10.0.0.1 {\n  client-hostname "x\n}\n',
        f"lease 10.0.0.1 {{\n{_DHCPD_LEASE}}}\n",
        "host pc { hardware ethernet x; fixed-address 10.0.0.1; }",
    ),
    "dhcpd.conf": (
        "host a { hardware ethernet 02:00; fixed-address 10.0.0.1; }",
        "host a { hardware ethernet; fixed-address 10.0.0.1; }",
        f"host a {{ hardware ethernet {MAC}; fixed-address 10.0.0.1 }}",
        f"host a {{ fixed-address 10.0.0.1; host b {{ hardware ethernet {MAC}; }}",
        "group { host a { fixed-address 10.0.0.1; } } }",
    ),
    "dnsmasq": (
        f"soon {MAC} 10.0.0.1 pc *\n",
        f"\u0661 {MAC} 10.0.0.1 pc *\n",
        f"0 {MAC} 10.0.0.1\n",
        f"0 {MAC} 10.0.0.1 a b c d\n",
    ),
    "dnsmasq.conf": tuple(f"dhcp-host={MAC},10.0.0.1,{part}\n" for part in ("10.0.0.300", "a b", "-x", "[x")),
    "dnsmasq hosts": (f"{MAC},10.0.0.1,a b\n",),
    "pihole.toml": (f'[dhcp]\nhosts = ["{MAC},10.0.0.1,a b"]\n',),
    "kea": (
        f"{_KEA_HEADER}10.0.0.1,{MAC},3600,soon,pc\n",
        f"{_KEA_HEADER}10.0.0.1,{MAC},,1795262400,pc\n",
        f"{_KEA_HEADER}10.0.0.1,{MAC}\n",
        f"{_KEA_HEADER}10.0.0.1,{MAC},3600,1795262400,pc,x,y\n",
        f"10.0.0.1,{MAC}\n",
    ),
    "kea.conf": tuple(
        f'{{"Dhcp4": {{"reservations": [{{"hw-address": {hardware}, "ip-address": "10.0.0.1"}}]}}}}'
        for hardware in ('"02:00"', '"x"', "7", '"02-00-00-00-00-01"')
    ),
    "systemd-networkd": (
        '{"Leases": [{"Address": [10, 0, 0, 1], "HardwareAddress": [2, 0]}]}',
        '{"Leases": [{"Address": [10, 0, 0, 1], "HardwareAddress": "02:00:00:00:00:01"}]}',
    ),
    "odhcpd": (
        "# br-lan 020000000001 ipv4 pc soon a 32 10.0.0.1/32\n",
        "# br-lan 02zz ipv4 pc 7 a 32 10.0.0.1/32\n",
    ),
}
"""For each format: the address 10.0.0.1 with one other part that cannot be parsed."""
every_format = pytest.mark.parametrize("name", READERS)


def test_every_format_has_examples() -> None:
    assert VALID.keys() == READERS.keys()


@every_format
def test_examples_have_entries_and_no_errors(name: str) -> None:
    for text in VALID[name]:
        result = read(READERS[name], text)
        assert result.entries
        assert not result.skipped


@every_format
@given(text=st.text(max_size=300) | JUNK)
def test_any_text_is_accepted(name: str, text: str) -> None:
    result = read(READERS[name], text)
    assert len(result.errors) == min(result.skipped, 3)


@every_format
@given(data=st.data(), cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_pieces_make_no_difference(name: str, data: st.DataObject, cuts: list[int]) -> None:
    text = data.draw(corrupted(VALID[name]))
    whole = read(READERS[name], text)
    assert read(READERS[name], *pieces(text, cuts)) == whole
    assert len(whole.errors) == min(whole.skipped, 3)
    assert len({entry.key for entry in whole.entries}) == len(whole.entries)


@every_format
def test_a_file_may_arrive_one_character_at_a_time(name: str) -> None:
    for text in VALID[name]:
        assert read(READERS[name], *text) == read(READERS[name], text)


@pytest.mark.parametrize("name", ["dhcpd.leases", "dnsmasq", "kea", "odhcpd"])
def test_a_lease_file_cut_off_anywhere_has_no_error(name: str) -> None:
    """A file that is being written has fewer entries and no errors."""
    for text in VALID[name]:
        whole = {entry.key for entry in read(READERS[name], text).entries}
        for end in range(len(text)):
            result = read(READERS[name], text[:end])
            assert not result.skipped, text[:end]
            assert not result.warnings, text[:end]
            assert {entry.key for entry in result.entries} <= whole


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (name, text)
        for name in ("dhcpd.conf", "dnsmasq hosts", "dnsmasq.conf", "kea.conf", "pihole.toml")
        for text in (*VALID[name], *DAMAGED[name], *(text for text, _ in INVALID[name][2]))
    ],
)
def test_a_configuration_may_lack_its_last_newline(name: str, text: str) -> None:
    """No server is still writing it, so its last line is read as any other."""
    result = read(READERS[name], text.rstrip("\n"))
    assert result == read(READERS[name], text.rstrip("\n") + "\n")
    assert result.cut_off is None


@every_format
@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_text_takes_linear_time(name: str, pattern: str) -> None:
    """100,000 characters, in pieces of 64 KiB and at once between valid entries."""
    text = pattern * (100_000 // len(pattern))
    with cpu_limit():
        read(READERS[name], *(text[i : i + 65536] for i in range(0, len(text), 65536)))
        read(READERS[name], VALID[name][0][:40] + text + "\n" + VALID[name][0])


def test_every_file_format_has_invalid_entries() -> None:
    assert (
        INVALID.keys()
        == DAMAGED.keys()
        == NOT_OF_FORMAT.keys()
        == {file_format.name for file_format in FORMATS}
    )


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [(name, text, error) for name, (_, _, entries) in INVALID.items() for text, error in entries],
)
def test_one_invalid_entry_is_skipped_and_described(name: str, text: str, error: str) -> None:
    template, keys, _ = INVALID[name]
    result = read(READERS[name], template.replace("@", text, 1))
    assert result.skipped == len(result.errors) == 1
    assert error in result.errors[0]
    assert {label(entry) for entry in result.entries} == keys


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in DAMAGED.items() for text in texts]
)
def test_a_part_that_cannot_be_parsed_never_discards_an_address(name: str, text: str) -> None:
    result = read(READERS[name], text)
    assert "10.0.0.1" in {entry.address for entry in result.entries}
    assert not result.skipped
    assert result.warnings


@every_format
def test_entries_have_their_source(name: str) -> None:
    entries = [entry for text in VALID[name] for entry in read(READERS[name], text).entries]
    assert {entry.source for entry in entries} == {SOURCE}
    assert not any(entry.stale for entry in entries)


def test_the_key_of_a_lease_is_its_address_else_its_mac() -> None:
    assert HostEntry("10.0.0.1", MAC, "pc").key == "10.0.0.1"
    assert HostEntry(None, MAC, kind="station").key == MAC


SHARED_ADDRESS = {
    "dhcpd.leases": f"host a {{ dynamic; hardware ethernet {MAC}; fixed-address 10.0.0.1; }}\n"
    f"host b {{ dynamic; hardware ethernet {OTHER}; fixed-address 10.0.0.1; }}\n",
    "dhcpd.conf": f"host a {{ hardware ethernet {MAC}; fixed-address 10.0.0.1; }}\n"
    f"host b {{ hardware ethernet {OTHER}; fixed-address 10.0.0.1; }}\n",
    "dnsmasq.conf": f"dhcp-host={MAC},10.0.0.1,a\ndhcp-host={OTHER},10.0.0.1,b\n",
    "dnsmasq hosts": f"{MAC},10.0.0.1,a\n{OTHER},10.0.0.1,b\n",
    "pihole.toml": f'[dhcp]\nhosts = ["{MAC},10.0.0.1,a", "{OTHER},10.0.0.1,b"]\n',
    "kea.conf": f'{{"Dhcp4": {{"reservations": [{{"hw-address": "{MAC}", "ip-address": "10.0.0.1", '
    f'"hostname": "a"}}, {{"hw-address": "{OTHER}", "ip-address": "10.0.0.1", "hostname": "b"}}]}}}}',
}


@pytest.mark.parametrize("name", SHARED_ADDRESS)
def test_several_reservations_of_one_address_all_count(name: str) -> None:
    """dnsmasq refuses this in one file, but reads it from two."""
    assert {entry[:3] for entry in read(READERS[name], SHARED_ADDRESS[name]).entries} == {
        ("10.0.0.1", MAC, "a"),
        ("10.0.0.1", OTHER, "b"),
    }


@pytest.mark.parametrize("name", NOT_OF_FORMAT)
def test_other_text_is_not_recognised(name: str) -> None:
    assert not format_by_name(name).recognise(NOT_OF_FORMAT[name])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (recorded("dhcpd.leases"), "dhcpd.leases"),
        (recorded("dhcpd6.leases"), "dhcpd.leases"),
        (recorded("dhcpd-local.leases"), "dhcpd.leases"),
        (recorded("dhcpd-failover.leases"), "dhcpd.leases"),
        ("lease 10.0.0.1 {\n  ends never;\n}\n", "dhcpd.leases"),
        ("duid 00:01:00:01:32\n", "dnsmasq"),
        (recorded("kea-leases4.csv"), "kea"),
        ("domain-needed\n", "dnsmasq.conf"),
        ("# x\n02:00:00:00:00:01,10.0.0.1\n", "dnsmasq hosts"),
        (recorded("dnsmasq.leases"), "dnsmasq"),
        (recorded("dnsmasq-endless.leases"), "dnsmasq"),
        (recorded("kea-cleaned.csv"), "kea"),
        ("host pc { hardware ethernet 02:00:00:00:00:01; }", "dhcpd.conf"),
        ("dhcp-range=10.0.0.1,10.0.0.9\n", "dnsmasq.conf"),
        ("02:00:00:00:00:01,10.0.0.1\n", "dnsmasq hosts"),
        ('# mine\n{ "Dhcp4": {} }', "kea.conf"),
        ('{"Leases": []}', "systemd-networkd"),
        ("[dns]\n[dhcp]\nhosts = []\n", "pihole.toml"),
        ("# br-lan 020000000001 ipv4 pc -1 a 32 10.0.0.1/32\n", "odhcpd"),
    ],
)
def test_a_format_is_detected_by_content(text: str, name: str) -> None:
    file_format = detect_format("/srv/x", text)
    assert file_format
    assert file_format.name == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/dhcpd.leases", "dhcpd.leases"),
        ("/srv/dnsmasq.conf", "dnsmasq.conf"),
        ("/srv/kea-leases4.csv", "kea"),
        ("/srv/pihole.toml", "pihole.toml"),
    ],
)
def test_recognised_by_name_if_the_content_is_ambiguous(path: str, name: str) -> None:
    file_format = detect_format(path, "# nothing yet\n")
    assert file_format
    assert file_format.name == name


def test_an_unknown_format_is_not_detected() -> None:
    assert detect_format("/srv/x", "Dear diary,\n") is None
    assert detect_format("/srv/x.conf", "") is None


def test_the_names_of_formats_are_unique() -> None:
    assert len({file_format.name for file_format in FORMATS}) == len(FORMATS)
    assert all(format_by_name(file_format.name) is file_format for file_format in FORMATS)
