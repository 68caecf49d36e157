"""Keep-awake requests: keeps last until a time, holds while a client is connected.

A keep ends by CLOCK_BOOTTIME, so setting the wall clock neither ends nor prolongs it. That clock continues
across a restart of the daemon, but only civil time continues across a reboot. Both are stored, with the boot
id.

If the stored requests are damaged, it is unknown which are missing: the request UNREADABLE keeps the server
awake until a user drops it. It exists for as long as the damaged file does, so a restart does not end it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from powerd.core.actions import RequestRefusedError
from powerd.core.clock import Clock
from powerd.core.codec import pattern, span
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import SourceId
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import CLOCK_STEP_TOLERANCE, Moment, add_seconds
from powerd.requests.model import UNREADABLE, KeepAwake, KeepAwakeFacts, KeepAwakeId

KEEP_AWAKE: Final = SourceId("keeps")
MAX_SECONDS: Final = 30 * 86400.0
"""Seconds. A forgotten keep must not keep the server awake for longer."""
MAX_REQUESTS: Final = 100
"""Maximum number of keeps and holds at a time; a client that needs more is faulty."""
_DOCUMENT: Final = "keeps"
_MAX_NUMBER: Final = 10**18 - 1
_Seconds: TypeAlias = Annotated[float, span(-(1 << 40), 1 << 40)]

ActiveRequests: TypeAlias = Mapping[KeepAwakeId, KeepAwake]


@dataclass(frozen=True, slots=True)
class StoredKeep:
    """A keep in the state file.

    Attributes:
        id: its number.
        because: the reason.
        since, until: POSIX seconds; without ``since`` it may last for the longest time of a keep.
        boottime: the end on CLOCK_BOOTTIME of the boot that stored it.
    """

    id: Annotated[str, pattern("[0-9]{1,18}", "a number of at most 18 digits")]
    until: _Seconds
    boottime: _Seconds
    because: str = ""
    since: _Seconds = 0.0


@dataclass(frozen=True, slots=True)
class StoredKeeps:
    """The state file: the id of the boot, the last number assigned, and all keeps."""

    keeps: tuple[StoredKeep, ...]
    boot: str = ""
    last: Annotated[int, span(0, _MAX_NUMBER)] = 0


class KeepAwakeRequests:
    """The active keep-awake requests.

    Args:
        state: gets the requests.
        clock: the clock of the daemon.
        storage: has the keeps over a restart.
        boot_id: identifies this boot; "" = unknown.
        on_change: called with all active requests after each change, to hold an inhibitor lock for them.
        may_write: whether a write to ``storage`` starts no disk and keeps none from spinning down.
    """

    def __init__(  # noqa: PLR0913 - where it publishes and stores, and two callables
        self,
        state: StateStore,
        clock: Clock,
        storage: Storage,
        boot_id: str = "",
        on_change: Callable[[ActiveRequests], None] = lambda _: None,
        *,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        state.register_writer(KEEP_AWAKE)
        self._state = state
        self._clock = clock
        self._storage = storage
        self._boot_id = boot_id
        self._may_write = may_write
        self._on_change = on_change
        self._hold_count = 0
        self._active: ActiveRequests
        now, stored = clock.now(), storage.load(_DOCUMENT, StoredKeeps)
        self._last_number, self._active = restore(stored.value, boot_id, now)
        self._has_unstored_end = False
        damaged_file = storage.damaged_file(_DOCUMENT)
        if stored.problem or damaged_file is not None:
            reason = (
                "stored keep-awake requests cannot be read, and some may be missing "
                f"({damaged_file or stored.problem}); `powerd keep --drop {UNREADABLE}` ends this"
            )
            self._active = {UNREADABLE: KeepAwake(UNREADABLE, reason, now, None), **self._active}
        if self._active:
            self._publish()

    def add(self, seconds: float, reason: str) -> KeepAwake:
        """Keep the server awake for ``seconds`` from now.

        Returns:
            The keep, with the reason why it could not be stored, if it could not.

        Raises:
            RequestRefusedError: longer than 30 days, or there are MAX_REQUESTS already.
        """
        if not 0 < seconds <= MAX_SECONDS:
            raise RequestRefusedError("a keep-awake request lasts more than 0 s and at most 30 days")
        self._check_limit()
        now = self._clock.now()
        self._last_number += 1
        request = KeepAwake(KeepAwakeId(str(self._last_number)), reason, now, add_seconds(now, seconds))
        self._replace_active({**self._active, request.id: request})
        return replace(request, not_stored=self._store())

    def drop(self, name: str) -> KeepAwake:
        """End a keep early, or UNREADABLE.

        Returns:
            The keep, with the reason why its end could not be stored, if it could not.

        Raises:
            RequestRefusedError: there is no keep of this name, or it is a hold.
        """
        request = self._active.get(KeepAwakeId(name))
        if request is None:
            raise RequestRefusedError(
                f'there is no keep-awake request "{name}"; `powerd keep --list` lists all', not_found=True
            )
        if request.id == UNREADABLE:
            self._replace_active(_without(self._active, request.id))
            problem = self._storage.dismiss_damaged_file(_DOCUMENT) or self._store()
            return replace(request, not_stored=problem)
        if request.until is None:
            raise RequestRefusedError(f'"{name}" is a hold, and ends with its command: {request.reason}')
        self._replace_active(_without(self._active, request.id))
        return replace(request, not_stored=self._store())

    async def sync(self, request: KeepAwake) -> KeepAwake:
        """Wait until the disk has what add() or drop() has stored.

        Returns:
            The same keep, with the reason why the disk does not have it, if it does not.
        """
        return replace(request, not_stored=request.not_stored or await self._storage.sync(_DOCUMENT) or "")

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
        """Remove requests that have ended; recalculate civil times if the wall clock was set.

        An end is stored once the disk may be written, because restore() omits ended keeps anyway. New civil
        times are stored at once: after a reboot the old ones would end a keep too early.
        """
        now = self._clock.now()
        remaining = {
            name: _with_current_wall_clock(request, now)
            for name, request in self._active.items()
            if request.seconds_left(now) > 0
        }
        clock_was_set = any(self._active[name] != request for name, request in remaining.items())
        if remaining != self._active:
            self._replace_active(remaining)
            self._has_unstored_end = True
        if clock_was_set or (self._has_unstored_end and self._may_write()):
            self._store()

    def _check_limit(self) -> None:
        if len(self._active) >= MAX_REQUESTS:
            raise RequestRefusedError(
                f"there are {MAX_REQUESTS} keep-awake requests and holds already; `powerd keep "
                "--list` lists them"
            )

    def _replace_active(self, active: ActiveRequests) -> None:
        """Use and publish ``active``; holds are not stored: they end with the daemon."""
        self._active = active
        self._publish()

    def _store(self) -> str:
        """Store the keeps; returns why that failed, one sentence, or ""."""
        self._has_unstored_end = False
        return self._storage.save(_DOCUMENT, self._to_store(), irreplaceable=True) or ""

    def _publish(self) -> None:
        active = MappingProxyType(dict(self._active))
        self._state.put(KeepAwakeFacts(active))
        self._on_change(active)

    def _to_store(self) -> StoredKeeps:
        """The document that restore() reads."""
        keeps = [
            StoredKeep(
                request.id,
                until=request.until.wall.timestamp(),
                boottime=request.until.mono + request.until.slept,
                because=request.reason,
                since=request.since.wall.timestamp(),
            )
            for request in self._active.values()
            if request.until is not None
        ]
        return StoredKeeps(tuple(keeps), self._boot_id, self._last_number)


def restore(
    stored: StoredKeeps | None, boot_id: str, now: Moment
) -> tuple[int, dict[KeepAwakeId, KeepAwake]]:
    """The last number assigned, and the keeps that have not ended."""
    if stored is None:
        return 0, {}
    same_boot = bool(boot_id) and stored.boot == boot_id
    keeps = [
        keep for row in stored.keeps if (keep := _restore_request(row, now, same_boot=same_boot)) is not None
    ]
    return max([stored.last, *(int(keep.id) for keep in keeps)]), {
        keep.id: keep for keep in keeps[:MAX_REQUESTS]
    }


def _restore_request(row: StoredKeep, now: Moment, *, same_boot: bool) -> KeepAwake | None:
    """One keep of the document; None = it has ended.

    After a reboot civil time decides, but a keep never lasts longer than requested: a board without a battery
    starts in 1970.
    """
    requested = min(row.until - row.since, MAX_SECONDS)
    left = row.boottime - (now.mono + now.slept) if same_boot else row.until - now.wall.timestamp()
    if not min(left, requested) > 0:
        return None
    end = add_seconds(now, min(left, requested))
    return KeepAwake(
        KeepAwakeId(row.id), row.because, add_seconds(now, min(left, requested) - requested), end
    )


def _with_current_wall_clock(request: KeepAwake, now: Moment) -> KeepAwake:
    """The same keep, with its civil times recalculated by the present wall clock."""
    if request.until is None:
        return request
    until, since = (
        add_seconds(now, _seconds_until(moment, now)) for moment in (request.until, request.since)
    )
    difference = abs((until.wall.astimezone(UTC) - request.until.wall.astimezone(UTC)).total_seconds())
    return request if difference <= CLOCK_STEP_TOLERANCE else replace(request, since=since, until=until)


def _seconds_until(moment: Moment, now: Moment) -> float:
    return moment.mono + moment.slept - now.mono - now.slept


def _without(active: ActiveRequests, name: KeepAwakeId) -> ActiveRequests:
    return {each: request for each, request in active.items() if each != name}
