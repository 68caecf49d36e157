"""Whose commands go to a SCSI disk, by its ``device/iorequest_cnt``. Pure.

A command that goes past the block layer (SG_IO: smartctl, hdparm, sg3_utils) may wake a drive, and since
Linux 5.18 ``/sys/block/X/stat`` does not hold it. ``iorequest_cnt`` does: it grows by each command that is
handed to the device (scsi_dispatch_cmd() in drivers/scsi/scsi_lib.c), and is shown as ``0x1f3``
(drivers/scsi/scsi_sysfs.c). NVMe, virtio and MMC have no such file.
"""

from __future__ import annotations

import re
from typing import Final

_COUNT: Final = re.compile(r"0x[0-9a-f]{1,16}")


def parse(text: str | None) -> int | None:
    """The count; None = there is none."""
    return int(text, 16) if text and _COUNT.fullmatch(text) else None


class Commands:
    """Those to one disk.

    Each ``count`` is what parse() gives just then.

    Attributes:
        prodded: CLOCK_MONOTONIC of the look that last found commands of others and no I/O; -inf = none has.
    """

    def __init__(self) -> None:
        self.prodded = float("-inf")
        self._begun: int | None = None
        self._own = 0
        self._others: int | None = None

    def begin(self, count: int | None) -> None:
        """An order of powerd's own is being obeyed from now on: until its end, all commands are its own."""
        self._begun = count

    def end(self, count: int | None) -> None:
        """It has been."""
        if count is None or self._begun is None:
            self._others = None
        else:
            self._own += count - self._begun
        self._begun = None

    def look(self, count: int | None, now: float, *, still: bool, obeying: bool = False) -> None:
        """Compare with the look before; a smaller count is a new device's.

        Args:
            count: read before the counters of I/O, so that these hold whatever it holds.
            now: CLOCK_MONOTONIC.
            still: there was no I/O meanwhile, of which these would be the commands.
            obeying: an order of powerd's own is under way.
        """
        if obeying:
            self.end(count)
            self.begin(count)
        others = None if count is None else count - self._own
        if still and others is not None and self._others is not None and others > self._others:
            self.prodded = now
        self._others = others
