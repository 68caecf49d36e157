"""The kernel writes changed data later than powerd watches for it.

Cause: the kernel writes changed data when it is ``vm.dirty_expire_centisecs`` old, 30 s by default, by
threads that wake up every ``vm.dirty_writeback_centisecs``, 5 s by default; 0 means never.
laptop-mode-tools, TLP and recipes for sleeping disks raise both to minutes. Before powerd stops a disk it
waits until nothing is left to be written; before Linux 6.10 it cannot see all of that, and watches for 36 s.

Cost: data that was still due starts the disk soon after it was stopped, and a crash loses more of it. The
default costs nothing: later writes delay the start of a disk, and do not avoid it.

Remedy: the defaults of the kernel.

Source: Documentation/admin-guide/sysctl/vm.rst, sysctl.d(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import Diagnosis, OwnFile, SystemCommand

FIX: Final = "sets the kernel's defaults, by a file in /etc/sysctl.d"
_OWN: Final = OwnFile(
    "/etc/sysctl.d/zz-powerd-writeback.conf",
    "vm.dirty_expire_centisecs = 3000\nvm.dirty_writeback_centisecs = 500\n",
)
"""``zz``: the last file that sets a value counts."""
_LONGEST: Final = 3600
"""Hundredths of a second: what the helper watches for (helper/disks/dirty_data.py, EXPIRY_SECONDS)."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while changed data may wait longer than the watch."""
    expire = machine.number("/proc/sys/vm/dirty_expire_centisecs")
    interval = machine.number("/proc/sys/vm/dirty_writeback_centisecs")
    if (
        not machine.disks
        or expire is None
        or interval is None
        or (interval and expire + interval <= _LONGEST)
    ):
        return
    wait = f"for up to {(expire + interval) / 100:g} s" if interval else "until memory is needed"
    yield Diagnosis(
        "writeback",
        "vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs",
        f"Changed data waits {wait} before it is written, longer than powerd watches: a disk may start "
        "soon after it was stopped.",
        "The kernel's defaults, 30 s and 5 s. A program that sets the values later, such as "
        "laptop-mode-tools, has to be configured as well.",
        disks=tuple(sorted(machine.disks)),
        files=(_OWN,),
        commands=(
            SystemCommand(
                ("sysctl", "-p", _OWN.path),
                (
                    "sysctl",
                    "-w",
                    f"vm.dirty_expire_centisecs={expire}",
                    f"vm.dirty_writeback_centisecs={interval}",
                ),
            ),
        ),
    )
