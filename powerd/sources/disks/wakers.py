"""What would wake its own disk soon after each spin-down: the system's journal, and swap space in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from powerd.host.eyes import DiskEyes
from powerd.sources.disks.journald import Journald
from powerd.sources.disks.mounts import plain

_SWAPS: Final = ("/proc/swaps", "/run/powerd/swaps")
"""powerd.service has the first as the second, for its /proc lacks it (ProcSubset= in systemd.exec(5))."""
_DELETED: Final = " (deleted)"
_NAME, _USED = 0, 3


@dataclass(frozen=True, slots=True)
class Wakers:
    """What would wake the disks that hold it.

    Attributes:
        journal: the directory that journald writes to; None = none on a disk.
        swaps: paths of swap areas that hold something, devices and files.
    """

    journal: str | None = None
    swaps: frozenset[str] = frozenset()


class Lookout:
    """Looks for both in each round; cheap, for it does in the quietest house."""

    def __init__(self, eyes: DiskEyes) -> None:
        self._eyes = eyes
        self._journald = Journald(eyes)

    def look(self, mounted: str | None) -> Wakers:
        """What there is now; ``mounted`` is the mount table's text."""
        swaps = next((text for path in _SWAPS if (text := self._eyes.peek(path)) is not None), None)
        return Wakers(self._journald.place(mounted), swaps_in_use(swaps))


def swaps_in_use(text: str | None) -> frozenset[str]:
    """The paths of /proc/swaps (proc(5)) whose fourth column, KiB in use, is not 0.

    Rows of another shape are passed over; a file that was deleted meanwhile is where it was.
    """
    rows = [row.split() for row in (text or "").split("\n")]
    used = [row[_NAME] for row in rows if len(row) > _USED and row[_USED].isdecimal() and row[_USED] != "0"]
    return frozenset(plain(name).removesuffix(_DELETED) for name in used)
