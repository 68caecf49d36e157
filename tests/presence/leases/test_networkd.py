from __future__ import annotations

import json

import pytest
from presence.leases.parsing import entries_of, read

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.networkd import NetworkdReader

PADDED = [2, 0, 0, 0, 0, 1, *([0] * 10)]


def lease(**changes: object) -> dict[str, object]:
    """As sd-dhcp-server-lease.c has it."""
    return {
        "ClientId": [255, 1],
        "Address": [10, 0, 0, 1],
        "Hostname": "pc",
        "HardwareAddressType": 1,
        "HardwareAddressLength": 6,
        "HardwareAddress": PADDED,
        "ExpirationUSec": 77,
        "ExpirationRealtimeUSec": 1795262400500000,
        **changes,
    }


def link(*leases: object) -> str:
    return json.dumps({"BootID": "x", "Address": [10, 0, 0, 254], "PrefixLength": 24, "Leases": leases})


def test_leases() -> None:
    later = lease(Address=[10, 0, 0, 2], Hostname=None, ExpirationRealtimeUSec=(1 << 64) - 1)
    assert entries_of(NetworkdReader, link(lease(), later)) == {
        "10.0.0.1": HostEntry("10.0.0.1", "02:00:00:00:00:01", "pc", 1795262400.5),
        "10.0.0.2": HostEntry("10.0.0.2", "02:00:00:00:00:01"),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"HardwareAddressType": 32},
        {"HardwareAddressLength": 4},
        {"HardwareAddressLength": "x"},
        {"HardwareAddress": "x"},
        {"HardwareAddress": [300] * 6},
        {"HardwareAddress": None},
    ],
)
def test_without_a_mac(changes: dict[str, object]) -> None:
    assert entries_of(NetworkdReader, link(lease(**changes)))["10.0.0.1"].mac is None


@pytest.mark.parametrize("text", ["{", "[]", '{"Leases": {}}', "[" * 100_000, "1" * 5000, '{"Leases": "x"}'])
def test_a_document_that_is_no_link(text: str) -> None:
    assert read(NetworkdReader, text).skipped == 1


def test_no_leases() -> None:
    assert (
        entries_of(NetworkdReader, "{}")
        == entries_of(NetworkdReader, link())
        == entries_of(NetworkdReader, "")
        == {}
    )
    assert read(NetworkdReader, link(7)).skipped == 1
