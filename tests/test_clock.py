"""The kernel's clocks, and a civil time that is aware wherever the zone comes from."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from powerd import clock
from powerd.clock import KernelClock, boot_id


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


def test_a_boot_is_told_from_the_next() -> None:
    assert boot_id() == boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len(boot_id()) == 36
