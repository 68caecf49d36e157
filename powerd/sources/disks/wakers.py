"""What would wake its own disk soon after each spin-down: the system's journal, and swap space in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from powerd.host.eyes import DiskEyes
from powerd.sources.disks.journald import JournalLocator
from powerd.sources.disks.mounts import unescape_octal

_SWAPS_FILES: Final = ("/proc/swaps", "/run/powerd/swaps")
"""powerd.service has the first as the second, for its /proc lacks it (ProcSubset= in systemd.exec(5))."""
_DELETED: Final = " (deleted)"
_NAME_COLUMN, _USED_COLUMN = 0, 3


@dataclass(frozen=True, slots=True)
class WakeCauses:
    """What would wake the disks that hold it.

    Attributes:
        journal: the directory that journald writes to; None = none on a disk.
        swaps: paths of swap areas that hold something, devices and files.
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
