"""Whether smartctl got as far as the drive; test_smart.py and test_spindle.py show which ways are tried."""

from __future__ import annotations

import pytest

from powerd.helper.smart.device_types import drive_reached


@pytest.mark.parametrize(
    ("status", "there"),
    [(0, True), (1, False), (2, False), (4, True), (64 + 2, False), (64, True)],
)
def test_reached(status: int, *, there: bool) -> None:
    """By the bits of smartctl(8), "EXIT STATUS"."""
    assert drive_reached(status) is there
