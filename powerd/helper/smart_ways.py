"""The ways in which smartctl(8) may reach a drive (``-d``), and whether one of them did."""

from __future__ import annotations

from typing import Final

from powerd.helper.disks import Disk
from powerd.model import Fault

_NOT_REACHED: Final = Fault.USAGE | Fault.OPEN


def kinds(disk: Disk, known: str = "") -> tuple[str, ...]:
    """Device types to try, the most likely first.

    smartctl knows many USB bridges by their number ("auto", which sends nothing); most of the others are SAT.
    """
    if disk.is_nvme:
        return ("nvme",)
    if disk.pure_scsi:
        return ("scsi",)
    if disk.on_usb:
        return tuple(dict.fromkeys((*filter(None, (known,)), "auto", "sat", "sat,12")))
    return ("sat",)


def reached(status: int) -> bool:
    """Whether smartctl got as far as the drive, by its exit status."""
    return not Fault(status & 0xFF) & _NOT_REACHED
