"""History of the health of drives, one stored document per serial number.

A document is written when it has changed and the disk that holds it is awake, so writing never spins a disk
up. Changes that wait for that are lost if the process dies; the drive itself still has them. After a power
failure a document may be truncated; then the previous version is used, which is one or two checks older.
"""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from powerd.core.storage import Storage
from powerd.smart.model import MAX_SAMPLES, Finding, Health, Sample, SmartRecord

_MIN_SAMPLE_DISTANCE: Final = 12 * 3600.0
"""Seconds; a sample replaces an earlier one that is closer: a manual check is not another day."""


class SmartHistory:
    """The records of all drives.

    Args:
        store: where they are stored.
        may_write: whether the disk that holds the store is awake.
    """

    def __init__(self, store: Storage, may_write: Callable[[], bool]) -> None:
        self._store = store
        self._may_write = may_write
        self._records: dict[str, SmartRecord] = {}
        self._unwritten: set[str] = set()
        self._irreplaceable: set[str] = set()

    def record_of(self, serial: str, now: float) -> SmartRecord:
        """The record of a drive; a new drive is known since ``now``, POSIX time."""
        if serial not in self._records:
            self._records[serial] = self._load(serial, now) or SmartRecord(known_since=now)
        return self._records[serial]

    def add_check(
        self, serial: str, health: Health, device_type: str = "", *, woken: bool = False
    ) -> SmartRecord:
        """Record a check, by ``device_type``; ``woken``: the drive was woken for it."""
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
            irreplaceable=woken,
        )

    def add_test_start(self, serial: str, kind: str, at: float) -> SmartRecord:
        """Record the start of a self-test."""
        old = self.record_of(serial, at)
        return self._update(serial, replace(old, test_started_at={**old.test_started_at, kind: at}))

    def mark_woken(self, serial: str, at: float) -> SmartRecord:
        """Record that the drive was woken for a check that failed."""
        return self._update(serial, replace(self.record_of(serial, at), woken_at=at), irreplaceable=True)

    def mark_notified(
        self, serial: str, findings: Sequence[Finding], now: float, acknowledged: frozenset[str] = frozenset()
    ) -> SmartRecord:
        """Record the findings that stand and were notified, and the kinds that are acknowledged."""
        old = self.record_of(serial, now)
        new = replace(old, notified_findings=tuple(findings), acknowledged=acknowledged)
        return old if new == old else self._update(serial, new)

    def acknowledge(self, serial: str, now: float) -> SmartRecord:
        """Record that a person has acknowledged all findings that stand."""
        old = self.record_of(serial, now)
        kinds = frozenset(each.kind for each in old.notified_findings)
        return (
            old
            if kinds == old.acknowledged
            else self._update(serial, replace(old, acknowledged=kinds), irreplaceable=True)
        )

    def write(self, *, force: bool = False) -> None:
        """Write the changed records, if the disk is awake or with ``force``; called from time to time."""
        if self._unwritten and (force or self._may_write()):
            for serial in sorted(self._unwritten):
                self._save(serial)
            self._unwritten.clear()
            self._irreplaceable.clear()

    @property
    def has_irreplaceable(self) -> bool:
        """Whether a change is not written yet that no later check can find again."""
        return bool(self._irreplaceable)

    def _update(self, serial: str, record: SmartRecord, *, irreplaceable: bool = False) -> SmartRecord:
        self._records[serial] = record
        self._unwritten.add(serial)
        if irreplaceable:
            self._irreplaceable.add(serial)
        self.write()
        return record

    def _save(self, serial: str) -> None:
        self._store.save(_document_name(serial), self._records[serial], irreplaceable=True)

    def _load(self, serial: str, now: float) -> SmartRecord | None:
        """The stored record, or its previous version; known since ``now`` if its checks are lost."""
        record, problem = self._store.load(_document_name(serial), SmartRecord)
        if record is not None and problem and record.last is None and not record.samples:
            record = replace(record, known_since=now)
            self._unwritten.add(serial)
        return record


def _document_name(serial: str) -> str:
    """A file name for any serial number; a checksum distinguishes those whose characters were replaced.

    hashlib is avoided: it loads OpenSSL, 3.5 MB of resident memory.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", serial)[:64]
    mark = "" if safe == serial else f"-{crc32(serial.encode(errors='replace')):08x}"
    return f"health-{safe}{mark}"
