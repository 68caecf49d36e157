"""Every answer of smartctl that is recorded takes the whole path: the tool, the helper and its child, the
socket, the order's outcome, the record over a restart, what policy makes of it, and what a face shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from facts import new_snapshot
from fakes.unused_ports import UnusedPorts
from helper.helper_process import HelperProcess
from helper.smart.smartctl_drives import DRIVES
from helper.smart.test_smartctl import set_document, with_health
from ui.smart_statuses import status_of_drives
from ui.statuses import NOW

from powerd.config.options import Options
from powerd.core.actions import CompletedAction
from powerd.core.storage import Storage
from powerd.disks import actuator
from powerd.disks.model import Disk, DiskAction, DiskId
from powerd.disks.state import DiskReport, DiskState
from powerd.linux.helper_client import HelperClient
from powerd.smart.actions import CheckHealth, DiskResult, HealthReading
from powerd.smart.findings import new_findings
from powerd.smart.history import SmartHistory
from powerd.smart.model import SmartReport
from powerd.smart.policy import plan_health
from powerd.smart.service import describe_action
from powerd.smart.view.api import smart_of
from powerd.smart.view.table import smart_text

pytestmark = pytest.mark.process

DAY = 86400.0
PLACES = {"nvme": ("nvme0n1", "nvme"), "sas": ("sdb", "scsi"), "usb": ("sdc", "auto")}
"""The device that each kind of drive is, and how smartctl reaches it; all others are SATA disks."""

MEANS = {
    "red": ("ok",),
    "seagate": ("warning", "reallocated", "pending", "uncorrectable", "reported", "loads", "crc", "errors"),
    "smr-testing": ("ok",),
    "ssd": ("ok",),
    "old-failing": (
        *("alarm", "verdict", "attribute 5", "reallocated", "pending", "uncorrectable", "self-test"),
        *("attribute 190", "errors"),
    ),
    "no-log": ("note", "partial"),
    "usb": ("ok",),
    "nvme": ("ok",),
    "nvme-worn": ("alarm", "unreliable", "read-only", "spare", "worn"),
    "nvme-tested": ("warning", "self-test"),
    "nvme-testing": ("ok",),
    "sas": ("warning", "reallocated"),
    "sas-failing": ("alarm", "verdict", "reallocated"),
    "asleep": ("unknown", ""),
    "unsupported": ("unknown", "the drive has no SMART"),
    "bridge-unknown": (
        "unknown",
        "smartctl could not query the drive: /dev/sdb: Unknown USB bridge [0x152d:0x0579 (0x201)]",
    ),
    "gone": (
        "unknown",
        "smartctl could not query the drive: Smartctl open device: /dev/sdz failed: No such device",
    ),
}
"""A verdict, and the findings, weightiest first; or why there is none, where sleeping is not a fault."""


@pytest.fixture(scope="module")
def machine() -> Iterator[HelperProcess]:
    """A helper in a process of its own, on a machine with four drives."""
    with HelperProcess() as running:
        drives = running.drives
        drives.add("nvme0n1")
        drives.add("sdc")
        drives.write("sys/block/sdb/device/vendor", "HGST    \n")
        drives.write("sys/block/sdb/queue/rotational", "0\n")  # spares it a question that hdparm cannot ask
        drives.behind_usb("sdc")
        with_health(drives)
        yield running


class RealSmartHelper(UnusedPorts):
    """Asks the helper that listens there."""

    def __init__(self, at: Path) -> None:
        self.at = at

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        return await HelperClient(self.at).execute_disk_action(action)


def checked(name: str, document: bytes, machine: HelperProcess) -> tuple[Disk, CompletedAction]:
    """The drive that answers so, and what an order to check it comes to."""
    device, kind = PLACES.get(name.partition("-")[0], ("sda", "sat"))
    set_document(machine.drives, device, name, kind)
    (machine.drives.tools / f"{device}.answer").write_bytes(document)
    disk = Disk(DiskId(f"ata-{device.upper()}"), device, serial="S1")
    action = CheckHealth(disk.id)
    done = asyncio.run(actuator.send_action(action, RealSmartHelper(machine.socket), describe_action))
    return disk, CompletedAction(action, NOW.mono, done.ok, done.message, NOW.mono - 1, done.answer)


def reported(disk: Disk, result: CompletedAction, days: int, state: Path) -> SmartReport:
    """The report of the policy for this answer on each of these days, with a stored history."""
    posix = NOW.wall.timestamp()
    for day in range(days if isinstance(result.answer, HealthReading) else 0):
        assert isinstance(result.answer, HealthReading)
        records = SmartHistory(Storage(state, pytest.fail), lambda: True)
        records.add_check(
            disk.serial,
            replace(result.answer.health, checked_at=posix + day * DAY),
            result.answer.device_type,
        )
    record = SmartHistory(Storage(state, pytest.fail), lambda: True).record_of(disk.serial, posix)
    snapshot = new_snapshot(
        smart_history={disk.id: record}, completed_disk_actions={(CheckHealth, disk.id): result}
    )
    shown = (DiskReport(disk, DiskState.ACTIVE, NOW),)
    return plan_health(snapshot, shown, (), Options(), NOW).reports[disk.id]


@pytest.mark.parametrize("name", DRIVES)
def test_every_answer_is_shown_as_what_it_means(name: str, machine: HelperProcess, tmp_path: Path) -> None:
    health, *about = MEANS[name]
    disk, result = checked(name, DRIVES[name].document(), machine)
    report = reported(disk, result, 1, tmp_path)
    detail = smart_of(status_of_drives({disk: report}), disk.device)
    assert detail is not None
    assert detail["health"] == health
    text = " ".join(smart_text(detail, NOW.wall).split())
    if isinstance(result.answer, HealthReading):
        assert [finding["kind"] for finding in detail["findings"]] == about
        assert all(finding["text"] in text for finding in detail["findings"])
        assert detail["temperature"] is not None
        assert detail["error"] is None
        again = reported(disk, result, 2, tmp_path)
        assert new_findings(report.findings, again.findings) == (), "nor is it reported again the day after"
    else:
        why = detail["error"] or ""
        assert [why.removesuffix("; see: smartctl --all")] == about
        assert why in text


def test_an_answer_that_is_cut_is_no_health(machine: HelperProcess, tmp_path: Path) -> None:
    disk, result = checked("red", DRIVES["red"].document()[:3000], machine)
    report = reported(disk, result, 1, tmp_path)
    assert report.healthy is None
    assert "incomplete; see: smartctl --all" in str(report.check_error)
