"""The SCSI commands that Linux sends to a SATA disk behind a SAT layer (SPC-4, SBC-3)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vm.drive_simulator import identify, sat
from vm.drive_simulator.ata import execute
from vm.drive_simulator.drive import Drive, Traits
from vm.drive_simulator.identify import RPM, SECTOR

GOOD, CHECK_CONDITION = 0x00, 0x02
_NO_SENSE, _ILLEGAL_REQUEST = 0x0, 0x5
_INVALID_OPCODE, _OUT_OF_RANGE, _INVALID_FIELD = 0x20, 0x21, 0x24
_READS: Final = frozenset({0x08, 0x28, 0xA8, 0x88})
_WRITES: Final = frozenset({0x0A, 0x2A, 0xAA, 0x8A})
_NOTHING_TO_DO: Final = frozenset({0x00, 0x35, 0x91, 0x1E, 0x2F, 0x8F, 0x42})
"""TEST UNIT READY, SYNCHRONIZE CACHE, PREVENT REMOVAL, VERIFY, UNMAP: done as soon as asked."""
_CACHING: Final = 0x08
_ALL_PAGES: Final = 0x3F


@dataclass(frozen=True)
class Answer:
    """The response to a command: the SCSI status, the data read, the sense data."""

    status: int = GOOD
    data: bytes = b""
    sense: bytes = b""


class Disk:
    """``drive`` as a SCSI disk, with its content."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._platters = _content(drive.traits)

        self._commands: dict[int, Callable[[bytes], Answer]] = {
            0x03: lambda _: Answer(data=_sense(_NO_SENSE)),
            0x12: self._inquiry,
            **dict.fromkeys((0x1A, 0x5A), self._mode_sense),
            0x1B: self._start_stop,
            **dict.fromkeys((0x25, 0x9E), self._capacity),
            **dict.fromkeys(_NOTHING_TO_DO, lambda _: Answer()),
        }
        if drive.traits.sat:
            self._commands |= dict.fromkeys((sat.PASS_THROUGH_12, sat.PASS_THROUGH_16), self._pass_through)

    def answer(self, cdb: bytes, given: bytes) -> Answer:
        """Execute one command; ``given`` is the data to write."""
        opcode = cdb[0]
        if opcode in _READS | _WRITES:
            return self._move(cdb, given)
        if opcode in self._commands:
            return self._commands[opcode](cdb)
        return refusal(_INVALID_OPCODE)

    def _pass_through(self, cdb: bytes) -> Answer:
        result = execute(self._drive, sat.taskfile(cdb))
        sense = sat.sense(cdb, result)
        return Answer(CHECK_CONDITION if sense else GOOD, result.data, sense)

    def _move(self, cdb: bytes, given: bytes) -> Answer:
        """READ and WRITE of 6, 10, 12 and 16 bytes."""
        block, blocks = extent(cdb)
        start, end = block * SECTOR, (block + blocks) * SECTOR
        if end > len(self._platters):
            return refusal(_OUT_OF_RANGE)
        if cdb[0] in _READS:
            self._drive.use(f"read {block}+{blocks}")
            self._drive.counts.reads += 1
            return Answer(data=self._platters[start:end])
        self._drive.use(f"write {block}+{blocks}")
        self._drive.counts.writes += 1
        self._platters[start:end] = given[: end - start]
        return Answer()

    def _start_stop(self, cdb: bytes) -> Answer:
        """START STOP UNIT, by its START bit or a power condition (1 active, 2 idle, 3 standby)."""
        condition, start = cdb[4] >> 4, cdb[4] & 1
        self._drive.note(f"start-stop condition={condition} start={start}")
        if condition == 1 or (condition == 0 and start):
            self._drive.use("start-stop")
        elif condition in {0, 3}:
            self._drive.spin_down("start-stop")
        return Answer()

    def _capacity(self, cdb: bytes) -> Answer:
        """READ CAPACITY (10) and (16)."""
        last = len(self._platters) // SECTOR - 1
        if cdb[0] == 0x25:
            return Answer(data=struct.pack(">II", min(last, 0xFFFFFFFF), SECTOR))
        if cdb[1] & 0x1F == 0x10:
            return Answer(data=struct.pack(">QI20x", last, SECTOR))
        return refusal(_INVALID_OPCODE)

    def _mode_sense(self, cdb: bytes) -> Answer:
        """The caching page, with the state of the write cache; the header reports DPO and FUA."""
        page = b""
        if cdb[2] & 0x3F in {_CACHING, _ALL_PAGES}:
            page = bytes([_CACHING, 18, 4 if self._drive.traits.write_cache else 0]).ljust(20, b"\0")
        if cdb[0] == 0x1A:
            return Answer(data=bytes([3 + len(page), 0, 0x10, 0]) + page)
        return Answer(data=struct.pack(">HBBHH", 6 + len(page), 0, 0x10, 0, 0) + page)

    def _inquiry(self, cdb: bytes) -> Answer:
        """INQUIRY; by the vendor "ATA" Linux and the tools recognise a SATA disk."""
        traits = self._drive.traits
        if not cdb[1] & 1:
            head = bytes([0, 0, 6, 2, 92, 0, 0, 2]) + b"ATA     "
            names = traits.model.encode().ljust(16)[:16] + identify.FIRMWARE.encode()[:4]
            standards = struct.pack(">HHH", 0x00C0, 0x04C0, 0x0600)  # SAM-5, SPC-4, SBC-4
            return Answer(data=((head + names).ljust(58, b"\0") + standards).ljust(96, b"\0"))
        pages = self._vital()
        if cdb[2] not in pages:
            return refusal(_INVALID_FIELD)
        body = pages[cdb[2]]
        return Answer(data=struct.pack(">BBH", 0, cdb[2], len(body)) + body)

    def _vital(self) -> dict[int, bytes]:
        """The pages of vital product data that it has: the list of them first."""
        serial = self._drive.traits.serial.encode().rjust(20)
        name = identify.wwn(self._drive.traits).to_bytes(8, "big")
        pages = {
            0x80: serial,
            0x83: bytes([2, 0, 0, len(serial)]) + serial + bytes([1, 3, 0, len(name)]) + name,
            0xB0: bytes(60),
            0xB1: struct.pack(">H58x", RPM),
        }
        if self._drive.traits.sat:
            layer = b"linux   libata          3.00".ljust(48, b"\0")
            pages[0x89] = bytes(4) + layer + bytes([0xEC, 0, 0, 0]) + identify.page(self._drive)
        return {0x00: bytes([0, *sorted(pages)]), **pages}


def _content(traits: Traits) -> mmap.mmap:
    if not traits.image:
        return mmap.mmap(-1, traits.size)
    with Path(traits.image).open("rb") as file:
        return mmap.mmap(file.fileno(), traits.size, access=mmap.ACCESS_COPY)


def extent(cdb: bytes) -> tuple[int, int]:
    """The first block and the number of blocks of a READ or WRITE."""
    match cdb[0] >> 5:
        case 0:  # six bytes: 21 bits of address, and 0 blocks are 256
            return int.from_bytes(cdb[1:4], "big") & 0x1FFFFF, cdb[4] or 256
        case 1:
            return int.from_bytes(cdb[2:6], "big"), int.from_bytes(cdb[7:9], "big")
        case 5:
            return int.from_bytes(cdb[2:6], "big"), int.from_bytes(cdb[6:10], "big")
    return int.from_bytes(cdb[2:10], "big"), int.from_bytes(cdb[10:14], "big")


def refusal(code: int) -> Answer:
    """CHECK CONDITION, ILLEGAL REQUEST, and the additional sense code."""
    return Answer(CHECK_CONDITION, sense=_sense(_ILLEGAL_REQUEST, code))


def _sense(key: int, code: int = 0) -> bytes:
    """Sense data in fixed format."""
    return bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code]).ljust(18, b"\0")
