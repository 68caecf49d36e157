"""The kernel's clocks, and a civil time that is aware wherever the zone comes from."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from powerd.core import clock
from powerd.core.clock import KernelClock, boot_id


def test_it_reads_the_kernels_clocks() -> None:
    before, now, after = time.monotonic(), KernelClock().now(), time.monotonic()
    assert before <= now.mono <= after
    assert now.slept > -0.5, "BOOTTIME never runs behind MONOTONIC"
    assert abs(now.wall.timestamp() - time.time()) < 60


def test_the_zone_of_tz_keeps_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    wall = KernelClock().now().wall
    offsets = {wall.replace(month=month, day=1).utcoffset() for month in (1, 7)}
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}


@pytest.mark.parametrize("content", [None, b"no zone"])
def test_without_a_zone_the_time_is_aware_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """As in a container without /etc/localtime: RFC 3339 times need their offset."""
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(clock, "_LOCALTIME", tmp_path / "localtime")
    if content is not None:
        (tmp_path / "localtime").write_bytes(content)
    assert KernelClock().now().wall.utcoffset() is not None


def test_a_boot_differs_from_the_next() -> None:
    assert boot_id() == boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len(boot_id()) == 36


class Readings:
    """A kernel's clocks, read on a machine that does something else for a while between two readings.

    Attributes:
        ran: seconds that pass at each reading, one after the other; then 1 us each.
    """

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME

    def __init__(self, *ran: float) -> None:
        self._ran = list(ran)
        self._now = 1000.0

    def monotonic(self) -> float:
        self._now += self._ran.pop(0) if self._ran else 1e-6
        return self._now

    def clock_gettime(self, clock: int) -> float:
        assert clock == self.CLOCK_BOOTTIME
        return self.monotonic() + 3600.0


def test_what_a_busy_machine_does_between_two_readings_is_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time", Readings(0.0, 0.05, 0.0, 0.0, 0.0, 0.02))
    now = KernelClock().now()
    assert now.slept == pytest.approx(3600, abs=1e-5)
    assert now.mono == pytest.approx(1000.07, abs=1e-4)


def test_of_none_but_slow_readings_the_best_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [0.03] * 27
    slow[13] = slow[14] = 0.002
    monkeypatch.setattr(clock, "time", Readings(*slow, *[0.03] * 3))
    assert KernelClock().now().slept == pytest.approx(3600, abs=0.003)
