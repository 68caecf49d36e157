"""The kernel's end of a TCM-USER device: a ring of commands in memory that is shared by its UIO device.

Format: include/uapi/linux/target_core_user.h, Documentation/target/tcmu-design.rst.
"""

from __future__ import annotations

import mmap
import os
import select
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vm.drive_simulator.scsi import Answer

_HEAD_AT: Final = 12
_TAIL_AT: Final = 64
_PAD, _COMMAND = 0, 1
_UNKNOWN_OP, _READ_LENGTH = 0x1, 0x2
_ENTRY: Final = struct.Struct("<III4xQ")
"""Numbers of vectors (data, bidirectional, protection), and where the command block stands."""
_VECTOR: Final = struct.Struct("<QQ")
_VECTORS_AT: Final = 48
_RESPONSE: Final = struct.Struct("<BBHI96s")
_CDB: Final = 16


class Ring:
    """The ring of the UIO device ``/dev/NAME``.

    Args:
        name: e.g. ``uio0``.
    """

    def __init__(self, name: str) -> None:
        size = int(Path("/sys/class/uio", name, "maps/map0/size").read_text(), 0)
        self._file = os.open(f"/dev/{name}", os.O_RDWR | os.O_CLOEXEC)
        self._memory = mmap.mmap(self._file, size)
        self._start, self._size = struct.unpack_from("<II", self._memory, 4)
        (self._tail,) = struct.unpack_from("<I", self._memory, _TAIL_AT)

    def wait(self, seconds: float) -> None:
        """Wait until the kernel signals a command, or for this number of seconds."""
        if select.select([self._file], [], [], seconds)[0]:
            os.read(self._file, 4)

    def work(self, answer: Callable[[bytes, bytes], Answer], settle: Callable[[], None]) -> None:
        """Answer every command in the ring, in its order; the kernel is notified after ``settle``."""
        worked = False
        while self._tail != struct.unpack_from("<I", self._memory, _HEAD_AT)[0]:
            entry = self._start + self._tail
            (reading,) = struct.unpack_from("<I", self._memory, entry)
            kind, length = reading & 7, reading & ~7
            if kind == _COMMAND:
                self._answer(entry, answer)
            elif kind != _PAD:
                self._flag(entry, _UNKNOWN_OP)
            self._tail = (self._tail + length) % self._size
            struct.pack_into("<I", self._memory, _TAIL_AT, self._tail)
            worked = True
        if worked:
            settle()
            os.write(self._file, b"\1\0\0\0")

    def _answer(self, entry: int, answer: Callable[[bytes, bytes], Answer]) -> None:
        memory = self._memory
        count, _, _, cdb = _ENTRY.unpack_from(memory, entry + 8)
        first = entry + _VECTORS_AT
        vectors = [_VECTOR.unpack_from(memory, first + place * _VECTOR.size) for place in range(count)]
        given = b"".join(memory[base : base + length] for base, length in vectors)
        output = answer(memory[cdb : cdb + _CDB], given)
        left = output.data
        for base, length in vectors:
            piece, left = left[:length], left[length:]
            memory[base : base + len(piece)] = piece
        if output.data and output.status:
            self._flag(entry, _READ_LENGTH)  # the length of the data besides sense
        _RESPONSE.pack_into(memory, entry + 8, output.status, 0, 0, len(output.data), output.sense)

    def _flag(self, entry: int, flag: int) -> None:
        self._memory[entry + 7] |= flag
