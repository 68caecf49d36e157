"""Watches lease files: reads them when they change, and retains the entries of a missing or invalid file."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import Final

from powerd.core.turns import in_turns
from powerd.linux.ports import Files
from powerd.linux.values import HostError, StatSignature
from powerd.presence.leases import detect_format
from powerd.presence.leases.format import HostEntry, LeaseFormat, ParseResult

GRACE_PERIOD: Final = 600.0
"""Seconds for which a removed entry is retained: a server may be rewriting its file in place."""
MAX_VANISHED_AGE: Final = 3600.0
"""Seconds for which the last content of a vanished file counts."""
_HEAD_SIZE: Final = 4096
_YIELD_EVERY: Final = 1 << 12
"""Entries that are marked, at 2 us each, before the event loop gets its turn."""
_MAX_WRITE_TIME: Final = 30.0
"""Seconds after which a server is no longer writing the last entry of a file that has not changed."""


class RetainedEntries:
    """The entries of one source, and those that it has lost during the grace period.

    Attributes:
        current: the entries of the last poll.
    """

    def __init__(self) -> None:
        self.current: tuple[HostEntry, ...] = ()
        self._removed: dict[Hashable, tuple[HostEntry, float]] = {}

    def update(self, entries: tuple[HostEntry, ...], now: float) -> bool:
        """Replace the current entries; return whether any has been removed."""
        removed = []
        if self.current or self._removed:
            current_keys = {entry.key for entry in entries}
            removed = [entry for entry in self.current if entry.key not in current_keys]
            for key in self._removed.keys() & current_keys:
                del self._removed[key]
        self._removed.update((entry.key, (_removed_entry(entry), now)) for entry in removed)
        self.current = entries
        return bool(removed)

    async def set_stale(self, *, stale: bool) -> None:
        """Mark the current entries: their source can be read, or cannot."""
        if self.current and self.current[0].stale is not stale:
            entries = in_turns(self.current, _YIELD_EVERY)
            self.current = tuple([HostEntry(*entry[:-1], stale) async for entry in entries])

    def expire(self, now: float) -> bool:
        """Drop the entries removed before the grace period; return whether there were any."""
        if not self._removed:
            return False
        expired = [key for key, (_entry, since) in self._removed.items() if now - since > GRACE_PERIOD]
        for key in expired:
            del self._removed[key]
        return bool(expired)

    @property
    def entries(self) -> tuple[HostEntry, ...]:
        """The current entries, then the removed ones."""
        return (*self.current, *(entry for entry, _since in self._removed.values()))

    @property
    def is_empty(self) -> bool:
        """Whether there are no entries, current or removed."""
        return not self.current and not self._removed


def _removed_entry(entry: HostEntry) -> HostEntry:
    """A removed entry still names a host; a removed station is not evidence that the host is present."""
    entry = entry._replace(kind="lease") if entry.kind == "station" else entry
    return HostEntry(*entry[:-1], True)  # noqa: FBT003 - of a tuple; _replace() takes 2 us instead of 0.4 us


class FileOrigin(enum.Enum):
    """Why a file is watched, which determines what its absence means."""

    DEFAULT_PATH = "a format's default path, where it may be absent"
    CONFIGURED = "the configuration names it"
    INCLUDED = "another file includes it"
    LEASES_OF_SERVER = "a configuration names it as the lease file, which the server creates when it starts"


class WatchedFile:
    """One lease file over time.

    Args:
        path: its path.
        origin: why it is watched.
        file_format: its format; None = to be detected from its content.

    Attributes:
        file_format: None = not known yet.
        version: increases with every change of the entries, of ``result`` or of ``error``.
        result: its last valid content.
        retained: its entries; stale while the file has an error or is missing, and after their removal.
        error: why its entries are not known or no longer reliable, one sentence; None = they are reliable.
        hides_clients: a client may be unknown because of the error.
    """

    def __init__(self, path: str, origin: FileOrigin, file_format: LeaseFormat | None) -> None:
        self.path = path
        self.file_format = file_format
        self.version = 0
        self.result = ParseResult()
        self.error: str | None = None
        self.hides_clients = False
        self._origin = origin
        self._configured_format = file_format
        self.retained = RetainedEntries()
        self._signatures: tuple[StatSignature | None, ...] = ()
        self._reread = False
        self._read_at = 0.0
        self._existed = False
        self._vanished_at: float | None = None

    def is_still_absent(self, files: Files) -> bool:
        """Whether a file that may be absent has never existed, so that there is nothing to poll."""
        if self._existed or self.error is not None or self._origin is not FileOrigin.DEFAULT_PATH:
            return False
        try:
            return files.stat_signature(self.path) is None
        except HostError:
            return False

    async def poll(self, files: Files, now: float) -> None:
        """Read the file if it has changed."""
        if not self.error and self._vanished_at is None:
            self._expire(now)
        try:
            signatures = self._read_signatures(files)
            if signatures[-1] is None:
                self._handle_missing(now)
            elif signatures != self._signatures or self._reread:
                self._existed, self._read_at = True, now
                await self._read(files, signatures, now)
            elif self.result.cut_off and now - self._read_at > _MAX_WRITE_TIME:
                self._set_error(f"{self.path}: {self.result.cut_off}; an entry may be lost, repair the file")
        except HostError as error:
            self._signatures = ()
            self._set_error(str(error))
        if self.retained.current:
            await self.retained.set_stale(stale=bool(self.error) or self._vanished_at is not None)

    def discard(self, now: float) -> None:
        """Treat all its entries as removed."""
        self._signatures, self._existed, self._vanished_at = (), False, None
        self._set_result(ParseResult(), now)
        self._expire(now)
        self._set_error(None)

    def _expire(self, now: float) -> None:
        if self.retained.expire(now):
            self.version += 1

    def _companions(self) -> tuple[tuple[str, ...], ...]:
        rows = self.file_format.companions if self.file_format else ()
        return tuple(tuple(self.path + suffix for suffix in row) for row in rows)

    def _read_signatures(self, files: Files) -> tuple[StatSignature | None, ...]:
        """The signatures of the companions and, last, of the file; (None,) without the file."""
        own = files.stat_signature(self.path)
        if own is None:
            return (None,)
        return (*(files.stat_signature(path) for row in self._companions() for path in row), own)

    def _paths_to_read(self, signatures: tuple[StatSignature | None, ...]) -> tuple[str, ...]:
        """The first row of companions with an existing file, then the file."""
        remaining = iter(signatures)
        for row in self._companions():
            if existing := tuple(path for path in row if next(remaining) is not None):
                return (*existing, self.path)
        return (self.path,)

    async def _read(self, files: Files, signatures: tuple[StatSignature | None, ...], now: float) -> None:
        """Read the file; ``signatures`` are older than the text, so a concurrent write is read next time."""
        if self.file_format is None:
            head = await files.read(self.path, _HEAD_SIZE)
            self.file_format = detect_format(self.path, head)
            if self.file_format is None:
                self._set_signatures(signatures)
                self._set_error(_unknown_format_message(self.path) if head.strip() else None)
                return
            signatures = self._read_signatures(files)
        reader = self.file_format.new_reader(self.path)
        for path in self._paths_to_read(signatures):
            async for text in files.read_chunks(path):
                reader.feed(text)
            if path != self.path:  # the last line of a companion may lack its newline
                reader.feed("\n")
        result = reader.finish()
        unchanged = signatures == self._signatures
        self._set_signatures(signatures)
        if result.skipped and not result.entries:
            entries_removed = True
            self._set_error(f"{self.path}: no entry in it is valid: {result.errors[0]}; repair it")
            self.file_format = self._configured_format
        else:
            entries_removed = self._set_result(result, now)
            self._set_error(None)
        # An entry may be missing because the file was read while its server was writing it. A write within
        # the same tick of the kernel's clock does not change the signature, so after a loss the file is read
        # twice.
        self._reread = not unchanged and (entries_removed or result.skipped > 0)

    def _set_signatures(self, signatures: tuple[StatSignature | None, ...]) -> None:
        self._signatures = signatures
        if self._vanished_at is not None:
            self._vanished_at = None
            self.version += 1  # with unchanged content too, for the entries are no longer stale

    def _set_result(self, result: ParseResult, now: float) -> bool:
        """Store the content; return whether any entry has been removed."""
        previous, self.result = self.result, result
        entries_removed = self.retained.update(result.entries, now)
        if entries_removed or result != previous:
            self.version += 1
        return entries_removed

    def _handle_missing(self, now: float) -> None:
        """Handle the absence of the file: it never existed, or it no longer exists."""
        if not self._existed:
            message = _MISSING_MESSAGES.get(self._origin)
            expected = self._origin is FileOrigin.LEASES_OF_SERVER  # a server that has not started yet
            self._set_error(f"{self.path}: {message}" if message else None, hides_clients=not expected)
        elif self.file_format and self.file_format.absent_means_empty:
            self.discard(now)
        elif self._vanished_at is None:
            self._signatures, self._vanished_at = (), now
            self.version += 1
        elif now - self._vanished_at > MAX_VANISHED_AGE:
            if self._origin is FileOrigin.CONFIGURED or not self.file_format or self.file_format.essential:
                self._set_error(f"{self.path}: {_VANISHED_MESSAGE}")
            else:
                self.discard(now)

    def _set_error(self, error: str | None, *, hides_clients: bool = True) -> None:
        if error != self.error:
            self.error, self.hides_clients = error, error is not None and hides_clients
            self.version += 1


_VANISHED_MESSAGE: Final = "no longer exists; restore it, or correct clients.leases and restart powerd"
_MISSING_MESSAGES: Final = {
    FileOrigin.CONFIGURED: (
        "there is no such lease file; correct clients.leases, or start the server that writes it"
    ),
    FileOrigin.INCLUDED: (
        "another file includes it, but it does not exist; correct that file, or write the whole path there"
    ),
    FileOrigin.LEASES_OF_SERVER: (
        "the configuration of a server names this lease file, but it does not exist; start the server, or "
        "correct that configuration"
    ),
}


def _unknown_format_message(path: str) -> str:
    return f"{path}: its format is unknown; remove it from clients.leases"
