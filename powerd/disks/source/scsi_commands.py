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


def parse_count(text: str | None) -> int | None:
    """The count; None = there is none."""
    return int(text, 16) if text and _COUNT.fullmatch(text) else None


class CommandCounter:
    """Those to one disk.

    Each ``count`` is what parse() gives just then.

    Attributes:
        last_passthrough_at: CLOCK_MONOTONIC of the look that last found commands of others and no I/O;
            None = none has.
    """

    def __init__(self) -> None:
        self.last_passthrough_at: float | None = None
        self._own_start: int | None = None
        self._own_count = 0
        self._foreign_count: int | None = None

    def begin_own(self, count: int | None) -> None:
        """An order of powerd's own is being obeyed from now on: until its end, all commands are its own."""
        self._own_start = count

    def end_own(self, count: int | None) -> None:
        """It has been."""
        if count is None or self._own_start is None:
            self._foreign_count = None
        else:
            self._own_count += count - self._own_start
        self._own_start = None

    def update(self, count: int | None, now: float, *, no_io: bool, own_running: bool = False) -> None:
        """Compare with the look before; a smaller count is a new device's.

        Args:
            count: read before the counters of I/O, so that these hold whatever it holds.
            now: CLOCK_MONOTONIC.
            no_io: there was no I/O meanwhile, of which these would be the commands.
            own_running: an order of powerd's own is under way.
        """
        if own_running:
            self.end_own(count)
            self.begin_own(count)
        foreign_count = None if count is None else count - self._own_count
        if (
            no_io
            and foreign_count is not None
            and self._foreign_count is not None
            and foreign_count > self._foreign_count
        ):
            self.last_passthrough_at = now
        self._foreign_count = foreign_count
