"""The HTTP face itself; importing it imports aiohttp, so only http.Door does, at the first connection."""

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

from powerd.faces.desk import Desk, WishError, id_of, may_write
from powerd.faces.health_render import details, smart_of, smarts_json
from powerd.faces.http import Faces
from powerd.faces.page import STYLE, page
from powerd.faces.render import clients_json, disks_json, status_json
from powerd.faces.stream import Stream
from powerd.model import RefusedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SHUTDOWN: Final = 0.5
_LARGEST_BODY: Final = 16 * 1024
_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "powerd",
    "X-Content-Type-Options": "nosniff",
}


async def serve(listeners: Sequence[socket.socket], faces: Faces) -> web.AppRunner:
    """Start to serve ``faces`` on sockets that listen already; the runner's cleanup() ends it."""
    quiet = logging.getLogger("powerd.faces")  # aiohttp logs a traceback for each garbled request
    quiet.disabled = True
    application = Site(faces).application()
    runner = web.AppRunner(
        application, access_log=None, logger=quiet, handler_cancellation=True, shutdown_timeout=_SHUTDOWN
    )
    await runner.setup()
    for listener in listeners:
        await web.SockSite(runner, listener).start()
    return runner


class Site:
    """The routes, each a view of what Faces gives."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self._looking: asyncio.Task[None] | None = None

    def application(self) -> web.Application:
        """The routes behind the checks that hold for all of them."""
        application = web.Application(
            middlewares=[_answer_in_json, _check_host, may_write(self._faces.wishes.token)],
            client_max_size=_LARGEST_BODY,
        )
        application.router.add_get("/", self._page)
        application.router.add_get("/api/status", self._status)
        application.router.add_get("/api/clients", self._clients)
        application.router.add_get("/api/disks", self._disks)
        application.router.add_get("/api/smart", self._smarts)
        application.router.add_get("/api/smart/{id}", self._smart)
        application.router.add_get("/healthz", self._healthz)
        Desk(self._faces.wishes, self._faces.now).serve(application)
        Stream(self._faces).serve(application)
        application.on_response_prepare.append(_protect)
        application.on_shutdown.append(self._stop_looking)
        return application

    async def _page(self, _request: web.Request) -> web.Response:
        """What is known now, at once; the fresh look begun meanwhile is on the page's next refresh."""
        _ = self._look()
        faces = self._faces
        status, now = faces.status(), faces.now()
        text = page(status_json(status, now, faces.trouble()), clients_json(status, now), details(status))
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def _status(self, _request: web.Request) -> web.Response:
        faces = self._faces
        return web.json_response(status_json(faces.status(), faces.now(), faces.trouble()))

    async def _clients(self, _request: web.Request) -> web.Response:
        await asyncio.shield(self._look())  # a reader who leaves does not end the look for others
        return web.json_response(clients_json(self._faces.status(), self._faces.now()))

    async def _disks(self, _request: web.Request) -> web.Response:
        return web.json_response(disks_json(self._faces.status(), self._faces.now()))

    async def _smarts(self, _request: web.Request) -> web.Response:
        return web.json_response(smarts_json(self._faces.status()))

    async def _smart(self, request: web.Request) -> web.Response:
        told = smart_of(self._faces.status(), id_of(request))
        if told is None:
            return _error(
                404, "no drive of this name tells of its health; `powerd smart` names those that do"
            )
        return web.json_response(told)

    async def _healthz(self, _request: web.Request) -> web.Response:
        trouble = self._faces.trouble()
        if trouble is not None:
            return web.json_response({"error": trouble}, status=503)
        return web.json_response({"healthy": True})

    def _look(self) -> asyncio.Task[None]:
        """The look under way, or a new one: any number of readers share it."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(_complete(self._faces.look()))
            self._looking.add_done_callback(_heard)
        return self._looking

    async def _stop_looking(self, _application: web.Application) -> None:
        if self._looking is not None:
            self._looking.cancel()


async def _complete(look: Awaitable[None]) -> None:
    await look


def _heard(look: asyncio.Task[None]) -> None:
    """Take a background look's exception, so that it is not reported as lost; who awaits it gets it too."""
    if not look.cancelled():
        look.exception()


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as ``{"error": "…"}``."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _http_error(request, error)
    except WishError as error:
        response = _error(error.status, str(error))
        if error.status == web.HTTPUnauthorized.status_code:
            response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2, wants to be told how
        return response
    except RefusedError as error:
        return _error(404 if error.unknown else 409, str(error))
    except Exception as error:  # noqa: BLE001 - a fault in a face is told to who asked, and to the loop's handler
        context = {"message": f"a fault in the face {request.path}", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return _error(500, f"this is a fault in powerd: {type(error).__name__}")


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    """What the server itself refuses, in our words."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        response = _error(405, f"{request.method} is not possible here; only {' and '.join(allowed)}")
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if error.status == web.HTTPNotFound.status_code:
        return _error(
            404, "there is nothing here; try /, /api/status, /api/clients, /api/disks or /api/smart"
        )
    if error.status == web.HTTPRequestEntityTooLarge.status_code:
        return _error(413, f"the body is longer than {_LARGEST_BODY} bytes")
    return _error(error.status, error.text or error.reason)


async def _protect(_request: web.Request, response: web.StreamResponse) -> None:
    """The same headers on every answer."""
    response.headers.update(_HEADERS)


@web.middleware
async def _check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Over TCP, answer only those who call us by a loopback name and our port.

    A web page from elsewhere can make its own name point at 127.0.0.1 (DNS rebinding) and would then
    read everything as if it were its own; but its requests still carry that name in ``Host``.
    """
    door = request.get_extra_info("socket")
    tcp = door is None or door.family != socket.AF_UNIX
    if not tcp:
        return await handler(request)
    port = None if door is None else door.getsockname()[1]
    if port is None or not is_ours(request.host, port):
        text = "the Host header is not a loopback address and port of this server"
        return _error(403, f"{text}; a web server before it has to send Host: localhost:{port}")
    return await handler(request)


def is_ours(host: str, port: int) -> bool:
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


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
