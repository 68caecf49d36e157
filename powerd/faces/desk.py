"""Where wishes are taken over HTTP: keep, hold, wake and others, and who may wish. Only web imports it."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from powerd.config.values import parse_duration
from powerd.faces.http import Wishes
from powerd.faces.render import keep_json, woken_json
from powerd.faces.words import harmless
from powerd.model import TESTS, Moment

_LONGEST_TEXT: Final = 200
_WRITES: Final = frozenset({"POST", "DELETE"})
_READ_ONLY: Final = (
    "over TCP this server only shows; ask on its Unix socket, or set http.token_file in the configuration"
)


Kinds: TypeAlias = Mapping[str, type | tuple[type, ...]]


class WishError(Exception):
    """A request that cannot be taken; the text is one sentence, ``status`` its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read_wish(content: bytes, kinds: Kinds) -> dict[str, Any]:
    """The JSON object of a request's body.

    Args:
        content: the body.
        kinds: the keys that may be in it, and of what type.

    Raises:
        WishError: it is no JSON object, or has another key, or a value of another type.
    """
    try:
        wish = json.loads(content)
    except (ValueError, RecursionError):
        raise WishError(400, "the body is no JSON") from None
    if not isinstance(wish, dict):
        raise WishError(400, f"the body is no JSON object; it may hold {_listed(kinds)}")
    for key, value in wish.items():
        if key not in kinds:
            name = harmless(key)[:40]
            raise WishError(400, f'"{name}" is not known here; the body may hold {_listed(kinds)}')
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            wanted = "a string" if kinds[key] is str else "a number or a string"
            raise WishError(400, f'"{key}" is of the wrong type: {wanted} is wanted')
    return wish


def text_of(wish: dict[str, Any], key: str) -> str:
    """A line of text, fit to be shown; "" where there is none.

    Raises:
        WishError: it is too long.
    """
    text = harmless(" ".join(wish.get(key, "").split()))
    if len(text) > _LONGEST_TEXT:
        raise WishError(400, f'"{key}" is longer than {_LONGEST_TEXT} characters')
    return text


def seconds_of(wish: dict[str, Any]) -> float:
    """How long a keep is ``for``: seconds, or a duration such as ``2h``.

    Raises:
        WishError: it is neither.
    """
    length = wish.get("for")
    if length is None:
        raise WishError(400, 'say how long: "for" is wanted, seconds or a duration such as "2h"')
    try:
        seconds = parse_duration(length) if isinstance(length, str) else float(length)
    except (ValueError, OverflowError) as error:
        raise WishError(400, harmless(str(error))[:_LONGEST_TEXT]) from None
    if not seconds > 0:
        raise WishError(400, '"for" is not longer than no time at all')
    return seconds


def may_write(token: Callable[[], str | None]) -> Middleware:
    """Let only those change anything over TCP who have the token; a Unix socket has its file permissions."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _WRITES and request.match_info.http_exception is None:
            door = request.get_extra_info("socket")
            if door is None or door.family != socket.AF_UNIX:
                _check_token(request.headers.get("Authorization", ""), token)
            if request.method == "POST" and request.content_type != "application/json":
                raise WishError(415, "send JSON, with Content-Type: application/json")
        return await handler(request)

    return check


def _check_token(said: str, token: Callable[[], str | None]) -> None:
    try:
        secret = token()
    except ValueError as error:
        raise WishError(403, f"the token cannot be checked: {error}") from None
    if secret is None:
        raise WishError(403, _READ_ONLY)
    scheme, _, given = said.partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), secret.encode())
    if scheme.lower() != "bearer" or not right:
        raise WishError(401, "changing anything takes the right token: Authorization: Bearer TOKEN")


class Desk:
    """Takes wishes, and gives what has become of them."""

    def __init__(self, wishes: Wishes, now: Callable[[], Moment]) -> None:
        self._wishes = wishes
        self._now = now
        self._closing = asyncio.Event()

    def serve(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_post("/api/keep", self._keep)
        application.router.add_delete("/api/keep/{id}", self._drop)
        application.router.add_post("/api/hold", self._hold)
        application.router.add_post("/api/wake", self._wake)
        application.router.add_post("/api/disks/{id}/standby", self._stand_by)
        application.router.add_post("/api/smart/{id}/check", self._check)
        application.router.add_post("/api/smart/{id}/test", self._test)
        application.on_shutdown.append(self._close)

    async def _keep(self, request: web.Request) -> web.Response:
        wish = read_wish(await request.read(), {"for": (int, float, str), "because": str})
        keep = self._wishes.keep(seconds_of(wish), text_of(wish, "because"))
        return web.json_response(keep_json(keep, self._now()))

    async def _drop(self, request: web.Request) -> web.Response:
        keep = self._wishes.drop(id_of(request))
        return web.json_response(keep_json(keep, self._now()))

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        """Answer with one line of JSON and no end: the server is held awake until the asker is gone."""
        because = text_of(read_wish(await request.read(), {"because": str}), "because")
        with self._wishes.hold(because or "a command") as keep:
            response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
            await response.prepare(request)
            await response.write(json.dumps(keep_json(keep, self._now())).encode() + b"\n")
            await self._closing.wait()
        return response

    async def _wake(self, request: web.Request) -> web.Response:
        host = text_of(read_wish(await request.read(), {"host": str}), "host")
        if not host:
            raise WishError(400, 'say whom: "host" is wanted, a name, an address or a MAC')
        return web.json_response(woken_json(await self._wishes.wake(host)))

    async def _stand_by(self, request: web.Request) -> web.Response:
        if content := await request.read():
            read_wish(content, {})
        disks = await self._wishes.stand_by(id_of(request))
        return web.json_response({"disks": list(disks)})

    async def _check(self, request: web.Request) -> web.Response:
        if content := await request.read():
            read_wish(content, {})
        return web.json_response({"disk": await self._wishes.check(id_of(request))})

    async def _test(self, request: web.Request) -> web.Response:
        kind = text_of(read_wish(await request.read(), {"kind": str}), "kind")
        test = next((test for test in TESTS if test == kind), None)
        if test is None:
            raise WishError(400, 'say which: "kind" is wanted, "short" or "long"')
        return web.json_response({"disk": await self._wishes.test(id_of(request), test)})

    async def _close(self, _application: web.Application) -> None:
        self._closing.set()


def id_of(request: web.Request) -> str:
    """What the path names as ``{id}``, fit to be shown."""
    return harmless(request.match_info["id"])[:_LONGEST_TEXT]


def _listed(kinds: Kinds) -> str:
    return " and ".join(f'"{key}"' for key in kinds) or "nothing"
