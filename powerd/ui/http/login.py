"""The login form, the check of the secret, and the logout."""

from __future__ import annotations

import asyncio
import hmac
import math
from typing import Final

from aiohttp import web

from powerd.config.password import MAX_PASSWORD_BYTES
from powerd.ui.html import EMPTY, STYLE, Html, template
from powerd.ui.http.access import (
    COOKIE,
    INSECURE_TEXT,
    READ_ONLY_TEXT,
    AccessControl,
    Caller,
    caller_of,
    read_form,
)
from powerd.ui.http.context import UiContext
from powerd.ui.http.sessions import MAX_AGE_SECONDS, LoginLimit
from powerd.ui.http.write_requests import ApiError

_DOCUMENT: Final = template("login.html")
_ERROR: Final = Html('<p class="bad" role="alert">{}</p>\n')
_FORM: Final = Html(
    '<form method="post" action="{action}">\n'
    '<p><label for="secret">{label}</label></p>\n'
    '<div class="controls"><input id="secret" name="secret" type="password" autocomplete="current-password" '
    "required autofocus> <button>Log in</button></div>\n"
    '</form>\n<p class="note">{note} <a href="{base}">Back to the page</a></p>\n'
)
_QUIET_SECONDS: Final = 600.0
_NOTE: Final = "This browser stays logged in for a week after its last visit, but only until powerd restarts."


class Login:
    """The routes ``/login`` and ``/api/logout``."""

    def __init__(self, context: UiContext, access: AccessControl) -> None:
        self._context = context
        self._access = access
        self._limit = LoginLimit()
        self._one_at_a_time = asyncio.Lock()
        self._quiet_until = 0.0

    def add_routes(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_get("/login", self._form)
        application.router.add_post("/login", self._log_in)
        application.router.add_post("/api/logout", self._log_out)

    async def _form(self, request: web.Request) -> web.Response:
        if self._access.session_of(request) is not None:
            return self._access.redirect("/")
        error = self._refusal(caller_of(request, self._access.options))
        return self._document(request, 200 if error is None else 403, error, with_form=error is None)

    def _refusal(self, caller: Caller) -> str | None:
        """Why logins from there are refused; None = they are possible."""
        if caller.address is None:
            return "browsers must use the addresses of http.listen"
        try:
            secret = self._access.secret()
        except ValueError as error:
            return str(error)
        if secret is None:
            return READ_ONLY_TEXT
        return None if caller.is_private else INSECURE_TEXT

    def _document(
        self, request: web.Request, status: int, error: str | None, *, with_form: bool = True
    ) -> web.Response:
        context = self._access.page_context(request)
        is_password = self._access.options.login == "password"
        label = "Password" if is_password else "Token (the content of http.token_file)"
        form = _FORM.format(action=f"{context.base}login", label=label, note=_NOTE, base=context.base)
        message = EMPTY if error is None else _ERROR.format(f"{error[0].upper()}{error[1:]}.")
        content = message + (form if with_form else EMPTY)
        text = _DOCUMENT.format(style=STYLE, content=content)
        return self._access.page_response(text, context, status)

    async def _log_in(self, request: web.Request) -> web.Response:
        access = self._access
        caller = caller_of(request, access.options)
        if (error := self._refusal(caller)) is not None or caller.address is None:
            return self._document(request, 403, error, with_form=False)
        wait = self._limit.wait_seconds(caller.address, access.now)
        if wait:
            self._report(caller.address)
            text = f"too many failed logins; try again in {math.ceil(wait)} s"
            response = self._document(request, 429, text)
            response.headers["Retry-After"] = str(math.ceil(wait))
            return response
        presented = read_form(await request.read()).get("secret", "")
        self._limit.count(caller.address, access.now)
        secret = await self._verified_secret(presented)
        if secret is None:
            return self._document(
                request,
                403,
                "this is not the password" if access.options.login == "password" else "this is not the token",
            )
        self._limit.forget(caller.address, access.now)
        if old_id := request.cookies.get(COOKIE):
            access.sessions.close(old_id)
        response = access.redirect("/")
        response.set_cookie(
            COOKIE,
            access.sessions.open(secret, access.now),
            max_age=int(MAX_AGE_SECONDS),
            path=f"{access.options.base_path}/",
            secure=caller.scheme == "https",
            httponly=True,
            samesite="Strict",
        )
        return response

    def _report(self, address: str) -> None:
        """Report that logins are refused, once until none has been refused for _QUIET_SECONDS."""
        now = self._access.now
        if now >= self._quiet_until:
            message = (
                f"too many failed logins to the status page, the last one from {address}; more are refused"
            )
            asyncio.get_running_loop().call_exception_handler({"message": message})
        self._quiet_until = now + _QUIET_SECONDS

    async def _verified_secret(self, presented: str) -> str | None:
        """The secret in force if ``presented`` is the password or token; otherwise None.

        Passwords are checked one at a time, because each check takes 16 MB and 0.3 s.
        """
        try:
            secret = self._access.secret()
        except ValueError as error:
            raise ApiError(403, str(error)) from None
        content = presented.encode(errors="surrogateescape")
        if secret is None or len(content) > MAX_PASSWORD_BYTES:
            return None
        if self._access.options.login == "none":
            return secret if hmac.compare_digest(content, secret.encode()) else None
        async with self._one_at_a_time:
            return secret if await self._context.check_password(presented, secret) else None

    async def _log_out(self, request: web.Request) -> web.Response:
        self._access.sessions.close(request.cookies.get(COOKIE, ""))
        response = self._access.redirect("/")
        response.del_cookie(COOKIE, path=f"{self._access.options.base_path}/")
        return response
