"""The routes that write: keep, hold, sleep, wake, spin-down and health checks, and their access control."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from powerd.config.values import parse_duration, parse_weekly_time
from powerd.core.time import Moment, next_occurrence
from powerd.smart.actions import TEST_KINDS
from powerd.ui.api import accepted_sleep_json, keep_awake_json, sleep_request_json, wake_on_lan_json
from powerd.ui.http.context import RequestHandlers
from powerd.ui.layout import sanitize

_MAX_TEXT_LENGTH: Final = 200
_WRITE_METHODS: Final = frozenset({"POST", "DELETE"})
_READ_ONLY_TEXT: Final = (
    "over TCP this server is read-only; use its Unix socket, or set http.token_file in the configuration"
)


BodyFields: TypeAlias = Mapping[str, type | tuple[type, ...]]
"""The keys that a request body may have, and the types of their values."""


class ApiError(Exception):
    """An invalid request; the text is one sentence, ``status`` the HTTP status of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read_body(content: bytes, allowed_fields: BodyFields) -> dict[str, Any]:
    """Parse the JSON object of a request body.

    Args:
        content: the body.
        allowed_fields: the allowed keys and the types of their values.

    Raises:
        ApiError: the body is not a JSON object, or has an unknown key or a value of a wrong type.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise ApiError(
            400, f"the body is not a JSON object; allowed keys: {_describe_fields(allowed_fields)}"
        )
    for key, value in body.items():
        if key not in allowed_fields:
            name = sanitize(key)[:40]
            raise ApiError(
                400, f'"{name}" is not a known key; allowed keys: {_describe_fields(allowed_fields)}'
            )
        kinds = allowed_fields[key]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            names = {str: "a string", bool: "true or false"}
            expected = (
                names.get(kinds, "a number or a string")
                if isinstance(kinds, type)
                else "a number or a string"
            )
            raise ApiError(400, f'"{key}" has the wrong type; it must be {expected}')
    return body


def text_field(body: dict[str, Any], key: str) -> str:
    """The sanitized text of a key, on one line; "" if the key is missing.

    Raises:
        ApiError: the text is too long.
    """
    text = sanitize(" ".join(body.get(key, "").split()))
    if len(text) > _MAX_TEXT_LENGTH:
        raise ApiError(400, f'"{key}" is longer than {_MAX_TEXT_LENGTH} characters')
    return text


def duration_field(body: dict[str, Any], wall: datetime) -> float:
    """Seconds from the key ``for``: seconds, or a duration such as ``2h``; or ``until``: ``18:00``.

    Args:
        body: the request.
        wall: the present time; ``until`` is its next occurrence.

    Raises:
        ApiError: it is missing or invalid.
    """
    duration = body.get("for")
    if (duration is None) == ("until" not in body):
        raise ApiError(
            400,
            'one of "for" (seconds, or a duration such as "2h") and "until" (such as "18:00") is required',
        )
    try:
        if duration is None:
            seconds = (next_occurrence(parse_weekly_time(body["until"]), wall) or 0.0) - wall.timestamp()
        else:
            seconds = parse_duration(duration) if isinstance(duration, str) else float(duration)
    except (ValueError, OverflowError) as error:
        raise ApiError(400, sanitize(str(error))[:_MAX_TEXT_LENGTH]) from None
    if not seconds > 0:
        raise ApiError(400, '"for" must be positive')
    return seconds


def write_access_middleware(token: Callable[[], str | None]) -> Middleware:
    """Middleware that requires the token for writing over TCP. File permissions protect the Unix socket."""

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _WRITE_METHODS and request.match_info.http_exception is None:
            connection = request.get_extra_info("socket")
            if connection is None or connection.family != socket.AF_UNIX:
                _check_token(request.headers.get("Authorization", ""), token)
            if request.method == "POST" and request.content_type != "application/json":
                raise ApiError(415, "the body must be JSON, with Content-Type: application/json")
        return await handler(request)

    return check_access


def _check_token(authorization: str, token: Callable[[], str | None]) -> None:
    try:
        secret = token()
    except ValueError as error:
        raise ApiError(403, f"the token cannot be checked: {error}") from None
    if secret is None:
        raise ApiError(403, _READ_ONLY_TEXT)
    scheme, _, credential = authorization.partition(" ")
    token_matches = hmac.compare_digest(credential.strip().encode(errors="surrogateescape"), secret.encode())
    if scheme.lower() != "bearer" or not token_matches:
        raise ApiError(401, "writing needs the right token: Authorization: Bearer TOKEN")


class WriteApi:
    """Executes write requests and responds with their results."""

    def __init__(self, handlers: RequestHandlers, now: Callable[[], Moment]) -> None:
        self._handlers = handlers
        self._now = now
        self._shutdown = asyncio.Event()

    def add_routes(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_post("/api/keep", self._keep)
        application.router.add_delete("/api/keep/{id}", self._drop)
        application.router.add_post("/api/hold", self._hold)
        application.router.add_post("/api/sleep", self._sleep)
        application.router.add_delete("/api/sleep", self._cancel_sleep)
        application.router.add_post("/api/wake", self._wake)
        application.router.add_post("/api/reload", self._reload)
        application.router.add_post("/api/disks/{id}/standby", self._spin_down)
        application.router.add_post("/api/smart/{id}/check", self._check)
        application.router.add_post("/api/smart/{id}/test", self._test)
        application.router.add_post("/api/smart/{id}/acknowledge", self._acknowledge)
        application.on_shutdown.append(self._on_shutdown)

    async def _keep(self, request: web.Request) -> web.Response:
        body = read_body(await request.read(), {"for": (int, float, str), "until": str, "because": str})
        seconds = duration_field(body, self._now().wall)
        keep = await self._handlers.keep(seconds, text_field(body, "because"))
        return web.json_response(keep_awake_json(keep, self._now()))

    async def _drop(self, request: web.Request) -> web.Response:
        keep = await self._handlers.drop(path_id(request))
        return web.json_response(keep_awake_json(keep, self._now()))

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        """Respond with one line of JSON, and keep the server awake until the client closes the connection."""
        because = text_field(read_body(await request.read(), {"because": str}), "because")
        with self._handlers.hold(because or "a command") as keep:
            response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
            await response.prepare(request)
            await response.write(json.dumps(keep_awake_json(keep, self._now())).encode() + b"\n")
            await self._shutdown.wait()
        return response

    async def _sleep(self, request: web.Request) -> web.Response:
        body = read_body(await request.read(), {"now": bool})
        accepted = await self._handlers.sleep(body.get("now", False))
        return web.json_response(accepted_sleep_json(accepted, self._now()), status=202)

    async def _cancel_sleep(self, _request: web.Request) -> web.Response:
        return web.json_response(sleep_request_json(await self._handlers.cancel_sleep(), self._now()))

    async def _wake(self, request: web.Request) -> web.Response:
        host = text_field(read_body(await request.read(), {"host": str}), "host")
        if not host:
            raise ApiError(400, '"host" is missing: a name, an address or a MAC address')
        return web.json_response(wake_on_lan_json(await self._handlers.wake(host)))

    async def _reload(self, request: web.Request) -> web.Response:
        if content := await request.read():
            read_body(content, {})
        self._handlers.reload()
        return web.json_response({"reloaded": True})

    async def _spin_down(self, request: web.Request) -> web.Response:
        if content := await request.read():
            read_body(content, {})
        disks = await self._handlers.spin_down(path_id(request))
        return web.json_response({"disks": list(disks)})

    async def _check(self, request: web.Request) -> web.Response:
        if content := await request.read():
            read_body(content, {})
        return web.json_response({"disk": await self._handlers.check(path_id(request))})

    async def _test(self, request: web.Request) -> web.Response:
        kind = text_field(read_body(await request.read(), {"kind": str}), "kind")
        test = next((test for test in TEST_KINDS if test == kind), None)
        if test is None:
            raise ApiError(400, '"kind" must be "short" or "long"')
        return web.json_response({"disk": await self._handlers.test(path_id(request), test)})

    async def _acknowledge(self, request: web.Request) -> web.Response:
        if content := await request.read():
            read_body(content, {})
        return web.json_response({"disk": self._handlers.acknowledge(path_id(request))})

    async def _on_shutdown(self, _application: web.Application) -> None:
        self._shutdown.set()


def path_id(request: web.Request) -> str:
    """The sanitized ``{id}`` of the path."""
    return sanitize(request.match_info["id"])[:_MAX_TEXT_LENGTH]


def _describe_fields(allowed_fields: BodyFields) -> str:
    return " and ".join(f'"{key}"' for key in allowed_fields) or "nothing"
