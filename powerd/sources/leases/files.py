"""All lease files of the machine, found and watched: whom a DHCP server on it has ever given an address."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from posixpath import basename, normpath
from typing import Final, NamedTuple

from powerd.host.eyes import Surroundings
from powerd.host.values import HostError
from powerd.sources.leases import FORMATS, named
from powerd.sources.leases.found import Format, Include, Lead
from powerd.sources.leases.hostapd import CONTROLS
from powerd.sources.leases.kept import Batch
from powerd.sources.leases.stations import Stations
from powerd.sources.leases.watched import Wanted, Watched
from powerd.sources.leases.words import shown

AUTO: Final = "auto"
_WILD: Final = frozenset("*?[")
_BACKUPS: Final = (
    "~",
    "#",
    ".bak",
    ".orig",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".dpkg-tmp",
    ".ucf-dist",
)
_MOST_FILES: Final = 1000
_LONGEST_ROUND: Final = 300.0


class Named(NamedTuple):
    """A lead, the file that names it, and whether that is a thing of the past."""

    lead: Lead
    label: str
    stale: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What all lease files say; the very same object for as long as that does not change.

    Attributes:
        batches: leads by the place that they come from; a host may be named in several.
        warnings: what a person should see to, one line each, though it hides nobody.
        blind: why clients may be missing; None = none are. Whoever trusts in absence must stay awake.
        stations_asked: False = its stations are those of an earlier look, and may have left.
    """

    batches: tuple[Batch, ...] = ()
    warnings: tuple[str, ...] = ()
    blind: str | None = None
    stations_asked: bool = True

    @property
    def leads(self) -> Iterator[Named]:
        """Each lead with its label, one after the other."""
        return (Named(lead, batch.label, batch.stale) for batch in self.batches for lead in batch.leads)


class _Ask(NamedTuple):
    path: str
    wanted: Wanted
    form: Format | None


class LeaseFiles:
    """Finds and watches lease files.

    Args:
        paths: ``auto`` for the usual paths of all formats; paths and glob patterns of files, or of hostapd's
            control sockets (``/run/hostapd/wlan0``).
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self._stations = Stations(_controls(paths))
        self._files: dict[str, Watched] = {}
        self._roots: dict[_Ask, None] = {}
        self._troubles: list[str] = []
        self._report = Report()
        self._stamp: tuple[object, ...] = ()
        self._clock = 0.0
        self._last: float | None = None

    async def look(self, eyes: Surroundings, now: float) -> Report:
        """One stat of each file, and a new reading of those that have changed.

        Args:
            eyes: the host.
            now: seconds of any clock, for how long ago something was seen. A step counts as a few minutes
                at most, one backwards as none.
        """
        passed = 0.0 if self._last is None else now - self._last
        self._clock += min(max(passed, 0.0), _LONGEST_ROUND)
        self._last = now
        self._troubles = []
        await self._stations.look(eyes, self._clock)
        reached = await self._walk(eyes)
        for path in self._files.keys() - reached:
            self._files[path].drop(self._clock)
            if self._files[path].spent:
                del self._files[path]
        versions = ((path, file.version) for path, file in self._files.items())
        stamp = (*versions, self._stations.version, *self._troubles)
        if stamp != self._stamp:
            self._report, self._stamp = self._made(), stamp
        return self._report

    async def _walk(self, eyes: Surroundings) -> set[str]:
        """Look at the files that are wanted, and at those that they include; give back their paths."""
        self._add_roots(eyes)
        waiting = deque(self._roots)
        reached: set[str] = set()
        while waiting and len(reached) < _MOST_FILES:
            ask = waiting.popleft()
            if ask.path not in reached:
                reached.add(ask.path)
                file = self._files[ask.path] = self._files.get(ask.path) or Watched(*ask)
                await file.look(eyes, self._clock)
                for include in file.found.includes:
                    waiting.extend(self._included(file, include, eyes))
        if waiting:
            self._troubles.append(f"{waiting[0].path}: more than {_MOST_FILES} files; name or include fewer")
        return reached

    def _add_roots(self, eyes: Surroundings) -> None:
        """Note what is wanted, named files first; what a pattern once found stays so, for it may vanish."""
        for path in sorted(self.paths, key=AUTO.__eq__):
            if path == AUTO:
                for form in FORMATS:
                    for pattern in form.paths:
                        self._add(pattern, Wanted.USUAL, form, eyes)
            elif not _is_control(path):
                self._add(normpath(path), Wanted.NAMED, None, eyes)

    def _add(self, pattern: str, wanted: Wanted, form: Format | None, eyes: Surroundings) -> None:
        self._roots.update((_Ask(path, wanted, form), None) for path in self._matches(pattern, eyes))
        if wanted is Wanted.NAMED and not any(fnmatchcase(root.path, pattern) for root in self._roots):
            self._troubles.append(f"{pattern}: no file fits this pattern; correct clients.leases")

    def _included(self, file: Watched, include: Include, eyes: Surroundings) -> Iterator[_Ask]:
        form = named(include.format) if include.format else file.form
        wanted = Wanted.USUAL if include.may_lack else Wanted.INCLUDED
        pattern = normpath(PurePosixPath(file.path).parent / include.path)
        for path in self._matches(pattern, eyes):
            if not path.endswith(include.but):
                yield _Ask(path, wanted, form)

    def _matches(self, pattern: str, eyes: Surroundings) -> tuple[str, ...]:
        """Paths that fit a pattern; without wildcards it fits itself, whether that exists or not."""
        if not pattern.isprintable():  # a NUL would be an error of the caller's to the kernel
            self._troubles.append(f"{shown(pattern)}: no file has such a name; correct it")
            return ()
        if _WILD.isdisjoint(pattern):
            return (pattern,)
        try:
            return tuple(path for path in eyes.find(pattern) if not path.endswith(_BACKUPS))
        except HostError as error:
            self._troubles.append(str(error))
            return ()

    def _made(self) -> Report:
        """A new report."""
        files = self._files.values()
        often = Counter(basename(file.path) for file in files if not file.spent)
        batches = [
            batch
            for file in files
            for batch in file.batches(file.path if often[basename(file.path)] > 1 else basename(file.path))
        ]
        skipped = (_skipped(file) for file in files if file.found.skipped)
        warnings = [file.trouble for file in files if file.trouble and not file.grave]
        blind = [file.trouble for file in files if file.trouble and file.grave]
        return Report(
            batches=(*batches, *self._stations.batches()),
            warnings=(*warnings, *skipped, *self._stations.warnings),
            blind="; ".join((*blind, *self._troubles)) or None,
            stations_asked=self._stations.asked,
        )


def _skipped(file: Watched) -> str:
    found = file.found
    entries = "entry" if found.skipped == 1 else "entries"
    return f"{file.path}: {found.skipped} {entries} skipped, the first: {found.faults[0]}"


def _is_control(path: str) -> bool:
    """Whether a path is of hostapd's control sockets: they are asked, not read."""
    return PurePosixPath(path).parent.name == "hostapd"


def _controls(paths: tuple[str, ...]) -> tuple[str, ...]:
    usual = CONTROLS if AUTO in paths else ()
    return (*(path for path in paths if _is_control(path)), *usual)
