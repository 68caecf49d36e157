"""Every route of the application, also those that are added later: which requests are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from fakes.requests import TOKEN
from ui.http.browser import Browser, Reply
from ui.http.test_write_requests import WriteApiServer

from powerd.config.http_options import HttpOptions
from powerd.ui.http.app import WebApp

PUBLIC: Final = {"/healthz", "/login"}
HOSTS: Final = (
    *(
        "",
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
    ),
    *(
        "127.0.0.1",
        "localhost:1",
        "10.0.0.1:{port}",
        "0.0.0.0:{port}",
        "[::]:{port}",
        "evil@localhost:{port}",
    ),
    *(
        "localhost:{port}.",
        "localhost:{port}:{port}",
        "\udcff",
        "nas.lan.evil.example",
        "nas.lan@evil.example",
        ".",
    ),
)
IDS: Final = (
    *(
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%00",
        "%0d%0aSet-Cookie:%20x=y",
        "%3Cscript%3E",
        "%e2%80%ae",
        "%ff%fe",
    ),
    *("'%20or%20''='", "x" * 3000, "%25s%25n", "{}", "-1", "ata-%2F", "%F0%9F%92%A9"),
)


@pytest.fixture
def server(tmp_path: Path) -> WriteApiServer:
    server = WriteApiServer(tmp_path / "s")
    server.wishing.token = TOKEN
    server.http = HttpOptions(hosts=("nas.lan",), token_file="/etc/powerd/token")  # noqa: S106 - a file name
    return server


def routes(server: WriteApiServer, id_: str = "sda") -> Iterator[tuple[str, str]]:
    """Method and path of each route; GET stands for HEAD."""
    for route in WebApp(server.context()).build_application().router.routes():
        if route.resource is not None and route.method != "HEAD":
            yield route.method, route.resource.canonical.replace("{id}", id_)


def run(server: WriteApiServer, scene: Callable[[Browser], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scene(Browser(server.port))

    server.run(whole)
    assert server.faults == []


def is_refusal(reply: Reply) -> bool:
    """An error, or the way to the login form; no page and no data."""
    if reply.status == 303:
        return reply.headers["Location"] == "/login" and reply.body == ""
    return reply.status in {400, 401, 403, 415, 431} and set(reply.json) == {"error"}


def test_the_routes_are_found(server: WriteApiServer) -> None:
    found = set(routes(server))
    assert {("GET", "/"), ("POST", "/api/keep"), ("DELETE", "/api/keep/sda"), ("POST", "/login")} <= found
    assert {("POST", f"{path}/delete") for method, path in found if method == "DELETE"} <= found
    assert {path.partition("{")[2] for _, path in found} == {""}, "a parameter that this test does not know"


def test_no_route_is_served_under_a_foreign_name(server: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for method, path in routes(server):
            reply = await browser.send(
                method, path, headers={**bearer, "Host": f"evil.example:{server.port}"}
            )
            assert reply.status == 403, (method, path)
        for host in HOSTS:
            reply = await browser.send("GET", "/", headers={"Host": host.format(port=server.port)})
            assert reply.status in {400, 403}, host
        for host in (
            "nas.lan",
            "NAS.LAN",
            "nas.lan:8443",
            f"127.0.0.1:{server.port}",
            f"[::1]:{server.port}",
        ):
            assert (await browser.send("GET", "/", headers={"Host": host})).status == 200

    run(server, scene)
    assert server.wishing.calls == []


def test_no_write_is_executed_for_a_stranger(server: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        owner = Browser(server.port)
        await owner.log_in(TOKEN)
        await owner.load()
        csrf = {"X-CSRF-Token": owner.csrf}
        for method, path in routes(server):
            if method == "GET" or path == "/login":
                continue
            form = {"csrf": owner.csrf, "for": "1h"}
            for sender, body, headers in (
                (browser, b"{}", {}),
                (browser, form, {}),
                (browser, b"{}", {"Authorization": "Bearer wrong"}),
                (browser, b"{}", {"Authorization": f"Basic {TOKEN}"}),
                (browser, b"{}", {"Authorization": f"Bearer\udcff {TOKEN}"}),
                (owner, b"{}", {}),
                (owner, b"{}", {**csrf, "Origin": "http://evil.example"}),
                (owner, b"{}", {**csrf, "Sec-Fetch-Site": "same-site"}),
                (owner, form, {"Sec-Fetch-Site": "cross-site"}),
                (owner, form, {"Content-Type": "multipart/form-data; boundary=x"}),
                (owner, form, {"Content-Type": "text/plain"}),
            ):
                reply = await sender.send(method, path, body, headers)
                assert is_refusal(reply), (method, path, headers, reply)

    run(server, scene)
    assert server.wishing.calls == []


def test_with_a_password_no_route_is_readable_without_a_login(server: WriteApiServer) -> None:
    server.http = replace(server.http, login="password")
    server.password_hash = "secret secret"  # noqa: S105 - of this test alone

    async def scene(browser: Browser) -> None:
        for method, path in routes(server):
            if (method, path) == ("POST", "/login"):
                continue
            for name, value in (
                ("Cookie", "powerd_session=0"),
                ("Authorization", "Bearer wrong"),
                ("X-Forwarded-For", "127.0.0.1"),
                ("X-Original-URL", "/healthz"),
                ("X-HTTP-Method-Override", "GET"),
                ("Sec-Fetch-Site", "same-origin"),
            ):
                reply = await browser.send(method, path, headers={name: value})
                assert (path in PUBLIC) or is_refusal(reply), (method, path, name)

    run(server, scene)
    assert server.wishing.calls == []


@pytest.mark.parametrize(
    "name", ["Cookie", "Authorization", "Origin", "X-CSRF-Token", "X-Forwarded-For", "Accept"]
)
def test_long_and_odd_headers_are_no_fault(server: WriteApiServer, name: str) -> None:
    async def scene(browser: Browser) -> None:
        for value in ("x" * 9000, "\udcff\udcfe", "\x7f", "powerd_session=" + "0" * 7000, ",;=\"'", "\t"):
            for method, path in (
                ("GET", "/"),
                ("GET", "/api/status"),
                ("POST", "/login"),
                ("POST", "/api/keep"),
            ):
                reply = await browser.send(method, path, headers={name: value})
                assert reply.status < 500, (method, path, value[:20])
                assert (reply.status == 200) <= (method == "GET")

    run(server, scene)
    assert server.wishing.calls == []


def test_no_name_in_a_path_is_a_fault_or_gets_into_a_header(server: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        paths = {(method, path) for method, path in routes(server, "{id}") if "{id}" in path}
        for method, path in sorted(paths):
            for id_ in IDS:
                reply = await browser.send(method, path.replace("{id}", id_), b"{}", bearer)
                assert reply.status < 500, (method, path, id_)
                assert not {"Set-Cookie", "X"} & set(reply.headers)
                assert reply.headers["Content-Type"].startswith("application/json")

    run(server, scene)
