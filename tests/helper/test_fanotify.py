"""Parsing events of fanotify(7): as the kernel writes them, and damaged."""

from __future__ import annotations

import struct
import sys

from hypothesis import given
from hypothesis import strategies as st

from powerd.helper import fanotify
from powerd.helper.fanotify import FileEvent, parse_events

DIRECTORY = bytes.fromhex("140000004d0000000001000000000000000100000000000007000000")
FILE = bytes.fromhex("140000004d0000000201000000000000000100000000000008000000")
FSID = bytes(range(1, 9))
RECORDED = b"".join(
    # echo > /srv/old of process 4711, on btrfs: DFID_NAME with the name, then FID
    (
        struct.pack("=IBxHQii", 24 + 44 + 40, 3, 24, 0x2A, -1, 4711),
        struct.pack("=BxH", 2, 44) + FSID + DIRECTORY + b"old\0",
        struct.pack("=BxH", 1, 40) + FSID + FILE,
    )
)
OVERFLOW = struct.pack("=IBxHQii", 24, 3, 24, fanotify.Q_OVERFLOW, -1, 0)


def test_an_event_has_its_directory_name_and_inode() -> None:
    expected = FileEvent(
        int.from_bytes(FSID, sys.byteorder),
        fanotify.OPEN | fanotify.CLOSE_WRITE | fanotify.MODIFY,
        4711,
        DIRECTORY,
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
