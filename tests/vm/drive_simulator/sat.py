"""SCSI / ATA Translation: an ATA command within a SCSI command, and its registers in the sense data.

T10's SAT-3, 12.2: ATA PASS-THROUGH (12) and (16), ATA Status Return sense data descriptor.
"""

from __future__ import annotations

from typing import Final

from vm.drive_simulator.ata import Result, Taskfile

PASS_THROUGH_12: Final = 0xA1
PASS_THROUGH_16: Final = 0x85
_CK_COND: Final = 0x20
_RECOVERED, _ABORTED_COMMAND = 0x1, 0xB
_INFORMATION_AVAILABLE: Final = 0x1D
"""Additional sense code qualifier: ATA PASS THROUGH INFORMATION AVAILABLE."""


def taskfile(cdb: bytes) -> Taskfile:
    """The ATA command inside of a pass-through."""
    if cdb[0] == PASS_THROUGH_12:
        return Taskfile(cdb[9], cdb[3], cdb[4], cdb[5] | cdb[6] << 8 | cdb[7] << 16, cdb[8])
    return Taskfile(
        cdb[14], cdb[4], cdb[6], cdb[8] | cdb[10] << 8 | cdb[12] << 16, cdb[13], ext=bool(cdb[1] & 1)
    )


def sense(cdb: bytes, result: Result) -> bytes:
    """Sense data in descriptor format; b"" after a success without a request for them (CK_COND)."""
    if not result.failed and not cdb[2] & _CK_COND:
        return b""
    key, qualifier = (_ABORTED_COMMAND, 0) if result.failed else (_RECOVERED, _INFORMATION_AVAILABLE)
    low, middle, high = result.lba.to_bytes(3, "little")
    registers = [result.error, 0, result.count, 0, low, 0, middle, 0, high, result.device, result.status]
    descriptor = bytes([0x09, 12, result.ext, *registers])
    return bytes([0x72, key, 0, qualifier, 0, 0, 0, len(descriptor)]) + descriptor
