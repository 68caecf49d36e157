"""What would wake its own disk soon after each spin-down: the system's journal, and swap space in use.

Where on disk journald writes, if it does (systemd-journald.service(8), journald.conf(5)).

Which of the two it writes to, its files in /run tell but in part. The flag there is made when it has been
asked to write to /var, whatever it does then. Its runtime journal is taken away when it goes over to /var at
boot, and stays for nothing when it does so later; so one that is there says "in memory" only along with a
configuration that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from powerd.disks.source.mountinfo import unescape_octal
from powerd.linux.ports import DiskEyes
from powerd.linux.values import HostError

_SWAPS_FILES: Final = ("/proc/swaps", "/run/powerd/swaps")
"""powerd.service has the first as the second, for its /proc lacks it (ProcSubset= in systemd.exec(5))."""
_DELETED: Final = " (deleted)"
_NAME_COLUMN, _USED_COLUMN = 0, 3


@dataclass(frozen=True, slots=True)
class WakeCauses:
    """What would wake the disks that hold it.

    Attributes:
        journal_directory: the directory that journald writes to; None = none on a disk.
        swap_paths: paths of swap areas that hold something, devices and files.
    """

    journal_directory: str | None = None
    swap_paths: frozenset[str] = frozenset()


class WakeCauseReader:
    """Looks for both in each round; cheap, for it does in the quietest house."""

    def __init__(self, files: DiskEyes) -> None:
        self._files = files
        self._journal_locator = JournalLocator(files)

    def read(self, mountinfo: str | None) -> WakeCauses:
        """What there is now; ``mounted`` is the mount table's text."""
        swaps = next(
            (text for path in _SWAPS_FILES if (text := self._files.read_text(path)) is not None), None
        )
        return WakeCauses(self._journal_locator.locate(mountinfo), parse_swaps(swaps))


def parse_swaps(text: str | None) -> frozenset[str]:
    """The paths of /proc/swaps (proc(5)) whose fourth column, KiB in use, is not 0.

    Rows of another shape are passed over; a file that was deleted meanwhile is where it was.
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
"""Names a machine's journal, by its machine-id(5); those of namespaces have more."""
_CONFIG_ROOTS: Final = ("/usr/lib", "/usr/local/lib", "/run", "/etc")
"""Of configuration; a file in a later one hides one of the same name."""
_STORAGE: Final = re.compile(r"Storage\s*=\s*(auto|volatile|persistent|none)\s*")


def parse_storage(texts: Iterable[str]) -> str:
    """What Storage= is, the last word in [Journal] of these files: auto, volatile, persistent or none."""
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
    """Looks in each round, and so that it wakes no disk itself.

    Files outside of /run are looked at only when mounts or those in /run have changed. When it goes over to
    /var late, neither does, so that is seen at the next mount, or after powerd's next start.
    """

    def __init__(self, files: DiskEyes) -> None:
        self._files = files
        self._last_inputs: tuple[object, ...] = ()
        self._directory: str | None = None

    def locate(self, mountinfo: str | None) -> str | None:
        """The directory that it writes to, links followed; None = none on a disk.

        Args:
            mountinfo: the mount table's text.
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
        configured = parse_storage(self._config_texts())
        volatile = configured == "none" or (configured == "volatile" and has_runtime_journal)
        return None if volatile else self._files.realpath(_PERSISTENT_JOURNAL)

    def _config_texts(self) -> Iterator[str]:
        """The texts of all files that count, in the order in which they do."""
        mains = (self._files.read_text(f"{place}/systemd/journald.conf") for place in reversed(_CONFIG_ROOTS))
        yield next((text for text in mains if text is not None), "")
        more: dict[str, str] = {}
        for place in _CONFIG_ROOTS:
            directory = f"{place}/systemd/journald.conf.d"
            more |= {name: f"{directory}/{name}" for name in self._listdir(directory)}
        yield from (
            self._files.read_text(more[name]) or "" for name in sorted(more) if name.endswith(".conf")
        )

    def _listdir(self, directory: str) -> tuple[str, ...]:
        """What is in a directory; one that may not be looked into is taken for empty."""
        try:
            return self._files.listdir(directory)
        except HostError:
            return ()
