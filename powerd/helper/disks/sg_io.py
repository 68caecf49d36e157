"""SCSI commands to a disk through the SG_IO ioctl, for disks without ATA commands; all functions block.

struct sg_io_hdr is that of <scsi/sg.h>. START STOP UNIT and its power conditions are in SBC-3, REQUEST
SENSE and sense data in SPC-4. CAP_SYS_RAWIO is required, because the disk is opened for reading only.
"""

from __future__ import annotations

import array
import fcntl
import os
import struct
from typing import Final, NamedTuple

from powerd.disks.model import PowerMode
from powerd.helper.disks.device import DiskDevice, open_disk
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.deadlines import MOTOR_COMMAND

_SG_IO: Final = 0x2285
_HEADER_IN: Final = struct.Struct("@iiBBHIPPPIIiP")  # up to usr_ptr
_HEADER_OUT: Final = struct.Struct("@BBBBHHiII0P")  # the rest, with padding
_NO_DATA, _FROM_DEVICE = -1, -3  # SG_DXFER_NONE, SG_DXFER_FROM_DEV
_REQUEST_SENSE, _START_STOP_UNIT = 0x03, 0x1B
_STANDBY: Final = 3 << 4
_SENSE_SIZE: Final = 252
_FIXED, _DESCRIPTOR = {0x70, 0x71}, {0x72, 0x73}
_NOT_READY: Final = 2
_NEEDS_START: Final = {(0x04, 0x02), (0x04, 0x11)}
_SELF_TEST_IN_PROGRESS: Final = (
    0x04,
    0x09,
)  # "logical unit not ready, self-test in progress", which a ready drive may report too
_LOW_POWER: Final = 0x5E
_STANDBY_QUALIFIERS: Final = {0x02, 0x04, 0x09, 0x0A}
_IDLE_QUALIFIERS: Final = {0x01, 0x03, 0x05, 0x06, 0x07, 0x08}


class _SgIoResult(NamedTuple):
    """The fields of struct sg_io_hdr from the status on."""

    status: int
    masked_status: int
    msg_status: int
    sense_length: int
    host_status: int
    driver_status: int
    residue: int
    duration: int
    info: int


class Sense(NamedTuple):
    """Sense data: key, additional sense code and its qualifier."""

    key: int
    code: int
    qualifier: int


def spin_down(disk: DiskDevice) -> None:
    """Spin the disk down by START STOP UNIT: one command.

    ATA and USB disks spin up at the next access. A stopped SAS disk does not, so it is set to the power
    condition STANDBY instead.

    Raises:
        RefusalError: the disk refuses.
    """
    descriptor = open_disk(disk)
    try:
        _send(descriptor, stop_command(without_power_condition=not disk.scsi_only), 0, disk)
    finally:
        os.close(descriptor)


def read_power(disk: DiskDevice) -> PowerMode:
    """The power mode of a SCSI disk by REQUEST SENSE, which wakes no disk: one command.

    Raises:
        RefusalError: the disk refuses.
    """
    return power_of(_request_sense(disk))


def self_test_in_progress(disk: DiskDevice) -> bool:
    """Whether a SCSI disk reports a running self-test in REQUEST SENSE; not all do.

    Raises:
        RefusalError: the disk refuses.
    """
    sense = sense_of(_request_sense(disk))
    return sense is not None and sense[1:] == _SELF_TEST_IN_PROGRESS


def stop_command(*, without_power_condition: bool) -> bytes:
    """START STOP UNIT with START=0, or with the power condition STANDBY."""
    return bytes([_START_STOP_UNIT, 0, 0, 0, 0 if without_power_condition else _STANDBY, 0])


def power_of(data: bytes) -> PowerMode:
    """The power mode in the response to REQUEST SENSE; no sense means that the disk is spinning."""
    sense = sense_of(data)
    if sense is None:
        return PowerMode.UNKNOWN
    if sense.code == _LOW_POWER:
        if sense.qualifier in _STANDBY_QUALIFIERS:
            return PowerMode.STANDBY
        return PowerMode.ACTIVE if sense.qualifier in _IDLE_QUALIFIERS else PowerMode.UNKNOWN
    if sense[1:] == _SELF_TEST_IN_PROGRESS:
        return PowerMode.ACTIVE
    if sense.key == _NOT_READY:
        return PowerMode.STANDBY if (sense.code, sense.qualifier) in _NEEDS_START else PowerMode.UNKNOWN
    return PowerMode.ACTIVE if sense == (0, 0, 0) else PowerMode.UNKNOWN


def sense_of(data: bytes) -> Sense | None:
    """Sense data in fixed or descriptor format (SPC-4, 4.5); None = neither."""
    kind = data[0] & 0x7F if data else 0
    if kind in _FIXED and len(data) >= 14:  # noqa: PLR2004 - through the qualifier
        return Sense(data[2] & 0x0F, data[12], data[13])
    if kind in _DESCRIPTOR and len(data) >= 4:  # noqa: PLR2004 - through the qualifier
        return Sense(data[1] & 0x0F, data[2], data[3])
    return None


def _request_sense(disk: DiskDevice) -> bytes:
    """The sense data of the disk: one command, which wakes no disk."""
    descriptor = open_disk(disk)
    try:
        return _send(descriptor, bytes([_REQUEST_SENSE, 0, 0, 0, _SENSE_SIZE, 0]), _SENSE_SIZE, disk)
    finally:
        os.close(descriptor)


def _send(descriptor: int, command: bytes, size: int, disk: DiskDevice) -> bytes:
    """Send a command, and return its data, at most ``size`` bytes."""
    cdb, data, sense = (array.array("B", content) for content in (command, bytes(size), bytes(_SENSE_SIZE)))
    header = bytearray(
        _HEADER_IN.pack(
            *(ord("S"), _FROM_DEVICE if size else _NO_DATA, len(command), _SENSE_SIZE, 0, size),
            *(data.buffer_info()[0], cdb.buffer_info()[0], sense.buffer_info()[0]),
            *(round(MOTOR_COMMAND * 1000), 0, 0, 0),  # the kernel's timeout
        )
        + bytes(_HEADER_OUT.size)
    )
    try:
        fcntl.ioctl(descriptor, _SG_IO, header)
    except OSError as error:
        raise RefusalError(f"{disk.name} accepts no SCSI command: {error.strerror or error}") from None
    result = _SgIoResult(*_HEADER_OUT.unpack_from(header, _HEADER_IN.size))
    if result.status or result.host_status:
        codes = sense_of(sense.tobytes()[: result.sense_length])
        detail = (
            "/".join(f"{part:02x}" for part in codes) if codes else f"host status {result.host_status:#x}"
        )
        raise RefusalError(f"{disk.name} refuses SCSI command {command[0]:#04x}: {detail} (sense); see dmesg")
    return data.tobytes()[: size - result.residue]
