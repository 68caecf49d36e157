"""The options of the HTTP server, and their combinations that are invalid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from powerd.config.declare import (
    InvalidCombination,
    OptionType,
    absolute_path,
    choice,
    is_loopback,
    list_of,
    listen_address,
    option,
)
from powerd.config.values import is_url_host, parse_address
from powerd.core.dataclass import dataclass

_HOST: Final = r"(?:[A-Za-z0-9_](?:[\w.-]{0,251}\w)?|\[[0-9a-fA-F:]{2,39}\])(?::\d{1,5})?"
"""A host name or an address, and a port, as in a URL (RFC 3986, 3.2.2)."""
_ORIGIN: Final = rf"https?://(?:\*\.)?{_HOST}"
_BASE_PATH: Final = r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,63}){0,8}"


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host)


def _own_host(text: str) -> str:
    """Check a value of Host: a name or an address, with or without a port."""
    if not re.fullmatch(_HOST, text, re.ASCII) or not is_url_host(_without_port(text)):
        raise ValueError(f'"{text}" is not a host; write it like "nas.lan" or "nas.lan:8443"')
    return text.lower()


def _origin(text: str) -> str:
    """Check an origin (RFC 6454); it becomes a part of a header."""
    if not re.fullmatch(_ORIGIN, text, re.ASCII) or not is_url_host(_without_port(text.partition("//")[2])):
        raise ValueError(f'"{text}" is not a site; write it like "https://home.lan:8123"')
    return text


def _base_path() -> OptionType[str]:
    """The beginning of a path without "/" at its end, or "" for none."""
    word = absolute_path()

    def read(value: object) -> str:
        path = word.read(value)
        if path and not re.fullmatch(_BASE_PATH, path):
            raise ValueError(f'"{path}" is not a path; write it like "/powerd", without "/" at its end')
        return path

    return OptionType(read, word.show)


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The status page and the API over TCP. The Unix socket is always served."""

    listen: tuple[str, ...] = option(
        ("127.0.0.1:8787",),
        'addresses and ports; [] = Unix socket only; off loopback only with login = "password", and TLS '
        "in a reverse proxy",
        list_of(listen_address),
    )
    hosts: tuple[str, ...] = option(
        (),
        'further names of this server in URLs, e.g. ["nas.lan"]; without a port, every port',
        list_of(_own_host),
    )
    login: Literal["none", "password"] = option(
        "none",
        '"none": all who can connect may read, and the token permits writing; "password": everything '
        "requires a login or the token",
        choice("none", "password"),
    )
    password_file: str = option(
        "/etc/powerd/password",
        "file with the hash of the password; `powerd password` writes it",
        absolute_path(),
    )
    token_file: str = option(
        "",
        "file, closed to others, with the secret that permits writing over TCP; none = read-only over TCP "
        "without a password",
        absolute_path(),
    )
    base_path: str = option(
        "",
        'path under which a reverse proxy shows the page, e.g. "/powerd"; the proxy removes it from requests',
        _base_path(),
    )
    proxies: tuple[str, ...] = option(
        (),
        "addresses of reverse proxies on other machines, whose X-Forwarded-Proto and X-Forwarded-For are "
        "trusted; those of this machine always are",
        list_of(parse_address),
    )
    frame_ancestors: tuple[str, ...] = option(
        (),
        'sites that may show the page in a frame, e.g. ["https://home.lan:8123"]; [] = none',
        list_of(_origin),
    )


def invalid_http_combinations(http: HttpOptions) -> Iterator[InvalidCombination]:
    """Errors of options that are valid by themselves but not together."""
    if http.login == "password":
        if not http.password_file:
            yield InvalidCombination(
                ("http.password_file", "http.login"),
                'login = "password" requires its hash; write password_file = "/etc/powerd/password"',
            )
        return
    for address in http.listen:
        if not is_loopback(address):
            yield InvalidCombination(
                ("http.listen", "http.login"),
                f'"{address}" is not a loopback address, so it requires login = "password" and `powerd '
                "password`; or listen on 127.0.0.1 behind a reverse proxy",
            )
