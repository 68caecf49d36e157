"""Parsing events of fanotify(7): as the kernel writes them, and damaged."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.files import fanotify
from powerd.helper.files.fanotify import FileEvent, parse_events

RECORDED = bytes.fromhex(
    # echo > /srv/old of process 4711, on btrfs: DFID_NAME with the name, then FID
    "6c000000030018002a00000000000000ffffffff67120000"
    "020030000102030405060708140000004d000000"
    "00010000000000000001000000000000070000006f6c64000000000000000000"
    "010024000102030405060708140000004d000000"
    "0201000000000000000100000000000008000000"
)  # fmt: skip
OVERFLOW = struct.pack("=IBxHQii", 24, 3, 24, fanotify.Q_OVERFLOW, -1, 0)


def test_an_event_has_its_directory_name_and_inode() -> None:
    handle = RECORDED[36:64]
    expected = FileEvent(
        int.from_bytes(bytes(range(1, 9)), "little"),
        fanotify.OPEN | fanotify.CLOSE_WRITE | fanotify.MODIFY,
        4711,
        handle,
        b"old",
        0x102,
    )
    assert list(parse_events(RECORDED)) == [expected]
    assert list(parse_events(RECORDED + OVERFLOW)) == [
        expected,
        FileEvent(0, fanotify.Q_OVERFLOW, 0, b"", b"", 0),
    ]


@given(st.binary(max_size=200))
def test_random_bytes_are_parsed(data: bytes) -> None:
    list(parse_events(data))


@given(st.integers(0, len(RECORDED) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_event_is_parsed(at: int, damage: bytes) -> None:
    list(parse_events(RECORDED[:at] + damage + RECORDED[at + len(damage) :] + RECORDED))
