"""A self-test that a drive runs, whoever has begun it, by the drive's word through smartctl(8); pure.

ATA: ``smartctl -c``, ata_smart_data.self_test.status.value, with 15 in its upper half while one runs (ACS-3,
"Self-test execution status").
SCSI: ``smartctl -l selftest`` (smartmontools, scsiprint.cpp). A test that runs is an entry of the log with
the result 15, in JSON from 7.3 on. Some drives tell of it in the answer to REQUEST SENSE, too or instead:
"scsi_self_test_status", from 7.6 on. Before, both are in the lines alone that smartctl prints.

Of a test of which the drive tells nothing nobody can know. Where smartctl has reached a drive and its answer
cannot be read, the disk is kept up, and the reason says what to look at: a tool is broken, and a test may
well run. A drive that smartctl does not reach is stopped, or it would spin for ever; nor can anybody on this
machine have begun a test by that way. So is one that keeps no log of tests, and, where smartctl is not
installed, any but a SCSI disk that answers REQUEST SENSE so (scsi.tests_itself).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from powerd.helper.disks.device import DiskDevice
from powerd.helper.smart.values import lookup, lookup_int

BUSY_REASON: Final = "a SMART self-test runs; wait until it is done"
_ATA_COMMANDS: Final = 2
"""IDENTIFY DEVICE, SMART READ DATA."""
_SCSI_COMMANDS: Final = 9
"""INQUIRY, LOG SENSE, REQUEST SENSE and MODE SENSE, as smartctl 7.3 was seen to send them."""
_IN_PROGRESS: Final = 15
_STARTED: Final = "Self-test has begun"
_ENTRY: Final = re.compile(r"scsi_self_test_[0-9]+")
_LINE: Final = re.compile(
    r"Self-test execution status:\s+[0-9]+% of test remaining|#.*\bSelf test in progress"
)


def query(disk: DiskDevice, kind: str) -> tuple[list[str], int]:
    """What smartctl is asked, by device type ``kind``, and how many commands it sends for that."""
    if disk.scsi_only:
        return ["smartctl", "--json=co", "-d", kind, "-l", "selftest", str(disk.node)], _SCSI_COMMANDS
    return ["smartctl", "--json=c", "-d", kind, "-c", str(disk.node)], _ATA_COMMANDS


def busy_reason(report: Mapping[str, Any] | None) -> str | None:
    """Why a disk must not be stopped, by what smartctl has told, None = no report, which proves nothing."""
    if report is None:
        return "smartctl does not say whether a self-test runs; see: smartctl -a"
    return BUSY_REASON if reports_running_test(report) else None


def reports_start(report: Mapping[str, Any]) -> bool:
    """Whether ``smartctl -t``, whose exit status is 0, has begun a test.

    Of NVMe it has to say so (nvmeprint.cpp): before 7.4 it does nothing and does not fail, nor does it ever
    fail where a drive has no self-tests.
    """
    return lookup(report, "device", "protocol") != "NVMe" or any(
        text.startswith(_STARTED) for text in _lines(report)
    )


def reports_running_test(report: Mapping[str, Any]) -> bool:
    """Whether a report tells of a self-test under way."""
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
