"""The routes of the record: ``/api/history``, ``/api/record``, ``/api/report`` and ``/api/timeline``."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from aiohttp import web

from powerd.config.values import parse_duration
from powerd.history.view.api import history_json, record_parts, timeline_json
from powerd.ui.http.connections import connection_of
from powerd.ui.http.context import UiContext
from powerd.ui.http.write_requests import ApiError

_DEFAULT_SINCE: Final = "7d"
_DEFAULT_HOURS: Final = "24"
_MAX_HOURS: Final = 31 * 24
_MAX_LENGTH: Final = 40
"""Characters of a query's value."""
_HOUR: Final = 3600.0


class HistoryApi:
    """Serves the record; what is not in memory is read from files in a thread."""

    def __init__(self, context: UiContext) -> None:
        self._context = context

    def add_routes(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_get("/api/history", self._history)
        application.router.add_get("/api/record", self._record)
        application.router.add_get("/api/report", self._report)
        application.router.add_get("/api/timeline", self._timeline)

    async def _history(self, request: web.Request) -> web.Response:
        now = self._context.now().wall
        since = parse_since(request.query.get("since", _DEFAULT_SINCE), now)
        return web.json_response(history_json(await self._context.read_history(since), now.tzinfo))

    async def _record(self, request: web.Request) -> web.StreamResponse:
        """Send the record in parts; the deadline of the connection applies to each."""
        now, configuration = self._context.now().wall, self._context.configuration
        record = await self._context.read_history(parse_since(request.query.get("since", "30d"), now))
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        await response.prepare(request)
        parts = () if request.method == "HEAD" else record_parts(record, now.tzinfo, configuration)
        for part in parts:
            connection_of(request).wait_for_client()
            await response.write(part.encode())
            await asyncio.sleep(0)  # noqa: TID251 - a part takes 5 ms, and write() waits for slow clients only
        return response

    async def _report(self, request: web.Request) -> web.Response:
        now, options = self._context.now().wall, self._context.history_options()
        record = await self._context.read_history(parse_since(request.query.get("since", "30d"), now))
        from powerd.history.view.report import PowerUse, report_json  # noqa: PLC0415 - only a report needs it

        use = PowerUse(options.watts.awake, options.watts.asleep, options.price)
        # 0.1 s for a year: the event loop must not wait for it
        return web.json_response(await self._context.in_thread(report_json, record, use, now.tzinfo))

    async def _timeline(self, request: web.Request) -> web.Response:
        text = request.query.get("hours", _DEFAULT_HOURS)
        if not (
            text.isascii() and text.isdecimal() and len(text) <= _MAX_LENGTH and 1 <= int(text) <= _MAX_HOURS
        ):
            raise ApiError(400, f"hours: give a whole number from 1 to {_MAX_HOURS}")
        now = self._context.now().wall
        record = await self._context.read_history(now.timestamp() - int(text) * _HOUR)
        return web.json_response(timeline_json(record, now.tzinfo))


def parse_since(text: str, now: datetime) -> float:
    """The POSIX time of a query: a time as of RFC 3339, or a duration before ``now``.

    Raises:
        ApiError: it is neither, or lies in the future.
    """
    at: float | None = None
    if len(text) <= _MAX_LENGTH:
        try:
            at = now.timestamp() - parse_duration(text)
        except ValueError:
            try:  # in a query "+" is a space unless it is encoded
                parsed = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
                at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=now.tzinfo)).timestamp()
            except (ValueError, OverflowError):
                at = None
    if at is None:
        raise ApiError(400, 'since: write it like "7d", "12h", "2026-06-01" or "2026-06-01T18:00:00+02:00"')
    if at > now.timestamp():
        raise ApiError(400, "since: give a time in the past; nothing is recorded yet")
    return max(at, 0.0)
