"""Swap space lies on a hard disk.

Cause: the kernel moves memory that is not used to the swap space, and back when it is, for any program.

Cost: a read or write at any time; powerd leaves a disk with swap space in use alone unless a rule names it.

Remedy: swap space in compressed memory (zram) or on an SSD, and none on the hard disk. ``vm.swappiness`` only
reduces it.

Source: swapon(8), Documentation/admin-guide/blockdev/zram.rst.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from powerd.disks.source.mountinfo import unescape_octal
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_USED: Final = 3  # the column of /proc/swaps (proc_swaps(5)): KiB in use
_DELETED: Final = " (deleted)"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to each swap area on a hard disk."""
    for row in machine.text("/proc/swaps").splitlines()[1:]:
        columns = row.split()
        area = unescape_octal(columns[0]).removesuffix(_DELETED) if columns else ""
        disks = machine.swap_disks(area)
        if not disks:
            continue
        used = columns[_USED] if len(columns) > _USED else "0"
        state = f"{used} KiB are in use" if used != "0" else "it is not in use now"
        yield Diagnosis(
            f"swap:{area}",
            area,
            f"The kernel may use swap space on {', '.join(disks)} at any time; {state}.",
            "Use compressed memory instead, with the package zram-tools or systemd-zram-generator, or an "
            "SSD; then remove this area:",
            disks=disks,
            by_hand=f"swapoff {shlex.quote(area)}\n{_fstab_line(machine, area)}",
            accesses=AccessPattern(comms=("kswapd0",)),
        )


def _fstab_line(machine: Machine, area: str) -> str:
    """The line of /etc/fstab to comment out."""
    for number, line in enumerate(machine.text("/etc/fstab").splitlines(), 1):
        fields = line.split()
        if len(fields) > _USED - 1 and not line.startswith("#") and fields[2] == "swap":
            source = fields[0]
            if source == area or not source.startswith(
                "/"
            ):  # a UUID is not resolved: it names some swap area
                return f"/etc/fstab, line {number}, put # before: {line}"
    return "and its unit or its line in /etc/fstab"
