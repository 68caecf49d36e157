"""Finds what starts a disk soon after each spin-down: the system journal and swap space in use.

journald writes to /run or to /var (systemd-journald.service(8), journald.conf(5)), and its files in /run show
only partly which one it uses. The flag ``flushed`` appears when journald was requested to write to /var,
whether or not it does. The runtime journal is removed if the change to /var happens at boot, and stays if it
happens later. So a runtime journal means "in memory" only together with such a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from powerd.core.dataclass import dataclass
from powerd.disks.source.mountinfo import unescape_octal
from powerd.linux.systemd_files import config_texts
from powerd.linux.values import HostError

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files

_SWAPS_FILES: Final = ("/proc/swaps", "/run/powerd/swaps")
"""The unit binds the first to the second, because its /proc lacks it (ProcSubset= in systemd.exec(5))."""
_DELETED: Final = " (deleted)"
_NAME_COLUMN, _USED_COLUMN = 0, 3


@dataclass(frozen=True, slots=True)
class SpinUpCauses:
    """What starts the disks that hold it.

    Attributes:
        journal_directory: the directory that journald writes to; None = not to a disk.
        swap_paths: swap areas that are in use, devices and files.
    """

    journal_directory: str | None = None
    swap_paths: frozenset[str] = frozenset()


class SpinUpCauseReader:
    """Reads both at each poll: two small files if nothing has changed."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._journal_locator = JournalLocator(files)

    def read(self, mountinfo: str | None) -> SpinUpCauses:
        """The causes now; ``mountinfo`` is the text of the mount table."""
        swaps = next(
            (text for path in _SWAPS_FILES if (text := self._files.read_text(path)) is not None), None
        )
        return SpinUpCauses(self._journal_locator.locate(mountinfo), parse_swaps(swaps))


def parse_swaps(text: str | None) -> frozenset[str]:
    """The paths in /proc/swaps (proc(5)) whose fourth column, KiB in use, is not 0.

    Rows of any other format are ignored; the path of a deleted swap file is the one that it had.
    """
    rows = [row.split() for row in (text or "").split("\n")]
    used = [
        row[_NAME_COLUMN]
        for row in rows
        if len(row) > _USED_COLUMN and row[_USED_COLUMN].isdecimal() and row[_USED_COLUMN] != "0"
    ]
    return frozenset(unescape_octal(name).removesuffix(_DELETED) for name in used)


_PERSISTENT_JOURNAL: Final = "/var/log/journal"
_RUNTIME_JOURNAL: Final = "/run/log/journal"
_FLUSHED_FLAG: Final = "/run/systemd/journal/flushed"
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")
"""Name of the journal directory of a machine, its machine-id(5); those of namespaces are longer."""
_STORAGE: Final = re.compile(r"Storage\s*=\s*(auto|volatile|persistent|none)\s*")


def parse_storage(texts: Iterable[str]) -> str:
    """The last Storage= in [Journal] of these files: auto, volatile, persistent or none."""
    value = "auto"
    for text in texts:
        section = ""
        for line in map(str.strip, text.split("\n")):
            if line.startswith("["):
                section = line
            elif section == "[Journal]" and (found := _STORAGE.fullmatch(line)):
                value = found[1]
    return value


class JournalLocator:
    """Finds the directory of the journal at each poll without starting a disk.

    Files outside of /run are read only after a change of the mounts or of the files in /run. A late change of
    journald to /var changes neither, so powerd detects it at the next mount or at its next start.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._last_inputs: tuple[object, ...] = ()
        self._directory: str | None = None

    def locate(self, mountinfo: str | None) -> str | None:
        """The directory that journald writes to, symbolic links resolved; None = not on a disk.

        Args:
            mountinfo: the text of the mount table.
        """
        has_runtime_journal = any(_MACHINE_ID.fullmatch(name) for name in self._listdir(_RUNTIME_JOURNAL))
        inputs = mountinfo, has_runtime_journal, self._files.realpath(_FLUSHED_FLAG) is not None
        if inputs != self._last_inputs:
            self._last_inputs = inputs
            self._directory = (
                self._find_directory(has_runtime_journal=has_runtime_journal) if inputs[-1] else None
            )
        return self._directory

    def _find_directory(self, *, has_runtime_journal: bool) -> str | None:
        configured = parse_storage(config_texts(self._files, "journald.conf"))
        volatile = configured == "none" or (configured == "volatile" and has_runtime_journal)
        return None if volatile else self._files.realpath(_PERSISTENT_JOURNAL)

    def _listdir(self, directory: str) -> tuple[str, ...]:
        """The names in a directory; an unreadable one counts as empty."""
        try:
            return self._files.listdir(directory)
        except HostError:
            return ()
