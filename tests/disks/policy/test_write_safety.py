from __future__ import annotations

import pytest
from core.snapshot_strategies import T0, moment

from powerd.core.time import Reading, Unavailable
from powerd.disks.model import DiskActivity, Mount
from powerd.disks.policy.write_safety import may_write, spins_down, would_start_disk
from powerd.disks.state import DiskReport, DiskState
from powerd.simulation.drive import disk


def report(where: str, state: DiskState, n: int = 0, how: str = "ata", why: str | None = None) -> DiskReport:
    return DiskReport(
        disk(n, mounts=(Mount(where, "ext4"),), transport=how, ineligible_reason=why), state, moment()
    )


def ssd(where: str, n: int = 0, how: str = "ata") -> DiskReport:
    return report(where, DiskState.EXCLUDED, n, how, "solid state: nothing to spin down")


def usb(where: str, n: int = 0) -> DiskReport:
    """A USB disk that the configuration does not name."""
    return report(where, DiskState.EXCLUDED, n, "usb")


def mirror(first: DiskState, second: DiskState) -> tuple[DiskReport, ...]:
    """Two disks that hold one filesystem."""
    return report("/", first), report("/", second, 1)


BEFORE = 61.0


@pytest.mark.parametrize(
    ("reports", "idle", "may"),
    [
        ((), 0, False),
        ((ssd("/"),), None, True),
        ((ssd("/", how="usb"),), None, True),
        ((usb("/"),), 10, True),
        ((usb("/"),), BEFORE, False),
        ((report("/", DiskState.STANDBY),), 10, False),
        ((report("/", DiskState.UNKNOWN),), 10, False),
        ((report("/", DiskState.SPINNING_DOWN),), 10, False),
        ((report("/", DiskState.ACTIVE),), 10, True),
        ((report("/", DiskState.ACTIVE),), BEFORE, False),
        ((report("/", DiskState.ACTIVE),), None, False),
        ((report("/", DiskState.UNSUPPORTED),), 10, True),
        ((report("/", DiskState.UNSUPPORTED),), BEFORE, False),
        ((ssd("/"), report("/var", DiskState.STANDBY, 1)), None, False),
        ((report("/var", DiskState.STANDBY), ssd("/", 1)), None, False),
        ((report("/", DiskState.STANDBY), ssd("/var/lib", 1)), None, True),
        (mirror(DiskState.ACTIVE, DiskState.ACTIVE), 10, True),
        (mirror(DiskState.ACTIVE, DiskState.STANDBY), 10, False),
        (mirror(DiskState.STANDBY, DiskState.UNSUPPORTED), 10, False),
        ((ssd("/"), report("/", DiskState.ACTIVE, 1)), 10, True),
        ((ssd("/"), report("/", DiskState.ACTIVE, 1)), BEFORE, False),
        ((report("/srv", DiskState.ACTIVE), usb("/var/li", 1)), BEFORE, True),
        ((report("/srv", DiskState.ACTIVE), report("/mnt", DiskState.STANDBY, 1)), 10, False),
    ],
)
def test_where_a_write_wakes_no_disk_and_keeps_none_awake(
    reports: tuple[DiskReport, ...], idle: float | None, *, may: bool
) -> None:
    """In the last two rows no known disk holds the directory."""
    readings = {} if idle is None else dict.fromkeys((each.disk.id for each in reports), used(idle))
    assert may_write("/var/lib/powerd", reports, readings, moment()) is may


def used(ago: float, *, suspended: bool = False) -> Reading[DiskActivity] | Unavailable:
    return Reading(T0, DiskActivity(T0 - ago, runtime_suspended=suspended))


@pytest.mark.parametrize("reading", [Unavailable(T0, "its counters cannot be read"), used(1, suspended=True)])
def test_a_disk_not_proved_active_is_not_written_to(reading: Reading[DiskActivity] | Unavailable) -> None:
    reports = (usb("/"),)
    assert not may_write("/var/lib/powerd", reports, {reports[0].disk.id: reading}, moment())


@pytest.mark.parametrize(
    ("reports", "wakes"),
    [
        ((), False),
        ((report("/srv", DiskState.STANDBY),), False),
        ((report("/", DiskState.STANDBY),), True),
        ((report("/", DiskState.SUSPENDED),), True),
        ((report("/", DiskState.ACTIVE),), False),
        ((report("/", DiskState.STANDBY), report("/var", DiskState.ACTIVE, n=1)), False),
        (mirror(DiskState.ACTIVE, DiskState.STANDBY), True),
        (mirror(DiskState.STANDBY, DiskState.UNSUPPORTED), True),
        (mirror(DiskState.ACTIVE, DiskState.ACTIVE), False),
    ],
)
def test_where_a_write_wakes_a_disk(reports: tuple[DiskReport, ...], *, wakes: bool) -> None:
    assert would_start_disk("/var/lib/powerd", reports) is wakes


@pytest.mark.parametrize(
    ("where", "after", "expected"),
    [
        (("/",), 600, True),
        (("/",), 0, False),
        (("/srv",), 600, False),
        (("/opt",), 600, True),
        (("/usr/bin", "/opt/powerd"), 600, True),
    ],
)
def test_whether_a_program_is_on_a_disk_that_is_spun_down(
    where: tuple[str, ...], after: float, *, expected: bool
) -> None:
    reports = tuple(
        report(each, DiskState.ACTIVE, n)._replace(spin_down_after=after) for n, each in enumerate(where)
    )
    assert spins_down(("/usr/bin/python3.11", "/opt/powerd/lib"), (*reports, ssd("/home", 9))) is expected
