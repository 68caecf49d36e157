"""SMART data in the layout that every vendor shares and smartmontools reads (its atacmds.h)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from vm.drive_simulator.drive import Drive, Traits

_HOURS: Final = 12345
"""How long it has run."""
_GOOD: Final = 0xC24F
_BAD: Final = 0x2CF4
_RUNNING: Final = 0xF9
"""Self-test execution status: under way, 90 % left."""
_READ_FAILURE: Final = 0x70
"""Self-test execution status, of the last test and in the log: it could not read a sector."""
_MAX_ERRORS: Final = 5
_DIRECTORY_LOG, _ERROR_LOG, _TEST_LOG = 0x00, 0x01, 0x06


class Attribute(NamedTuple):
    """One line of ``smartctl -A``."""

    number: int
    flags: int
    value: int
    worst: int
    threshold: int
    raw: int


def attributes(drive: Drive) -> list[Attribute]:
    """The present attributes of this drive."""
    traits = drive.traits
    given_up = 200 if not traits.reallocated else 190
    if traits.smart_fails:
        given_up = 1
    return [
        Attribute(1, 0x2F, 200, 200, 51, 0),  # Raw_Read_Error_Rate
        Attribute(3, 0x27, 175, 175, 21, 4225),  # Spin_Up_Time
        Attribute(4, 0x32, 99, 99, 0, drive.counts.starts),  # Start_Stop_Count
        Attribute(5, 0x33, given_up, min(given_up, 190), 140, traits.reallocated),  # Reallocated_Sector_Ct
        Attribute(9, 0x32, 84, 84, 0, _HOURS),  # Power_On_Hours
        Attribute(12, 0x32, 100, 100, 0, 71),  # Power_Cycle_Count
        Attribute(193, 0x32, 199, 199, 0, 4000 + drive.counts.starts),  # Load_Cycle_Count
        Attribute(194, 0x22, 152 - traits.temperature, 90, 0, traits.temperature),  # Temperature_Celsius
        Attribute(197, 0x32, 200, 200, 0, traits.pending),  # Current_Pending_Sector
        Attribute(198, 0x30, 100, 253, 0, traits.pending),  # Offline_Uncorrectable
        Attribute(199, 0x32, 200, 200, 0, traits.crc),  # UDMA_CRC_Error_Count
    ]


def values(drive: Drive) -> bytes:
    """SMART READ DATA: the attributes, and the supported and running self-tests."""
    page = bytearray(512)
    page[0] = 16
    for place, each in enumerate(attributes(drive)):
        at = 2 + 12 * place
        struct.pack_into("<BHBB", page, at, each.number, each.flags, each.value, each.worst)
        page[at + 5 : at + 11] = each.raw.to_bytes(6, "little")
    page[363] = _RUNNING if drive.testing else _READ_FAILURE if drive.traits.failed_tests else 0
    page[367] = 0x7B  # offline capabilities, self-tests among them
    page[368] = 3  # saves its attributes
    page[370] = 1  # logs errors
    page[372], page[373] = 2, 10  # minutes that a short and an extended self-test take
    return _summed(page)


def thresholds(drive: Drive) -> bytes:
    """SMART READ ATTRIBUTE THRESHOLDS."""
    page = bytearray(512)
    page[0] = 16
    for place, each in enumerate(attributes(drive)):
        page[2 + 12 * place], page[3 + 12 * place] = each.number, each.threshold
    return _summed(page)


def status_report(drive: Drive) -> int:
    """SMART RETURN STATUS: the values of LBA mid and high."""
    return _BAD if drive.traits.smart_fails else _GOOD


def log(drive: Drive, address: int) -> bytes:
    """SMART READ LOG, one sector: of the directory, the summary error log, the self-test log, else empty."""
    pages = {_DIRECTORY_LOG: _directory, _ERROR_LOG: _errors, _TEST_LOG: _tests}
    return pages[address](drive.traits) if address in pages else bytes(512)


def _directory(_: Traits) -> bytes:
    """The number of sectors of each log."""
    page = bytearray(512)
    page[0] = 1
    page[2 * _ERROR_LOG] = page[2 * _TEST_LOG] = 1
    return bytes(page)


def _errors(traits: Traits) -> bytes:
    """The number of errors, and the last five: 90 bytes each, of which the last 30 describe the error."""
    page = bytearray(512)
    page[0] = 1
    page[1] = (traits.errors - 1) % _MAX_ERRORS + 1 if traits.errors else 0
    for place in range(min(traits.errors, _MAX_ERRORS)):
        # A sector that cannot be read: UNC; count, LBA, device, status; a state, and when it was.
        struct.pack_into(
            "<60xBBBBBBBB19xBH", page, 2 + 90 * place, 0, 0x40, 8, 1, 2, 3, 0xE0, 0x51, 0, _HOURS
        )
    struct.pack_into("<H", page, 452, traits.errors)
    return _summed(page)


def _tests(traits: Traits) -> bytes:
    """Self-tests that failed, 24 bytes each, the newest where byte 508 points."""
    page = bytearray(512)
    page[0] = 1
    for place in range(traits.failed_tests):
        struct.pack_into("<BBHBI15x", page, 2 + 24 * place, 1, _READ_FAILURE, _HOURS, 0, 0x030201)
    page[508] = traits.failed_tests
    return _summed(page)


def _summed(page: bytearray) -> bytes:
    page[511] = -sum(page[:511]) & 0xFF
    return bytes(page)
