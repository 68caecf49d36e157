"""updatedb reads all directories of the data disks once a day.

Cause: plocate(1), mlocate(1) and the locate(1) of findutils keep a database of all file names. Their
updatedb(8) reads every directory that has changed, and the inode of each directory, of all mounts but those
that /etc/updatedb.conf excludes.

Cost: one start of every data disk a day, and minutes of seeks on a large one.

Remedy: the mounts of the data disks are excluded. locate(1) then finds no files there.

Source: updatedb(8) (--add-prunepaths), updatedb.conf(5), /etc/cron.daily/locate of findutils.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments, quote_argument
from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile

FIX: Final = "excludes the data disks from updatedb, by a drop-in of plocate-updatedb.service"
_SERVICE: Final = "plocate-updatedb.service"
_TIMER: Final = "plocate-updatedb.timer"
_CRON_JOBS: Final = {
    "/etc/cron.daily/mlocate": "/etc/updatedb.conf",
    "/etc/cron.daily/locate": "/etc/updatedb.findutils.cron.local",
}
"""Daily jobs of mlocate (Debian 11) and of findutils, and the file in which each of them takes PRUNEPATHS."""
_FINDUTILS_PATHS: Final = (
    "/tmp /usr/tmp /var/tmp /afs /amd /alex /var/spool /sfs /media /var/lib/schroot/mount"  # noqa: S108 - names that the program excludes
)
"""PRUNEPATHS of /etc/cron.daily/locate, which a value in its configuration file replaces."""
_ADDED: Final = re.compile(r"--add-prunepaths[= ](\"[^\"]*\"|\S+)")


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while updatedb runs daily and does not exclude a mount on a disk without system files."""
    system = {disk for path in ("/", "/usr", "/var") for disk in machine.disks_of(path)}
    data = {
        mount.mount_point: disks
        for mount, disks, _ in machine.mounts_on_disks()
        if not system & set(disks)
        and mount.fs_type not in _pruned(machine, "PRUNEFS")
        and (mount.root == "/" or mount.fs_type == "btrfs")  # others are bind mounts, which updatedb skips
    }
    commands = machine.unit(_SERVICE).get("Service.ExecStart", ())
    if machine.enabled(_TIMER) and len(commands) == 1:
        added = [path for each in _ADDED.findall(commands[0]) for path in each.strip('"').split()]
        if paths := _unpruned(data, [*_pruned(machine, "PRUNEPATHS"), *added]):
            yield _plocate(commands[0], data, paths)
    for job, config in _CRON_JOBS.items():
        values = assignments(machine.text(config)).get("PRUNEPATHS", _FINDUTILS_PATHS)
        if machine.exists(job) and (paths := _unpruned(data, values.split())):
            yield Diagnosis(
                f"locate:{job.rpartition('/')[2]}",
                job,
                f"It reads the directories of {', '.join(paths)} once a day.",
                "Exclude the data disks; locate then finds no files there.",
                disks=_disks(data, paths),
                by_hand=f'In {config}: PRUNEPATHS="{" ".join([*values.split(), *paths])}"',
                accesses=AccessPattern(comms=("updatedb.mlocat", "updatedb.findut", "find")),
            )


def _plocate(command: str, data: dict[str, tuple[str, ...]], paths: list[str]) -> Diagnosis:
    simple = [path for path in paths if not re.search(r"\s", path)]  # the list is separated by white space
    text = f"[Service]\nExecStart=\nExecStart={command} --add-prunepaths {quote_argument(' '.join(simple))}\n"
    others = [path for path in paths if path not in simple]
    return Diagnosis(
        "locate",
        _SERVICE,
        f"It reads the directories of {', '.join(paths)} once a day.",
        "These mounts are excluded; locate finds no files there, from its next run on.",
        disks=_disks(data, paths),
        files=(OwnFile(f"/etc/systemd/system/{_SERVICE}.d/zz-powerd.conf", text),) if simple else (),
        commands=(DAEMON_RELOAD,) if simple else (),
        by_hand="\n".join(
            f"In a drop-in of {_SERVICE}: add --add-single-prunepath {quote_argument(path)} to ExecStart="
            for path in others
        ),
        accesses=AccessPattern(units=(_SERVICE,), comms=("updatedb.plocat", "updatedb")),
    )


def _pruned(machine: Machine, name: str) -> list[str]:
    """The words of a variable of /etc/updatedb.conf."""
    return assignments(machine.text("/etc/updatedb.conf")).get(name, "").split()


def _unpruned(data: dict[str, tuple[str, ...]], pruned: list[str]) -> list[str]:
    """The mounts that no entry of a list excludes, without those below another one of them."""
    left = [path for path in data if not any(_is_below(path, each) for each in pruned)]
    return sorted(path for path in left if not any(each != path and _is_below(path, each) for each in left))


def _is_below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def _disks(data: dict[str, tuple[str, ...]], paths: list[str]) -> tuple[str, ...]:
    return tuple(sorted({disk for path in paths for disk in data[path]}))
