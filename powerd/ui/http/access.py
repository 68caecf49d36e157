"""Access control: names of this server, the token of scripts, and logins and writes of browsers.

A browser sends its cookie with requests that any site makes it send, so a write with a cookie also needs a
header that only the browser can set, Sec-Fetch-Site or Origin, and the CSRF token of the session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDictProxy

from powerd.config.http_options import HttpOptions
from powerd.core.actions import RequestRefusedError
from powerd.core.dataclass import dataclass
from powerd.ui.html import STYLE, PageContext
from powerd.ui.http.context import UiContext
from powerd.ui.http.sessions import Session, Sessions
from powerd.ui.http.write_requests import FORM, NOTICE, ApiError

COOKIE: Final = "powerd_session"
_WRITE_METHODS: Final = frozenset({"POST", "DELETE"})
_PUBLIC: Final = frozenset({"/healthz", "/login"})
"""Paths without access control, also where everything else requires a login."""
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 32
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
"""Not a nonce: the script parses new versions of the page, whose nonces differ from that of the old one."""
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_UNKNOWN: Final = "::"
"""The address of a client whose address is unknown: the unspecified one."""
_BROWSER_HEADERS: Final = ("Origin", "Sec-Fetch-Site")
_PROXY_HEADERS: Final = (
    *("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"),
)
READ_ONLY_TEXT: Final = (
    "over TCP this server is read-only; use its Unix socket, or set http.token_file in the configuration"
)
INSECURE_TEXT: Final = (
    "this connection is not encrypted, so passwords and tokens are refused; use https:// through a reverse "
    "proxy that sends X-Forwarded-Proto (docs/remote.md)"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from.

    Attributes:
        address: of the client, as the reverse proxy reports it; None = it uses the Unix socket.
        scheme: of the URL in the browser.
        is_private: the connection is encrypted, or does not leave this machine.
    """

    address: str | None
    scheme: str
    is_private: bool


class AccessControl:
    """Checks each request before its handler is called."""

    def __init__(self, context: UiContext) -> None:
        self._context = context
        self.sessions = Sessions()

    @property
    def now(self) -> float:
        """Seconds since the boot, with the time asleep."""
        moment = self._context.now()
        return moment.mono + moment.slept

    @property
    def options(self) -> HttpOptions:
        """The options in force."""
        return self._context.http()

    def secret(self) -> str | None:
        """What a login requires now: the token, or the hash of the password; None = logins are not possible.

        Raises:
            ValueError: it cannot be read, one clause.
        """
        context = self._context
        return context.password_hash() if self.options.login == "password" else context.requests.token()

    def session_of(self, request: web.Request) -> Session | None:
        """The session of the browser that sends this request."""
        session_id = request.cookies.get(COOKIE, "")
        if not self.sessions.is_open(session_id, self.now):
            return None  # reads no file
        try:
            return self.sessions.find(session_id, self.secret(), self.now)
        except ValueError:
            return None

    def has_ended(self, request: web.Request) -> bool:
        """Whether the session of a lasting response has ended. Reads no file.

        The secret may be on a disk in standby, so its change is noticed at the next request.
        """
        if not self._is_restricted(request) or _is_bearer(request) or not request.remote:
            return False
        return not self.sessions.is_open(request.cookies.get(COOKIE, ""), self.now)

    def page_context(self, request: web.Request) -> PageContext:
        """What a page for this request needs; its notice is not shown again."""
        base, nonce, session = f"{self.options.base_path}/", os.urandom(16).hex(), None
        over_tcp = caller_of(request, self.options).address is not None
        if over_tcp:
            session = self.session_of(request)
        if session is not None:
            notice = ""
            if request.method == "GET" and not request.query_string:  # not a renewal of a page by its script
                notice, session.notice = session.notice, ""
            return PageContext(masked(session.csrf), nonce, base, may_write=True, notice=notice)
        can_log_in = over_tcp and (self.options.login == "password" or self.options.token_file)
        return PageContext(None, nonce, base, login_url=f"{base}login" if can_log_in else "")

    def page_response(self, text: str, context: PageContext, status: int = 200) -> web.Response:
        """An HTML document whose style, script, forms and frames the browser restricts to those of powerd."""
        ancestors = " ".join(self.options.frame_ancestors) or "'none'"
        policy = (
            f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; script-src 'nonce-{context.nonce}'; "
            "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors {ancestors}"
        )
        return web.Response(
            text=text,
            status=status,
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": policy},
        )

    def redirect(self, path: str) -> web.Response:
        """Redirect to ``path`` of this server (303, RFC 9110, 15.4.4)."""
        return web.Response(status=303, headers={"Location": f"{self.options.base_path}{path}"})

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware: call the handler if the client may send this request."""
        caller = caller_of(request, self.options)
        if request.match_info.http_exception is not None or not self._is_restricted(request):
            return await handler(request)
        if request.path == "/login":
            require_same_origin(request, caller)
        elif caller.address is None or _is_bearer(request):
            if caller.address is not None:
                self._check_token(request, caller)
            _require_json(request)
        else:
            return await self._with_session(request, handler, caller)
        return await handler(request)

    def _is_restricted(self, request: web.Request) -> bool:
        """Whether a request needs more than a connection."""
        return _is_write(request) or (self.options.login == "password" and request.path not in _PUBLIC)

    def _check_token(self, request: web.Request, caller: Caller) -> None:
        try:
            secret = self._context.requests.token()
        except ValueError as error:
            raise ApiError(403, f"the token cannot be checked: {error}") from None
        if secret is None:
            raise ApiError(403, READ_ONLY_TEXT)
        if not caller.is_private:
            raise ApiError(403, INSECURE_TEXT)
        credential = request.headers["Authorization"].partition(" ")[2].strip()
        if not hmac.compare_digest(credential.encode(errors="surrogateescape"), secret.encode()):
            raise ApiError(401, "the token is wrong; it is the content of http.token_file")

    async def _with_session(
        self, request: web.Request, handler: Handler, caller: Caller
    ) -> web.StreamResponse:
        """The response to a request of a browser that needs a login."""
        session = self.session_of(request)
        if session is not None:
            if _is_write(request):
                return await self._write(request, handler, caller, session)
            return await handler(request)
        if request.path == "/" or request.content_type == _FORM_TYPE:
            return self.redirect("/login")
        try:
            can_log_in = self.secret() is not None
        except ValueError as error:
            raise ApiError(403, f"logins are not possible: {error}") from None
        if not can_log_in:
            raise ApiError(403, READ_ONLY_TEXT)
        raise ApiError(
            401, "this needs Authorization: Bearer TOKEN, or a browser that is logged in at /login"
        )

    async def _write(
        self, request: web.Request, handler: Handler, caller: Caller, session: Session
    ) -> web.StreamResponse:
        """Execute the write of a browser; a form is answered with a redirect to the page."""
        require_same_origin(request, caller)
        is_form = request.method == "POST" and request.content_type == _FORM_TYPE
        fields = read_form(await request.read()) if is_form else {}
        csrf = fields.pop("csrf", request.headers.get("X-CSRF-Token", ""))
        if not hmac.compare_digest(unmasked(csrf), session.csrf):
            raise ApiError(403, "the CSRF token is missing or wrong; load the page again")
        if not is_form:
            _require_json(request)
            return await handler(request)
        by_script = "application/json" in request.headers.get("Accept", "")
        if request.path == "/api/hold":
            raise ApiError(415, "a form cannot hold; use POST /api/keep")
        request[FORM] = fields
        if by_script:
            return await handler(request)
        try:
            response = await handler(request)
        except (ApiError, RequestRefusedError) as error:
            session.notify(f"Not done: {error}.")
            return self.redirect("/")
        if response.status >= web.HTTPBadRequest.status_code:
            return response
        session.notify(request.get(NOTICE, "Done."))
        return response if response.status == web.HTTPSeeOther.status_code else self.redirect("/")


def masked(token: bytes) -> str:
    """A token under a pad of its own, different in each page, as a compressed page must not repeat a secret.

    The length of a compressed page depends on whether text of others in it, such as the name of a host,
    occurs in the token (the attack BREACH).
    """
    pad = os.urandom(len(token))
    return (pad + _xor(token, pad)).hex()


def unmasked(text: str) -> bytes:
    """The token of masked(); b"" if the text is not one."""
    try:
        content = bytes.fromhex(text)
    except ValueError:
        return b""
    half = len(content) // 2
    return _xor(content[:half], content[half:])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def _is_write(request: web.Request) -> bool:
    return request.method in _WRITE_METHODS


def _require_json(request: web.Request) -> None:
    """A form of any site can send the other content types without a preflight request (CORS protocol)."""
    if request.method == "POST" and request.content_type != "application/json":
        raise ApiError(415, "the body must be JSON, with Content-Type: application/json")


def _is_bearer(request: web.Request) -> bool:
    return request.headers.get("Authorization", "").partition(" ")[0].lower() == "bearer"


def read_form(content: bytes) -> dict[str, str]:
    """The fields of a form (URL standard, application/x-www-form-urlencoded); empty ones are left out.

    Raises:
        ApiError: it has too many fields, or two with one name.
    """
    try:
        pairs = parse_qsl(content.decode(errors="replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise ApiError(400, f"the form has more than {_MAX_FIELDS} fields") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ApiError(400, "two fields of the form have the same name")
    return fields


def require_same_origin(request: web.Request, caller: Caller) -> None:
    """Refuse a request that another site has made the browser send.

    Sec-Fetch-Site is what the browser itself has compared (W3C Fetch Metadata). Browsers send it to https://
    and loopback only; elsewhere Origin (RFC 6454) must be the origin of this request.

    Raises:
        ApiError: it comes from another site, or it is not known from where.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "").lower()
    host = request.headers.get("Host", "").lower().removesuffix(_DEFAULT_PORTS[caller.scheme])
    if site != "same-origin" if site is not None else origin != f"{caller.scheme}://{host}":
        raise ApiError(
            403,
            "the request comes from another site; a reverse proxy must pass on Host, and send "
            "X-Forwarded-Proto (docs/remote.md)",
        )


def is_proxied(request: web.Request) -> bool:
    """Whether a reverse proxy has passed the request on. nginx speaks HTTP/1.0 unless it is configured."""
    return request.version < HttpVersion11 or any(name in request.headers for name in _PROXY_HEADERS)


def caller_of(request: web.Request, options: HttpOptions) -> Caller:
    """Where a request comes from.

    Raises:
        ApiError: Host is not a name of this server, so a site may have let its own name resolve to this
            address (DNS rebinding), and could read the response as same-origin; or a proxy uses the Unix
            socket, which has no access control but its file permissions.
    """
    connection = request.get_extra_info("socket")
    headers = request.headers
    if connection is not None and connection.family == socket.AF_UNIX:
        if any(name in headers for name in (*_BROWSER_HEADERS, *_PROXY_HEADERS)):
            raise ApiError(403, "browsers and reverse proxies must use the addresses of http.listen")
        return Caller(None, "http", is_private=True)
    if connection is None:
        raise ApiError(403, "the client has closed the connection")
    host, name = headers.get("Host", ""), _name_of(connection.getsockname())
    if not is_own_host(host, name, options.hosts):
        port = name.rpartition(":")[2]
        raise ApiError(
            403,
            "the Host header is not a name of this server; add the name to http.hosts, or let the reverse "
            f"proxy send Host: localhost:{port}",
        )
    address, scheme = _canonical((request.remote or "").partition("%")[0]) or _UNKNOWN, "http"
    if _is_loopback(address) or address in options.proxies:
        scheme = _last(headers, "X-Forwarded-Proto").lower() or scheme
        address = _canonical(_last(headers, "X-Forwarded-For")) or address
    is_private = scheme == "https" or (_is_loopback(address) and is_own_address(host, name))
    return Caller(address, "https" if scheme == "https" else "http", is_private)


def is_own_host(host: str, own: str, hosts: tuple[str, ...]) -> bool:
    """Whether a ``Host`` header (RFC 9110, 7.2) is a name of this server.

    Args:
        host: the header.
        own: address and port of the connection at this end.
        hosts: further names, with or without a port.
    """
    name, _ = _split_host(host.lower())
    return is_own_address(host, own) or host.lower() in hosts or name in hosts


def is_own_address(host: str, own: str) -> bool:
    """Whether ``host`` is localhost, a loopback address or that of ``own``, with the port of ``own``."""
    name, port = _split_host(host.lower())
    own_name, own_port = _split_host(own)
    if port != own_port:
        return False
    return name in {"localhost", own_name} or ((name[:1].isdigit() or name[:1] == "[") and _is_loopback(name))


def _split_host(host: str) -> tuple[str, str]:
    """Name and port of a ``Host`` header; the port of http:// is 80."""
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "80")


def _name_of(address: tuple[str, int]) -> str:
    host = _canonical(address[0])
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def _last(headers: CIMultiDictProxy[str], name: str) -> str:
    """The last element of a header that is a list: what the nearest proxy has appended."""
    return ",".join(headers.getall(name, ())).rpartition(",")[2].strip()


def _canonical(text: str) -> str:
    """An IP address in its usual form, IPv4 not mapped into IPv6; "" for other texts."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return ""
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)


def _is_loopback(text: str) -> bool:
    address = _canonical(text)
    return bool(address) and ip_address(address).is_loopback
