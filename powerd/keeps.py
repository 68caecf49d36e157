"""Staying awake on purpose: keeps until a time, and holds for as long as somebody is connected.

The one writer of ``Snapshot.keeps``. A keep ends by CLOCK_BOOTTIME, so setting the wall clock neither ends
nor prolongs it. Over a restart of the daemon that clock goes on; over a reboot only civil time does, so both
are stored, and which boot it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias, TypeGuard

from powerd.board import Board
from powerd.clock import Clock
from powerd.model import Keep, KeepId, Moment, RefusedError, SourceId

KEEPS: Final = SourceId("keeps")
LONGEST: Final = 30 * 86400.0
"""Seconds; a keep forgotten for longer would be a server that never sleeps and nobody knows why."""
MOST: Final = 100
"""So many keeps and holds at a time; whoever has more has a loop that asks."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_SET: Final = 2.0
"""A wall clock that disagrees with a keep's end by more, seconds, has been set: the end is told anew."""

Lasting: TypeAlias = Mapping[KeepId, Keep]


class Keeps:
    """Who wants the server awake.

    Args:
        board: where they are posted.
        clock: see there.
        boot: which boot this is; "" = unknown.
        document: what ``remember`` was last given, or None.
        remember: keeps a document over a restart; called only when there is something new to keep.
        hear: called with all that last, after each change: the place for whatever else shall hold the
            machine awake meanwhile, such as an inhibitor.
    """

    def __init__(  # noqa: PLR0913 - where they go, what tells time, and what outlives a restart
        self,
        board: Board,
        clock: Clock,
        boot: str = "",
        *,
        document: object = None,
        remember: Callable[[object], None] = lambda _: None,
        hear: Callable[[Lasting], None] = lambda _: None,
    ) -> None:
        board.claim(KEEPS)
        self._board = board
        self._clock = clock
        self._boot = boot
        self._remember = remember
        self._hear = hear
        self._holds = 0
        self._lasting: Lasting
        self._last, self._lasting = revive(document, boot, clock.now())
        self._written = self._document()
        if self._lasting:
            self._post()

    def add(self, seconds: float, because: str) -> Keep:
        """Keep the server awake for so many seconds from now.

        Raises:
            RefusedError: it is for longer than 30 days, or there are very many already.
        """
        if not 0 < seconds <= LONGEST:
            raise RefusedError("a keep lasts more than 0 s, and 30 days at the most")
        self._room_for_one()
        now = self._clock.now()
        self._last += 1
        keep = Keep(KeepId(str(self._last)), because, now, _after(now, seconds))
        self._change({**self._lasting, keep.id: keep})
        return keep

    def drop(self, name: str) -> Keep:
        """End a keep before its time.

        Raises:
            RefusedError: there is none of this name, or it is a hold.
        """
        keep = self._lasting.get(KeepId(name))
        if keep is None:
            raise RefusedError(f'there is no keep "{name}"; `powerd keep --list` names all', unknown=True)
        if keep.until is None:
            raise RefusedError(f'"{name}" is a hold, and ends with its command: {keep.because}')
        self._change(_without(self._lasting, keep.id))
        return keep

    @contextmanager
    def hold(self, because: str) -> Iterator[Keep]:
        """The server is awake inside ``with``.

        Raises:
            RefusedError: there are very many already.
        """
        self._room_for_one()
        self._holds += 1
        keep = Keep(KeepId(f"h{self._holds}"), because, self._clock.now(), None)
        self._change({**self._lasting, keep.id: keep})
        try:
            yield keep
        finally:
            self._change(_without(self._lasting, keep.id))

    def tidy(self) -> None:
        """Take away what has ended, and tell ends anew by a wall clock that was set; called often."""
        now = self._clock.now()
        tidied = {name: _retold(keep, now) for name, keep in self._lasting.items() if keep.left(now) > 0}
        if tidied != self._lasting:
            self._change(tidied)

    def _room_for_one(self) -> None:
        if len(self._lasting) >= MOST:
            raise RefusedError(f"there are {MOST} keeps and holds already; `powerd keep --list` names them")

    def _change(self, lasting: Lasting) -> None:
        self._lasting = lasting
        document = self._document()
        if document != self._written:  # holds are not written: they end with the daemon
            self._written = document
            self._remember(document)
        self._post()

    def _post(self) -> None:
        lasting = MappingProxyType(dict(self._lasting))
        self._board.keep(lasting)
        self._hear(lasting)

    def _document(self) -> dict[str, object]:
        """What revive() reads, as plain values."""
        rows = [
            {
                "id": keep.id,
                "because": keep.because,
                "since": keep.since.wall.timestamp(),
                "until": keep.until.wall.timestamp(),
                "boottime": keep.until.mono + keep.until.slept,
            }
            for keep in self._lasting.values()
            if keep.until is not None
        ]
        return {"boot": self._boot, "last": self._last, "keeps": rows}


def revive(document: object, boot: str, now: Moment) -> tuple[int, dict[KeepId, Keep]]:
    """The number last given and the keeps that still last; what is no document of ours is passed over."""
    data = document if isinstance(document, dict) else {}
    same_boot = bool(boot) and data.get("boot") == boot
    rows = data.get("keeps")
    keeps = [
        keep
        for row in (rows if isinstance(rows, list) else ())
        if (keep := _revived(row, now, same_boot=same_boot)) is not None
    ]
    last = data.get("last")
    given = [last] if isinstance(last, int) and last > 0 else []
    return max([0, *given, *(int(keep.id) for keep in keeps)]), {keep.id: keep for keep in keeps[:MOST]}


def _revived(row: object, now: Moment, *, same_boot: bool) -> Keep | None:
    """One keep of the document; None = it has ended, or is none.

    After a reboot civil time decides, but never for longer than was asked for: a board without a battery
    starts in 1970.
    """
    if not isinstance(row, dict):
        return None
    name, because = row.get("id"), row.get("because")
    since, until, boottime = (row.get(key) for key in ("since", "until", "boottime"))
    if not (isinstance(name, str) and _NUMBER.fullmatch(name) and isinstance(because, str)):
        return None
    if not (_is_number(since) and _is_number(until) and _is_number(boottime)):
        return None
    asked_for = min(until - since, LONGEST)
    left = boottime - (now.mono + now.slept) if same_boot else until - now.wall.timestamp()
    if not min(left, asked_for) > 0:
        return None
    end = _after(now, min(left, asked_for))
    return Keep(KeepId(name), because, _after(now, min(left, asked_for) - asked_for), end)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 40


def _after(now: Moment, seconds: float) -> Moment:
    """The Moment in so many seconds, asleep or awake."""
    wall = (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)
    return Moment(now.mono + seconds, now.slept, wall)


def _retold(keep: Keep, now: Moment) -> Keep:
    """The same keep, its civil times told by the wall clock of today."""
    if keep.until is None:
        return keep
    until, since = (_after(now, _ahead(moment, now)) for moment in (keep.until, keep.since))
    off = abs((until.wall.astimezone(UTC) - keep.until.wall.astimezone(UTC)).total_seconds())
    return keep if off <= _SET else replace(keep, since=since, until=until)


def _ahead(moment: Moment, now: Moment) -> float:
    return moment.mono + moment.slept - now.mono - now.slept


def _without(lasting: Lasting, name: KeepId) -> Lasting:
    return {each: keep for each, keep in lasting.items() if each != name}
