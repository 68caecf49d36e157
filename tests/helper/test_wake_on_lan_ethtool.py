"""ethtool's messages: what a kernel said (Linux 6.18, x86-64) is understood, and no bytes upset a parser."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from powerd.helper import wake_on_lan
from powerd.linux.netlink_codec import NetlinkMessage, parse_messages
from powerd.power.model import WOL_FLAGS

FAMILY: Final = 21
RECORDED: Final = bytes.fromhex((Path(__file__).parent / "recorded/newfamily.hex").read_text())
NOT_SUPPORTED: Final = bytes.fromhex(
    "400000000200000002000000584f0000a1ffffff2c000000150005000200000000000000"
    "09010000180001800900020065746830000000000800030001000000"
)
NO_DEVICE: Final = bytes.fromhex(
    "400000000200000002000000584f0000edffffff2c000000150005000200000000000000"
    "0901000018000180090002006e6f7065000000000800030001000000"
)
DONE: Final = bytes.fromhex("240000000200000101000000584f00000000000020000000100005000100000000000000")


def attr(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def reply(supported: int, armed: int, *, command: int = 9, words: int = 1) -> NetlinkMessage:
    """A WOL_GET_REPLY as Documentation/networking/ethtool-netlink.rst lays it out, with a compact bit set."""
    header = attr(1 | 0x8000, attr(1, struct.pack("=I", 2)) + attr(2, b"eth0\0"))
    sets = attr(4, struct.pack("=I", armed) + bytes(4 * words - 4)) + attr(
        5, struct.pack("=I", supported) + bytes(4 * words - 4)
    )
    modes = attr(2 | 0x8000, attr(2, struct.pack("=I", 8)) + sets)
    secret = attr(3, bytes(6))
    return NetlinkMessage(FAMILY, 2, struct.pack("=BBH", command, 1, 0) + header + modes + secret)


def one(data: bytes) -> NetlinkMessage:
    (message,) = parse_messages(data)
    return message


def test_the_family_is_found_in_a_recorded_reply() -> None:
    message = one(RECORDED)
    assert message.sequence == 1
    assert wake_on_lan.parse_family(message) == FAMILY
    assert message.errno is None
    assert wake_on_lan.parse_modes(message, FAMILY) is None


def test_errors_are_found_in_a_recorded_reply() -> None:
    assert one(NOT_SUPPORTED).errno == errno.EOPNOTSUPP
    assert one(NO_DEVICE).errno == errno.ENODEV
    assert one(DONE).errno == 0
    assert wake_on_lan.parse_family(one(NOT_SUPPORTED)) is None


def test_the_question_is_what_the_kernel_had_been_asked() -> None:
    """An error carries the header, and the attributes, of the request that it is about."""
    asked = one(NOT_SUPPORTED).body[4:]
    assert wake_on_lan.wol_get_request(FAMILY, 2, "eth0") == asked


def test_modes() -> None:
    assert wake_on_lan.parse_modes(reply(0b101110, 0), FAMILY) == ("umbg", "")
    assert wake_on_lan.parse_modes(reply(0b101111, 0b100000), FAMILY) == ("pumbg", "g")
    assert wake_on_lan.parse_modes(reply(0xFF, 0xFF), FAMILY) == (WOL_FLAGS, WOL_FLAGS)
    assert wake_on_lan.parse_modes(reply(0, 0), FAMILY) == ("", "")
    assert wake_on_lan.parse_modes(reply(0xFFFFFF00, 0x100, words=2), FAMILY) == ("", ""), (
        "bits of a newer kernel"
    )


def test_what_is_no_reply_has_no_modes() -> None:
    assert wake_on_lan.parse_modes(reply(1, 1), FAMILY + 1) is None
    assert wake_on_lan.parse_modes(reply(1, 1, command=10), FAMILY) is None, "a notification"
    whole = reply(0b101110, 0b100000).body
    answer = {
        wake_on_lan.parse_modes(NetlinkMessage(FAMILY, 2, whole[:cut]), FAMILY) for cut in range(len(whole))
    }
    assert answer == {None, ("umbg", "g")}, "all of it or nothing"


def test_arming_names_and_masks_its_own_bit_only() -> None:
    request = wake_on_lan.wol_set_request(FAMILY, 7, "eth0", "g")
    length, kind, flags, sequence, port = struct.unpack_from("=IHHII", request)
    assert (length, kind, flags, sequence, port) == (len(request), FAMILY, 0x5, 7, 0)
    assert request[16] == 10, "ETHTOOL_MSG_WOL_SET"
    bit = struct.pack("=I", 1 << 5)
    modes = attr(2 | 0x8000, attr(2, struct.pack("=I", 8)) + attr(4, bit) + attr(5, bit))
    assert request.endswith(modes)


def test_messages_are_split_and_a_cut_one_ends_it() -> None:
    both = RECORDED + DONE
    assert [message.sequence for message in parse_messages(both)] == [1, 1]
    assert len(list(parse_messages(both[:-1]))) == 1


@given(st.binary(max_size=200))
def test_no_bytes_upset_a_parser(data: bytes) -> None:
    for message in parse_messages(data):
        assert message.errno is None or isinstance(message.errno, int)
        wake_on_lan.parse_family(message)
        wake_on_lan.parse_modes(message, message.kind)
    for command in (b"", b"\1", b"\x09"):
        wake_on_lan.parse_family(NetlinkMessage(0x10, 0, command + data))
        wake_on_lan.parse_modes(NetlinkMessage(FAMILY, 0, command + data), FAMILY)


@given(st.data())
def test_no_mutation_of_a_reply_upsets_a_parser(data: st.DataObject) -> None:
    bad = bytearray(reply(0b101110, 0b100000).body)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    modes = wake_on_lan.parse_modes(NetlinkMessage(FAMILY, 2, bytes(bad)), FAMILY)
    assert modes is None or all(set(letters) <= set(WOL_FLAGS) for letters in modes)
