from __future__ import annotations

import pytest
from presence.leases.parsing import entries_of

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.odhcpd import OdhcpdReader

MAC = "02:00:00:00:00:01"
NOON = 1795262400.0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("br-lan 020000000001 ipv4 pc 1795262400 a 32 10.0.0.1/32", [HostEntry("10.0.0.1", MAC, "pc", NOON)]),
        ("br-lan 020000000001 ipv4 - -1 a 32 10.0.0.1/32", [HostEntry("10.0.0.1", MAC)]),
        ("br-lan 020000000001 ipv4 - 0 a 32 10.0.0.1/32", [HostEntry("10.0.0.1", MAC, None, 0.0)]),
        (
            "br-lan 00010001329440650200000000010 1 pc 1795262400 7 128 fd00:0::1/128 fd01::1/128",
            [HostEntry("fd00::1", None, "pc", NOON), HostEntry("fd01::1", None, "pc", NOON)],
        ),
        ("br-lan 0003000102000000000 1 - -1 7 128 fd00::1/128", [HostEntry("fd00::1")]),
        ("br-lan 00030001020000000001 1 - -1 7 128 fd00::1/128", [HostEntry("fd00::1", MAC)]),
        ("br-lan 00030001020000000001 1 - -1 0 62 fd00:1::/62", []),
    ],
)
def test_leases(line: str, expected: list[HostEntry]) -> None:
    assert list(entries_of(OdhcpdReader, f"# {line} \nfd00::1 pc.lan pc\n\n").values()) == expected
