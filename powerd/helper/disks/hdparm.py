"""Arguments and output of hdparm(8).

The printed state alone is not reliable. hdparm takes the registers of the drive's response from the SCSI
sense data of the bridge; without sense data it reads zeroes, and calls them "standby". So it is run with
--verbose: the line ``ATA_16 stat=50 err=00 nsect=ff ...`` on standard error has the registers. A response
without DRDY in the status register does not come from a drive (ACS-3, 6.2), and the count register has the
modes that hdparm 9.65 calls unknown: those of Extended Power Conditions (ACS-3, CHECK POWER MODE).

hdparm reads sense data in descriptor format only. Some bridges return the fixed format, which hdparm calls
"bad/missing"; it holds the registers as well (SAT-3, "Fixed format sense data for ATA PASS-THROUGH": error,
status, device and count are bytes 3 to 6). Patched versions of hdparm talk to JMicron, Cypress and other
bridges in their own ways (lines "APT:"); their "standby" without registers means nothing.
"""

from __future__ import annotations

import os
import re
from typing import Final

from powerd.disks.model import PowerFeatures, PowerMode
from powerd.helper.errors import RefusalError
from powerd.helper.subprocess import CompletedTool

_STATE: Final = re.compile(r"^ drive state is:  (.+)$", re.MULTILINE)
_REGISTERS: Final = re.compile(r"\bATA_1[26] stat=([0-9a-f]{2}) err=[0-9a-f]{2} nsect=([0-9a-f]{2}) ")
_DOUBTFUL: Final = re.compile(r"^SG_IO: (bad/missing|missing|questionable) sense data", re.MULTILINE)
_SENSE: Final = re.compile(r"\bsb\[\]: +((?:[0-9a-f]{2} ?)+)")
_FIXED: Final = frozenset({0xF0, 0xF1})
"""Fixed format, and the registers are valid."""
_SENSE_KEYS: Final = frozenset({0, 1})
"""NO SENSE, RECOVERED ERROR."""
_INFORMATION: Final = frozenset({b"", b"\x00\x00", b"\x00\x1d"})
"""ATA PASS-THROUGH INFORMATION AVAILABLE, which some bridges leave out."""
_VENDOR_PASSTHROUGH: Final = re.compile(r"^APT: Found supported device", re.MULTILINE)
_STATUS, _COUNT = 4, 6
_DRDY: Final = 0x40
_STATES: Final = {
    "active/idle": PowerMode.ACTIVE,
    "idle": PowerMode.ACTIVE,
    "standby": PowerMode.STANDBY,
    "NVcache_spindown": PowerMode.STANDBY,
    "NVcache_spinup": PowerMode.ACTIVE,
    "sleeping": PowerMode.SLEEPING,
}
_MODES: Final = {
    **dict.fromkeys((0x00, 0x01, 0x40), PowerMode.STANDBY),
    **dict.fromkeys((0x41, 0x80, 0x81, 0x82, 0x83, 0xFF), PowerMode.ACTIVE),
}
"""By the count register: standby (_z, _y), NV cache (spindle stopped or spinning), idle (_a, _b, _c)."""

_WORD_COUNT: Final = 256
_ROW: Final = re.compile(r"^[0-9a-f]{4}(?: [0-9a-f]{4}){7}$", re.MULTILINE)
_SIGNATURE: Final = 0xA5


def read_power(device: str) -> list[str]:
    """CHECK POWER MODE; one command, or two if the first failed."""
    return ["hdparm", "--verbose", "-C", device]


def spin_down(device: str) -> list[str]:
    """STANDBY IMMEDIATE; one command, or two if the first failed."""
    return ["hdparm", "-y", device]


def set_timer(device: str, value: int) -> list[str]:
    """IDLE with a standby timer, as encode_timer() encodes it; one command."""
    return ["hdparm", "-S", str(value), device]


def set_apm(device: str, level: int) -> list[str]:
    """SET FEATURES, and IDENTIFY DEVICE after it; two commands."""
    return ["hdparm", "-B", str(level), "--Istdout", device]


def identify(device: str) -> list[str]:
    """IDENTIFY DEVICE as a table of words; one command."""
    return ["hdparm", "--Istdout", device]


def power_of(result: CompletedTool) -> PowerMode:
    """The power mode in the output of read_power(); UNKNOWN = not reliable.

    Raises:
        RefusalError: the command failed, or the output is unknown.
    """
    if result.status:  # an errno; the last line is one of --verbose
        reason = os.strerror(result.status) if result.status > 0 else result.last_error_line
        raise RefusalError(f"hdparm -C failed: {reason}")
    states = _STATE.findall(result.out)
    if len(states) != 1:
        raise RefusalError("hdparm -C reports no drive state; check its output")
    registers = _registers_in(result.err)
    if registers is None:
        if _DOUBTFUL.search(result.err) or _VENDOR_PASSTHROUGH.search(result.out + "\n" + result.err):
            return PowerMode.UNKNOWN
        # by HDIO_DRIVE_CMD, which has no sense data, or another version of hdparm
        return _STATES.get(states[0], PowerMode.UNKNOWN)
    status, count = registers
    return _MODES.get(count, PowerMode.UNKNOWN) if status & _DRDY else PowerMode.UNKNOWN


def _registers_in(err: str) -> tuple[int, int] | None:
    """The status and the count register in what --verbose prints; None = they are not there."""
    registers = _REGISTERS.findall(err)
    if registers and not _DOUBTFUL.search(err):
        return int(registers[-1][0], 16), int(registers[-1][1], 16)
    sense = [bytes.fromhex(dump) for dump in _SENSE.findall(err)]
    if not sense or len(sense[-1]) <= _COUNT:
        return None
    data = sense[-1]
    if data[0] in _FIXED and data[2] & 0xF in _SENSE_KEYS and data[12:14] in _INFORMATION:
        return data[_STATUS], data[_COUNT]
    return None


def power_features_of(result: CompletedTool, option: str) -> PowerFeatures:
    """The power features in the output of identify() or set_apm() (ACS-3, table "IDENTIFY DEVICE data").

    Args:
        result: of hdparm.
        option: its option, for messages.

    Raises:
        RefusalError: the command failed, or the output is not an identification.
    """
    require_success(result, option)
    words = [int(word, 16) for row in _ROW.findall(result.out) for word in row.split()]
    if len(words) != _WORD_COUNT or not _checksum_ok(words):
        raise RefusalError(f"the drive did not identify itself: {result.last_error_line}; is it an ATA disk?")
    apm_supported = _feature_word_valid(words[83]) and bool(words[83] & 1 << 3)
    enabled = apm_supported and bool(words[86] & 1 << 3)
    level = words[91] & 0xFF
    return PowerFeatures(
        apm=level if enabled and level in range(1, 255) else None,
        apm_supported=apm_supported,
        epc_enabled=_feature_word_valid(words[119]) and bool(words[119] & words[120] & 1 << 7),
    )


def require_success(result: CompletedTool, option: str) -> None:
    """Require that hdparm has succeeded.

    Raises:
        RefusalError: it failed; with its last line.
    """
    if result.status:
        raise RefusalError(f"hdparm {option} failed: {result.last_error_line}")


def _checksum_ok(words: list[int]) -> bool:
    """Whether the checksum is right, or there is none (ACS-3, word 255)."""
    if words[255] & 0xFF != _SIGNATURE:
        return any(words)
    return sum((word & 0xFF) + (word >> 8) for word in words) % 256 == 0


def _feature_word_valid(word: int) -> bool:
    """Whether a word of feature bits is valid: bit 14 set, bit 15 clear."""
    return word >> 14 == 1
