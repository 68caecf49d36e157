from __future__ import annotations

from powerd.sources.leases.found import Lead
from powerd.sources.leases.kept import GRACE, Batch, Kept

A, B = Lead("10.0.0.1", name="a"), Lead("10.0.0.2", name="b")


def test_what_has_gone_is_kept_for_the_grace() -> None:
    kept = Kept()
    assert not kept.take((A, B), 0)
    assert kept.take((B,), 10)
    assert list(kept.batches("x", stale=False)) == [Batch("x", (B,)), Batch("x", (A,), stale=True)]
    assert not kept.forget(10 + GRACE)
    assert kept.forget(10 + GRACE + 1)
    assert list(kept.batches("x", stale=True)) == [Batch("x", (B,), stale=True)]


def test_what_comes_back_has_not_gone() -> None:
    kept = Kept()
    kept.take((A,), 0)
    kept.take((), 1)
    assert not kept.take((A,), 2)
    assert list(kept.batches("x", stale=False)) == [Batch("x", (A,))]


def test_what_goes_again_has_its_grace_again() -> None:
    kept = Kept()
    for now, leads in ((0, (A,)), (1, ()), (500, (A,)), (501, ())):
        kept.take(leads, now)
    assert not kept.forget(501 + GRACE)


def test_a_station_that_has_gone_is_no_evidence() -> None:
    kept = Kept()
    kept.take((Lead(None, "02:00:00:00:00:01", kind="station"),), 0)
    kept.take((), 1)
    assert [lead.kind for batch in kept.batches("x", stale=False) for lead in batch.leads] == ["lease"]


def test_empty() -> None:
    kept = Kept()
    assert kept.empty
    assert list(kept.batches("x", stale=False)) == []
    kept.take((A,), 0)
    kept.take((), 0)
    assert not kept.empty
