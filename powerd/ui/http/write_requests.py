"""The routes that write: keep, hold, sleep, wake, spin-down and health checks, and their access control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiohttp import web

from powerd.config.values import parse_duration, parse_weekly_time
from powerd.core.time import Moment, next_occurrence
from powerd.smart.actions import TEST_KINDS
from powerd.ui.api import accepted_sleep_json, keep_awake_json, sleep_request_json, wake_on_lan_json
from powerd.ui.http.context import RequestHandlers
from powerd.ui.layout import format_time, sanitize

if TYPE_CHECKING:
    from powerd.ui.schema import RecipientJson

_MAX_TEXT_LENGTH: Final = 200
FORM: Final = web.RequestKey("form", dict[str, str])
"""The key in a request of the fields of a form."""
NOTICE: Final = web.RequestKey("notice", str)
"""The key in a request of the result that the page shows after a form, one sentence."""

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
        allowed = allowed_fields[key]
        if not isinstance(value, allowed) or (isinstance(value, bool) and allowed is not bool):
            names: dict[object, str] = {str: "a string", bool: "true or false"}
            expected = names.get(allowed, "a number or a string")
            raise ApiError(400, f'"{key}" has the wrong type; it must be {expected}')
    return body


def text_field(body: dict[str, Any], key: str) -> str:
    """The sanitized text of a key, on one line; "" if the key is missing.

    Raises:
        ApiError: the text is too long.
    """
    text = sanitize(" ".join(body.get(key, "").split()))
    if len(text) > _MAX_TEXT_LENGTH:
        raise ApiError(400, f'"{key}" is longer than {_MAX_TEXT_LENGTH} characters; shorten it')
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
        raise ApiError(400, "a keep-awake request lasts more than 0 s; write a longer time")
    return seconds


async def read_fields(request: web.Request, allowed_fields: BodyFields) -> dict[str, Any]:
    """The fields of a write request: of a JSON object, of a form of the page, or none if there is no body.

    A form has texts only; a field that must be true or false is true if it is "true" or "on" (a checkbox).

    Raises:
        ApiError: as read_body().
    """
    form = request.get(FORM)
    if form is None:
        content = await request.read()
        return read_body(content, allowed_fields) if content else {}
    values = {
        key: text in {"true", "on"} if allowed_fields.get(key) is bool else text for key, text in form.items()
    }
    return read_body(json.dumps(values).encode(), allowed_fields)


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
        application.router.add_post("/api/notify/test", self._notify_test)
        application.router.add_post("/api/disks/{id}/standby", self._spin_down)
        application.router.add_post("/api/smart/{id}/check", self._check)
        application.router.add_post("/api/smart/{id}/test", self._test)
        application.router.add_post("/api/smart/{id}/acknowledge", self._acknowledge)
        application.on_shutdown.append(self._on_shutdown)

    async def _keep(self, request: web.Request) -> web.Response:
        body = await read_fields(request, {"for": (int, float, str), "until": str, "because": str})
        seconds = duration_field(body, self._now().wall)
        keep = await self._handlers.keep(seconds, text_field(body, "because"))
        until = "" if keep.until is None else f" until {format_time(keep.until.wall, self._now().wall)}"
        request[NOTICE] = f"The server stays awake{until}."
        return web.json_response(keep_awake_json(keep, self._now()))

    async def _drop(self, request: web.Request) -> web.Response:
        keep = await self._handlers.drop(path_id(request))
        request[NOTICE] = "The request to stay awake has ended."
        return web.json_response(keep_awake_json(keep, self._now()))

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        """Respond with one line of JSON, and keep the server awake until the client closes the connection."""
        because = text_field(await read_fields(request, {"because": str}), "because")
        with self._handlers.hold(because or "a command") as keep:
            response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
            await response.prepare(request)
            await response.write(json.dumps(keep_awake_json(keep, self._now())).encode() + b"\n")
            await self._shutdown.wait()
        return response

    async def _sleep(self, request: web.Request) -> web.Response:
        body = await read_fields(request, {"now": bool})
        accepted = await self._handlers.sleep(body.get("now", False))
        request[NOTICE] = "A sleep is requested."
        return web.json_response(accepted_sleep_json(accepted, self._now()), status=202)

    async def _cancel_sleep(self, request: web.Request) -> web.Response:
        ended = await self._handlers.cancel_sleep()
        request[NOTICE] = "The request to sleep is cancelled."
        return web.json_response(sleep_request_json(ended, self._now()))

    async def _wake(self, request: web.Request) -> web.Response:
        host = text_field(await read_fields(request, {"host": str}), "host")
        if not host:
            raise ApiError(400, '"host" is missing: a name, an address or a MAC address')
        result = await self._handlers.wake(host)
        request[NOTICE] = f"Magic packets were sent to {result.label}; it may take a minute to start."
        return web.json_response(wake_on_lan_json(result))

    async def _reload(self, request: web.Request) -> web.Response:
        await read_fields(request, {})
        self._handlers.reload()
        return web.json_response({"reloaded": True})

    async def _notify_test(self, request: web.Request) -> web.Response:
        await read_fields(request, {})
        results = await self._handlers.notify_test()
        failed = [f"{to}: {error}" for to, error in results if error]
        request[NOTICE] = f"Not sent: {'; '.join(failed)}." if failed else "The test message was sent."
        rows: list[RecipientJson] = [{"to": to, "error": error or None} for to, error in results]
        return web.json_response(rows)

    async def _spin_down(self, request: web.Request) -> web.Response:
        await read_fields(request, {})
        disks = await self._handlers.spin_down(path_id(request))
        request[NOTICE] = f"Spin-down requested: {', '.join(disks)}."
        return web.json_response({"disks": list(disks)})

    async def _check(self, request: web.Request) -> web.Response:
        await read_fields(request, {})
        disk = await self._handlers.check(path_id(request))
        request[NOTICE] = f"Health check requested: {disk}."
        return web.json_response({"disk": disk})

    async def _test(self, request: web.Request) -> web.Response:
        kind = text_field(await read_fields(request, {"kind": str}), "kind")
        test = next((test for test in TEST_KINDS if test == kind), None)
        if test is None:
            raise ApiError(400, '"kind" must be "short" or "long"')
        disk = await self._handlers.test(path_id(request), test)
        request[NOTICE] = f"{test.capitalize()} self-test requested: {disk}."
        return web.json_response({"disk": disk})

    async def _acknowledge(self, request: web.Request) -> web.Response:
        await read_fields(request, {})
        disk = self._handlers.acknowledge(path_id(request))
        request[NOTICE] = f"Acknowledged: {disk}."
        return web.json_response({"disk": disk})

    async def _on_shutdown(self, _application: web.Application) -> None:
        self._shutdown.set()


def path_id(request: web.Request) -> str:
    """The sanitized ``{id}`` of the path."""
    return sanitize(request.match_info["id"])[:_MAX_TEXT_LENGTH]


def _describe_fields(allowed_fields: BodyFields) -> str:
    return " and ".join(f'"{key}"' for key in allowed_fields) or "nothing"
