"""A mirror of an SSD and a hard disk reads from both.

Cause: md(4) spreads reads over the members of a RAID 1. Writes, and with them the superblock and the
write-intent bitmap (at most 15 seconds later), go to all members in any case: a write to the array starts all
of them.

Cost: each read from such an array may start the hard disk, although the SSD has the data.

Remedy: the hard disk is marked "write-mostly": md reads from it only if no other member can answer. The
mark is stored in the superblock.

Source: md(4) (WRITE-MOSTLY), Documentation/admin-guide/md.rst of Linux (dev-XXX/state, safe_mode_delay,
bitmap/time_base).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, SystemCommand

FIX: Final = "marks the hard disks of the mirror as write-mostly"
_MEMBER: Final = "dev-"
_NAME: Final = re.compile(r"md[\w.-]*")
_MEMBER_NAME: Final = re.compile(r"dev-[\w.-]+")
"""Names without a character that the shell interprets."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per RAID 1 with hard disks and other members, while a hard disk is not marked."""
    for array in filter(_NAME.fullmatch, machine.listdir("/sys/block")):
        directory = f"/sys/block/{array}/md"
        if machine.text(f"{directory}/level") != "raid1":
            continue
        members = [name for name in machine.listdir(directory) if _MEMBER_NAME.fullmatch(name)]
        disks = {name: machine.disks_below([name.removeprefix(_MEMBER)]) for name in members}
        unmarked = [
            name
            for name in members
            if disks[name] and "write_mostly" not in machine.text(f"{directory}/{name}/state").split(",")
        ]
        if not unmarked or all(disks.values()):
            continue
        names = tuple(sorted({disk for name in unmarked for disk in disks[name]}))
        yield Diagnosis(
            f"md:{array}",
            f"the mirror {array}",
            f"It reads from {', '.join(names)} as well as from its members that are not hard disks.",
            "md reads from the hard disks only if no other member can answer; writes still go to all "
            "members.",
            disks=names,
            commands=tuple(
                SystemCommand(
                    ("sh", "-c", f"echo writemostly >{directory}/{name}/state"),
                    ("sh", "-c", f"echo -writemostly >{directory}/{name}/state"),
                )
                for name in unmarked
            ),
            accesses=AccessPattern(comms=(f"{array}_raid1",)),
        )
