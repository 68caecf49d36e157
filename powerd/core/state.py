"""StateStore: holds the latest facts, signals changes and returns snapshots; it does not interpret facts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final, TypeVar

from powerd.core.actions import Action, CompletedAction
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import Snapshot, SourceId, part_of, parts_by_type, with_parts
from powerd.core.time import Reading, Unavailable

T = TypeVar("T")

POLL_WAIT: Final = 2.0
"""Seconds that a decision waits for polls in progress, to take the results of all that end by then.

Longer than a sweep without answers, so that the end of the wait is not a wake-up of its own.
"""


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll of a source.

    Attributes:
        status: the status of the source: a Reading of its warnings, or Unavailable.
        parts: the parts of the Snapshot that the source has read; the others stay as they were.
        has_news: False = only the times of readings are new, so no decision is due.
    """

    status: Reading[tuple[str, ...]] | Unavailable
    parts: tuple[object, ...] = ()
    has_news: bool = True

    def part(self, cls: type[T]) -> T:
        """The part of class ``cls`` that the source has read; ``cls()`` if it has not read one."""
        return part_of(parts_by_type(*self.parts), cls)


class Signal:
    """An asyncio.Event with a deadline, for one waiting task.

    asyncio.timeout_at() around Event.wait() cancels the task at the deadline, which takes five times as long.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[bool] | None = None

    def set(self) -> None:
        """End the wait; without a waiting task, the next wait ends at once."""
        self._is_set = True
        if self._waiter is not None:
            _end_wait(self._waiter, is_set=True)

    def clear(self) -> None:
        """The next wait lasts until set() is called again."""
        self._is_set = False

    async def wait_until(self, deadline: float) -> bool:
        """Wait until set() is called (True) or until loop time ``deadline`` (False)."""
        if self._is_set:
            return True
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        timer = loop.call_at(deadline, lambda: _end_wait(waiter, is_set=False))
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None


def _end_wait(waiter: asyncio.Future[bool], *, is_set: bool) -> None:
    if not waiter.done():
        waiter.set_result(is_set)


class PollsInProgress:
    """The number of polls in progress; a context manager that is entered for each of them.

    Attributes:
        count: their number.
        ended: set when the last one ends.
    """

    def __init__(self) -> None:
        self.count = 0
        self.ended = Signal()

    def __enter__(self) -> None:
        self.count += 1
        self.ended.clear()

    def __exit__(self, *_: object) -> None:
        self.count -= 1
        if not self.count:
            self.ended.set()


class StateStore:
    """Holds facts; each source and each part has one writer.

    Attributes:
        polls: entered while a source is polled; wait_for_change() waits a moment for the result.
    """

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._changed = Signal()
        self._writers: set[SourceId] = set()
        self._decide_now = False
        self.polls = PollsInProgress()

    def snapshot(self) -> Snapshot:
        """All current facts, frozen."""
        return self._snapshot

    def register_writer(self, source: SourceId) -> None:
        """Register the only writer for ``source``.

        Raises:
            RuntimeError: the source has a writer already.
        """
        if source in self._writers:
            raise RuntimeError(f"two writers for the facts of {source}")
        self._writers.add(source)

    def publish(self, source: SourceId, result: PollResult) -> None:
        """Replace the status of ``source`` and the parts that it has read."""
        old = self._snapshot
        facts = with_parts(old.facts, result.parts) if result.parts else old.facts
        sources = {**old.sources, source: result.status}
        self._snapshot = Snapshot(sources, old.completed_actions, old.running_actions, facts)
        if result.has_news:
            self._changed.set()

    def put(self, part: object, *, urgent: bool = True) -> None:
        """Replace the part of the class of ``part``; not urgent = a decision waits for polls in progress."""
        self._snapshot = self._snapshot.with_parts(part)
        if urgent:
            self.request_decision()
        else:
            self._changed.set()

    def action_started(self, action: Action) -> None:
        """Record that the execution of ``action`` has begun."""
        self._set(replace(self._snapshot, running_actions=self._snapshot.running_actions | {action}))

    def action_completed(self, completed: CompletedAction) -> None:
        """Record the result of an action whose execution has ended."""
        old, action = self._snapshot, completed.action
        self._set(
            replace(
                old,
                running_actions=old.running_actions - {action},
                completed_actions={**old.completed_actions, (type(action), action.target): completed},
            )
        )

    def request_decision(self) -> None:
        """Request a decision now although no fact has changed, e.g. after a change of the configuration."""
        self._decide_now = True
        self._changed.set()
        self.polls.ended.set()

    async def wait_for_change(self, deadline: float) -> bool:
        """Wait until a fact has changed (True) or until loop time ``deadline`` (False).

        Several changes since the last call count as one, as do the results of polls that end within
        POLL_WAIT: the sources of a round are polled at the same time.
        """
        if not await self._changed.wait_until(deadline):
            return False
        if self.polls.count and not self._decide_now:
            await self.polls.ended.wait_until(asyncio.get_running_loop().time() + POLL_WAIT)
        self._decide_now = False
        self._changed.clear()
        return True

    def _set(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.request_decision()
