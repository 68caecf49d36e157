"""Adds up for how long each state has lasted while the server was awake."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter
from typing import Final, TypeAlias

from powerd.history.model import SERVER, Record, SleepRecord, State, Subject, identity

Key: TypeAlias = tuple[str, ...]
"""Kind and name of what keeps the server awake, equal names are one; or "disk", the disk, and its state."""
_COUNTED: Final[dict[str, tuple[State, ...]]] = {
    "client": ("present", "dozing", "unknown"),
    "activity": ("active",),
    "blocker": ("needed", "unconfirmed"),
    "disk": ("spinning", "standby"),
}
_SLEEP: Final = Subject("server", "sleep")


@dataclass(slots=True)
class Totals:
    """Recorded seconds in which the server was awake.

    Attributes:
        since: begin of the period.
        awake: all of them.
        blocked: those in which something blocked sleep: only during them does a present client keep the
            server awake.
        seconds: those of each key.
        alone: of the seconds of what kept the server awake, those in which nothing else did.
        texts: of what kept it awake, the latest.
        spin_downs: by disk.
        devices: the latest name of each disk.
    """

    since: float
    awake: float = 0.0
    blocked: float = 0.0
    seconds: defaultdict[Key, float] = field(default_factory=lambda: defaultdict(float))
    alone: defaultdict[Key, float] = field(default_factory=lambda: defaultdict(float))
    texts: dict[Key, str] = field(default_factory=dict)
    spin_downs: Counter[str] = field(default_factory=Counter)
    devices: dict[str, str] = field(default_factory=dict)
    _keys: dict[Subject, tuple[Key, dict[State, Key]]] = field(default_factory=dict)
    """Of each subject its identity, and the key of each of its states that counts."""
    _lasting: dict[Key, Key] = field(default_factory=dict)
    """The keys of the present states, by the identity of the subject."""
    _begins: dict[Key, float] = field(default_factory=dict)
    _blocking: dict[Key, int] = field(default_factory=dict)
    """How many subjects of each key keep the server awake."""

    def advance(self, seconds: float, *, is_blocked: bool) -> None:
        """The server has been awake, and all states have lasted."""
        self.awake += seconds
        if not is_blocked:
            return
        self.blocked += seconds
        if len(self._blocking) == 1:
            (only,) = self._blocking
            self.alone[only] += seconds

    def change(self, at: float, subject: Subject, state: State) -> None:
        """A subject has a state from ``at`` on."""
        known = self._keys.get(subject)
        if known is None:
            known = self._keys[subject] = identity(subject), _keys_of(subject)
        if subject.kind == "disk":
            self.devices[subject.id] = subject.name
        who, keys = known
        key, previous = keys.get(state), self._lasting.get(who)
        if key == previous:
            return
        if previous is not None:
            self._end(self._lasting.pop(who))
            self.spin_downs[subject.id] += state == "standby" and at > self.since
        if key is not None:
            self._begin(key)
            self._lasting[who] = key
            self.texts[key] = subject.text or ("may be home" if state == "unknown" else "home")

    def stop(self) -> None:
        """Nothing is recorded from here on."""
        while self._lasting:
            self._end(self._lasting.popitem()[1])

    def _begin(self, key: Key) -> None:
        count = self._blocking.get(key, 0) + 1
        if count == 1:
            self._begins[key] = self._now(key)
        if key[0] != "disk":
            self._blocking[key] = count

    def _end(self, key: Key) -> None:
        count = self._blocking.pop(key, 1) - 1
        if count:
            self._blocking[key] = count
        else:
            self.seconds[key] += self._now(key) - self._begins.pop(key)

    def _now(self, key: Key) -> float:
        return self.awake if key[0] == "disk" else self.blocked


def label(subject: Subject) -> str:
    """The name of a subject for people."""
    return subject.name or subject.id


def blocks(subject: Subject, state: State) -> bool:
    """Whether a state keeps the server awake."""
    return subject.kind != "disk" and state in _COUNTED.get(subject.kind, ())


def slept(record: Record) -> list[SleepRecord]:
    """The sleeps that took place; a reboot does not count."""
    return [each for each in record.sleeps if each.result == "slept" and each.action != "reboot"]


def add_up(record: Record) -> Totals:
    """The totals of a period, in one pass: a year has 100,000 changes."""
    found, last = Totals(record.since), record.since
    is_recorded = is_blocked = is_asleep = False
    for at, subject, state in chain.from_iterable(_changes(record)):
        if at > last:
            if is_recorded and not is_asleep:
                found.advance(at - last, is_blocked=is_blocked)
            last = at
        if subject.kind != "server":
            found.change(at, subject, state)
        elif subject == _SLEEP:
            is_asleep = state != "none"
        else:
            is_recorded, is_blocked = state not in {"stopped", "none"}, state == "awake"
            if not is_recorded:
                found.stop()
    return found


def _changes(record: Record) -> Iterator[Iterable[tuple[float, Subject, State]]]:
    """The changes up to the end of the period, where everything stops; those of _SLEEP are its sleeps."""
    edges: list[tuple[float, Subject, State]] = []
    for sleep in slept(record):
        end = record.until if sleep.end is None else min(sleep.end, record.until)
        edges += ((min(sleep.begin, record.until), _SLEEP, "active"), (end, _SLEEP, "none"))
    edges.sort(key=itemgetter(0))
    rows, times, begin = record.changes.rows(), record.changes.times, 0
    count = bisect_left(times, record.until)
    for edge in edges:
        end_ = bisect_right(times, edge[0], begin, count)
        yield islice(rows, end_ - begin)
        yield (edge,)
        begin = end_
    yield islice(rows, count - begin)
    yield ((record.until, SERVER, "stopped"),)


def _keys_of(subject: Subject) -> dict[State, Key]:
    """The key of each state that is counted."""
    if subject.kind == "disk":
        return {state: ("disk", subject.id, state) for state in _COUNTED["disk"]}
    return dict.fromkeys(_COUNTED[subject.kind], (subject.kind, label(subject)))
