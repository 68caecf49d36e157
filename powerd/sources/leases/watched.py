"""One lease file over time: read when it has changed, remembered when it is gone or makes no sense."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from powerd.host.eyes import Surroundings
from powerd.host.values import FileMark, HostError
from powerd.sources.leases import recognise
from powerd.sources.leases.found import Format, Found, Reader
from powerd.sources.leases.kept import Batch, Kept

VANISHED_MAX: Final = 3600.0
"""Seconds for which the last word of a file that has vanished is good enough."""
_HEAD: Final = 4096


class Wanted(enum.Enum):
    """Why a file is looked at, and so what its absence means."""

    USUAL = "it may be there"
    NAMED = "the configuration names it"
    INCLUDED = "another file includes it"


class Watched:
    """One lease file.

    Args:
        path: its path.
        wanted: why it is looked at.
        form: its format; None = to be recognised by its content.

    Attributes:
        form: as far as it is known.
        version: grows when anything changes that others may ask for.
        found: what it said when it last made sense.
        trouble: why its clients cannot be relied on, or are not known; None = they can.
    """

    def __init__(self, path: str, wanted: Wanted, form: Format | None) -> None:
        self.path = path
        self.form = form
        self.version = 0
        self.found = Found()
        self.trouble: str | None = None
        self._wanted = wanted
        self._given = form
        self._kept = Kept()
        self._marks: tuple[FileMark | None, ...] = ()
        self._doubtful = False
        self._existed = False
        self._vanished: float | None = None

    @property
    def grave(self) -> bool:
        """Whether, in trouble, somebody may be home whom nothing else names."""
        return self._vital and self.trouble is not None and not self.trouble.endswith(_ABSENT_INCLUDE)

    @property
    def _vital(self) -> bool:
        return self._wanted is Wanted.NAMED or self.form is None or self.form.vital

    @property
    def spent(self) -> bool:
        """Whether nothing would be lost by forgetting it."""
        return self._kept.empty

    def batches(self, label: str) -> Iterable[Batch]:
        """Its leads."""
        return self._kept.batches(label, stale=bool(self.trouble) or self._vanished is not None)

    async def look(self, eyes: Surroundings, now: float) -> None:
        """See whether it has changed, and read it if so."""
        if not self.trouble and self._vanished is None:
            self._forget(now)
        try:
            marks = self._marks_now(eyes)
            if marks[-1] is None:
                self._miss(now)
            elif marks != self._marks or self._doubtful:
                self._existed = True
                await self._read(eyes, marks, now)
        except HostError as error:
            self._marks = ()
            self._say(str(error))

    def drop(self, now: float) -> None:
        """Its clients have gone, like entries that were deleted."""
        self._marks, self._existed, self._vanished = (), False, None
        self._take(Found(), now)
        self._forget(now)
        self._say(None)

    def _forget(self, now: float) -> None:
        if self._kept.forget(now):
            self.version += 1

    def _companions(self) -> tuple[tuple[str, ...], ...]:
        rows = self.form.companions if self.form else ()
        return tuple(tuple(self.path + suffix for suffix in row) for row in rows)

    def _marks_now(self, eyes: Surroundings) -> tuple[FileMark | None, ...]:
        """Of its companions, and last of itself; without itself the others are of no use."""
        own = eyes.mark(self.path)
        if own is None:
            return (None,)
        return (*(eyes.mark(path) for row in self._companions() for path in row), own)

    def _to_read(self, marks: tuple[FileMark | None, ...]) -> tuple[str, ...]:
        """The companions that count, and the file."""
        there = iter(marks)
        for row in self._companions():
            if existing := tuple(path for path in row if next(there) is not None):
                return (*existing, self.path)
        return (self.path,)

    async def _read(self, eyes: Surroundings, marks: tuple[FileMark | None, ...], now: float) -> None:
        """Read it; what is written meanwhile is read at the next look, for the marks are from before."""
        if self.form is None:
            head = await eyes.read(self.path, _HEAD)
            self.form = recognise(self.path, head)
            if self.form is None:
                self._seen(marks)
                self._say(_unknown(self.path) if head.strip() else None)
                return
            marks = self._marks_now(eyes)
        found = await self._parse(eyes, self.form.reader(), self._to_read(marks))
        again = marks == self._marks
        self._seen(marks)
        if found.skipped and not found.leads:
            gone = True
            self._say(f"{self.path}: nothing in it makes sense: {found.faults[0]}; repair it")
            self.form = self._given
        else:
            gone = self._take(found, now)
            self._say(None)
        # Somebody may be missing because we read while it was being written, and what was written within one
        # tick of the kernel's clock after that does not show in the marks: so a loss is looked at twice.
        self._doubtful = not again and (gone or found.skipped > 0)

    async def _parse(self, eyes: Surroundings, reader: Reader, paths: tuple[str, ...]) -> Found:
        """What these files say, one after the other."""
        for path in paths:
            async for text in eyes.chunks(path):
                reader.feed(text)
            if path != self.path:  # a companion's last line may lack its end
                reader.feed("\n")
        return reader.finish()

    def _seen(self, marks: tuple[FileMark | None, ...]) -> None:
        self._marks = marks
        if self._vanished is not None:
            self._vanished = None
            self.version += 1  # even if it says the same as before, its clients are no longer stale

    def _take(self, found: Found, now: float) -> bool:
        """Note what the file says; give back whether anybody has gone from it."""
        before, self.found = self.found, found
        gone = self._kept.take(found.leads, now)
        if gone or found != before:
            self.version += 1
        return gone

    def _miss(self, now: float) -> None:
        """There is no such file (any more)."""
        if not self._existed:
            absent = _ABSENT.get(self._wanted)
            self._say(f"{self.path}: {absent}" if absent else None)
        elif self.form and self.form.comes_and_goes:
            self.drop(now)
        elif self._vanished is None:
            self._marks, self._vanished = (), now
            self.version += 1
        elif now - self._vanished > VANISHED_MAX:
            if self._vital:
                self._say(f"{self.path}: {_VANISHED}")
            else:
                self.drop(now)

    def _say(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self.version += 1


_VANISHED: Final = "has vanished; bring it back, or correct clients.leases and restart powerd"
_ABSENT_INCLUDE: Final = "another file includes it, but it does not exist; correct that one"
_ABSENT: Final = {
    Wanted.NAMED: "there is no such lease file; correct clients.leases, or start the server that writes it",
    Wanted.INCLUDED: _ABSENT_INCLUDE,  # its server does not start either, so this hides nobody
}


def _unknown(path: str) -> str:
    return f"{path}: is of no known format of lease files; take it out of clients.leases"
