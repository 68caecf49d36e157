"""The messages of servers; everybody at the broker may send anything."""

from __future__ import annotations

import json

import pytest
from core.snapshot_strategies import moment
from hypothesis import given
from hypothesis import strategies as st

from powerd.mqtt.model import PeerServer
from powerd.mqtt.payloads import MAX_PAYLOAD, decode_server, encode_server, server_of_topic, server_topic

NOW = moment()
NAS = PeerServer("up", NOW, True, ("tv", "hub"), ("02:00:00:00:00:01",), ("10.0.0.2",))  # noqa: FBT003 - in their order


def test_a_server_reads_what_another_has_written() -> None:
    assert decode_server(encode_server(NAS).encode(), NOW) == NAS
    assert server_of_topic(server_topic("nas")) == "nas"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"online",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"state": "dead"}',
        b'{"state": ["up"]}',
        b'{"state": null}',
        b"[" * 3000,
        json.dumps({"state": "up", "more": "x" * MAX_PAYLOAD}).encode(),
    ],
)
def test_another_message_is_ignored(payload: bytes) -> None:
    assert decode_server(payload, NOW) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("needs", "nas"),
        ("needs", {"nas": 1}),
        ("needs", [1, None, "a/b", "+", "#", "", "x" * 65, "\x1b[31m"]),
        ("macs", ["02:00:00:00:00", "zz:00:00:00:00:01", "020000000001", 7]),
        ("addresses", ["10.0.0.256", "::1", "10.0.0.2/24", "999", "1.2.3"]),
        ("busy", "yes"),
        ("busy", 1),
    ],
)
def test_a_value_of_another_form_does_not_count(key: str, value: object) -> None:
    document = {"state": "up", key: value}
    assert decode_server(json.dumps(document).encode(), NOW) == PeerServer("up", NOW)


@pytest.mark.parametrize(
    "topic", ["powerd/nas/state", "powerd/a/b/server", "powerd//server", "x/nas/server", "powerd/ä/server"]
)
def test_other_topics(topic: str) -> None:
    assert server_of_topic(topic) is None


@given(
    st.binary(max_size=100)
    | st.fixed_dictionaries(
        {
            "state": st.sampled_from(["up", "gone", None, 1, [], {}]),
            "needs": st.lists(st.text(max_size=3) | st.integers(), max_size=2) | st.text(max_size=3),
        }
    ).map(lambda document: json.dumps(document).encode())
)
def test_no_message_raises(payload: bytes) -> None:
    decode_server(payload, NOW)
