"""Where on disk journald writes, if it does (systemd-journald.service(8), journald.conf(5)).

Which of the two it writes to, its files in /run tell but in part. The flag there is made when it has been
asked to write to /var, whatever it does then. Its runtime journal is taken away when it goes over to /var at
boot, and stays for nothing when it does so later; so one that is there says "in memory" only along with a
configuration that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from powerd.host.eyes import DiskEyes
from powerd.host.values import HostError

_PERSISTENT: Final = "/var/log/journal"
_RUNTIME: Final = "/run/log/journal"
_FLUSHED: Final = "/run/systemd/journal/flushed"
_MACHINE: Final = re.compile(r"[0-9a-f]{32}")
"""Names a machine's journal, by its machine-id(5); those of namespaces have more."""
_PLACES: Final = ("/usr/lib", "/usr/local/lib", "/run", "/etc")
"""Of configuration; a file in a later one hides one of the same name."""
_STORAGE: Final = re.compile(r"Storage\s*=\s*(auto|volatile|persistent|none)\s*")


def storage(texts: Iterable[str]) -> str:
    """What Storage= is, the last word in [Journal] of these files: auto, volatile, persistent or none."""
    said = "auto"
    for text in texts:
        section = ""
        for line in map(str.strip, text.split("\n")):
            if line.startswith("["):
                section = line
            elif section == "[Journal]" and (found := _STORAGE.fullmatch(line)):
                said = found[1]
    return said


class Journald:
    """Looks in each round, and so that it wakes no disk itself.

    Files outside of /run are looked at only when mounts or those in /run have changed. When it goes over to
    /var late, neither does, so that is seen at the next mount, or after powerd's next start.
    """

    def __init__(self, eyes: DiskEyes) -> None:
        self._eyes = eyes
        self._known: tuple[object, ...] = ()
        self._place: str | None = None

    def place(self, mounted: str | None) -> str | None:
        """The directory that it writes to, links followed; None = none on a disk.

        Args:
            mounted: the mount table's text.
        """
        kept = any(_MACHINE.fullmatch(name) for name in self._entries(_RUNTIME))
        known = mounted, kept, self._eyes.target(_FLUSHED) is not None
        if known != self._known:
            self._known = known
            self._place = self._look(kept=kept) if known[-1] else None
        return self._place

    def _look(self, *, kept: bool) -> str | None:
        configured = storage(self._configuration())
        volatile = configured == "none" or (configured == "volatile" and kept)
        return None if volatile else self._eyes.target(_PERSISTENT)

    def _configuration(self) -> Iterator[str]:
        """The texts of all files that count, in the order in which they do."""
        mains = (self._eyes.peek(f"{place}/systemd/journald.conf") for place in reversed(_PLACES))
        yield next((text for text in mains if text is not None), "")
        more: dict[str, str] = {}
        for place in _PLACES:
            directory = f"{place}/systemd/journald.conf.d"
            more |= {name: f"{directory}/{name}" for name in self._entries(directory)}
        yield from (self._eyes.peek(more[name]) or "" for name in sorted(more) if name.endswith(".conf"))

    def _entries(self, directory: str) -> tuple[str, ...]:
        """What is in a directory; one that may not be looked into is taken for empty."""
        try:
            return self._eyes.entries(directory)
        except HostError:
            return ()
