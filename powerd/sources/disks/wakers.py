"""What would wake its own disk soon after each spin-down: the system's journal, and swap space in use.

Of journald, files in /run tell. It makes its flag there once it has been asked to write to /var, and takes
away its runtime journal when it really does (systemd-journald.service(8), FILES; its server_flush_to_var()).
So Storage=volatile and a /var/log/journal that nobody writes to are told from a journal on the disk.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from powerd.host.eyes import DiskEyes
from powerd.host.values import HostError
from powerd.sources.disks.mounts import plain

JOURNAL: Final = "/var/log/journal"
_FLUSHED: Final = "/run/systemd/journal/flushed"
_RUNTIME: Final = "/run/log/journal"
_MACHINE: Final = re.compile(r"[0-9a-f]{32}")
"""Names a machine's journal, by its machine-id(5); those of namespaces have more."""
_SWAPS: Final = ("/proc/swaps", "/run/powerd/swaps")
"""powerd.service has the first as the second, for its /proc lacks it (ProcSubset= in systemd.exec(5))."""
_DELETED: Final = " (deleted)"
_NAME, _USED = 0, 3


@dataclass(frozen=True, slots=True)
class Wakers:
    """What would wake the disks that hold it.

    Attributes:
        journal: the directory that journald writes to, links followed; None = none on a disk.
        swaps: paths of swap areas that hold something, devices and files.
    """

    journal: str | None = None
    swaps: frozenset[str] = frozenset()


def swaps_in_use(text: str | None) -> frozenset[str]:
    """The paths of /proc/swaps (proc(5)) whose fourth column, KiB in use, is not 0.

    Rows of another shape are passed over; a file that was deleted meanwhile is where it was.
    """
    rows = [row.split() for row in (text or "").split("\n")]
    used = [row[_NAME] for row in rows if len(row) > _USED and row[_USED].isdecimal() and row[_USED] != "0"]
    return frozenset(plain(name).removesuffix(_DELETED) for name in used)


class Lookout:
    """Looks for both in each round, and so that it wakes nobody itself.

    Where the journal is, is looked for on disk: only when mounts have changed, or journald has changed over.
    """

    def __init__(self, eyes: DiskEyes) -> None:
        self._eyes = eyes
        self._known: tuple[str | None, bool] | None = None
        self._journal: str | None = None

    def look(self, mounted: str | None) -> Wakers:
        """What there is now; ``mounted`` is the mount table's text."""
        known = mounted, self._is_persistent()
        if known != self._known:
            self._known = known
            self._journal = self._eyes.target(JOURNAL) if known[1] else None
        return Wakers(self._journal, swaps_in_use(self._swaps()))

    def _is_persistent(self) -> bool:
        if self._eyes.target(_FLUSHED) is None:
            return False
        kept: tuple[str, ...] = ()
        with suppress(HostError):  # one that may not be looked into: taken to be on disk
            kept = self._eyes.entries(_RUNTIME)
        return not any(_MACHINE.fullmatch(name) for name in kept)

    def _swaps(self) -> str | None:
        """The kernel's table; None = nobody shows it."""
        return next((text for path in _SWAPS if (text := self._eyes.peek(path)) is not None), None)
