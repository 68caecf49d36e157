"""Processes: a program that runs, by its name.

The processes are those of systemd's GetUnitProcesses (org.freedesktop.systemd1(5)), of every unit and user,
because the daemon's sandbox hides the processes of others. A pattern matches the name of the program, or of
the script that an interpreter runs: ``borg`` matches ``/usr/bin/python3 /usr/bin/borg create``. A pattern
with a space or a slash matches the whole command line, without quotation marks: ``*/rsync --server *``. A
program can replace its command line by a title: ``task UPID:*``. Processes of containers are included, by the
command line that the host sees.

systemd 255 and others cannot list all control groups while libvirt runs a guest, whose groups are threaded;
only system.slice and user.slice are searched then.

systemd reads every command line for this, so it is queried only when a sleep is near, or while the last
answer kept the server awake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.activity.programs import split_words
from powerd.config.declare import option, string_list
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.values import HostError, UnitProcess

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Logind

_ROOT: Final = "-.slice"
"""The unit of the root control group (systemd.special(7)), which contains all others."""
_INTERPRETER: Final = re.compile(r"(python|perl|ruby|node|php|lua|r?bash|dash|zsh|ksh|sh|env|java)[\d.]*")
_MAX_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Options:
    """The options."""

    match: tuple[str, ...] = option(
        (), 'names of programs or scripts, with `*`, e.g. ["rsync", "borg*"]', string_list()
    )

    ignore: tuple[str, ...] = option(
        (), 'patterns of the same kind that do not count, e.g. ["*/rsync --daemon*"]', string_list()
    )

    def __post_init__(self) -> None:
        """Check the combination."""
        if not self.match:
            raise ValueError('requires a program; write match = ["rsync"]')


def parse(processes: Iterable[UnitProcess], options: Options) -> tuple[Activity, ...]:
    """The processes that match, at most five, by name and ID."""
    found = sorted(
        (names[-1], each.pid, each.cgroup.rpartition("/")[2])
        for each in processes
        if (words := split_words(each.command))
        and (names := tuple(_names(words)))
        and _matches(words, names, options.match)
        and not _matches(words, names, options.ignore)
    )
    return tuple(
        Activity(name, f"{name} runs in {unit}, process {pid}", keeps_awake=True)
        for name, pid, unit in found[:_MAX_SHOWN]
    )


def _matches(words: list[str], names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    line = " ".join(words).rstrip()
    return any(
        fnmatchcase(text, pattern)
        for pattern in patterns
        for text in ((line,) if any(c in pattern for c in " /") else names)
    )


def program_names(command: str) -> Iterator[str]:
    """The name of the program in a command line quoted by systemd, and of a script that it runs."""
    return _names(split_words(command))


def _names(words: list[str]) -> Iterator[str]:
    for number, word in enumerate(words):
        if not word.strip() or (number and word.startswith("-")):
            continue
        name = word.split()[0].removeprefix("-").rpartition("/")[2]  # -bash is a login shell
        yield name
        if not _INTERPRETER.fullmatch(name):
            return


async def list_all_processes(logind: Logind) -> tuple[UnitProcess, ...]:
    """The processes of all units, or those of services and sessions if systemd cannot list all.

    cgroup.procs of a threaded control group gives EOPNOTSUPP, with which GetUnitProcesses fails (EIO).

    Raises:
        HostError: systemd does not run or does not answer.
    """
    try:
        return await logind.list_processes(_ROOT)
    except NotRunningError:
        raise
    except HostError:
        slices = [await logind.list_processes(name) for name in ("system.slice", "user.slice")]
        return tuple(process for processes in slices for process in processes)


class ProcessCheck:
    """Lists the processes.

    Args:
        options: of the check.
        ports: systemd.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """List the processes."""
        del depth
        try:
            processes = await list_all_processes(self._ports.logind)
        except NotRunningError as error:
            raise NotApplicableError(str(error)) from error
        return parse(processes, self._options)


KIND: Final = CheckKind(
    "process", Options, ProcessCheck, many=True, near_sleep_only=True, example=Options(("rsync", "borg*"))
)
