"""The values of the doctor: diagnoses, the changes that remove their cause, requests and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from powerd.core.dataclass import dataclass


class DoctorError(Exception):
    """A request that is refused or has failed; one sentence with what, where and the remedy."""


class UnknownDiagnosisError(DoctorError):
    """Nothing on this machine has the requested id."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file that powerd writes and removes, and that no other program or person writes.

    Attributes:
        path: absolute; its name or that of its directory contains ``powerd``, unless it is a link.
        text: the content, with a line break at its end.
        link: the target of a symbolic link, instead of a content: ``/dev/null`` masks a unit.
    """

    path: str
    text: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class SystemCommand:
    """A command that puts files into effect, and the one that does so after their removal.

    Both may be executed twice, because an interrupted fix is repeated.

    Attributes:
        argv: executed after the files have been written.
        inverse: executed after they have been removed.
    """

    argv: tuple[str, ...]
    inverse: tuple[str, ...]


DAEMON_RELOAD: Final = SystemCommand(("systemctl", "daemon-reload"), ("systemctl", "daemon-reload"))
"""Needed after each change below /etc/systemd/system."""


def restart(unit: str) -> SystemCommand:
    """Restart a unit if it runs."""
    argv = ("systemctl", "try-restart", unit)
    return SystemCommand(argv, argv)


def mask(unit: str) -> tuple[tuple[OwnFile, ...], tuple[SystemCommand, ...]]:
    """The change that stops a running unit and prevents its start (systemctl(1), mask).

    The unit must not be a file in /etc/systemd/system: the link would take its place.
    """
    stop = SystemCommand(("systemctl", "stop", unit), ("systemctl", "start", unit))
    return (OwnFile(f"/etc/systemd/system/{unit}", link="/dev/null"),), (DAEMON_RELOAD, stop)


@dataclass(frozen=True, slots=True)
class AccessPattern:
    """How the accesses of a diagnosis look in the daemon's record; any one match counts.

    Attributes:
        units: of systemd, ``cron.service``.
        comms: names of processes (proc_pid_comm(5)), at most 15 characters.
        paths: prefixes of paths of files.
    """

    units: tuple[str, ...] = ()
    comms: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Something on this machine that touches a hard disk, and what to do about it.

    Attributes:
        id: the name of the module, or ``MODULE:SUBJECT`` where several can apply (``timers:fstrim``).
        subject: what is concerned: a unit, a disk, a mount.
        effect: what it does to which disks, and how often. Sentences.
        remedy: what the fix does, or what to do by hand, and what is lost by it. Sentences.
        disks: kernel names of the disks concerned, ``sdb``.
        files: what --fix writes.
        commands: what --fix then executes, in this order, and --undo their inverses in the same order.
        by_hand: the exact lines to edit and commands to run, where powerd must not do it; "" = nothing.
        accesses: how to find its accesses in the daemon's record.
    """

    id: str
    subject: str
    effect: str
    remedy: str
    disks: tuple[str, ...] = ()
    files: tuple[OwnFile, ...] = ()
    commands: tuple[SystemCommand, ...] = ()
    by_hand: str = ""
    accesses: AccessPattern = AccessPattern()

    @property
    def fixable(self) -> bool:
        """Whether --fix has something to do."""
        return bool(self.files or self.commands)


@dataclass(frozen=True, slots=True)
class AppliedFix:
    """A fix that is recorded.

    Attributes:
        id: of its diagnosis.
        complete: False = it was interrupted or has failed; --fix repeats it, --undo removes it.
        paths: the files that it has written.
    """

    id: str
    complete: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DaemonRecord:
    """What the daemon has recorded, as its API shows it (ui/schema.py).

    Attributes:
        now: the daemon's time.
        wakes: ``/api/wakes``.
        accesses: ``/api/accesses``.
    """

    now: datetime
    wakes: Sequence[Mapping[str, Any]] = ()
    accesses: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What a user requests.

    Attributes:
        action: examine this machine, apply a fix, or remove it.
        id: of the diagnosis; "" to examine.
        dry_run: only return what would be done.
        sleeping: kernel names of the disks that do not spin, from which nothing is read to examine; a fix
            starts the one that it writes to.
        record: of the daemon; None = it is not reachable.
    """

    action: Literal["examine", "fix", "undo"] = "examine"
    id: str = ""
    dry_run: bool = False
    sleeping: Sequence[str] = ()
    record: DaemonRecord | None = None


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What a run of the doctor returns.

    Attributes:
        diagnoses: what applies here, most wakes first; of a fix, the one.
        wakes: by id of a diagnosis, the number of wakes in 24 h that it caused, by disk.
        accesses: by id of a diagnosis, the number of its accesses in the last hour, by disk.
        other_wakes: by unit or process, the number of wakes in 24 h that no diagnosis explains, most first.
        applied: the recorded fixes.
        notes: sentences about what could not be examined.
        steps: what was done, or would be: one line each, and the lines of a diff.
        examined: False = a disk in standby or an unreadable sysfs prevented it.
    """

    diagnoses: tuple[Diagnosis, ...] = ()
    wakes: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}))
    accesses: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}))
    other_wakes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    applied: tuple[AppliedFix, ...] = ()
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    examined: bool = False
