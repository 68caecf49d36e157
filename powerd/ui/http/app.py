"""The HTTP server. It imports aiohttp, so LazyHttpServer imports it only at the first connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import ClientConnectionResetError, web

from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.core.actions import RequestRefusedError
from powerd.history.view.api import history_json, timeline_json
from powerd.smart.view.api import smart_details, smart_of, smarts_json
from powerd.ui.api import activity_json, blockers_json, clients_json, disks_json, status_json
from powerd.ui.http.access import AccessControl, is_proxied
from powerd.ui.http.connections import (
    MAX_EVENT_STREAMS,
    MAX_TCP_CONNECTIONS,
    MAX_UNIX_CONNECTIONS,
    SECURITY_HEADERS,
    ConnectionLimit,
    Listener,
    connection_of,
    error_response,
)
from powerd.ui.http.context import UiContext
from powerd.ui.http.event_feed import format_event
from powerd.ui.http.history_routes import HistoryApi
from powerd.ui.http.login import Login
from powerd.ui.http.write_requests import ApiError, WriteApi, path_id

if TYPE_CHECKING:
    from powerd.ui.schema import AccessJson, WakeJson

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEARTBEAT_SECONDS: Final = 55.0
"""A comment is sent after this time without an event: proxies close a connection that is silent for 60 s."""
DIRECT_HEARTBEAT_SECONDS: Final = 600.0
"""Without a proxy comments only detect a client that has disappeared."""
_STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",  # nginx would collect the events
}
_MAX_ID_LENGTH: Final = 20
_POLICY: Final = "Content-Security-Policy"
_SHUTDOWN_SECONDS: Final = 0.5
_MAX_BODY_SIZE: Final = 16 * 1024
_GZIP: Final = 16 + 15
"""The format of gzip, for zlib; aiohttp loads that anyway."""


async def start_server(
    sockets: Sequence[socket.socket], context: UiContext, deadline: float
) -> web.AppRunner:
    """Serve HTTP; ``cleanup()`` of the returned runner stops the server.

    Args:
        sockets: listening Unix and TCP sockets.
        context: the daemon's side.
        deadline: see Connection.
    """
    application = WebApp(context).build_application()
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    unix = ConnectionLimit("Unix socket", MAX_UNIX_CONNECTIONS)
    tcp = ConnectionLimit("TCP sockets", MAX_TCP_CONNECTIONS)
    for sock in sockets:
        await Listener(runner, sock, unix if sock.family == socket.AF_UNIX else tcp, deadline).start()
    return runner


class WebApp:
    """The read-only routes; WriteApi and EventStream add their own."""

    def __init__(self, context: UiContext) -> None:
        self._context = context
        self._access = AccessControl(context)
        self._refresh_task: asyncio.Task[None] | None = None

    def build_application(self) -> web.Application:
        """The application: all routes, and the middlewares that apply to all of them."""
        application = web.Application(
            middlewares=[
                _errors_as_json,
                self._access.check,
                _receive_request,
            ],
            client_max_size=_MAX_BODY_SIZE,
        )
        application.router.add_get("/", self._page)
        application.router.add_get("/api/status", self._status)
        application.router.add_get("/api/clients", self._clients)
        application.router.add_get("/api/disks", self._disks)
        application.router.add_get("/api/activity", self._activity)
        application.router.add_post("/api/activity", self._poll_checks)
        application.router.add_get("/api/wakes", self._wakes)
        application.router.add_get("/api/accesses", self._accesses)
        application.router.add_get("/api/blockers", self._blockers)
        application.router.add_get("/api/smart", self._smart_list)
        application.router.add_get("/api/smart/{id}", self._smart)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/metrics", self._metrics)
        HistoryApi(self._context).add_routes(application)
        WriteApi(self._context.requests, self._context.now).add_routes(application)
        EventStream(self._context, self._access).add_route(application)
        Login(self._context, self._access).add_routes(application)
        _add_form_routes(application.router)
        application.on_response_prepare.append(_add_security_headers)
        application.on_shutdown.append(self._cancel_refresh)
        return application

    async def _page(self, request: web.Request) -> web.Response:
        """Respond at once with the last decision, and start a poll whose result the next reload shows.

        The script renews the page with the query ``live``, after an event; that starts no poll.
        """
        from powerd.ui.page import render_page  # noqa: PLC0415 - 0.5 MB, which the API does not need

        if "live" not in request.query:
            _ = self._start_refresh()
        context = self._context
        status, now = context.status(), context.now()
        page_context = self._access.page_context(request)
        record, zone = context.recent_history(), now.wall.tzinfo
        text = render_page(
            status_json(status, now, context.decision_error(), context.reload_error()),
            clients_json(status, now),
            smart_details(status),
            wakes_json(status, now) or (),
            accesses_json(status, now) or (),
            timeline=timeline_json(record, zone) if record else None,
            history=history_json(record, zone) if record else None,
            page=page_context,
            zone=zone,
        )
        return _compressed(request, self._access.page_response(text, page_context))

    async def _status(self, _request: web.Request) -> web.Response:
        context = self._context
        return web.json_response(
            status_json(context.status(), context.now(), context.decision_error(), context.reload_error())
        )

    async def _clients(self, request: web.Request) -> web.Response:
        """Poll all clients first; with the query ``live`` respond at once, as the page does."""
        if "live" not in request.query:
            await asyncio.shield(self._start_refresh())  # the poll continues if this client disconnects
        return web.json_response(clients_json(self._context.status(), self._context.now()))

    async def _disks(self, _request: web.Request) -> web.Response:
        return web.json_response(disks_json(self._context.status(), self._context.now()))

    async def _activity(self, _request: web.Request) -> web.Response:
        return web.json_response(activity_json(self._context.status(), self._context.now()))

    async def _poll_checks(self, request: web.Request) -> web.Response:
        """A write, because checks may start commands: over TCP it needs the token."""
        poll = asyncio.ensure_future(_await_refresh(self._context.poll_checks()))
        poll.add_done_callback(_consume_exception)
        await asyncio.shield(poll)  # the poll continues if this client disconnects
        return await self._activity(request)

    async def _wakes(self, request: web.Request) -> web.Response:
        return _rows_of_disks(
            wakes_json(self._context.status(), self._context.now(), request.query.get("disk"))
        )

    async def _accesses(self, request: web.Request) -> web.Response:
        return _rows_of_disks(
            accesses_json(self._context.status(), self._context.now(), request.query.get("disk"))
        )

    async def _blockers(self, _request: web.Request) -> web.Response:
        return web.json_response(blockers_json(self._context.blocker_times(), self._context.now()))

    async def _smart_list(self, _request: web.Request) -> web.Response:
        return web.json_response(smarts_json(self._context.status()))

    async def _smart(self, request: web.Request) -> web.Response:
        detail = smart_of(self._context.status(), path_id(request))
        if detail is None:
            return error_response(
                404, "no drive with health data has this name; `powerd smart` lists the drives"
            )
        return web.json_response(detail)

    async def _healthz(self, _request: web.Request) -> web.Response:
        error = self._context.decision_error()
        if error is not None:
            return error_response(503, error)
        return web.json_response({"healthy": True})

    async def _metrics(self, _request: web.Request) -> web.Response:
        from powerd.ui.metrics import CONTENT_TYPE, metrics_text  # noqa: PLC0415 - only Prometheus needs it

        context = self._context
        text = metrics_text(
            context.status(), context.decision_error(), context.poll_seconds(), context.counters()
        )
        return web.Response(  # programs choose their names, and some are not Unicode
            body=text.encode(errors="replace"), headers={"Content-Type": f"{CONTENT_TYPE}; charset=utf-8"}
        )

    def _start_refresh(self) -> asyncio.Task[None]:
        """The task of the running poll, or of a new one: concurrent requests share one poll."""
        if self._refresh_task is None or self._refresh_task.done():
            self._refresh_task = asyncio.ensure_future(_await_refresh(self._context.refresh()))
            self._refresh_task.add_done_callback(_consume_exception)
        return self._refresh_task

    async def _cancel_refresh(self, _application: web.Application) -> None:
        if self._refresh_task is not None:
            self._refresh_task.cancel()


class EventStream:
    """Sends events to each connected client until it disconnects, or its session has ended."""

    def __init__(self, context: UiContext, access: AccessControl) -> None:
        self._context = context
        self._access = access
        self._send_tasks: set[asyncio.Task[None]] = set()

    def add_route(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_get("/api/events", self._stream_events, allow_head=False)
        application.on_shutdown.append(self._on_shutdown)

    async def _stream_events(self, request: web.Request) -> web.StreamResponse:
        limit = connection_of(request).limit
        if limit.event_streams >= MAX_EVENT_STREAMS:
            raise ApiError(
                503, f"{MAX_EVENT_STREAMS} event streams are open, which is the limit; close one of them"
            )
        response = web.StreamResponse(headers=_STREAM_HEADERS)
        await response.prepare(request)
        send_task = asyncio.ensure_future(self._send_events(request, response))
        self._send_tasks.add(send_task)
        limit.event_streams += 1
        try:
            await asyncio.wait([send_task])
        finally:
            limit.event_streams -= 1
            self._send_tasks.discard(send_task)
            send_task.cancel()
        return response

    async def _send_events(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send the current state, the missed events, and then each new event."""
        context, transport = self._context, request.transport
        heartbeat = HEARTBEAT_SECONDS if is_proxied(request) else DIRECT_HEARTBEAT_SECONDS
        if transport is None:
            return
        subscription = context.feed.subscribe(
            last_id(request.headers.get("Last-Event-ID", "")), transport.abort
        )
        with contextlib.suppress(ClientConnectionResetError), subscription as queue:
            state = status_json(context.status(), context.now(), context.decision_error())
            await response.write(format_event("hello", state).encode())
            while True:
                try:
                    async with asyncio.timeout(heartbeat):
                        text = await queue.get()
                except TimeoutError:
                    text = ": heartbeat\n\n"
                if self._access.has_ended(request):
                    return
                await response.write(text.encode())

    async def _on_shutdown(self, _application: web.Application) -> None:
        for send_task in self._send_tasks:
            send_task.cancel()


def _add_form_routes(router: web.UrlDispatcher) -> None:
    """Give each ``DELETE URL`` the alias ``POST URL/delete``, because a form has no other method."""
    for route in list(router.routes()):
        if route.method == "DELETE" and route.resource is not None:
            router.add_post(f"{route.resource.canonical}/delete", route.handler)


def _compressed(request: web.Request, response: web.Response) -> web.Response:
    """The response, compressed if the client accepts that: 40 KB are 8 KB, and take 1 ms."""
    response.headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("Accept-Encoding", "") and isinstance(response.body, bytes):
        response.body = zlib.compress(response.body, 6, _GZIP)
        response.headers["Content-Encoding"] = "gzip"
    return response


def _rows_of_disks(rows: Sequence[WakeJson] | Sequence[AccessJson] | None) -> web.Response:
    """The response with ``rows``; None = no disk matches the query."""
    if rows is None:
        return error_response(404, "no disk has this name; `powerd disks` lists them")
    return web.json_response(rows)


def last_id(header: str) -> int | None:
    """The number in the header ``Last-Event-ID``; None if it is missing or not an id of powerd."""
    return int(header) if header.isascii() and header.isdecimal() and len(header) <= _MAX_ID_LENGTH else None


async def _await_refresh(refresh: Awaitable[None]) -> None:
    await refresh


def _consume_exception(task: asyncio.Task[None]) -> None:
    """Retrieve the exception of a poll without a waiting client, which asyncio would report as lost."""
    if not task.cancelled():
        task.exception()


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to every error with ``{"error": "…"}``."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _http_error_response(request, error)
    except ApiError as error:
        response = error_response(error.status, str(error))
        if error.status == web.HTTPUnauthorized.status_code:
            response.headers["WWW-Authenticate"] = "Bearer"  # required by RFC 9110, 15.5.2
        return response
    except RequestRefusedError as error:
        return error_response(404 if error.not_found else 409, str(error))
    except ClientConnectionResetError:
        return error_response(503, "the client has closed the connection")  # no client reads it
    except Exception as error:  # noqa: BLE001 - reported to the client and to the loop's exception handler
        context = {"message": f"internal error while serving {request.path}", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return error_response(500, f"internal error of powerd: {type(error).__name__}")


def _http_error_response(request: web.Request, error: web.HTTPException) -> web.Response:
    """The response to an error that aiohttp has detected."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        response = error_response(
            405, f"{request.method} is not allowed here; allowed: {' and '.join(allowed)}"
        )
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if error.status == web.HTTPNotFound.status_code:
        return error_response(
            404,
            "not found; try /, /api/status, /api/clients, /api/activity, /api/disks, /api/wakes, "
            "/api/accesses, /api/blockers, /api/history, /api/record, /api/report, /api/timeline, "
            "/api/smart or /metrics",
        )
    if error.status == web.HTTPRequestEntityTooLarge.status_code:
        return error_response(413, f"the body is longer than {_MAX_BODY_SIZE} bytes")
    return error_response(error.status, error.text or error.reason)


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the same headers to every response, and end each connection with its first response.

    No connection is idle between two requests then, and no request waits behind another one.
    """
    policy = response.headers.get(_POLICY, SECURITY_HEADERS[_POLICY])
    response.headers.update({**SECURITY_HEADERS, _POLICY: policy})
    response.force_close()


@web.middleware
async def _receive_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Receive the whole body before the deadline of the connection; the handler is not limited by it."""
    if "Content-Encoding" in request.headers:
        raise ApiError(415, "the body must not be compressed")
    await request.read()
    connection = connection_of(request)
    connection.stop_waiting()
    try:
        return await handler(request)
    finally:
        connection.wait_for_client()
