"""Leads that are kept for a while after they have gone from where they stood.

One lease file over time: read when it has changed, remembered when it is gone or makes no sense.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from powerd.linux.ports import Surroundings
from powerd.linux.values import HostError, StatSignature
from powerd.presence.leases import detect_format
from powerd.presence.leases.format import FormatReader, HostEntry, LeaseFormat, ParseResult

GRACE_PERIOD: Final = 600.0
"""Seconds for which an entry that has gone is kept: a server may be writing its file anew, in place."""


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """Leads from one place.

    Attributes:
        label: names the place to people, e.g. ``dhcpd.leases``.
        entries: at most one per address.
        stale: the place no longer names them, or can no longer be asked.
    """

    label: str
    entries: tuple[HostEntry, ...]
    stale: bool = False


class RetainedEntries:
    """The leads of one place, and those that have gone from it lately.

    Attributes:
        current: those that were there at the last look.
    """

    def __init__(self) -> None:
        self.current: tuple[HostEntry, ...] = ()
        self._removed: dict[str, tuple[HostEntry, float]] = {}

    def update(self, entries: tuple[HostEntry, ...], now: float) -> bool:
        """Note what is there now; give back whether something has gone."""
        removed = []
        if self.current or self._removed:
            current_keys = {lead.key for lead in entries}
            removed = [lead for lead in self.current if lead.key not in current_keys]
            for key in self._removed.keys() & current_keys:
                del self._removed[key]
        self._removed.update((lead.key, (_without_evidence(lead), now)) for lead in removed)
        self.current = entries
        return bool(removed)

    def expire(self, now: float) -> bool:
        """Drop what has gone for longer than the grace; give back whether there was any."""
        expired = [key for key, (_lead, since) in self._removed.items() if now - since > GRACE_PERIOD]
        for key in expired:
            del self._removed[key]
        return bool(expired)

    def batches(self, label: str, *, stale: bool) -> Iterable[EntryBatch]:
        """What is there, ``stale`` or not, and what has gone."""
        if self.current:
            yield EntryBatch(label, self.current, stale)
        if self._removed:
            yield EntryBatch(label, tuple(lead for lead, _since in self._removed.values()), stale=True)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is left."""
        return not self.current and not self._removed


def _without_evidence(entry: HostEntry) -> HostEntry:
    """What has gone is no evidence of anybody any more: a station is known, but not associated."""
    return replace(entry, kind="lease") if entry.kind == "station" else entry


MAX_VANISHED_AGE: Final = 3600.0
"""Seconds for which the last word of a file that has vanished is good enough."""
_HEAD_SIZE: Final = 4096


class FileOrigin(enum.Enum):
    """Why a file is looked at, and so what its absence means."""

    DEFAULT_PATH = "it may be there"
    CONFIGURED = "the configuration names it"
    INCLUDED = "another file includes it"


class WatchedFile:
    """One lease file.

    Args:
        path: its path.
        origin: why it is looked at.
        file_format: its format; None = to be recognised by its content.

    Attributes:
        file_format: as far as it is known.
        version: grows when anything changes that others may ask for.
        result: what it said when it last made sense.
        error: why its clients cannot be relied on, or are not known; None = they can.
    """

    def __init__(self, path: str, origin: FileOrigin, file_format: LeaseFormat | None) -> None:
        self.path = path
        self.file_format = file_format
        self.version = 0
        self.result = ParseResult()
        self.error: str | None = None
        self._origin = origin
        self._configured_format = file_format
        self._entries = RetainedEntries()
        self._signatures: tuple[StatSignature | None, ...] = ()
        self._reread = False
        self._existed = False
        self._vanished_at: float | None = None

    @property
    def hides_clients(self) -> bool:
        """Whether, in trouble, somebody may be home whom nothing else names."""
        return (
            self._is_essential
            and self.error is not None
            and not self.error.endswith(_MISSING_INCLUDE_MESSAGE)
        )

    @property
    def _is_essential(self) -> bool:
        return self._origin is FileOrigin.CONFIGURED or self.file_format is None or self.file_format.essential

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost by forgetting it."""
        return self._entries.is_empty

    def batches(self, label: str) -> Iterable[EntryBatch]:
        """Its leads."""
        return self._entries.batches(label, stale=bool(self.error) or self._vanished_at is not None)

    async def poll(self, machine: Surroundings, now: float) -> None:
        """See whether it has changed, and read it if so."""
        if not self.error and self._vanished_at is None:
            self._expire(now)
        try:
            signatures = self._read_signatures(machine)
            if signatures[-1] is None:
                self._handle_missing(now)
            elif signatures != self._signatures or self._reread:
                self._existed = True
                await self._read(machine, signatures, now)
        except HostError as error:
            self._signatures = ()
            self._set_error(str(error))

    def discard(self, now: float) -> None:
        """Its clients have gone, like entries that were deleted."""
        self._signatures, self._existed, self._vanished_at = (), False, None
        self._set_result(ParseResult(), now)
        self._expire(now)
        self._set_error(None)

    def _expire(self, now: float) -> None:
        if self._entries.expire(now):
            self.version += 1

    def _companions(self) -> tuple[tuple[str, ...], ...]:
        rows = self.file_format.companions if self.file_format else ()
        return tuple(tuple(self.path + suffix for suffix in row) for row in rows)

    def _read_signatures(self, machine: Surroundings) -> tuple[StatSignature | None, ...]:
        """Of its companions, and last of itself; without itself the others are of no use."""
        own = machine.stat_signature(self.path)
        if own is None:
            return (None,)
        return (*(machine.stat_signature(path) for row in self._companions() for path in row), own)

    def _paths_to_read(self, signatures: tuple[StatSignature | None, ...]) -> tuple[str, ...]:
        """The companions that count, and the file."""
        remaining = iter(signatures)
        for row in self._companions():
            if existing := tuple(path for path in row if next(remaining) is not None):
                return (*existing, self.path)
        return (self.path,)

    async def _read(
        self, machine: Surroundings, signatures: tuple[StatSignature | None, ...], now: float
    ) -> None:
        """Read it; what is written meanwhile is read at the next look, for the marks are from before."""
        if self.file_format is None:
            head = await machine.read(self.path, _HEAD_SIZE)
            self.file_format = detect_format(self.path, head)
            if self.file_format is None:
                self._set_signatures(signatures)
                self._set_error(_unknown_format_message(self.path) if head.strip() else None)
                return
            signatures = self._read_signatures(machine)
        result = await self._parse(machine, self.file_format.new_reader(), self._paths_to_read(signatures))
        unchanged = signatures == self._signatures
        self._set_signatures(signatures)
        if result.skipped and not result.entries:
            entries_removed = True
            self._set_error(f"{self.path}: nothing in it makes sense: {result.errors[0]}; repair it")
            self.file_format = self._configured_format
        else:
            entries_removed = self._set_result(result, now)
            self._set_error(None)
        # Somebody may be missing because we read while it was being written, and what was written within one
        # tick of the kernel's clock after that does not show in the marks: so a loss is looked at twice.
        self._reread = not unchanged and (entries_removed or result.skipped > 0)

    async def _parse(
        self, machine: Surroundings, reader: FormatReader, paths: tuple[str, ...]
    ) -> ParseResult:
        """What these files say, one after the other."""
        for path in paths:
            async for text in machine.read_chunks(path):
                reader.feed(text)
            if path != self.path:  # a companion's last line may lack its end
                reader.feed("\n")
        return reader.finish()

    def _set_signatures(self, signatures: tuple[StatSignature | None, ...]) -> None:
        self._signatures = signatures
        if self._vanished_at is not None:
            self._vanished_at = None
            self.version += 1  # even if it says the same as before, its clients are no longer stale

    def _set_result(self, result: ParseResult, now: float) -> bool:
        """Note what the file says; give back whether anybody has gone from it."""
        previous, self.result = self.result, result
        entries_removed = self._entries.update(result.entries, now)
        if entries_removed or result != previous:
            self.version += 1
        return entries_removed

    def _handle_missing(self, now: float) -> None:
        """There is no such file (any more)."""
        if not self._existed:
            message = _MISSING_MESSAGES.get(self._origin)
            self._set_error(f"{self.path}: {message}" if message else None)
        elif self.file_format and self.file_format.absent_means_empty:
            self.discard(now)
        elif self._vanished_at is None:
            self._signatures, self._vanished_at = (), now
            self.version += 1
        elif now - self._vanished_at > MAX_VANISHED_AGE:
            if self._is_essential:
                self._set_error(f"{self.path}: {_VANISHED_MESSAGE}")
            else:
                self.discard(now)

    def _set_error(self, error: str | None) -> None:
        if error != self.error:
            self.error = error
            self.version += 1


_VANISHED_MESSAGE: Final = "has vanished; bring it back, or correct clients.leases and restart powerd"
_MISSING_INCLUDE_MESSAGE: Final = "another file includes it, but it does not exist; correct that one"
_MISSING_MESSAGES: Final = {
    FileOrigin.CONFIGURED: "there is no such lease file; correct clients.leases, or start the server that "
    "writes it",
    FileOrigin.INCLUDED: _MISSING_INCLUDE_MESSAGE,  # its server does not start either, so this hides nobody
}


def _unknown_format_message(path: str) -> str:
    return f"{path}: is of no known format of lease files; take it out of clients.leases"
