from __future__ import annotations

from pathlib import Path

import pytest
from presence.leases.parsing import entries_of, read

from powerd.presence.leases.format import HostEntry, Include
from powerd.presence.leases.kea import KeaConfReader

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
TEXT = """\
// all kinds of comments, "with quotes { and
# braces"
{ "Dhcp4": { /* and
  "reservations": [ { "ip-address": "10.0.0.99" } ] over lines */
  "lease-database": { "type": "memfile", "name": "/srv/kea.csv", },
  "option-data": [ { "name": "x", "data": "// no # comment /* here */ \\" , ]" } ],
  "reservations": [ { "hw-address": "02:00:00:00:00:01", "ip-address": "10.0.0.1", "hostname": "pc." } ],
  "shared-networks": [ { "relay": { "ip-address": "10.0.0.98" }, "reservations": [
      { "hw-address": "02:00:00:00:00:02" }, ],
    "subnet4": [ { "subnet": "10.0.0.0/24", "pools": [ { "pool": "10.0.0.50 - 10.0.0.60" } ],
      "reservations": [
        { "client-id": "01:02", "ip-address": "10.0.0.3", "hostname": "tv", "option-data": [ { "code": 6 } ]
        },
        { "circuit-id": "'eth1'", "hostname": "nobody" },
      ] } ] } ],
} }
"""


def host(address: str | None, mac: str | None, name: str | None = None) -> HostEntry:
    return HostEntry(address, mac, name, None, "reservation")


def test_reservations_at_every_level() -> None:
    assert entries_of(KeaConfReader, TEXT) == {
        "10.0.0.1": host("10.0.0.1", MAC, "pc"),
        OTHER: host(None, OTHER),
        "10.0.0.3": host("10.0.0.3", None, "tv"),
    }


def test_the_lease_file() -> None:
    assert read(KeaConfReader, TEXT).includes == (Include("/srv/kea.csv", "kea", optional=True),)
    bare = '{"Dhcp4": {"lease-database": {"name": "home.csv"}}}'
    assert read(KeaConfReader, bare).includes == (Include("/var/lib/kea/home.csv", "kea", optional=True),)
    assert not read(KeaConfReader, TEXT).warnings


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('"lease-database": {"type": "mysql", "name": "kea"}', "mysql"),
        ('"lease-database": {"type": "postgresql", "name": "kea"}', "postgresql"),
        ('"lease-database": {"type": "memfile", "persist": false}', "memory"),
        ('"hosts-database": {"type": "mysql"}', "mysql"),
        ('"hosts-databases": [{"type": "cql"}]', "cql"),
    ],
)
def test_databases_are_not_read(text: str, kind: str) -> None:
    result = read(KeaConfReader, f'{{"Dhcp4": {{{text}}}}}')
    (warning,) = result.warnings
    assert kind in warning
    assert result.includes == ()


@pytest.mark.parametrize("number", [".5", "5.", "-.5", "1.5e3", "5.e1", "007", "1E-1", "+1", "-0"])
def test_numbers_as_the_lexer_of_kea_accepts_them(number: str) -> None:
    text = f'{{"Dhcp4": {{"t1-percent": {number}, "reservations": [{{"hw-address": "{MAC}"}}]}}}}'
    assert entries_of(KeaConfReader, text) == {MAC: host(None, MAC)}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("020000000001", MAC),
        ("0x020000000001", MAC),
        ("20000000001", MAC),
        ("2:0:0:0:0:1", MAC),
        ("02 00 00 00 00 01", MAC),
        ("02:00:00:00:00:0A", "02:00:00:00:00:0a"),
        ("'bcdefg'", "62:63:64:65:66:67"),
    ],
)
def test_notations_of_a_mac(written: str, expected: str) -> None:
    text = f'{{"Dhcp4": {{"reservations": [{{"hw-address": "{written}"}}]}}}}'
    assert entries_of(KeaConfReader, text) == {expected: host(None, expected)}


def test_what_is_for_people_is_ignored() -> None:
    text = f"""{{"Dhcp4": {{"user-context": {{"reservations": [{{"hw-address": "{MAC}"}}],
        "lease-database": {{"type": "mysql"}}, "x": [{{"hw-address": "{MAC}"}}]}}}}}}"""
    assert entries_of(KeaConfReader, text) == {}
    assert not read(KeaConfReader, text).warnings


def test_ipv6() -> None:
    text = (
        f'{{"Dhcp6": {{"reservations": [{{"duid": "00:03:00:01:{MAC}",'
        ' "ip-addresses": ["fd00:0::1", "fd00::2"], "prefixes": ["fd00:1::/64"]}]}}'
    )
    assert entries_of(KeaConfReader, text) == {
        "fd00::1": host("fd00::1", MAC),
        "fd00::2": host("fd00::2", MAC),
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"Dhcp4": {"reservations": [<?include "a.json"?>]}}',
        '{"Dhcp4": {"reservations": [<?include "a.json"?>, {"hw-address": "02:00:00:00:00:01"}]}}',
        '{"Dhcp4": {"reservations": [{"hw-address": "02:00:00:00:00:01"}, <?include "a.json"?>]}}',
        '{"Dhcp4": {"reservations": <?include "a.json"?>, "x": 1}}',
        '{"Dhcp4": {<?include "a.json"?>, "x": 1}}',
        '{"Dhcp4": {"x": 1, <?include "a.json"?>, "y": 2}}',
        '<?include "a.json"?>',
        '<?  include\n "a.json" ?>',
    ],
)
def test_includes_at_any_nesting_level(text: str) -> None:
    result = read(KeaConfReader, text)
    assert result.includes == (Include("a.json"),)
    assert not result.skipped


@pytest.mark.parametrize(
    "text",
    [
        f'[{{"hw-address": "{MAC}"}}]',
        f'{{"hw-address": "{MAC}"}}',
        f'{{"hw-address": "{MAC}"}},\n{{"hw-address": "{MAC}", "x": [1, ]}}, # and so on\n',
        f'"reservations": [{{"hw-address": "{MAC}"}}],',
        f'"x": 1, "subnet4": [{{"reservations": [{{"hw-address": "{MAC}"}}]}}]',
    ],
)
def test_an_included_file_is_any_fragment_of_json(text: str) -> None:
    assert entries_of(KeaConfReader, text) == {MAC: host(None, MAC)}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"Dhcp4":\n{"a": x}}', "line 2: "),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"Dhcp4": {}} /*', "line 1: "),
        ('{"Dhcp4": {"x": "', "line 1: "),
        ('{"Dhcp4": {"x": True}}', "line 1: "),
        ('{"Dhcp4": {"x": "a\nb"}}', "line 1: "),
        ('"' + "x" * (5 << 20), "it is larger than 4 MiB"),
    ],
)
def test_invalid_json(text: str, error: str) -> None:
    result = read(KeaConfReader, text)
    assert (result.entries, result.skipped) == ((), 1)
    assert result.errors[0].startswith(error)


def test_documentation_addresses_are_ignored() -> None:
    text = (
        f'{{"Dhcp4": {{"reservations": [{{"hw-address": "{MAC}", "ip-address": "192.0.2.201"}},'
        f' {{"hw-address": "{OTHER}", "ip-addresses": ["2001:db8::1"]}}]}}}}'
    )
    assert entries_of(KeaConfReader, text) == {}


def test_the_configuration_of_the_package() -> None:
    sample = Path("/etc/kea/kea-dhcp4.conf")
    if not sample.exists():
        pytest.skip("kea-dhcp4-server is not installed")
    result = read(KeaConfReader, sample.read_text())
    assert result.skipped == 0
    assert [entry for entry in result.entries if entry.address] == []
