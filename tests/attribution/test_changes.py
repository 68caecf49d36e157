"""Who has changed what is written later, if only a thread is known."""

from __future__ import annotations

from dataclasses import replace

from powerd.attribution.changes import Culprits
from powerd.attribution.join import join
from powerd.attribution.model import Culprit, TracedProcess, TraceEvent, TraceReading
from powerd.disks.model import DiskId

FIRST = TracedProcess(501, "worker", "/system.slice/a.service", is_thread=True)
SECOND = TracedProcess(502, "worker", "/system.slice/b.service", is_thread=True)


def changed_by(process: TracedProcess, at: float) -> TraceEvent:
    return TraceEvent("dirty", "8:16", process.pid, process.comm, "write", 12, first_at=at, last_at=at)


def test_a_thread_has_a_unit_but_no_process_id() -> None:
    culprit = Culprits([FIRST], {}).of(changed_by(FIRST, 1.0))
    assert culprit == Culprit("a.service", "worker")


def test_two_threads_without_a_process_id_are_two_culprits() -> None:
    written = TraceEvent("writeback", "8:16", 2, "kworker/u8:1", "write", 12, "", 3.0, 3.0)
    events = (
        *(changed_by(FIRST, 1.0), changed_by(SECOND, 2.0)),
        *(written, replace(written, kind="io", inode=0)),
    )
    kernel = TracedProcess(2, "kworker/u8:1", "/")
    reading = TraceReading(events, (FIRST, SECOND, kernel), {"8:16": (DiskId("ata-A"),)})
    found = join(reading).accesses
    assert {(access.culprit.unit, access.certainty) for access in found} == {
        ("a.service", "likely"),
        ("b.service", "likely"),
    }
