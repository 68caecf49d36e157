"""The message by which a server describes itself to others, on the topic ``powerd/NAME/server``.

Every client of the broker can publish it, so invalid parts are ignored.
"""

from __future__ import annotations

import json
import re
from typing import Final, get_args

from powerd.config.values import is_address
from powerd.core.time import Moment
from powerd.mqtt.model import PeerServer, ServerState

MAX_PEERS: Final = 64
MAX_PAYLOAD: Final = 4096
"""Bytes of a message; that of a server takes a few hundred."""
_MAX_ITEMS: Final = 32
_STATES: Final = get_args(ServerState)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_TOPIC: Final = re.compile(r"powerd/([A-Za-z0-9_-]{1,64})/server")


def server_topic(name: str) -> str:
    """The topic of a server; ``+`` = those of all servers."""
    return f"powerd/{name}/server"


def server_of_topic(topic: str) -> str | None:
    """The server whose topic it is; None = it is another topic."""
    match = _TOPIC.fullmatch(topic)
    return match[1] if match else None


def encode_server(server: PeerServer, until: str | None = None) -> str:
    """The message that describes a server; ``until``: when it wakes up, RFC 3339."""
    return json.dumps(
        {
            "state": server.state,
            "busy": server.busy,
            "needs": server.needs,
            "macs": server.macs,
            "addresses": server.addresses,
            "until": until,
        }
    )


def decode_server(payload: bytes, now: Moment) -> PeerServer | None:
    """The server that a message describes; None = it is not a message of powerd."""
    if len(payload) > MAX_PAYLOAD:
        return None
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("state") not in _STATES:
        return None
    return PeerServer(
        document["state"],
        now,
        document.get("busy") is True,
        _strings(document.get("needs"), _NAME),
        _strings(document.get("macs"), _MAC),
        tuple(filter(is_address, _strings(document.get("addresses"), re.compile(r"[0-9.]{7,15}")))),
    )


def _strings(values: object, pattern: re.Pattern[str]) -> tuple[str, ...]:
    if not isinstance(values, list):
        return ()
    found = [each for each in values[:_MAX_ITEMS] if isinstance(each, str) and pattern.fullmatch(each)]
    return tuple(dict.fromkeys(found))
