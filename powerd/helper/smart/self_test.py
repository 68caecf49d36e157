"""Self-tests that a drive is running, whatever program has started them, by smartctl(8).

ATA: ``smartctl -c``, ata_smart_data.self_test.status.value, whose upper half is 15 during a test (ACS-3,
"Self-test execution status").
SCSI: ``smartctl -l selftest`` (smartmontools, scsiprint.cpp). A running test is an entry of the log with
the result 15, in JSON since 7.3. Some drives report it in REQUEST SENSE, too or instead:
"scsi_self_test_status", since 7.6. Older versions have both in the printed lines only.

A test that the drive does not report cannot be detected. If smartctl has reached a drive and its report
cannot be read, the disk is not spun down, and the reason names the command to check: a tool is broken, and
a test may be running. A drive that smartctl does not reach is spun down, because otherwise it would spin
for ever, and no program on this machine can have started a test on it. The same holds for a drive without a
self-test log and, if smartctl is not installed, for all but SCSI disks that report a test in REQUEST SENSE
(sg_io.self_test_in_progress).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from powerd.helper.disks.device import DiskDevice
from powerd.helper.smart.report import lookup, lookup_int

BUSY_REASON: Final = "a SMART self-test runs; wait until it is done"
_ATA_COMMANDS: Final = 2
"""IDENTIFY DEVICE, SMART READ DATA."""
_SCSI_COMMANDS: Final = 9
"""INQUIRY, LOG SENSE, REQUEST SENSE and MODE SENSE, as sent by smartctl 7.3."""
_IN_PROGRESS: Final = 15
_STARTED: Final = "Self-test has begun"
_ENTRY: Final = re.compile(r"scsi_self_test_[0-9]+")
_LINE: Final = re.compile(
    r"Self-test execution status:\s+[0-9]+% of test remaining|#.*\bSelf test in progress"
)


def query(disk: DiskDevice, kind: str) -> tuple[list[str], int]:
    """The smartctl command by device type ``kind``, and the number of commands that it sends."""
    if disk.scsi_only:
        return ["smartctl", "--json=co", "-d", kind, "-l", "selftest", str(disk.node)], _SCSI_COMMANDS
    return ["smartctl", "--json=c", "-d", kind, "-c", str(disk.node)], _ATA_COMMANDS


def busy_reason(report: Mapping[str, Any] | None) -> str | None:
    """Why the disk must not be spun down, by a report of smartctl; None for ``report`` = it is unreadable."""
    if report is None:
        return "smartctl does not report whether a self-test runs; see: smartctl -a"
    return BUSY_REASON if reports_running_test(report) else None


def reports_start(report: Mapping[str, Any]) -> bool:
    """Whether ``smartctl -t`` with exit status 0 has started a test.

    For NVMe the report must state it (nvmeprint.cpp): before 7.4 smartctl does nothing and does not fail,
    and it never fails on a drive without self-tests.
    """
    return lookup(report, "device", "protocol") != "NVMe" or any(
        text.startswith(_STARTED) for text in _lines(report)
    )


def reports_running_test(report: Mapping[str, Any]) -> bool:
    """Whether a report has a self-test in progress."""
    ata = lookup_int(report, "ata_smart_data", "self_test", "status", "value")
    if ata is not None and ata >> 4 == _IN_PROGRESS:
        return True
    if lookup(report, "scsi_self_test_status", "in_progress") is True:
        return True
    entries = (key for key in report if _ENTRY.fullmatch(key))
    return any(lookup_int(report, key, "result", "value") == _IN_PROGRESS for key in entries) or any(
        _LINE.match(line) for line in _lines(report)
    )


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    lines = lookup(report, "smartctl", "output")
    if isinstance(lines, list):
        yield from (line for line in lines if isinstance(line, str))
