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

from powerd.core.codec import CodecError, decode, encode
from powerd.core.storage import Storage
from powerd.smart.model import MAX_SAMPLES, Finding, Health, Sample, SmartRecord

_MIN_SAMPLE_DISTANCE: Final = 12 * 3600.0
"""Samples closer than this, seconds, replace each other: a check asked for by hand is no other day."""


class SmartHistory:
    """The records of all drives.

    Args:
        store: where they are kept; None = nowhere.
        may_write: whether the disk that holds the store is awake, or none at all.
        on_error: called with each fault, one sentence.
    """

    def __init__(
        self, store: Storage | None, may_write: Callable[[], bool], on_error: Callable[[str], None]
    ) -> None:
        self._store = store
        self._may_write = may_write
        self._on_error = on_error
        self._records: dict[str, SmartRecord] = {}
        self._unwritten: set[str] = set()

    def record_of(self, serial: str, now: float) -> SmartRecord:
        """The record of a drive; one that is met for the first time is known from ``now`` on, POSIX time."""
        if serial not in self._records:
            self._records[serial] = self._load(serial) or SmartRecord(known_since=now)
        return self._records[serial]

    def add_check(self, serial: str, health: Health, device_type: str = "") -> SmartRecord:
        """A drive has been checked, reached as ``kind``."""
        old = self.record_of(serial, health.checked_at)
        sample = Sample(health.checked_at, health.passed, health.temperature, health.counters)
        earlier = [
            each
            for each in old.samples
            if not 0 <= health.checked_at - each.checked_at < _MIN_SAMPLE_DISTANCE
        ]
        return self._update(
            serial,
            replace(
                old,
                last=health,
                previous=old.last,
                samples=(*earlier, sample)[-MAX_SAMPLES:],
                device_type=device_type,
            ),
        )

    def add_test_start(self, serial: str, kind: str, at: float) -> SmartRecord:
        """A self-test has been begun."""
        old = self.record_of(serial, at)
        return self._update(serial, replace(old, test_started_at={**old.test_started_at, kind: at}))

    def mark_woken(self, serial: str, at: float) -> SmartRecord:
        """It was woken for a check, which failed."""
        return self._update(serial, replace(self.record_of(serial, at), woken_at=at))

    def mark_notified(self, serial: str, findings: Sequence[Finding], now: float) -> SmartRecord:
        """These have been told, and what is no longer found may be told again."""
        old = self.record_of(serial, now)
        return (
            old
            if old.notified_findings == tuple(findings)
            else self._update(serial, replace(old, notified_findings=tuple(findings)))
        )

    def write(self, *, force: bool = False) -> None:
        """Write what waits, if that wakes nothing, or ``anyway``; called now and then."""
        if self._unwritten and (force or self._may_write()):
            for serial in sorted(self._unwritten):
                self._save(serial)
            self._unwritten.clear()

    @property
    def unwritten(self) -> frozenset[str]:
        """The drives whose records are yet to be written."""
        return frozenset(self._unwritten)

    def _update(self, serial: str, record: SmartRecord) -> SmartRecord:
        self._records[serial] = record
        self._unwritten.add(serial)
        self.write()
        return record

    def _save(self, serial: str) -> None:
        if self._store is None:
            return
        try:
            document = encode(self._records[serial])
        except CodecError as error:
            problem: str | None = f"{_document_name(serial)} is not saved: {error}"
        else:
            problem = self._store.save(_document_name(serial), document, irreplaceable=True)
        if problem:
            self._on_error(problem)

    def _load(self, serial: str) -> SmartRecord | None:
        """What was kept, or else what was kept before it."""
        if self._store is None:
            return None
        record, name = None, _document_name(serial)
        document, problem = self._store.load_or_set_aside(name)
        while record is None and document is not None:
            try:
                record = decode(SmartRecord, document, strict=False)
            except CodecError as error:
                document, problem = self._store.set_aside(name, str(error))
        if problem:
            self._on_error(problem)
        return record


def _document_name(serial: str) -> str:
    """A file name for any serial number; what had to be changed is told apart by a checksum.

    Not by one of hashlib's: OpenSSL, which comes with it, is 3.5 MB of the daemon's memory.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", serial)[:64]
    mark = "" if safe == serial else f"-{crc32(serial.encode(errors='replace')):08x}"
    return f"health-{safe}{mark}"
