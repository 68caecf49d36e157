"""Sessions of browsers over real sockets: login, CSRF, origins, proxies, and what else is refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.requests import TOKEN
from ui.http.browser import Browser
from ui.http.test_write_requests import WriteApiServer
from ui.statuses import NOW

from powerd.config.http_options import HttpOptions
from powerd.ui.http.sessions import ADDRESS_ATTEMPTS, ADDRESS_SECONDS, IDLE_SECONDS
from powerd.ui.journal import make_entry

PASSWORD = "open sesame, please"  # noqa: S105 - of these tests alone
TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.168.1.7"}
Scene = Callable[[Browser], Awaitable[None]]


@pytest.fixture
def server(tmp_path: Path) -> WriteApiServer:
    server = WriteApiServer(tmp_path / "s")
    server.wishing.token = TOKEN
    server.http = HttpOptions(token_file="/etc/powerd/token")  # noqa: S106 - a file name
    return server


@pytest.fixture
def locked(server: WriteApiServer) -> WriteApiServer:
    """A server with a password."""
    server.http = HttpOptions(login="password")
    server.password_hash = PASSWORD
    return server


def run(server: WriteApiServer, scene: Scene) -> None:
    async def whole() -> None:
        await scene(Browser(server.port))

    server.run(whole)


def pass_time(server: WriteApiServer, seconds: float) -> None:
    server.now = replace(server.now, mono=server.now.mono + seconds / 2, slept=server.now.slept + seconds / 2)


def test_a_browser_logs_in_with_the_token_and_uses_a_form(server: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        assert 'action="/login"' in (await browser.load()).body
        assert 'name="secret"' in (await browser.load("/login")).body
        reply = await browser.log_in(TOKEN)
        assert (reply.status, reply.headers["Location"]) == (303, "/")
        cookie = reply.headers["Set-Cookie"]
        assert re.fullmatch(
            r"powerd_session=[0-9a-f]{64}; HttpOnly; Max-Age=\d+; Path=/; SameSite=Strict", cookie
        )
        await browser.load()
        reply = await browser.send("POST", "/api/keep", {"for": "2h", "because": "", "csrf": browser.csrf})
        assert (reply.status, reply.headers["Location"], reply.body) == (303, "/", "")
        assert "stays awake until" not in (await browser.load("/?live")).body, "another page is renewed"
        assert "stays awake until 23:16" in (await browser.load()).body
        assert "stays awake until" not in (await browser.load()).body, "a result is shown once"
        reply = await browser.send("POST", "/api/keep/3/delete", {"csrf": browser.csrf})
        assert reply.status == 303
        await browser.send("POST", "/api/keep/9<b>/delete", {"csrf": browser.csrf})
        assert "&#34;9&lt;b&gt;&#34;" in (await browser.load()).body

    run(server, scene)
    assert server.wishing.calls == [("keep", 7200.0, ""), ("drop", "3"), ("drop", "9<b>")]


def test_a_script_of_the_page_gets_json(server: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        await browser.log_in(TOKEN)
        await browser.load()
        token = {"X-CSRF-Token": browser.csrf}
        reply = await browser.send("POST", "/api/keep", b'{"for": 7200}', token)
        assert (reply.status, reply.json["id"]) == (200, "3")
        assert (await browser.send("DELETE", "/api/keep/3", headers=token)).json["because"] == "backup"
        reply = await browser.send("POST", "/api/keep", b'{"for": "soon"}', token)
        assert (reply.status, list(reply.json)) == (400, ["error"])
        assert (
            await browser.send("POST", "/api/keep", b"{}", {**token, "Content-Type": "text/plain"})
        ).status == 415

    run(server, scene)


FOREIGN: tuple[Mapping[str, str | None], ...] = (
    {"Origin": None},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://localhost:1"},
    {"Origin": "http://localhost"},
    {"Origin": "https://localhost:{port}"},
    {"Origin": "http://127.0.0.1:{port}"},
    {"Origin": "http://localhost:{port}/"},
    {"Origin": "http://localhost:{port}, http://localhost:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
)


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_site_can_write_nothing(server: WriteApiServer, headers: Mapping[str, str | None]) -> None:
    async def scene(browser: Browser) -> None:
        sent = {name: value and value.format(port=server.port) for name, value in headers.items()}
        assert (await browser.log_in(TOKEN, sent)).status == 403
        assert browser.cookie is None
        await browser.log_in(TOKEN)
        await browser.load()
        for body in (b'{"for": 60}', {"for": "1min", "csrf": browser.csrf}):
            reply = await browser.send("POST", "/api/keep", body, {"X-CSRF-Token": browser.csrf, **sent})
            assert (reply.status, list(reply.json)) == (403, ["error"])
        reply = await browser.send("DELETE", "/api/keep/3", headers={"X-CSRF-Token": browser.csrf, **sent})
        assert reply.status == 403
        assert (await browser.send("POST", "/api/logout", {"csrf": browser.csrf}, sent)).status == 403
        assert 'name="csrf"' in (await browser.load()).body, "it is still logged in"

    run(server, scene)
    assert server.wishing.calls == []


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "\udcff", "other"])
def test_a_write_needs_the_csrf_token_of_its_session(server: WriteApiServer, csrf: str | None) -> None:
    async def scene(browser: Browser) -> None:
        other = Browser(server.port)
        await other.log_in(TOKEN)
        await other.load()
        await browser.log_in(TOKEN)
        sent = other.csrf if csrf == "other" else csrf
        reply = await browser.send("POST", "/api/keep", b'{"for": 60}', {"X-CSRF-Token": sent})
        assert reply.status == 403
        reply = await browser.send(
            "POST", "/api/keep", {"for": "1min", "csrf": (sent or "").replace("\udcff", "?")}
        )
        assert reply.status == 403

    run(server, scene)
    assert server.wishing.calls == []


def test_a_browser_s_own_word_is_enough(server: WriteApiServer) -> None:
    """Behind a proxy that changes Host, only Sec-Fetch-Site shows that the page itself has sent a form."""

    async def scene(browser: Browser) -> None:
        same = {"Sec-Fetch-Site": "same-origin", "Origin": "https://nas.lan"}
        assert (await browser.log_in(TOKEN, same)).status == 303
        await browser.load()
        assert (
            await browser.send("POST", "/api/keep", {"for": "1h", "csrf": browser.csrf}, same)
        ).status == 303

    run(server, scene)
    assert server.wishing.calls == [("keep", 3600.0, "")]


def test_a_session_ends(server: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        async def writes() -> bool:
            return 'name="csrf"' in (await browser.load()).body

        await browser.log_in(TOKEN)
        assert await writes()
        reply = await browser.send("POST", "/api/logout", {"csrf": browser.csrf})
        assert (reply.status, reply.headers["Location"]) == (303, "/")
        assert browser.cookie in {'powerd_session=""', "powerd_session="}
        assert not await writes()
        await browser.log_in(TOKEN)
        pass_time(server, IDLE_SECONDS - 1)
        assert await writes()
        pass_time(server, IDLE_SECONDS + 1)
        assert not await writes(), "unused for too long"
        await browser.log_in(TOKEN)
        first = browser.cookie
        await browser.log_in(TOKEN)
        browser.cookie = first
        assert not await writes(), "a new login ends the old session"
        await browser.log_in(TOKEN)
        server.wishing.token = f"{TOKEN}-2"
        assert not await writes(), "the token has changed"
        await browser.load()
        reply = await browser.send("POST", "/api/keep", {"for": "1h", "csrf": browser.csrf})
        assert (reply.status, reply.headers["Location"]) == (303, "/login")
        reply = await browser.send("POST", "/api/keep", b'{"for": 1}', {"X-CSRF-Token": browser.csrf})
        assert reply.status == 401

    run(server, scene)
    assert server.wishing.calls == []


@pytest.mark.parametrize(
    "cookie",
    ["powerd_session=", "powerd_session=x", "powerd_session=\udcff", "=;;;=", "x" * 4000, "a=b; " * 500],
)
def test_other_cookies_are_no_session(server: WriteApiServer, cookie: str) -> None:
    async def scene(browser: Browser) -> None:
        browser.cookie = cookie
        assert (await browser.load()).status == 200
        reply = await browser.send("POST", "/api/keep", b'{"for": 60}', {"X-CSRF-Token": ""})
        assert reply.status == 401

    run(server, scene)


def test_without_a_token_nobody_can_log_in(server: WriteApiServer) -> None:
    server.wishing.token = None
    server.http = HttpOptions()

    async def scene(browser: Browser) -> None:
        assert "/login" not in (await browser.load()).body
        reply = await browser.load("/login")
        assert reply.status == 403
        assert "http.token_file" in reply.body
        assert "<form" not in reply.body
        for secret in ("", "None", TOKEN):
            assert (await browser.log_in(secret)).status == 403
        server.wishing.token = ValueError("/etc/powerd/token does not exist")
        assert "does not exist" in (await browser.log_in(TOKEN)).body
        assert browser.cookie is None

    run(server, scene)


def test_with_a_password_everything_else_requires_a_login(locked: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        assert (await browser.send("GET", "/healthz")).status == 200
        reply = await browser.load()
        assert (reply.status, reply.headers["Location"]) == (303, "/login")
        reply = await browser.send("GET", "/api/status")
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await browser.log_in("wrong")).status == 403
        assert (await browser.log_in(TOKEN)).status == 403, "the token is for scripts"
        assert (await browser.log_in(PASSWORD)).status == 303
        assert 'name="csrf"' in (await browser.load()).body
        assert (await browser.send("GET", "/api/status")).status == 200
        reply = await browser.load("/login")
        assert (reply.status, reply.headers["Location"]) == (303, "/"), "it has logged in already"
        locked.password_hash = "another one"  # noqa: S105 - of this test alone
        assert (await browser.send("GET", "/api/status")).status == 401
        for token, status in ((TOKEN, 200), ("wrong", 401)):
            bearer = {"Authorization": f"Bearer {token}"}
            assert (await Browser(locked.port).send("GET", "/api/status", headers=bearer)).status == status
        assert (await locked.request("GET", "/api/status", headers=""))[0] == 200, (
            "the socket has its permissions"
        )

    run(locked, scene)


def test_a_stream_ends_with_its_session(locked: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        await browser.log_in(PASSWORD)
        await browser.load()
        reader, writer = await locked.connect(tcp=True)
        head = f"GET /api/events HTTP/1.0\r\nHost: {browser.netloc}\r\nCookie: {browser.cookie}\r\n\r\n"
        writer.write(head.encode())
        await reader.readuntil(b"event: hello")
        await reader.readuntil(b"\n\n")
        locked.feed.publish(make_entry("phase", "one"), NOW)
        assert b"one" in await reader.readuntil(b"\n\n")
        await browser.send("POST", "/api/logout", {"csrf": browser.csrf})
        locked.feed.publish(make_entry("phase", "two"), NOW)
        assert b"two" not in await reader.read()
        writer.close()

    run(locked, scene)


def test_failed_logins_are_limited(locked: WriteApiServer) -> None:
    async def scene(browser: Browser) -> None:
        async def log_in(address: str, password: str) -> int:
            return (await browser.log_in(password, {**TLS, "X-Forwarded-For": address, "Origin": own})).status

        own = f"https://{browser.netloc}"
        for _ in range(ADDRESS_ATTEMPTS):
            assert await log_in("10.0.0.5", "wrong") == 403
        assert await log_in("10.0.0.5", PASSWORD) == 429
        assert await log_in("10.0.0.5", PASSWORD) == 429
        messages = [str(fault["message"]) for fault in locked.faults]
        assert ["10.0.0.5" in message for message in messages] == [True], "it is reported once"
        locked.faults.clear()
        assert await log_in("10.0.0.6", PASSWORD) == 303, "others are not kept out"
        pass_time(locked, ADDRESS_SECONDS)
        assert await log_in("10.0.0.5", "wrong") == 403
        assert await log_in("10.0.0.5", PASSWORD) == 429
        pass_time(locked, ADDRESS_SECONDS)
        assert await log_in("10.0.0.5", PASSWORD) == 303
        assert await log_in("10.0.0.5", "wrong") == 403, "a success clears the failures"

    run(locked, scene)


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("nas.lan", TLS, 303),
        ("NAS.lan:8443", TLS, 303),
        ("nas.lan", {}, 403),
        ("nas.lan", {**TLS, "X-Forwarded-Proto": "http"}, 403),
        ("nas.lan", {**TLS, "X-Forwarded-Proto": "https, http"}, 403),
        (None, {}, 303),
        (None, {"X-Forwarded-For": "192.168.1.7"}, 403),
        (None, {"X-Forwarded-For": "127.0.0.1, 192.168.1.7"}, 403),
        (None, {"X-Forwarded-For": "\udcff"}, 303),
    ],
)
def test_a_password_is_refused_where_others_could_read_it(
    locked: WriteApiServer, host: str | None, headers: Mapping[str, str], status: int
) -> None:
    locked.http = replace(locked.http, hosts=("nas.lan",))

    async def scene(browser: Browser) -> None:
        scheme = "https" if headers.get("X-Forwarded-Proto", "").endswith("https") else "http"
        browser.host, browser.headers = host, {**headers, "Origin": f"{scheme}://{host or browser.netloc}"}
        reply = await browser.load("/login")
        assert reply.status == (200 if status == 303 else 403)
        reply = await browser.log_in(PASSWORD)
        assert reply.status == status
        if status == 303:
            assert ("; Secure" in reply.headers["Set-Cookie"]) == (scheme == "https")
        else:
            assert "not encrypted" in reply.body
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            assert (await browser.send("GET", "/api/status", headers=bearer)).status == 403

    run(locked, scene)


def test_a_base_path_and_a_dashboard(server: WriteApiServer) -> None:
    server.http = replace(server.http, base_path="/powerd", frame_ancestors=("https://home.lan:8123",))

    async def scene(browser: Browser) -> None:
        reply = await browser.load()
        assert reply.headers["Content-Security-Policy"].endswith("frame-ancestors https://home.lan:8123")
        assert not re.search(r'(?:href|action)="/(?!powerd/)', reply.body)
        assert 'action="/powerd/login"' in (await browser.load("/login")).body
        reply = await browser.log_in(TOKEN)
        assert reply.headers["Location"] == "/powerd/"
        assert "; Path=/powerd/;" in reply.headers["Set-Cookie"]
        await browser.load()
        reply = await browser.send("POST", "/api/keep", {"for": "1h", "csrf": browser.csrf})
        assert reply.headers["Location"] == "/powerd/"

    run(server, scene)


@pytest.mark.parametrize(
    "header", ["Origin: http://x", "Sec-Fetch-Site: same-origin", "X-Forwarded-For: 10.0.0.1", "Via: 1.1 x"]
)
def test_a_proxy_must_not_use_the_unix_socket(server: WriteApiServer, header: str) -> None:
    async def scene(_: Browser) -> None:
        head = f"Content-Type: application/json\r\n{header}\r\n"
        status, output = await server.request("POST", "/api/keep", {"for": 60}, head)
        assert (status, list(output)) == (403, ["error"])
        assert "http.listen" in output["error"]

    run(server, scene)
    assert server.wishing.calls == []
