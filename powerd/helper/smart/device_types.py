"""The device types by which smartctl(8) may reach a drive (``-d``), and whether it has reached it."""

from __future__ import annotations

from typing import Final

from powerd.helper.disks.device import DiskDevice
from powerd.smart.model import Fault

_NOT_REACHED: Final = Fault.USAGE | Fault.OPEN


def device_types(disk: DiskDevice, previous: str = "") -> tuple[str, ...]:
    """Device types to try, the most likely first.

    smartctl recognises many USB bridges by their id ("auto", which sends nothing); most others are SAT.
    """
    if disk.is_nvme:
        return ("nvme",)
    if disk.scsi_only:
        return ("scsi",)
    if disk.on_usb:
        return tuple(dict.fromkeys((*filter(None, (previous,)), "auto", "sat", "sat,12")))
    return ("sat",)


def drive_reached(status: int) -> bool:
    """Whether smartctl has reached the drive, by its exit status."""
    return not Fault(status & 0xFF) & _NOT_REACHED
