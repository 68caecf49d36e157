"""Where a request comes from: names of the server, proxies, and what is private; without sockets."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.http_options import HttpOptions
from powerd.ui.http.access import (
    Caller,
    caller_of,
    is_own_host,
    masked,
    read_form,
    require_same_origin,
    unmasked,
)
from powerd.ui.http.write_requests import ApiError

OPTIONS = HttpOptions(hosts=("nas.lan", "nas.lan:444"), proxies=("10.0.0.3", "fd00::3"))
PROXIED = {"Host": "nas.lan", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.168.1.7"}


def caller(
    headers: Mapping[str, str], peer: object, own: object = ("127.0.0.1", 8787), *, unix: bool = False
) -> Caller:
    """What caller_of() finds for a connection from ``peer`` to ``own``."""
    family = socket.AF_UNIX if unix else socket.AF_INET
    extra: dict[str, Any] = {
        "peername": peer,
        "socket": SimpleNamespace(family=family, getsockname=lambda: own),
        "sslcontext": None,
    }
    transport = Mock()
    transport.get_extra_info.side_effect = lambda name, default=None: extra.get(name, default)
    return caller_of(make_mocked_request("GET", "/", headers=headers, transport=transport), OPTIONS)


@pytest.mark.parametrize(
    ("headers", "peer", "expected"),
    [
        ({"Host": "localhost:8787"}, "127.0.0.1", Caller("127.0.0.1", "http", is_private=True)),
        ({"Host": "[::1]:8787"}, "::1", Caller("::1", "http", is_private=True)),
        ({"Host": "nas.lan"}, "127.0.0.1", Caller("127.0.0.1", "http", is_private=False)),
        (PROXIED, "127.0.0.1", Caller("192.168.1.7", "https", is_private=True)),
        (PROXIED, "::1", Caller("192.168.1.7", "https", is_private=True)),
        (PROXIED, "::ffff:127.0.0.1", Caller("192.168.1.7", "https", is_private=True)),
        (PROXIED, "10.0.0.3", Caller("192.168.1.7", "https", is_private=True)),
        (PROXIED, "::ffff:10.0.0.3", Caller("192.168.1.7", "https", is_private=True)),
        (PROXIED, "fd00:0:0::3", Caller("192.168.1.7", "https", is_private=True)),
        (PROXIED, "10.0.0.4", Caller("10.0.0.4", "http", is_private=False)),
        (PROXIED, "fe80::1%eth0", Caller("fe80::1", "http", is_private=False)),
        ({**PROXIED, "X-Forwarded-Proto": "HTTPS"}, "::1", Caller("192.168.1.7", "https", is_private=True)),
        ({**PROXIED, "X-Forwarded-Proto": "gopher"}, "::1", Caller("192.168.1.7", "http", is_private=False)),
        (
            {**PROXIED, "X-Forwarded-For": "127.0.0.1, 10.9.9.9"},
            "::1",
            Caller("10.9.9.9", "https", is_private=True),
        ),
        ({**PROXIED, "X-Forwarded-For": "unknown"}, "::1", Caller("::1", "https", is_private=True)),
        ({"Host": "10.0.0.2:8787"}, "10.0.0.9", Caller("10.0.0.9", "http", is_private=False)),
        ({"Host": "10.0.0.2:8787"}, "10.0.0.2", Caller("10.0.0.2", "http", is_private=False)),
    ],
)
def test_the_client_by_its_connection_and_its_proxy(
    headers: Mapping[str, str], peer: str, expected: Caller
) -> None:
    own = ("10.0.0.2", 8787) if headers["Host"].startswith("10.") else ("::ffff:127.0.0.1", 8787, 0, 0)
    assert caller(headers, (peer, 50000), own) == expected


def test_the_unix_socket_is_for_programs_of_this_machine() -> None:
    assert caller({}, "", "/run/powerd/powerd.sock", unix=True) == Caller(None, "http", is_private=True)
    with pytest.raises(ApiError, match=r"http\.listen"):
        caller(PROXIED, "", "/run/powerd/powerd.sock", unix=True)


@given(st.text(st.sampled_from("nas.l:0123456789[]@%/evhot\u0130\u212a"), max_size=24))
def test_only_own_names_are_accepted(host: str) -> None:
    name, _, port = host.lower().rpartition(":")
    names = {"nas.lan", "localhost", "127.0.0.1", "10.0.0.2", "[::1]"}
    if is_own_host(host, "10.0.0.2:8787", OPTIONS.hosts):
        assert host.lower() == "nas.lan" or name in names or name.startswith("127.")
        assert name == "nas.lan" or host.lower() == "nas.lan" or port == "8787"


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "is_own"),
    [
        ("https", "nas.lan", "https://nas.lan", True),
        ("https", "nas.lan:443", "https://nas.lan", True),
        ("https", "NAS.lan:444", "https://nas.LAN:444", True),
        ("https", "nas.lan", "http://nas.lan", False),
        ("http", "nas.lan:443", "http://nas.lan", False),
        ("https", "nas.lan", "https://nas.lan:444", False),
        ("https", "nas.lan", "https://nas.lan.evil.example", False),
        ("https", "nas.lan", "https://nas.lan@evil.example", False),
    ],
)
def test_an_origin_is_scheme_name_and_port(scheme: str, host: str, origin: str, *, is_own: bool) -> None:
    request = make_mocked_request("POST", "/", headers={"Host": host, "Origin": origin})
    try:
        require_same_origin(request, Caller("10.0.0.9", scheme, is_private=True))
    except ApiError:
        assert not is_own
    else:
        assert is_own


@given(st.binary(min_size=32, max_size=32))
def test_a_masked_token_differs_in_each_page(token: bytes) -> None:
    one, other = masked(token), masked(token)
    assert one != other
    assert unmasked(one) == unmasked(other) == token
    assert token.hex() not in one


@given(st.text(max_size=200))
def test_no_csrf_token_and_no_form_is_a_fault(text: str) -> None:
    assert isinstance(unmasked(text), bytes)
    with suppress(ApiError):
        assert all(read_form(text.encode()).values())
