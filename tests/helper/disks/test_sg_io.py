"""SCSI commands: what is sent, in the kernel's own layout, and what is made of the answers."""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import LoopDevices
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.disks import sg_io
from powerd.helper.disks.device import find_disk
from powerd.helper.errors import RefusalError


class Header(ctypes.Structure):
    """struct sg_io_hdr, field by field as in <scsi/sg.h>."""

    _fields_ = (
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )


SPINS: Final = bytes([0x70, 0, 0, 0, 0, 0, 0, 10, *[0] * 10])
ILLEGAL: Final = bytes([0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0, 0, 0])


class Kernel:
    """Answers SG_IO as the kernel does: through the addresses in the header."""

    def __init__(self, data: bytes = b"", sense: bytes = b"", host: int = 0) -> None:
        self.commands: list[bytes] = []
        self._data = data
        self._sense = sense
        self._host = host

    def ioctl(self, _descriptor: int, request: int, buffer: bytearray) -> int:
        assert request == 0x2285
        assert len(buffer) == ctypes.sizeof(Header)
        header = Header.from_buffer(buffer)
        assert (chr(header.interface_id), header.timeout, header.iovec_count) == ("S", 40_000, 0)
        assert (header.dxfer_direction, bool(header.dxferp)) in {(-1, False), (-3, True)}
        self.commands.append(ctypes.string_at(header.cmdp, header.cmd_len))
        if header.dxfer_direction == -3:
            ctypes.memmove(header.dxferp, self._data, len(self._data))
            header.resid = header.dxfer_len - len(self._data)
        ctypes.memmove(header.sbp, self._sense, len(self._sense))
        header.status = 2 if self._sense else 0
        header.sb_len_wr = len(self._sense)
        header.host_status = self._host
        return 0


@pytest.fixture
def drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDrives:
    drives = FakeDrives(tmp_path, "sda")
    monkeypatch.setattr(sg_io, "open_disk", lambda _disk: os.open("/dev/null", os.O_RDONLY))
    return drives


def ask(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch, kernel: Kernel, vendor: str = "ATA"
) -> tuple[Callable[[], None], Callable[[], str]]:
    drives.write("sys/block/sda/device/vendor", f"{vendor:8}\n")
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    disk = find_disk(drives.root, "ata-SDA")
    return lambda: sg_io.spin_down(disk), lambda: sg_io.read_power(disk)


@pytest.mark.parametrize(("vendor", "last"), [("ATA", 0x00), ("SEAGATE", 0x30)])
def test_stop(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch, vendor: str, last: int) -> None:
    """Never a plain stop for a SAS disk, which would not start by itself."""
    kernel = Kernel()
    stand_by, _ = ask(drives, monkeypatch, kernel, vendor)
    stand_by()
    assert kernel.commands == [bytes([0x1B, 0, 0, 0, last, 0])]


def test_read_power(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(SPINS)
    _, read_power = ask(drives, monkeypatch, kernel, "SEAGATE")
    assert read_power() == "active"
    assert kernel.commands == [bytes([0x03, 0, 0, 0, 252, 0])]


def test_refusals(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_by, _ = ask(drives, monkeypatch, Kernel(sense=ILLEGAL))
    with pytest.raises(RefusalError, match=r"ata-SDA .*0x1b: 05/24/00 \(sense\)"):
        stand_by()
    stand_by, _ = ask(drives, monkeypatch, Kernel(host=3))
    with pytest.raises(RefusalError, match=r"ata-SDA .*0x1b: .*0x3"):
        stand_by()


def fixed(key: int, code: int, qualifier: int) -> bytes:
    return bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (SPINS, "active"),
        (fixed(0, 0x5E, 0x04), "standby"),
        (fixed(0, 0x5E, 0x02), "standby"),
        (fixed(0, 0x5E, 0x09), "standby"),
        (fixed(0, 0x5E, 0x03), "active"),
        (fixed(0, 0x5E, 0x00), "unknown"),
        (fixed(2, 0x04, 0x02), "standby"),
        (fixed(2, 0x04, 0x11), "standby"),
        (fixed(2, 0x04, 0x09), "active"),
        (fixed(0, 0x04, 0x09), "active"),
        (fixed(2, 0x3A, 0x00), "unknown"),
        (fixed(6, 0x29, 0x00), "unknown"),
        (bytes([0x72, 0, 0x5E, 0x0A, 0, 0, 0, 0]), "standby"),
        (bytes([0x72, 0, 0, 0, 0, 0, 0, 0]), "active"),
        (b"", "unknown"),
        (bytes([0x70, 0]), "unknown"),
        (bytes([0x72, 0]), "unknown"),
        (b"\x11" * 18, "unknown"),
    ],
)
def test_sense_data_are_parsed(data: bytes, state: str) -> None:
    assert sg_io.power_of(data) == state


@pytest.mark.parametrize(
    ("data", "testing"),
    [
        (fixed(0, 0x04, 0x09), True),
        (fixed(2, 0x04, 0x09), True),
        (bytes([0x72, 0, 0x04, 0x09, 0, 0, 0, 0]), True),
        (fixed(2, 0x04, 0x02), False),
        (SPINS, False),
        (b"", False),
    ],
)
def test_whether_it_tests_itself(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch, data: bytes, *, testing: bool
) -> None:
    kernel = Kernel(data)
    ask(drives, monkeypatch, kernel, "SEAGATE")
    assert sg_io.self_test_in_progress(find_disk(drives.root, "ata-SDA")) is testing
    assert kernel.commands == [bytes([0x03, 0, 0, 0, 252, 0])]


@given(st.binary(max_size=40))
def test_no_answer_upsets_the_parser(data: bytes) -> None:
    assert sg_io.power_of(data) in {"active", "standby", "unknown"}


@pytest.mark.lan
def test_the_real_kernel_knows_that_a_loop_takes_no_scsi(tmp_path: Path) -> None:
    with LoopDevices(tmp_path, 1) as loops:
        disk = find_disk(loops.root, loops.ids[0], allow_loops=True)
        for call in (sg_io.spin_down, sg_io.read_power):
            with pytest.raises(RefusalError, match=r"loop-0 .*: Invalid argument"):
                call(disk)
