"""Healthy and failing drives of all kinds in the format of smartctl; hand-made."""

from __future__ import annotations

from typing import Final

from helper.smart.smartctl_documents import Drive, NvmeTest, Row, Test, ata, nothing, nvme, nvme_tests, sas

RED: Final[tuple[Row, ...]] = (
    (1, "Raw_Read_Error_Rate", 200, 200, 51, "Pre-fail", "-", "0"),
    (3, "Spin_Up_Time", 177, 175, 21, "Pre-fail", "-", "4133"),
    (4, "Start_Stop_Count", 99, 99, 0, "Old_age", "-", "1480"),
    (5, "Reallocated_Sector_Ct", 200, 200, 140, "Pre-fail", "-", "0"),
    (9, "Power_On_Hours", 52, 52, 0, "Old_age", "-", "35392"),
    (12, "Power_Cycle_Count", 100, 100, 0, "Old_age", "-", "133"),
    (193, "Load_Cycle_Count", 198, 198, 0, "Old_age", "-", "6513"),
    (194, "Temperature_Celsius", 119, 103, 0, "Old_age", "-", "31"),
    (197, "Current_Pending_Sector", 200, 200, 0, "Old_age", "-", "0"),
    (198, "Offline_Uncorrectable", 100, 253, 0, "Old_age", "-", "0"),
    (199, "UDMA_CRC_Error_Count", 200, 200, 0, "Old_age", "-", "0"),
)
SEAGATE: Final[tuple[Row, ...]] = (
    (1, "Raw_Read_Error_Rate", 77, 64, 44, "Pre-fail", "-", "45896328"),
    (4, "Start_Stop_Count", 100, 100, 20, "Old_age", "-", "731"),
    (5, "Reallocated_Sector_Ct", 100, 100, 10, "Pre-fail", "-", "16"),
    (9, "Power_On_Hours", 88, 88, 0, "Old_age", "-", "10742h+14m+23.590s"),
    (187, "Reported_Uncorrect", 98, 98, 0, "Old_age", "-", "2"),
    (188, "Command_Timeout", 100, 99, 0, "Old_age", "-", "4295032833"),
    (190, "Airflow_Temperature_Cel", 69, 56, 40, "Old_age", "-", "31 (Min/Max 24/36)"),
    (193, "Load_Cycle_Count", 1, 1, 0, "Old_age", "-", "312904"),
    (194, "Temperature_Celsius", 31, 44, 0, "Old_age", "-", "31 (0 15 0 0 0)"),
    (197, "Current_Pending_Sector", 100, 100, 0, "Old_age", "-", "8"),
    (198, "Offline_Uncorrectable", 100, 100, 0, "Old_age", "-", "8"),
    (199, "UDMA_CRC_Error_Count", 200, 200, 0, "Old_age", "-", "3"),
    (240, "Head_Flying_Hours", 100, 253, 0, "Old_age", "-", "9981h+58m+04.113s"),
)
SSD: Final[tuple[Row, ...]] = (
    (5, "Reallocated_Sector_Ct", 100, 100, 10, "Pre-fail", "-", "0"),
    (9, "Power_On_Hours", 95, 95, 0, "Old_age", "-", "23011"),
    (177, "Wear_Leveling_Count", 93, 93, 0, "Pre-fail", "-", "111"),
    (187, "Uncorrectable_Error_Cnt", 100, 100, 0, "Old_age", "-", "0"),
    (190, "Airflow_Temperature_Cel", 66, 49, 0, "Old_age", "-", "34"),
    (199, "CRC_Error_Count", 100, 100, 0, "Old_age", "-", "0"),
)
OLD: Final[tuple[Row, ...]] = (
    (1, "Raw_Read_Error_Rate", 60, 55, 6, "Pre-fail", "-", "123456789"),
    (5, "Reallocated_Sector_Ct", 1, 1, 36, "Pre-fail", "FAILING_NOW", "4095"),
    (7, "Seek_Error_Rate", 85, 60, 30, "Pre-fail", "-", "347892116"),
    (9, "Power_On_Hours", 30, 30, 0, "Old_age", "-", "61711"),
    (190, "Airflow_Temperature_Cel", 62, 41, 45, "Old_age", "In_the_past", "38 (2 200 39 30 0)"),
    (197, "Current_Pending_Sector", 88, 88, 0, "Old_age", "-", "511"),
    (198, "Offline_Uncorrectable", 88, 88, 0, "Old_age", "-", "511"),
)
GOOD: Final[Test] = ("Short offline", "Completed without error", "00%", 35300, "-")
READ_FAILURE: Final[Test] = ("Extended offline", "Completed: read failure", "90%", 61700, "1953514584")
ABORTED: Final[Test] = ("Extended offline", "Aborted by host", "80%", 35200, "-")
NVME_LOG: Final[tuple[NvmeTest, ...]] = (
    (1, "Short", 0, "Completed without error", 8990),
    (2, "Extended", 7, "Completed: failed segments", 8400),
    (1, "Short", 2, "Aborted: Controller Reset", 8200),
)

_SAT: Final = {"device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"}}
_NO_LOG: Final = "Read SMART Self-test Log failed: scsi error aborted command"
_NONE: Final = {"available": False}
DRIVES: Final[dict[str, Drive]] = {
    "red": ata("WDC WD20EFRX-68EUZN0", RED, log=(GOOD, ABORTED)),
    "seagate": ata("ST8000DM004-2CX188", SEAGATE, errors=12, exit_status=64),
    "smr-testing": ata("WDC WD40EZAZ-00SF3B0", RED, running=70),
    "ssd": ata("Samsung SSD 860 EVO 500GB", SSD, rpm=0, celsius=34),
    "old-failing": ata(
        "ST3500418AS",
        OLD,
        passed=False,
        log=(READ_FAILURE,),
        errors=931,
        rpm=7200,
        celsius=38,
        exit_status=0xF8,
    ),
    "no-log": ata("WDC WD20EFRX-68EUZN0", RED, exit_status=4, messages=(_NO_LOG,)),
    "usb": ata("WDC WD20EFRX-68EUZN0", RED, device="usbjmicron"),
    "nvme": nvme(),
    "nvme-worn": nvme(warning=0x04 | 0x08, passed=False, used=104, spare=4, exit_status=8),
    "nvme-tested": nvme(log=nvme_tests(NVME_LOG, None)),
    "nvme-testing": nvme(log=nvme_tests((), 30)),
    "sas": sas(),
    "sas-failing": sas(ok=False, lost=7, exit_status=8),
    "asleep": nothing(3, "Device is in STANDBY mode, exit(3)", answer=_SAT),
    "unsupported": nothing(4, "Device does not support SMART", answer={**_SAT, "smart_support": _NONE}),
    "bridge-unknown": nothing(1, "/dev/sdb: Unknown USB bridge [0x152d:0x0579 (0x201)]"),
    "gone": nothing(2, "Smartctl open device: /dev/sdz failed: No such device"),
}
