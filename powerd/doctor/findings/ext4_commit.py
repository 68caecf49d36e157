"""ext4 commits its journal later than powerd watches for it.

Cause: ext4 writes changes of files, directories and times of access to its journal every ``commit=``
seconds, 5 by default. Before powerd stops a disk it waits until nothing is left to be written, and watches
for such commits, for two minutes at most. A longer interval is often recommended for disks that sleep.

Cost: a commit that was still due starts the disk soon after it was stopped. The default costs nothing: a
longer interval delays the start of the disk by a change, and does not avoid it, because a commit writes also
what was created and deleted meanwhile.

Remedy: an interval of 60 s or less, in /etc/fstab.

Source: ext4(5), "commit=".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_COMMIT: Final = re.compile(r"^commit=(\d+)$", re.MULTILINE)
_LONGEST: Final = 115
"""Seconds: the helper watches for 120 (helper/protocol/deadlines.py, MAX_QUIET_WINDOW), less its rounding."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to each mounted ext4 with an interval beyond the watch."""
    seen: set[str] = set()
    for mount, disks, devices in machine.mounts_on_disks():
        for device in devices:
            found = _COMMIT.search(machine.text(f"/proc/fs/ext4/{device}/options"))
            if device in seen or found is None or int(found[1]) <= _LONGEST:
                continue
            seen.add(device)
            yield Diagnosis(
                f"ext4_commit:{device}",
                mount.mount_point,
                f"Changes wait for up to {found[1]} s before they are written to {', '.join(disks)}, "
                "longer than powerd watches: the disk may start soon after it was stopped.",
                "Commit at least once a minute.",
                disks=disks,
                by_hand=f"/etc/fstab, {mount.mount_point}: replace commit={found[1]} by commit=60\n"
                f"mount -o remount,commit=60 {shlex.quote(mount.mount_point)}",
                accesses=AccessPattern(comms=(f"jbd2/{device}-8"[:15],)),
            )
