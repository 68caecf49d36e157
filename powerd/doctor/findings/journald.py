"""systemd-journald writes the journal to a hard disk.

Cause: with ``Storage=persistent``, or ``auto`` and an existing /var/log/journal, each log line goes to a
file in /var/log/journal. The file is mapped into memory, so the kernel writes its changed pages 30 s later
(vm.dirty_expire_centisecs), and journald calls fsync(2) every ``SyncIntervalSec=``, 5 minutes by default,
and at once after a message of priority critical or higher. A longer SyncIntervalSec= alone does not avoid
the first of these.

Cost: a server that logs one line in the time until a spin-down never lets that disk stop.

Remedy: the journal in memory, ``Storage=volatile``, limited to 64 MB. The journal of earlier boots stays
on the disk; the journal of this boot is lost at a restart and by a crash, whose cause it might show, unless
rsyslog writes files.

Source: journald.conf(5), systemd-journald.service(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine, last
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "keeps the journal in memory, by a drop-in of journald.conf"
_DIRECTORY: Final = "/var/log/journal"
_DROP_IN: Final = OwnFile(
    "/etc/systemd/journald.conf.d/zz-powerd.conf", "[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\n"
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the journal is configured to be written to a hard disk."""
    settings = machine.config("journald.conf")
    storage = last(settings, "Journal.Storage", "auto")
    persistent = storage == "persistent" or (storage == "auto" and machine.exists(_DIRECTORY))
    disks = machine.disks_of(_DIRECTORY)
    if not persistent or not disks:
        return
    interval = last(settings, "Journal.SyncIntervalSec", "5min")
    yield Diagnosis(
        "journald",
        f"the journal in {_DIRECTORY}",
        f"Each log line is written to {', '.join(disks)} half a minute later by the kernel, and again when "
        f"journald synchronises the file ({interval}).",
        "The journal is kept in memory, at most 64 MB; that of the running system is lost at a restart, "
        "and by a crash, whose cause it would tell.",
        disks=disks,
        files=(_DROP_IN,),
        commands=(restart("systemd-journald.service"),),
        accesses=AccessPattern(
            units=("systemd-journald.service",), comms=("systemd-journal",), paths=(f"{_DIRECTORY}/",)
        ),
    )
