"""Keep-awake requests: keeps last until a time, holds while a client is connected.

A keep ends by CLOCK_BOOTTIME, so setting the wall clock neither ends nor prolongs it. That clock continues
across a restart of the daemon, but only civil time continues across a reboot. Both are stored, with the boot
id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias, TypeGuard

from powerd.core.clock import Clock
from powerd.core.snapshot import SourceId
from powerd.core.state import StateStore
from powerd.core.time import Moment
from powerd.requests.model import KeepAwake, KeepAwakeFacts, KeepAwakeId, RequestRefusedError

KEEP_AWAKE: Final = SourceId("keeps")
MAX_SECONDS: Final = 30 * 86400.0
"""Seconds. A forgotten keep must not keep the server awake for longer."""
MAX_REQUESTS: Final = 100
"""Maximum number of keeps and holds at a time; a client that needs more is faulty."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_CLOCK_STEP_TOLERANCE: Final = 2.0
"""Seconds. If the wall clock differs from the end of a keep by more, it was set."""

ActiveRequests: TypeAlias = Mapping[KeepAwakeId, KeepAwake]


class KeepAwakeRequests:
    """The active keep-awake requests.

    Args:
        state: gets the requests.
        clock: the clock of the daemon.
        boot_id: identifies this boot; "" = unknown.
        document: the last document that ``save`` was given, or None.
        save: stores a document; called only if it has changed.
        on_change: called with all active requests after each change, to hold an inhibitor lock for them.
    """

    def __init__(  # noqa: PLR0913 - state, clock, and the stored document with its callbacks
        self,
        state: StateStore,
        clock: Clock,
        boot_id: str = "",
        *,
        document: object = None,
        save: Callable[[object], None] = lambda _: None,
        on_change: Callable[[ActiveRequests], None] = lambda _: None,
    ) -> None:
        state.register_writer(KEEP_AWAKE)
        self._state = state
        self._clock = clock
        self._boot_id = boot_id
        self._save = save
        self._on_change = on_change
        self._hold_count = 0
        self._active: ActiveRequests
        self._last_number, self._active = restore(document, boot_id, clock.now())
        self._saved_document = self._document()
        if self._active:
            self._publish()

    def add(self, seconds: float, reason: str) -> KeepAwake:
        """Keep the server awake for ``seconds`` from now.

        Raises:
            RequestRefusedError: longer than 30 days, or there are MAX_REQUESTS already.
        """
        if not 0 < seconds <= MAX_SECONDS:
            raise RequestRefusedError("a keep lasts more than 0 s, and 30 days at the most")
        self._check_limit()
        now = self._clock.now()
        self._last_number += 1
        request = KeepAwake(KeepAwakeId(str(self._last_number)), reason, now, _moment_in(now, seconds))
        self._replace_active({**self._active, request.id: request})
        return request

    def drop(self, name: str) -> KeepAwake:
        """End a keep early.

        Raises:
            RequestRefusedError: there is no keep of this name, or it is a hold.
        """
        request = self._active.get(KeepAwakeId(name))
        if request is None:
            raise RequestRefusedError(
                f'there is no keep "{name}"; `powerd keep --list` names all', not_found=True
            )
        if request.until is None:
            raise RequestRefusedError(f'"{name}" is a hold, and ends with its command: {request.reason}')
        self._replace_active(_without(self._active, request.id))
        return request

    @contextmanager
    def hold(self, reason: str) -> Iterator[KeepAwake]:
        """Keep the server awake inside ``with``.

        Raises:
            RequestRefusedError: there are MAX_REQUESTS already.
        """
        self._check_limit()
        self._hold_count += 1
        request = KeepAwake(KeepAwakeId(f"h{self._hold_count}"), reason, self._clock.now(), None)
        self._replace_active({**self._active, request.id: request})
        try:
            yield request
        finally:
            self._replace_active(_without(self._active, request.id))

    def remove_expired(self) -> None:
        """Remove requests that have ended; recalculate civil times if the wall clock was set."""
        now = self._clock.now()
        remaining = {
            name: _with_current_wall_clock(request, now)
            for name, request in self._active.items()
            if request.seconds_left(now) > 0
        }
        if remaining != self._active:
            self._replace_active(remaining)

    def _check_limit(self) -> None:
        if len(self._active) >= MAX_REQUESTS:
            raise RequestRefusedError(
                f"there are {MAX_REQUESTS} keeps and holds already; `powerd keep --list` names them"
            )

    def _replace_active(self, active: ActiveRequests) -> None:
        self._active = active
        document = self._document()
        if document != self._saved_document:  # holds are not stored: they end with the daemon
            self._saved_document = document
            self._save(document)
        self._publish()

    def _publish(self) -> None:
        active = MappingProxyType(dict(self._active))
        self._state.put(KeepAwakeFacts(active))
        self._on_change(active)

    def _document(self) -> dict[str, object]:
        """The document that restore() reads, as JSON values."""
        rows = [
            {
                "id": request.id,
                "because": request.reason,
                "since": request.since.wall.timestamp(),
                "until": request.until.wall.timestamp(),
                "boottime": request.until.mono + request.until.slept,
            }
            for request in self._active.values()
            if request.until is not None
        ]
        return {"boot": self._boot_id, "last": self._last_number, "keeps": rows}


def restore(document: object, boot_id: str, now: Moment) -> tuple[int, dict[KeepAwakeId, KeepAwake]]:
    """The last number assigned and the keeps that have not ended; invalid parts are ignored."""
    data = document if isinstance(document, dict) else {}
    same_boot = bool(boot_id) and data.get("boot") == boot_id
    rows = data.get("keeps")
    requests = [
        keep
        for row in (rows if isinstance(rows, list) else ())
        if (keep := _restore_request(row, now, same_boot=same_boot)) is not None
    ]
    last_number = data.get("last")
    numbers = [last_number] if isinstance(last_number, int) and last_number > 0 else []
    return max([0, *numbers, *(int(keep.id) for keep in requests)]), {
        request.id: request for request in requests[:MAX_REQUESTS]
    }


def _restore_request(row: object, now: Moment, *, same_boot: bool) -> KeepAwake | None:
    """One keep of the document; None = it has ended or is invalid.

    After a reboot civil time decides, but a keep never lasts longer than requested: a board without a battery
    starts in 1970.
    """
    if not isinstance(row, dict):
        return None
    name, reason = row.get("id"), row.get("because")
    since, until, boottime = (row.get(key) for key in ("since", "until", "boottime"))
    if not (isinstance(name, str) and _NUMBER.fullmatch(name) and isinstance(reason, str)):
        return None
    if not (_is_number(since) and _is_number(until) and _is_number(boottime)):
        return None
    requested = min(until - since, MAX_SECONDS)
    left = boottime - (now.mono + now.slept) if same_boot else until - now.wall.timestamp()
    if not min(left, requested) > 0:
        return None
    end = _moment_in(now, min(left, requested))
    return KeepAwake(KeepAwakeId(name), reason, _moment_in(now, min(left, requested) - requested), end)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 40


def _moment_in(now: Moment, seconds: float) -> Moment:
    """The Moment in ``seconds``, awake or asleep."""
    wall = (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)
    return Moment(now.mono + seconds, now.slept, wall)


def _with_current_wall_clock(request: KeepAwake, now: Moment) -> KeepAwake:
    """The same keep, with its civil times recalculated by the present wall clock."""
    if request.until is None:
        return request
    until, since = (_moment_in(now, _seconds_until(moment, now)) for moment in (request.until, request.since))
    difference = abs((until.wall.astimezone(UTC) - request.until.wall.astimezone(UTC)).total_seconds())
    return request if difference <= _CLOCK_STEP_TOLERANCE else replace(request, since=since, until=until)


def _seconds_until(moment: Moment, now: Moment) -> float:
    return moment.mono + moment.slept - now.mono - now.slept


def _without(active: ActiveRequests, name: KeepAwakeId) -> ActiveRequests:
    return {each: request for each, request in active.items() if each != name}
