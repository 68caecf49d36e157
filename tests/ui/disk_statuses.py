"""Hand-made Status values with disks for tests of views."""

from __future__ import annotations

from dataclasses import replace

from facts import changed
from ui.statuses import HOSTILE_NAME, NOW, at, decision, family, status

from powerd.core.snapshot import Reason, Status
from powerd.disks.model import Disk, DiskId, Mount
from powerd.disks.state import DiskReport, DisksReport, DiskState

TERABYTE = 10**12


def disk(device: str, model: str = "WDC WD20EFRX-68EUZN0", **about: object) -> Disk:
    id_ = DiskId(f"ata-{model.replace(' ', '_')}_WCC-{device.upper()}")
    bare = Disk(id_, device, "8:0", model, f"WCC-{device.upper()}", 2 * TERABYTE, rpm=5400)
    return replace(bare, **about)  # type: ignore[arg-type]  # each caller names fields that Disk has


def active(device: str = "sdb", idle: float = 720.0) -> DiskReport:
    """One that has been idle for 12 of its 20 minutes."""
    return DiskReport(
        disk(device),
        DiskState.ACTIVE,
        at(-3600),
        spin_down_after=1200.0,
        idle_since=NOW.mono - idle,
        spin_down_at=NOW.mono + 1200.0 - idle,
        reason="waits for 20min of idleness",
        spin_ups=2,
        spin_downs=3,
        last_spin_up=at(-3600),
    )


def standby(device: str = "sda") -> DiskReport:
    return DiskReport(
        disk(device, group="md0", mounts=(Mount("/srv", "ext4"),)),
        DiskState.STANDBY,
        at(-7200),
        spin_down_after=1200.0,
        idle_since=NOW.mono - 8400.0,
        spin_ups=1,
        spin_downs=1,
        verified_method="ata",
        apm=128,
        last_spin_up=at(-20_000),
    )


def excluded(device: str, why: str, model: str = "", size: int = TERABYTE) -> DiskReport:
    left = disk(device, model, ineligible_reason=why, size=size)
    return DiskReport(left, DiskState.EXCLUDED, at(-8040), reason=why)


def unresponsive(device: str = "sdc") -> DiskReport:
    why = (
        "does not answer; powerd checks it at growing intervals of up to 1 h: hdparm did not end within 10 s"
    )
    return DiskReport(disk(device), DiskState.UNRESPONSIVE, at(-60), spin_down_after=1200.0, reason=why)


def disk_status(*reports: DiskReport) -> Status:
    return status(changed(decision("awake"), disks=reports))


def waiting() -> Status:
    """Reasons about two disks, of which one does keep the server awake."""
    given = disk_status(active("sdb"), active("sdc"))
    first, second = (report.disk.id for report in given.decision.part(DisksReport).disks)
    reasons = (
        Reason(first, "md0 resync", at(-60)),
        Reason(second, "waits for 20min of idleness", at(-60), blocks_sleep=False),
    )
    return replace(given, decision=replace(given.decision, reasons=reasons))


def similar_disks(count: int) -> Status:
    """``count`` disks that wait for the same, each a minute later than the last, and one that is used."""
    given = disk_status(*(active(f"sd{chr(98 + n)}") for n in range(count + 1)))
    *idle, used = (report.disk.id for report in given.decision.part(DisksReport).disks)
    reasons = [
        Reason(name, "waits for 20min of idleness", at(60 * n - 600), blocks_sleep=False)
        for n, name in enumerate(idle)
    ]
    reasons.append(Reason(used, "is being spun down", at(-60), blocks_sleep=False))
    return replace(given, decision=replace(given.decision, reasons=tuple(reasons)))


def usual_server() -> Status:
    """A usual server: an array in standby, an idle disk, an unresponsive one, an SSD and loop devices."""
    ssd = excluded("sdd", "solid state: nothing to spin down", "Samsung SSD 860", TERABYTE // 2)
    loops = (excluded(f"loop{n}", "a loop device: a file on another disk") for n in range(9))
    return disk_status(active(), standby(), standby("sdaa"), unresponsive(), ssd, *loops)


def new_home() -> Status:
    """The clients of family() and the disks of usual_server()."""
    reports = usual_server().decision.part(DisksReport).disks
    return replace(family(), decision=changed(family().decision, disks=reports))


def hostile_disks() -> Status:
    """Every text that a drive or an admin can choose is chosen badly."""
    bad = [
        disk(
            f"{HOSTILE_NAME}{n}",
            HOSTILE_NAME,
            group=HOSTILE_NAME,
            serial=HOSTILE_NAME,
            mounts=(Mount(HOSTILE_NAME, HOSTILE_NAME),) * 9,
        )
        for n in range(3)
    ]
    report = standby()._replace(disk=bad[0], reason=HOSTILE_NAME * 3)
    left = report._replace(disk=bad[1], state=DiskState.EXCLUDED)
    return disk_status(report, left, active()._replace(disk=bad[2]))


DISK_STATUSES = {
    "shelf": usual_server(),
    "new home": new_home(),
    "waiting": waiting(),
    "evil shelf": hostile_disks(),
    "empty shelf": disk_status(),
    "one disk": disk_status(active("sda", 0.0)),
    "left alone": disk_status(excluded("vda", "a virtual machine's disk")),
    "full shelf": disk_status(*(standby(f"sd{n}") for n in range(200))),
    "no shelf": None,
}
