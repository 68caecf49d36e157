"""OpenZFS 2.4 writes the times of its transactions to every pool each 10 minutes.

Cause: the database of transaction times, which ``zpool scrub -S`` and ``-E`` use, is saved every
``spa_flush_txg_time`` seconds, 600 by default, even when nothing has been written to the pool.

Reading a file also writes its time of access to a dataset with ``atime=on``, the default: at each read, or
once in 24 hours with ``relatime=on``.

Cost: the disks of every imported pool are started every 10 minutes, or never stop.

Remedy: the database is noted and saved once a day. A scrub by date is then accurate to a day. Where the
root file system is on ZFS, ``update-initramfs -u`` makes the setting part of the next start.

Times of access are switched off by hand, because a property is stored in the pool.

Source: zfsprops(7) (atime, relatime), zfs(4) of OpenZFS 2.4 (spa_note_txg_time, spa_flush_txg_time),
modprobe.d(5); reported as https://github.com/openzfs/zfs/issues/18082.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile, SystemCommand

FIX: Final = "saves the transaction times once a day, by a fragment of modprobe.d and at once"
_PARAMETERS: Final = "/sys/module/zfs/parameters"
_NAMES: Final = ("spa_note_txg_time", "spa_flush_txg_time")
_DAY: Final = 86400


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to mounted pools on hard disks, to the times of transactions and to those of access."""
    yield from _transaction_times(machine)
    mounts = {
        mount.source: names
        for mount, names, _ in machine.mounts_on_disks()
        if mount.fs_type == "zfs" and "rw" in mount.options and "noatime" not in mount.options
    }
    if mounts:
        disks = tuple(sorted({disk for names in mounts.values() for disk in names}))
        yield Diagnosis(
            "zfs:atime",
            ", ".join(mounts),
            f"Reading a file writes its time of access to {', '.join(disks)}.",
            "Switch times of access off. Few programs need them: mutt with mbox files, and tmpreaper.",
            disks=disks,
            by_hand="\n".join(f"zfs set atime=off {shlex.quote(dataset)}" for dataset in mounts),
            accesses=AccessPattern(comms=("txg_sync",)),
        )


def _transaction_times(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while they are saved more often than once a day."""
    seconds = {name: machine.number(f"{_PARAMETERS}/{name}") for name in _NAMES}
    disks = {
        disk for mount, names, _ in machine.mounts_on_disks() if mount.fs_type == "zfs" for disk in names
    }
    often = seconds["spa_flush_txg_time"]
    if often is None or often >= _DAY or not disks:
        return
    known = {name: value for name, value in seconds.items() if value is not None}
    options = " ".join(f"{name}={_DAY}" for name in known)
    yield Diagnosis(
        "zfs",
        "the times of transactions of the mounted pools",
        f"They are written to {', '.join(sorted(disks))} every {often} seconds.",
        "They are written once a day. With the root file system on ZFS, run update-initramfs -u afterwards.",
        disks=tuple(sorted(disks)),
        files=(OwnFile("/etc/modprobe.d/zz-powerd-zfs.conf", f"options zfs {options}\n"),),
        commands=tuple(
            SystemCommand(_set(name, _DAY), _set(name, previous)) for name, previous in known.items()
        ),
        accesses=AccessPattern(comms=("txg_sync",)),
    )


def _set(name: str, value: int) -> tuple[str, ...]:
    """The command that sets a parameter of the loaded module."""
    return ("sh", "-c", f"echo {value} >{_PARAMETERS}/{name}")
