"""The state file of wakes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from powerd.attribution.history import WakesDocument, restore
from powerd.core.codec import salvage
from powerd.core.time import Moment
from powerd.disks.model import DiskId

DISK = DiskId("ata-A")


@pytest.mark.parametrize("year", [1970, 2026])
@pytest.mark.parametrize(
    ("at", "valid"),
    [(-1e11, False), (-1.0, False), (1e11, False), (float("nan"), False), (0.0, True), (4e9, True)],
)
def test_a_wake_whose_time_is_out_of_range_is_left_out(at: float, year: int, *, valid: bool) -> None:
    """The file may be damaged, and the clock of the server may start in 1970."""
    now = Moment(100.0, 0.0, datetime(year, 1, 1, tzinfo=UTC))
    document, faults = salvage(WakesDocument, {"wakes": {DISK: [{"at": at}, {"at": 1e9}]}})
    wakes = restore(document, now)[DISK]
    assert (len(wakes), not faults) == (1 + valid, valid)
    assert all(wake.at.wall <= now.wall for wake in wakes)
