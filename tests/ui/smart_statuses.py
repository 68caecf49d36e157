"""Hand-made reports on the health of drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from facts import changed
from ui.statuses import HOSTILE_NAME, NOW, at, family

from powerd.core.snapshot import Status
from powerd.disks.model import Disk, DiskId
from powerd.disks.state import DiskReport, DiskState
from powerd.smart.model import (
    Attribute,
    Counter,
    Finding,
    Health,
    Sample,
    SelfTest,
    Severity,
    SmartRecord,
    SmartReport,
)

DAY = 86400.0
CHECKED = NOW.wall.timestamp() - 9 * 3600
RED = Disk(DiskId("ata-WDC_WD20EFRX_S1"), "sda", model="WDC WD20EFRX-68EUZN0", serial="S1")
OLD = Disk(DiskId("ata-ST3500418AS_S2"), "sdb", model="ST3500418AS", serial="S2")
NVME = Disk(DiskId("nvme-Samsung_S3"), "nvme0n1", model="Samsung SSD 970", serial="S3", transport="nvme")
HOSTILE = Disk(DiskId(f"usb-{HOSTILE_NAME}"), HOSTILE_NAME, model=HOSTILE_NAME * 3, serial=HOSTILE_NAME)
HEALTH = Health(
    checked_at=CHECKED,
    protocol="ata",
    passed=True,
    temperature=31,
    power_on_hours=35392,
    counters={Counter.REALLOCATED: 0, Counter.PENDING: 0, Counter.STARTS: 1480},
    attributes=(
        Attribute(5, "Reallocated_Sector_Ct", 200, 200, 140, "0", prefail=True),
        Attribute(194, "Temperature_Celsius", 119, 103, None, "31 (Min/Max 12/45)", prefail=False),
    ),
    self_tests=(
        SelfTest("Short offline", "Completed without error", passed=True, hours=35300),
        SelfTest("Extended offline", "Aborted by host", passed=None, hours=None),
    ),
)
PENDING = Finding(
    "pending",
    Severity.ALARM,
    "2 more sectors cannot be read, 8 in all",
    "check your backup, and run a long self-test: `powerd smart DISK --test long`",
)
WORN = Finding("worn", Severity.NOTE, "90 % of its rated life is used up", "plan its replacement")


def samples(*pendings: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(CHECKED - (len(pendings) - n - 1) * DAY, True, 30 + n, {Counter.PENDING: pending})  # noqa: FBT003 - a row
        for n, pending in enumerate(pendings)
    )


def report(
    disk: Disk, health: Health | None, *findings: Finding, why: str = "", testing: bool = False
) -> SmartReport:
    history = samples(0, 6, 8) if health else ()
    record = SmartRecord(known_since=0, last=health, samples=history, test_started_at={"long": CHECKED})
    due = NOW.wall + timedelta(hours=15)
    return SmartReport(disk.id, record, findings, due if health else None, testing=testing, check_error=why)


def status_of_drives(reports: Mapping[Disk, SmartReport | None]) -> Status:
    shown = tuple(DiskReport(disk, DiskState.ACTIVE, at(-60)) for disk in reports)
    smart = {disk.id: each for disk, each in reports.items() if each is not None}
    bare = family()
    return replace(bare, decision=changed(bare.decision, disks=shown, smart=smart))


def smart_status() -> Status:
    """A red one that is well, an old one that is not, an NVMe drive never checked, and a virtual disk."""
    ill = replace(
        HEALTH,
        passed=False,
        temperature=38,
        counters={Counter.PENDING: 8, Counter.ERRORS: 931, Counter.LOADS: 312_904},
        attributes=(
            Attribute(5, "Reallocated_Sector_Ct", 1, 1, 36, "4095", prefail=True, failed="now"),
            *HEALTH.attributes[1:],
        ),
        self_tests=(SelfTest("Extended offline", "Completed: read failure", passed=False, hours=61700),),
    )
    return status_of_drives(
        {
            RED: report(RED, HEALTH),
            OLD: report(OLD, ill, PENDING, WORN, testing=True),
            NVME: report(NVME, None, why="Unknown USB bridge"),
            Disk(DiskId("vda"), "vda", transport="virtio"): None,
        }
    )


def hostile_drive() -> Status:
    """A drive whose firmware is hostile."""
    health = replace(
        HEALTH,
        passed=None,
        temperature=None,
        power_on_hours=None,
        attributes=(Attribute(1, HOSTILE_NAME, None, None, None, HOSTILE_NAME, prefail=False),),
        self_tests=(SelfTest(HOSTILE_NAME, HOSTILE_NAME, passed=None, hours=None),),
    )
    finding = Finding(HOSTILE_NAME, Severity.WARNING, HOSTILE_NAME, HOSTILE_NAME)
    return status_of_drives({HOSTILE: report(HOSTILE, health, finding, why=HOSTILE_NAME)})
