"""The board: the latest fact per key, a change event, and snapshots of the whole. It interprets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from powerd.model import (
    Activity,
    Blind,
    Card,
    Client,
    ClientId,
    Disk,
    DiskId,
    DiskOrder,
    Inhibitor,
    Keep,
    KeepId,
    KeyPress,
    Leaving,
    Order,
    Outcome,
    Record,
    Roused,
    Seen,
    Sighting,
    Snapshot,
    SourceId,
    Timer,
    Waking,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look of a source gives back.

    Attributes:
        word: the source on itself: Seen with its warnings, or Blind.
        known, sightings, inhibitors, key_press, timers, cards, disks, activity: None = as they were.
    """

    word: Seen[tuple[str, ...]] | Blind
    known: Mapping[ClientId, Client] | None = None
    sightings: Mapping[ClientId, Seen[Sighting] | Blind] | None = None
    inhibitors: tuple[Inhibitor, ...] | None = None
    key_press: KeyPress | None = None
    timers: tuple[Timer, ...] | None = None
    cards: Mapping[str, Seen[Card] | Blind] | None = None
    disks: Mapping[DiskId, Disk] | None = None
    activity: Mapping[DiskId, Seen[Activity] | Blind] | None = None


_FACTS: Final = tuple(field.name for field in fields(Facts) if field.name != "word")
"""Named alike in the Snapshot."""


class Board:
    """Holds facts; each source name has one writer."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._changed = asyncio.Event()
        self._claimed: set[SourceId] = set()

    def snapshot(self) -> Snapshot:
        """Everything known now, frozen."""
        return self._snapshot

    def claim(self, source: SourceId) -> None:
        """Become the one writer for ``source``.

        Raises:
            RuntimeError: it has a writer already.
        """
        if source in self._claimed:
            raise RuntimeError(f"two writers for the facts of {source}")
        self._claimed.add(source)

    def post(self, source: SourceId, facts: Facts) -> None:
        """Replace what ``source`` said before."""
        old = self._snapshot
        new = {field: value for field in _FACTS if (value := getattr(facts, field)) is not None}
        self._put(replace(old, sources={**old.sources, source: facts.word}, **new))

    def keep(self, keeps: Mapping[KeepId, Keep]) -> None:
        """Replace who wants the server awake on purpose."""
        self._put(replace(self._snapshot, keeps=keeps))

    def leaving(self, leaving: Leaving | None) -> None:
        """The server is on its way down, by whomever's order; None = it is not, or no more."""
        self._put(replace(self._snapshot, leaving=leaving))

    def woke(self, waking: Waking) -> None:
        """It has woken up, by this."""
        self._put(replace(self._snapshot, waking=waking))

    def begin(self, order: Order) -> None:
        """``order`` is being obeyed from now on."""
        self._put(replace(self._snapshot, in_flight=self._snapshot.in_flight | {order}))

    def end(self, outcome: Outcome) -> None:
        """An order has been obeyed, well or badly."""
        old, order = self._snapshot, outcome.order
        rest = replace(old, in_flight=old.in_flight - {order})
        if isinstance(order, DiskOrder):
            of_disks = {**old.disk_outcomes, (type(order), order.disk): outcome}
            self._put(replace(rest, disk_outcomes=of_disks))
        else:
            self._put(replace(rest, outcomes={**old.outcomes, type(order): outcome}))

    def rouse(self, group: str, roused: Roused) -> None:
        """A guarded group of disks has been woken as a whole."""
        self._put(replace(self._snapshot, roused={**self._snapshot.roused, group: roused}))

    def wish_standby(self, wishes: Mapping[DiskId, float]) -> None:
        """A person has wished disks to stand by, at the CLOCK_MONOTONIC of each."""
        old = self._snapshot
        self._put(replace(old, standby_wishes={**old.standby_wishes, **wishes}))

    def remember(self, records: Mapping[DiskId, Record]) -> None:
        """This is what is remembered of the health of these drives."""
        old = self._snapshot
        self._put(replace(old, records={**old.records, **records}))

    def touch(self) -> None:
        """Have the next decision made now although no fact has changed: the configuration has."""
        self._changed.set()

    async def changed_or(self, when: float) -> bool:
        """Wait for a fact to change (True), or for loop time ``when`` (False); several changes are one."""
        try:
            async with asyncio.timeout_at(when):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def _put(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._changed.set()
