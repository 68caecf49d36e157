from __future__ import annotations

import asyncio
import json

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.checks.kodi import Options, new
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

SERVER = ("127.0.0.1", 8080)


def answer(document: object) -> bytes:
    body = json.dumps(document)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def keeps_awake(options: Options, document: object) -> bool:
    fake = RecordingPorts(answers={SERVER: answer(document)})
    (activity,) = asyncio.run(new(options, check_ports(fake.ports())).poll(PollDepth.ROUTINE))
    return activity.keeps_awake


@pytest.mark.parametrize(
    ("has_media", "paused", "ignored", "counts"),
    [
        (True, False, True, True),
        (True, True, False, True),
        (False, False, False, False),
        (False, True, False, False),
    ],
)
def test_players(*, has_media: bool, paused: bool, ignored: bool, counts: bool) -> None:
    result = {"Player.HasMedia": has_media, "Player.Paused": paused}
    document = {"id": 1, "jsonrpc": "2.0", "result": result}
    assert keeps_awake(Options(), document) is ignored
    assert keeps_awake(Options(paused="counts"), document) is counts


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": -32601, "message": "Method not found."}, "id": 1, "jsonrpc": "2.0"},
        {"id": 1, "jsonrpc": "2.0", "result": {}},
        {"id": 1, "jsonrpc": "2.0", "result": "OK"},
        [],
    ],
)
def test_any_other_answer_is_a_failure(document: object) -> None:
    with pytest.raises(HostError):
        keeps_awake(Options(), document)
