"""IDENTIFY DEVICE: identity and features of the drive in 256 words (ATA8-ACS, 7.16)."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from vm.drive_simulator.drive import APM_OFF, Drive, Traits

SECTOR: Final = 512
RPM: Final = 5400
FIRMWARE: Final = "82.00A82"
_APM: Final = 1 << 3
_EPC: Final = 1 << 7


def page(drive: Drive) -> bytes:
    """The 512 bytes, with signature and checksum."""
    traits = drive.traits
    sectors = traits.size // SECTOR
    name = wwn(traits)
    apm = _APM if traits.apm else 0
    apm_on = apm if drive.apm != APM_OFF else 0
    epc = _EPC if traits.epc else 0
    words = (
        _geometry(sectors)
        | _text(10, 10, traits.serial.rjust(20))
        | _text(23, 4, FIRMWARE)
        | _text(27, 20, traits.model)
        | {47: 0x8010, 49: 0x2F00, 50: 0x4000, 53: 6, 63: 7, 64: 3}
        # Queue depth, SATA speeds, ATA/ATAPI-4 to 9, UDMA; serial transport, SATA 2.6.
        | {75: 31, 76: 0x000E, 80: 0x03F0, 88: 0x407F, 222: 0x101F}
        # Supported and enabled: SMART, the power management feature set, look-ahead, APM, EPC.
        | {82: 0x346B, 83: 0x7D01 | apm, 84: 0x6123, 119: 0x4000 | epc}
        | {85: 0x3469, 86: 0xBC01 | apm_on, 87: 0x6123, 120: 0x4000 | epc}
        | {91: drive.apm if apm_on else 0, 217: RPM}
        | {108 + place: name >> (48 - 16 * place) & 0xFFFF for place in range(4)}
    )
    body = struct.pack("<255H", *(words.get(place, 0) for place in range(255))) + b"\xa5"
    return body + bytes([-sum(body) & 0xFF])


def wwn(traits: Traits) -> int:
    """The World Wide Name, 64 bits: NAA 5, Western Digital's number, and some of the serial's hash."""
    return 0x5_0014EE << 36 | number_of(traits)


def number_of(traits: Traits) -> int:
    """36 bits that differ from drive to drive."""
    return int.from_bytes(hashlib.sha256(traits.serial.encode()).digest()[:5], "big") & 0xF_FFFF_FFFF


def _geometry(sectors: int) -> dict[int, int]:
    """A fixed ATA disk with the usual cylinders, heads and sectors, and its size in 28 and in 48 bits."""
    words = {0: 0x0040, 1: 16383, 3: 16, 6: 63, 60: sectors & 0xFFFF, 61: sectors >> 16 & 0xFFFF}
    return words | {100 + place: sectors >> 16 * place & 0xFFFF for place in range(4)}


def _text(start: int, words: int, text: str) -> dict[int, int]:
    """An ATA string: two letters a word, the first one in the high byte."""
    raw = text.encode("ascii").ljust(2 * words)[: 2 * words]
    return {start + place: raw[2 * place] << 8 | raw[2 * place + 1] for place in range(words)}
