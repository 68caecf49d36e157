"""Hand-made Status values with disks: what the faces are given of them."""

from __future__ import annotations

from dataclasses import replace

from faces.house import EVIL, NOW, at, decision, status

from powerd.model import Disk, DiskId, DiskReport, DiskState, Mount, Reason, Status

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
        waits="waits for 20min of idleness",
        spin_ups=2,
        spin_downs=3,
        last_wake=at(-3600),
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
        worked="ata",
        apm=128,
        last_wake=at(-20_000),
    )


def excluded(device: str, why: str, model: str = "", size: int = TERABYTE) -> DiskReport:
    left = disk(device, model, excluded=why, size=size)
    return DiskReport(left, DiskState.EXCLUDED, at(-8040), waits=why)


def hung(device: str = "sdc") -> DiskReport:
    why = "does not answer, and is asked again ever later, at last every hour: hdparm did not end within 10 s"
    return DiskReport(disk(device), DiskState.HUNG, at(-60), spin_down_after=1200.0, waits=why)


def bay(*reports: DiskReport) -> Status:
    return status(replace(decision("awake"), disks=reports))


def waiting() -> Status:
    """Reasons about two disks, of which one does keep the server awake."""
    given = bay(active("sdb"), active("sdc"))
    first, second = (report.disk.id for report in given.decision.disks)
    reasons = (
        Reason(first, "md0 resync", at(-60)),
        Reason(second, "waits for 20min of idleness", at(-60), keeps_awake=False),
    )
    return replace(given, decision=replace(given.decision, reasons=reasons))


def alike(count: int) -> Status:
    """So many disks that wait for the same, each a minute later than the one before, and one that is used."""
    given = bay(*(active(f"sd{chr(98 + n)}") for n in range(count + 1)))
    *idle, used = (report.disk.id for report in given.decision.disks)
    reasons = [
        Reason(name, "waits for 20min of idleness", at(60 * n - 600), keeps_awake=False)
        for n, name in enumerate(idle)
    ]
    reasons.append(Reason(used, "is told to stand by", at(-60), keeps_awake=False))
    return replace(given, decision=replace(given.decision, reasons=tuple(reasons)))


def shelf() -> Status:
    """A usual server: an array asleep, a disk that idles, one that hangs, an SSD and two loop devices."""
    ssd = excluded("sdd", "solid state: there is no spindle", "Samsung SSD 860", TERABYTE // 2)
    loops = (excluded(f"loop{n}", "a loop device: a file on another disk") for n in range(9))
    return bay(active(), standby(), standby("sdaa"), hung(), ssd, *loops)


def evil_shelf() -> Status:
    """Every text that a drive or an admin can choose is chosen badly."""
    bad = [
        disk(f"{EVIL}{n}", EVIL, group=EVIL, serial=EVIL, mounts=(Mount(EVIL, EVIL),) * 9) for n in range(3)
    ]
    report = standby()._replace(disk=bad[0], waits=EVIL * 3)
    left = report._replace(disk=bad[1], state=DiskState.EXCLUDED)
    return bay(report, left, active()._replace(disk=bad[2]))


SHELVES = {
    "shelf": shelf(),
    "waiting": waiting(),
    "evil shelf": evil_shelf(),
    "empty shelf": bay(),
    "one disk": bay(active("sda", 0.0)),
    "left alone": bay(excluded("vda", "a virtual machine's disk")),
    "full shelf": bay(*(standby(f"sd{n}") for n in range(200))),
    "no shelf": None,
}
