"""Counts the passthrough commands of other programs to a SCSI disk, by its ``device/iorequest_cnt``.

Passthrough commands (SG_IO: smartctl, hdparm, sg3_utils) bypass the block layer and may start a drive. Since
Linux 5.18 ``/sys/block/X/stat`` does not include them. ``iorequest_cnt`` does: it counts each command that is
dispatched to the device (scsi_dispatch_cmd() in drivers/scsi/scsi_lib.c), and reads ``0x1f3``
(drivers/scsi/scsi_sysfs.c). NVMe, virtio and MMC have no such file.
"""

from __future__ import annotations

import re
from typing import Final

_COUNT: Final = re.compile(r"0x[0-9a-f]{1,16}")


def parse_count(text: str | None) -> int | None:
    """The count; None = the file is missing or has another format."""
    return int(text, 16) if text and _COUNT.fullmatch(text) else None


class CommandCounter:
    """The commands to one disk.

    Each ``count`` is what parse_count() yields at that moment.

    Attributes:
        last_passthrough_at: CLOCK_MONOTONIC of the update that last found commands of other programs without
            I/O; None = none did.
    """

    def __init__(self) -> None:
        self.last_passthrough_at: float | None = None
        self._own_start: int | None = None
        self._own_count = 0
        self._foreign_count: int | None = None

    def begin_own(self, count: int | None) -> None:
        """An action of powerd starts; until end_own(), all commands are powerd's own."""
        self._own_start = count

    def end_own(self, count: int | None) -> None:
        """The action has ended."""
        if count is None or self._own_start is None:
            self._foreign_count = None
        else:
            self._own_count += count - self._own_start
        self._own_start = None

    def update(self, count: int | None, now: float, *, no_io: bool, own_running: bool = False) -> None:
        """Compare with the update before; a smaller count is that of a new device.

        Args:
            count: read before the I/O counters, so that these include every I/O that it includes.
            now: CLOCK_MONOTONIC.
            no_io: there was no I/O since the update before.
            own_running: an action of powerd is running.
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
