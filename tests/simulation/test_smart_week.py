"""Five days of the daemon with four drives; no drive is spun up early for a health check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from simulation.disk_server import SimulatedDiskServer, access, simulate_disks
from simulation.household import HOUR

from powerd.core.snapshot import Status
from powerd.simulation.drive import DriveSimulator
from powerd.smart.model import Counter, Health, Severity, SmartReports

DAY = 24 * HOUR
CONFIG = b"""
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
every = "5min"
[disks]
spin_down_after = "20min"
[smart]
max_defer = "3d"
self_test = { short = "3d", long = "0s" }
"""
WELL = Health(checked_at=0, protocol="ata", passed=True, test_minutes=(2, 240), counters={Counter.PENDING: 0})
ILL = replace(WELL, passed=False, counters={Counter.PENDING: 3})


def instruct(nas: SimulatedDiskServer) -> None:
    """Set the health of the drives before the start; the last one is failing."""
    for drive in nas.drives.values():
        drive.health = WELL
    list(nas.drives.values())[3].health = ILL


@pytest.mark.long
def test_five_days_of_checks(tmp_path: Path) -> None:
    """Nobody needs the mirror; the third drive is used each evening at eight, and none else."""
    evenings = [(8 + 24.0 * day, access(2)) for day in range(5)]
    nas, statuses = simulate_disks(tmp_path, 5, [(0.0, instruct), *evenings], CONFIG)
    first, second, third, fourth = nas.drives.values()
    assert all(each.times_of("WOKEN BY AN ORDER") == [] for each in nas.drives.values())
    for member in (first, second):
        ((up,), (begin, woken)) = (
            member.times_of("up"),
            [at for at in member.times_of("health") if not reads_a_test(member, at)],
        )
        assert begin < 60
        assert 3 * DAY <= woken < 3 * DAY + 60, "max_defer after its first check, and only once"
        assert abs(woken - up) < 1
        assert [at for at in member.log if 3600 < at[0] < up] == [], "a drive in standby gets no command"
        assert not member.spins
    assert abs(first.times_of("up")[0] - second.times_of("up")[0]) < 1, "both at once"
    assert [round(at) for at in third.times_of("up")] == [hours * HOUR for hours, _ in evenings]
    _daily(third, [hours * HOUR for hours, _ in evenings])
    report = [(name, finding.kind, finding.severity) for _, name, finding in nas.findings]
    assert report == [("sdd", "verdict", Severity.ALARM), ("sdd", "pending", Severity.WARNING)]
    checks = [at for at in fourth.times_of("health") if not reads_a_test(fourth, at)]
    assert len(checks) == 2, "it is not spun up more often than the others"
    _tested(third, statuses)


def reads_a_test(drive: DriveSimulator, at: float) -> bool:
    """Whether a check followed soon after the start of a self-test, to read its result."""
    return any(0 < at - start < 600 for start in drive.times_of("short"))


def _daily(drive: DriveSimulator, uses: list[float]) -> None:
    """Checked once for each use, just before its spin-down."""
    downs = [at for at in drive.times_of("ata") if at > HOUR]
    assert len(downs) == len(uses)
    for use, down in zip(uses[1:], downs[1:], strict=True):
        checks = [at for at in drive.times_of("health") if use < at <= down and not reads_a_test(drive, at)]
        assert len(checks) == 1, (use, checks)
        assert checks[0] - use >= 20 * 60 - 60  # seconds


def _tested(drive: DriveSimulator, statuses: list[Status]) -> None:
    """Its self-test kept the server awake and the disk spinning until it was over, and then was read."""
    (start,) = drive.times_of("short")
    assert start > 3 * DAY
    during = [each for each in statuses if start < each.now.mono < start + 140]
    assert during
    for status in during:
        reasons = [reason.text for reason in status.decision.reasons if reason.blocks_sleep]
        assert any("self-test" in text or "health" in text for text in reasons)
    assert [at for at in drive.times_of("ata") if start < at < start + 150] == []
    assert any(reads_a_test(drive, at) for at in drive.times_of("health"))


@pytest.mark.long
def test_in_observe_mode_no_drive_is_touched_and_the_times_are_reported(tmp_path: Path) -> None:
    observing = CONFIG.replace(b'"enforce"', b'"observe"')
    nas, statuses = simulate_disks(tmp_path, 2, [(0.0, instruct), (8, access(2))], observing)
    assert [each.log for each in nas.drives.values()] == [[], [], [], []]
    reports = statuses[-1].decision.part(SmartReports).smart
    assert set(reports) == set(nas.drives)
    assert all(report.healthy is None and report.next_check_at is not None for report in reports.values())
    assert nas.findings == []
