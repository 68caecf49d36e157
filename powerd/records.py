"""What drives have said of their health, kept from check to check: one document per serial number.

A document is written when something is new *and* the disk that holds it is awake, so that remembering never
spins a disk up. What waits for that is lost with the process alone; the drive itself still knows it. A power
cut may tear a document; then the one before it counts, which is a check or two older.
"""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from powerd.model import Finding, Health, Record, Sample
from powerd.model.plain import SAMPLES, NotPlainError, record_from_plain, record_to_plain
from powerd.store import Store

_APART: Final = 12 * 3600.0
"""Samples closer than this, seconds, replace each other: a check asked for by hand is no other day."""


class Records:
    """The records of all drives.

    Args:
        store: where they are kept; None = nowhere.
        may_write: whether the disk that holds the store is awake, or none at all.
        complain: called with each fault, one sentence.
    """

    def __init__(
        self, store: Store | None, may_write: Callable[[], bool], complain: Callable[[str], None]
    ) -> None:
        self._store = store
        self._may_write = may_write
        self._complain = complain
        self._records: dict[str, Record] = {}
        self._unwritten: set[str] = set()

    def of(self, serial: str, now: float) -> Record:
        """The record of a drive; one that is met for the first time is known from ``now`` on, POSIX time."""
        if serial not in self._records:
            self._records[serial] = self._load(serial) or Record(known=now)
        return self._records[serial]

    def add(self, serial: str, health: Health, kind: str = "") -> Record:
        """A drive has been checked, reached as ``kind``."""
        old = self.of(serial, health.at)
        sample = Sample(health.at, health.passed, health.temperature, health.counters)
        kept = [each for each in old.samples if not 0 <= health.at - each.at < _APART]
        return self._keep(
            serial, replace(old, last=health, before=old.last, samples=(*kept, sample)[-SAMPLES:], kind=kind)
        )

    def tested(self, serial: str, kind: str, at: float) -> Record:
        """A self-test has been begun."""
        old = self.of(serial, at)
        return self._keep(serial, replace(old, tested={**old.tested, kind: at}))

    def woken(self, serial: str, at: float) -> Record:
        """It was woken for a check, which failed."""
        return self._keep(serial, replace(self.of(serial, at), woken=at))

    def told(self, serial: str, findings: Sequence[Finding], now: float) -> Record:
        """These have been told, and what is no longer found may be told again."""
        old = self.of(serial, now)
        return old if old.told == tuple(findings) else self._keep(serial, replace(old, told=tuple(findings)))

    def write(self, *, anyway: bool = False) -> None:
        """Write what waits, if that wakes nothing, or ``anyway``; called now and then."""
        if self._unwritten and (anyway or self._may_write()):
            for serial in sorted(self._unwritten):
                self._save(serial)
            self._unwritten.clear()

    @property
    def waiting(self) -> frozenset[str]:
        """The drives whose records are yet to be written."""
        return frozenset(self._unwritten)

    def _keep(self, serial: str, record: Record) -> Record:
        self._records[serial] = record
        self._unwritten.add(serial)
        self.write()
        return record

    def _save(self, serial: str) -> None:
        if self._store is None:
            return
        trouble = self._store.save(_name(serial), record_to_plain(self._records[serial]), dear=True)
        if trouble:
            self._complain(trouble)

    def _load(self, serial: str) -> Record | None:
        """What was kept, or else what was kept before it."""
        if self._store is None:
            return None
        record, name = None, _name(serial)
        document, trouble = self._store.take(name)
        while record is None and document is not None:
            try:
                record = record_from_plain(document)
            except NotPlainError as error:
                document, trouble = self._store.set_aside(name, str(error))
        if trouble:
            self._complain(trouble)
        return record


def _name(serial: str) -> str:
    """A file name for any serial number; what had to be changed is told apart by a checksum.

    Not by one of hashlib's: OpenSSL, which comes with it, is 3.5 MB of the daemon's memory.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", serial)[:64]
    mark = "" if safe == serial else f"-{crc32(serial.encode(errors='replace')):08x}"
    return f"health-{safe}{mark}"
