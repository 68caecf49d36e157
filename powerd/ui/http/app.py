"""The HTTP server. It imports aiohttp, so LazyHttpServer imports it only at the first connection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from powerd.requests.model import RequestRefusedError
from powerd.smart.view.api import smart_details, smart_of, smarts_json
from powerd.ui.api import clients_json, disks_json, status_json
from powerd.ui.http.context import UiContext
from powerd.ui.http.event_stream import EventStream
from powerd.ui.http.write_requests import ApiError, WriteApi, path_id, write_access_middleware
from powerd.ui.page import STYLE, render_page

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SHUTDOWN_SECONDS: Final = 0.5
_MAX_BODY_SIZE: Final = 16 * 1024
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "powerd",
    "X-Content-Type-Options": "nosniff",
}


async def start_server(listeners: Sequence[socket.socket], context: UiContext) -> web.AppRunner:
    """Serve HTTP on listening sockets; ``cleanup()`` of the returned runner stops the server."""
    silent_logger = logging.getLogger("powerd.ui.http")  # aiohttp logs a traceback for each malformed request
    silent_logger.disabled = True
    application = WebApp(context).build_application()
    runner = web.AppRunner(
        application,
        access_log=None,
        logger=silent_logger,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    for listener in listeners:
        await web.SockSite(runner, listener).start()
    return runner


class WebApp:
    """The read-only routes; WriteApi and EventStream add their own."""

    def __init__(self, context: UiContext) -> None:
        self._context = context
        self._refresh_task: asyncio.Task[None] | None = None

    def build_application(self) -> web.Application:
        """The application: all routes, and the middlewares that apply to all of them."""
        application = web.Application(
            middlewares=[_errors_as_json, _check_host, write_access_middleware(self._context.requests.token)],
            client_max_size=_MAX_BODY_SIZE,
        )
        application.router.add_get("/", self._page)
        application.router.add_get("/api/status", self._status)
        application.router.add_get("/api/clients", self._clients)
        application.router.add_get("/api/disks", self._disks)
        application.router.add_get("/api/smart", self._smart_list)
        application.router.add_get("/api/smart/{id}", self._smart)
        application.router.add_get("/healthz", self._healthz)
        WriteApi(self._context.requests, self._context.now).add_routes(application)
        EventStream(self._context).add_route(application)
        application.on_response_prepare.append(_add_security_headers)
        application.on_shutdown.append(self._cancel_refresh)
        return application

    async def _page(self, _request: web.Request) -> web.Response:
        """Respond at once with the last decision, and start a poll whose result the next reload shows."""
        _ = self._start_refresh()
        context = self._context
        status, now = context.status(), context.now()
        text = render_page(
            status_json(status, now, context.decision_error()),
            clients_json(status, now),
            smart_details(status),
        )
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def _status(self, _request: web.Request) -> web.Response:
        context = self._context
        return web.json_response(status_json(context.status(), context.now(), context.decision_error()))

    async def _clients(self, _request: web.Request) -> web.Response:
        await asyncio.shield(self._start_refresh())  # the poll goes on when this client disconnects
        return web.json_response(clients_json(self._context.status(), self._context.now()))

    async def _disks(self, _request: web.Request) -> web.Response:
        return web.json_response(disks_json(self._context.status(), self._context.now()))

    async def _smart_list(self, _request: web.Request) -> web.Response:
        return web.json_response(smarts_json(self._context.status()))

    async def _smart(self, request: web.Request) -> web.Response:
        detail = smart_of(self._context.status(), path_id(request))
        if detail is None:
            return _error_response(
                404, "no drive with health data has this name; `powerd smart` lists the drives"
            )
        return web.json_response(detail)

    async def _healthz(self, _request: web.Request) -> web.Response:
        error = self._context.decision_error()
        if error is not None:
            return _error_response(503, error)
        return web.json_response({"healthy": True})

    def _start_refresh(self) -> asyncio.Task[None]:
        """The task of the running poll, or of a new one: concurrent requests share one poll."""
        if self._refresh_task is None or self._refresh_task.done():
            self._refresh_task = asyncio.ensure_future(_await_refresh(self._context.refresh()))
            self._refresh_task.add_done_callback(_consume_exception)
        return self._refresh_task

    async def _cancel_refresh(self, _application: web.Application) -> None:
        if self._refresh_task is not None:
            self._refresh_task.cancel()


async def _await_refresh(refresh: Awaitable[None]) -> None:
    await refresh


def _consume_exception(task: asyncio.Task[None]) -> None:
    """Retrieve the exception of a poll that nobody awaits, so that asyncio does not report it as lost."""
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
        response = _error_response(error.status, str(error))
        if error.status == web.HTTPUnauthorized.status_code:
            response.headers["WWW-Authenticate"] = "Bearer"  # required by RFC 9110, 15.5.2
        return response
    except RequestRefusedError as error:
        return _error_response(404 if error.not_found else 409, str(error))
    except Exception as error:  # noqa: BLE001 - reported to the client and to the loop's exception handler
        context = {"message": f"internal error while serving {request.path}", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return _error_response(500, f"internal error of powerd: {type(error).__name__}")


def _http_error_response(request: web.Request, error: web.HTTPException) -> web.Response:
    """The response to an error that aiohttp has detected."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        response = _error_response(
            405, f"{request.method} is not allowed here; allowed: {' and '.join(allowed)}"
        )
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if error.status == web.HTTPNotFound.status_code:
        return _error_response(404, "not found; try /, /api/status, /api/clients, /api/disks or /api/smart")
    if error.status == web.HTTPRequestEntityTooLarge.status_code:
        return _error_response(413, f"the body is longer than {_MAX_BODY_SIZE} bytes")
    return _error_response(error.status, error.text or error.reason)


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the same headers to every response."""
    response.headers.update(_SECURITY_HEADERS)


@web.middleware
async def _check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Over TCP, reject requests whose ``Host`` header is not a loopback address with this server's port.

    A foreign web page can let its own name resolve to 127.0.0.1 (DNS rebinding), and could then read all
    responses as same-origin. The ``Host`` header of its requests contains its own name.
    """
    connection = request.get_extra_info("socket")
    is_tcp = connection is None or connection.family != socket.AF_UNIX
    if not is_tcp:
        return await handler(request)
    port = None if connection is None else connection.getsockname()[1]
    if port is None or not is_own_address(request.host, port):
        text = "the Host header is not a loopback address and port of this server"
        return _error_response(403, f"{text}; a reverse proxy must send Host: localhost:{port}")
    return await handler(request)


def is_own_address(host: str, port: int) -> bool:
    """Whether a ``Host`` header (RFC 9110, 7.2) names a loopback address, or localhost, and ``port``."""
    name, colon, number = host.rpartition(":")
    if not colon or number.endswith("]"):
        name, number = host, "80"
    if number != str(port):
        return False
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _error_response(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
