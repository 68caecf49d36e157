"""The counters of units."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.files import HostFiles
from powerd.linux.io_stat import IoCounters, counts_by_unit, parse_io_stat, read_io_stats


def test_io_stat_is_read() -> None:
    text = "8:0 rbytes=90112 wbytes=100 rios=5 wios=2 dbytes=0 dios=0\n252:0 rbytes=1 wbytes=0\n8:16 \n"
    assert parse_io_stat(text) == {"8:0": IoCounters(90112, 100, 5, 2), "252:0": IoCounters(1, 0, 0, 0)}
    assert parse_io_stat(None) == parse_io_stat("") == parse_io_stat("8:0 rbytes=x wbytes=1") == {}


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert all(min(counters) >= 0 for counters in parse_io_stat(text).values())


def test_units_below_slices_are_found(tmp_path: Path) -> None:
    root = tmp_path / "sys/fs/cgroup"
    for group in (
        "system.slice/cron.service",
        "user.slice/user-1000.slice/session-3.scope",
        "off.slice/a.service",
    ):
        (root / group).mkdir(parents=True)
        (root / group / "io.stat").write_text(group)
    files = HostFiles(tmp_path)
    assert not counts_by_unit(files)
    for group in ("", "system.slice", "user.slice", "user.slice/user-1000.slice"):
        (root / group / "cgroup.subtree_control").write_text("cpu io memory")
    assert counts_by_unit(files)
    assert [unit for unit, _ in read_io_stats(files)] == ["cron.service", "session-3.scope"]
