from __future__ import annotations

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.watcher import GRACE_PERIOD, EntryBatch, RetainedEntries

A, B = HostEntry("10.0.0.1", name="a"), HostEntry("10.0.0.2", name="b")


def test_removed_entries_are_retained_for_the_grace_period() -> None:
    kept = RetainedEntries()
    assert not kept.update((A, B), 0)
    assert kept.update((B,), 10)
    assert list(kept.batches("x", stale=False)) == [EntryBatch("x", (B,)), EntryBatch("x", (A,), stale=True)]
    assert not kept.expire(10 + GRACE_PERIOD)
    assert kept.expire(10 + GRACE_PERIOD + 1)
    assert list(kept.batches("x", stale=True)) == [EntryBatch("x", (B,), stale=True)]


def test_what_comes_back_has_not_gone() -> None:
    kept = RetainedEntries()
    kept.update((A,), 0)
    kept.update((), 1)
    assert not kept.update((A,), 2)
    assert list(kept.batches("x", stale=False)) == [EntryBatch("x", (A,))]


def test_what_goes_again_has_its_grace_again() -> None:
    kept = RetainedEntries()
    for now, leads in ((0, (A,)), (1, ()), (500, (A,)), (501, ())):
        kept.update(leads, now)
    assert not kept.expire(501 + GRACE_PERIOD)


def test_a_station_that_has_gone_is_no_evidence() -> None:
    kept = RetainedEntries()
    kept.update((HostEntry(None, "02:00:00:00:00:01", kind="station"),), 0)
    kept.update((), 1)
    assert [lead.kind for batch in kept.batches("x", stale=False) for lead in batch.entries] == ["lease"]


def test_empty() -> None:
    kept = RetainedEntries()
    assert kept.is_empty
    assert list(kept.batches("x", stale=False)) == []
    kept.update((A,), 0)
    kept.update((), 0)
    assert not kept.is_empty
