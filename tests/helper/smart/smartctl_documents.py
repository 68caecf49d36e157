"""The output of smartctl 7.3 for ATA, NVMe and SAS drives with ``--json=o --all``, in its own format.

The lines are those that it prints (ataprint.cpp, nvmeprint.cpp and scsiprint.cpp of smartmontools), cut to
what a reader can stumble over; the JSON is what it gives besides. NVMe's log of self-tests is as later
versions have it, because 7.3 reports none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

HEAD: Final = (
    "smartctl 7.3 2022-02-28 r5338 [x86_64-linux-6.1.0-18-amd64] (local build)",
    "Copyright (C) 2002-22, Bruce Allen, Christian Franke, www.smartmontools.org",
    "",
)
Row = tuple[int, str, int, int, int, str, str, str]
"""id, name, value, worst, threshold, Pre-fail or Old_age, when failed, raw."""
Test = tuple[str, str, str, int | str, str]
"""description, status, remaining, hours, LBA."""


@dataclass(frozen=True)
class Drive:
    """One drive, and the document that smartctl makes of it."""

    lines: list[str]
    smartctl_options: dict[str, Any] = field(default_factory=dict)
    exit_status: int = 0
    messages: tuple[str, ...] = ()

    def document(self) -> bytes:
        """The answer, as bytes on standard output."""
        smartctl: dict[str, Any] = {
            "version": [7, 3],
            "svn_revision": "5338",
            "platform_info": "x86_64-linux-6.1.0-18-amd64",
            "build_info": "(local build)",
            "argv": ["smartctl", "--json=o", "-a", "/dev/sda"],
            "output": [*HEAD, *self.lines],
            "exit_status": self.exit_status,
        }
        if self.messages:
            smartctl["messages"] = [{"string": text, "severity": "error"} for text in self.messages]
        answer = {
            "json_format_version": [1, 0],
            "smartctl": smartctl,
            "local_time": {"time_t": 1_790_000_000},
        }
        return json.dumps({**answer, **self.smartctl_options}, indent=2).encode()


def table(rows: tuple[Row, ...]) -> list[str]:
    """The attribute table as ataprint.cpp prints it."""
    head = "ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE"
    body = [
        f"{number:3d} {name:<23} 0x{0x33 if kind == 'Pre-fail' else 0x32:04x}   {value:03d}   {worst:03d}   "
        f"{threshold:03d}    {kind:<8}  {'Always':<7}  {failed:<11} {raw}"
        for number, name, value, worst, threshold, kind, failed, raw in rows
    ]
    return ["Vendor Specific SMART Attributes with Thresholds:", head, *body, ""]


def tests(rows: tuple[Test, ...]) -> list[str]:
    """The self-test log as ataprint.cpp prints it."""
    lines = ["SMART Self-test log structure revision number 1"]
    if not rows:
        return [*lines, "No self-tests have been logged.  [To run self-tests, use: smartctl -t]", ""]
    lines.append(
        "Num  Test_Description    Status                  Remaining  LifeTime(hours)  LBA_of_first_error"
    )
    for n, (what, status, remaining, hours, lba) in enumerate(rows, 1):
        lines.append(f"#{n:2d}  {what:<19} {status:<29} {remaining:>3}  {hours:8}         {lba}")
    return [*lines, ""]


def ata(  # noqa: PLR0913 - what differs between drives
    model: str,
    rows: tuple[Row, ...],
    *,
    log: tuple[Test, ...] = (),
    passed: bool = True,
    rpm: int = 5400,
    errors: int = 0,
    status: int = 0,
    running: int | None = None,
    exit_status: int = 0,
    messages: tuple[str, ...] = (),
    celsius: int = 31,
    device: str = "sat",
) -> Drive:
    """An ATA drive."""
    rotation = f"{rpm} rpm" if rpm else "Solid State Device"
    value = 240 + (running or 0) // 10 if running is not None else status
    execution = (
        [f"Self-test execution status:      ( {value:3d})\tSelf-test routine in progress...",
         f"\t\t\t\t\t{running}% of test remaining."]
        if running is not None
        else [
            "Self-test execution status:      (   0)\tThe previous self-test routine completed",
            "\t\t\t\t\twithout error or no self-test has ever ",
            "\t\t\t\t\tbeen run.",
        ]
    )  # fmt: skip
    lines = [
        "=== START OF INFORMATION SECTION ===",
        f"Device Model:     {model}",
        "Serial Number:    WD-WCC4M0123456",
        "LU WWN Device Id: 5 0014ee 20f4a5b6c",
        "Firmware Version: 82.00A82",
        "User Capacity:    2,000,398,934,016 bytes [2.00 TB]",
        "Sector Sizes:     512 bytes logical, 4096 bytes physical",
        f"Rotation Rate:    {rotation}",
        "Device is:        In smartctl database 7.3/5319",
        "ATA Version is:   ACS-2 (minor revision not indicated)",
        "SATA Version is:  SATA 3.0, 6.0 Gb/s (current: 6.0 Gb/s)",
        "Local Time is:    Mon Sep 21 13:33:20 2026 UTC",
        "SMART support is: Available - device has SMART capability.",
        "SMART support is: Enabled",
        "",
        "=== START OF READ SMART DATA SECTION ===",
        f"SMART overall-health self-assessment test result: {'PASSED' if passed else 'FAILED!'}",
        *([] if passed else ["Drive failure expected in less than 24 hours. SAVE ALL DATA."]),
        "",
        "General SMART Values:",
        "Offline data collection status:  (0x00)\tOffline data collection activity",
        "\t\t\t\t\twas never started.",
        "\t\t\t\t\tAuto Offline Data Collection: Disabled.",
        *execution,
        "Total time to complete Offline ",
        "data collection: \t\t(26280) seconds.",
        "Offline data collection",
        "capabilities: \t\t\t (0x7b) SMART execute Offline immediate.",
        "\t\t\t\t\tAuto Offline data collection on/off support.",
        "\t\t\t\t\tSuspend Offline collection upon new",
        "\t\t\t\t\tcommand.",
        "\t\t\t\t\tOffline surface scan supported.",
        "\t\t\t\t\tSelf-test supported.",
        "\t\t\t\t\tConveyance Self-test supported.",
        "\t\t\t\t\tSelective Self-test supported.",
        "SMART capabilities:            (0x0003)\tSaves SMART data before entering",
        "\t\t\t\t\tpower-saving mode.",
        "\t\t\t\t\tSupports SMART auto save timer.",
        "Error logging capability:        (0x01)\tError logging supported.",
        "\t\t\t\t\tGeneral Purpose Logging supported.",
        "Short self-test routine ",
        "recommended polling time: \t (   2) minutes.",
        "Extended self-test routine",
        "recommended polling time: \t ( 265) minutes.",
        "Conveyance self-test routine",
        "recommended polling time: \t (   5) minutes.",
        "SCT capabilities: \t       (0x703d)\tSCT Status supported.",
        "",
        "SMART Attributes Data Structure revision number: 16",
        *table(rows),
        "SMART Error Log Version: 1",
        f"ATA Error Count: {errors}" if errors else "No Errors Logged",
        "",
        *tests(log),
        "SMART Selective self-test log data structure revision number 1",
        " SPAN  MIN_LBA  MAX_LBA  CURRENT_TEST_STATUS",
        "    1        0        0  Not_testing",
        "Selective self-test flags (0x0):",
        "  After scanning selected spans, do NOT read-scan remainder of disk.",
        "",
    ]  # fmt: skip
    own: dict[str, Any] = {"value": value, "string": "in progress" if running is not None else "completed"}
    if running is not None:
        own["remaining_percent"] = running
    else:
        own["passed"] = True
    hours = next((int(re.split(r"\D", raw)[0]) for number, *_, raw in rows if number == 9), None)
    answer: dict[str, Any] = {
        "device": {
            "name": "/dev/sda",
            "info_name": f"/dev/sda [{device.upper()}]",
            "type": device,
            "protocol": "ATA",
        },
        "model_name": model,
        "serial_number": "WD-WCC4M0123456",
        "rotation_rate": rpm,
        "smart_support": {"available": True, "enabled": True},
        "smart_status": {"passed": passed},
        "ata_smart_data": {"self_test": {"status": own, "polling_minutes": {"short": 2, "extended": 265}}},
        "ata_smart_error_log": {"summary": {"revision": 1, "count": errors}},
        "temperature": {"current": celsius},
    }
    if hours is not None:
        answer["power_on_time"] = {"hours": hours}
    return Drive(lines, answer, exit_status, messages)


NvmeTest = tuple[int, str, int, str, int]
"""code, its name, result, its name, hours."""


def nvme_tests(rows: tuple[NvmeTest, ...], running: int | None) -> tuple[list[str], dict[str, Any]]:
    """The self-test log as nvmeprint.cpp prints it, and as JSON; ``running``: percent done of a short one."""
    doing = "No self-test in progress" if running is None else "Short self-test in progress"
    done = "" if running is None else f" ({running}% completed)"
    lines = ["Self-test Log (NVMe Log 0x06, NSID 0xffffffff)", f"Self-test status: {doing}{done}"]
    head = (
        "Num  Test_Description  Status                       Power_on_Hours  Failing_LBA  NSID Seg SCT Code"
    )
    lines.append(head if rows else "No Self-tests Logged")
    for n, (_, kind, result, status, hours) in enumerate(rows):
        segment = "2" if result == 7 else "-"
        lines.append(
            f"{n:2d}   {kind:<17} {status:<33} {hours:9d} {'-':>12} {'-':>5} {segment:>3} {'-':>3} {'-':>4}"
        )
    log: dict[str, Any] = {
        "nsid": -1,
        "current_self_test_operation": {"value": int(running is not None), "string": doing},
    }
    if running is not None:
        log["current_self_test_completion_percent"] = running
    if rows:
        log["table"] = [
            {
                "self_test_code": {"value": code, "string": kind},
                "self_test_result": {"value": result, "string": status},
                "power_on_hours": hours,
            }
            for code, kind, result, status, hours in rows
        ]
    return [*lines, ""], {"nvme_self_test_log": log}


def nvme(  # noqa: PLR0913 - what differs between drives
    *,
    warning: int = 0,
    passed: bool = True,
    used: int = 3,
    spare: int = 100,
    exit_status: int = 0,
    log: tuple[list[str], dict[str, Any]] = ([], {}),
) -> Drive:
    """An NVMe drive; ``log``: its nvme_tests(), which it need not have."""
    lines = [
        "=== START OF INFORMATION SECTION ===",
        "Model Number:                       Samsung SSD 970 EVO Plus 1TB",
        "Serial Number:                      S59CNM0RB05113H",
        "Firmware Version:                   2B2QEXM7",
        "PCI Vendor/Subsystem ID:            0x144d",
        "Total NVM Capacity:                 1,000,204,886,016 [1.00 TB]",
        "Number of Namespaces:               1",
        "NVMe Version:                       1.3",
        "Namespace 1 Size/Capacity:          1,000,204,886,016 [1.00 TB]",
        "Namespace 1 Formatted LBA Size:     512",
        "Local Time is:                      Mon Sep 21 13:33:20 2026 UTC",
        "Optional Admin Commands (0x0017):   Security Format Frmw_DL Self_Test",
        "",
        "=== START OF SMART DATA SECTION ===",
        f"SMART overall-health self-assessment test result: {'PASSED' if passed else 'FAILED!'}",
        "",
        "SMART/Health Information (NVMe Log 0x02)",
        f"Critical Warning:                   0x{warning:02x}",
        "Temperature:                        42 Celsius",
        f"Available Spare:                    {spare}%",
        "Available Spare Threshold:          10%",
        f"Percentage Used:                    {used}%",
        "Data Units Read:                    21,342,982 [10.9 TB]",
        "Data Units Written:                 33,098,215 [16.9 TB]",
        "Host Read Commands:                 201,115,341",
        "Host Write Commands:                512,034,889",
        "Controller Busy Time:               1,208",
        "Power Cycles:                       212",
        "Power On Hours:                     9,001",
        "Unsafe Shutdowns:                   57",
        "Media and Data Integrity Errors:    0",
        "Error Information Log Entries:      419",
        "Warning  Comp. Temperature Time:    0",
        "Critical Comp. Temperature Time:    0",
        "Temperature Sensor 1:               42 Celsius",
        "Temperature Sensor 2:               51 Celsius",
        "",
        "Error Information (NVMe Log 0x01, 16 of 64 entries)",
        "No Errors Logged",
        "",
        *log[0],
    ]
    answer: dict[str, Any] = {
        "device": {"name": "/dev/nvme0n1", "info_name": "/dev/nvme0n1", "type": "nvme", "protocol": "NVMe"},
        "model_name": "Samsung SSD 970 EVO Plus 1TB",
        "smart_support": {"available": True, "enabled": True},
        "smart_status": {"passed": passed, "nvme": {"value": warning}},
        "temperature": {"current": 42},
        "power_on_time": {"hours": 9001},
        **log[1],
    }
    return Drive(lines, answer, exit_status)


def sas(*, ok: bool = True, lost: int = 0, exit_status: int = 0) -> Drive:
    """A SAS drive."""
    status = "OK" if ok else "DATA CHANNEL IMPENDING FAILURE DATA ERROR RATE TOO HIGH [asc=5d, ascq=32]"
    lines = [
        "=== START OF INFORMATION SECTION ===",
        "Vendor:               HGST",
        "Product:              HUS726060ALS640",
        "Revision:             A280",
        "Compliance:           SPC-4",
        "User Capacity:        6,001,175,126,016 bytes [6.00 TB]",
        "Logical block size:   512 bytes",
        "Physical block size:  4096 bytes",
        "Rotation Rate:        7200 rpm",
        "Form Factor:          3.5 inches",
        "Logical Unit id:      0x5000cca2321c1f5c",
        "Serial number:        1EG6PWAR",
        "Device type:          disk",
        "Transport protocol:   SAS (SPL-4)",
        "Local Time is:        Mon Sep 21 13:33:20 2026 UTC",
        "SMART support is:     Available - device has SMART capability.",
        "SMART support is:     Enabled",
        "Temperature Warning:  Enabled",
        "",
        "=== START OF READ SMART DATA SECTION ===",
        f"SMART Health Status: {status}",
        "",
        "Current Drive Temperature:     35 C",
        "Drive Trip Temperature:        85 C",
        "",
        "Accumulated power on time, hours:minutes 31107:34",
        "Manufactured in week 21 of year 2016",
        "Specified cycle count over device lifetime:  50000",
        "Accumulated start-stop cycles:  41",
        "Specified load-unload count over device lifetime:  600000",
        "Accumulated load-unload cycles:  1710",
        "Elements in grown defect list: 4",
        "",
        "Error counter log:",
        "           Errors Corrected by           Total   Correction     Gigabytes    Total",
        "               ECC          rereads/    errors   algorithm      processed    uncorrected",
        "           fast | delayed   rewrites  corrected  invocations   [10^9 bytes]  errors",
        f"read:          0       11         0        11     906210     114002.371           {lost}",
        "write:         0        0         0         0     121990      40023.551           0",
        "verify:        0        0         0         0       1530          0.000           0",
        "",
        "Non-medium error count:        0",
        "",
        "SMART Self-test log",
        "Num  Test              Status                 segment  LifeTime  LBA_first_err [SK ASC ASQ]",
        "     Description                              number   (hours)",
        "# 1  Background short  Completed                   -   31100                 - [-   -    -]",
        "# 2  Background long   Aborted (by user command)   -   30100                 - [-   -    -]",
        "",
        "Long (extended) Self-test duration: 45600 seconds [12.7 hours]",
        "",
    ]
    answer: dict[str, Any] = {
        "device": {"name": "/dev/sdc", "info_name": "/dev/sdc", "type": "scsi", "protocol": "SCSI"},
        "model_name": "HGST HUS726060ALS640",
        "smart_support": {"available": True, "enabled": True},
        "smart_status": {"passed": ok},
        "temperature": {"current": 35, "drive_trip": 85},
        "power_on_time": {"hours": 31107, "minutes": 34},
        "scsi_grown_defect_list": 4,
        "scsi_extended_self_test_seconds": 45600,
    }
    return Drive(lines, answer, exit_status)


def nothing(exit_status: int, *messages: str, answer: dict[str, Any] | None = None) -> Drive:
    """No drive's answer but smartctl's own."""
    return Drive([*messages, ""], answer or {}, exit_status, messages)
