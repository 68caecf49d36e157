"""All lease files of the machine, found and watched: whom a DHCP server on it has ever given an address."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from posixpath import basename, normpath
from typing import Final, NamedTuple

from powerd.linux.ports import Surroundings
from powerd.linux.values import HostError
from powerd.presence.leases import FORMATS, format_by_name
from powerd.presence.leases.fields import quote
from powerd.presence.leases.format import HostEntry, Include, LeaseFormat
from powerd.presence.leases.hostapd import CONTROL_SOCKET_PATTERNS, StationWatcher
from powerd.presence.leases.watcher import EntryBatch, FileOrigin, WatchedFile

AUTO: Final = "auto"
_GLOB_CHARACTERS: Final = frozenset("*?[")
_BACKUP_SUFFIXES: Final = (
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
_MAX_FILES: Final = 1000
_MAX_ELAPSED: Final = 300.0


class LabelledEntry(NamedTuple):
    """A lead, the file that names it, and whether that is a thing of the past."""

    entry: HostEntry
    label: str
    stale: bool


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """What all lease files say; the very same object for as long as that does not change.

    Attributes:
        batches: leads by the place that they come from; a host may be named in several.
        warnings: what a person should see to, one line each, though it hides nobody.
        unavailable_reason: why clients may be missing; None = none are. Whoever trusts in absence must
            stay awake.
        stations_current: False = its stations are those of an earlier look, and may have left.
    """

    batches: tuple[EntryBatch, ...] = ()
    warnings: tuple[str, ...] = ()
    unavailable_reason: str | None = None
    stations_current: bool = True

    @property
    def entries(self) -> Iterator[LabelledEntry]:
        """Each lead with its label, one after the other."""
        return (
            LabelledEntry(lead, batch.label, batch.stale) for batch in self.batches for lead in batch.entries
        )


class _FileSpec(NamedTuple):
    path: str
    origin: FileOrigin
    file_format: LeaseFormat | None


class LeaseFiles:
    """Finds and watches lease files.

    Args:
        paths: ``auto`` for the usual paths of all formats; paths and glob patterns of files, or of hostapd's
            control sockets (``/run/hostapd/wlan0``).
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self._stations = StationWatcher(_control_sockets(paths))
        self._files: dict[str, WatchedFile] = {}
        self._roots: dict[_FileSpec, None] = {}
        self._errors: list[str] = []
        self._report = LeaseReport()
        self._version: tuple[object, ...] = ()
        self._elapsed = 0.0
        self._last_poll_at: float | None = None

    async def poll(self, machine: Surroundings, now: float) -> LeaseReport:
        """One stat of each file, and a new reading of those that have changed.

        Args:
            machine: the host.
            now: seconds of any clock, for how long ago something was seen. A step counts as a few minutes
                at most, one backwards as none.
        """
        step = 0.0 if self._last_poll_at is None else now - self._last_poll_at
        self._elapsed += min(max(step, 0.0), _MAX_ELAPSED)
        self._last_poll_at = now
        self._errors = []
        await self._stations.poll(machine, self._elapsed)
        reachable = await self._poll_files(machine)
        for path in self._files.keys() - reachable:
            self._files[path].discard(self._elapsed)
            if self._files[path].is_empty:
                del self._files[path]
        versions = ((path, file.version) for path, file in self._files.items())
        version = (*versions, self._stations.version, *self._errors)
        if version != self._version:
            self._report, self._version = self._build_report(), version
        return self._report

    async def _poll_files(self, machine: Surroundings) -> set[str]:
        """Look at the files that are wanted, and at those that they include; give back their paths."""
        self._add_roots(machine)
        queue = deque(self._roots)
        reachable: set[str] = set()
        while queue and len(reachable) < _MAX_FILES:
            spec = queue.popleft()
            if spec.path not in reachable:
                reachable.add(spec.path)
                file = self._files[spec.path] = self._files.get(spec.path) or WatchedFile(*spec)
                await file.poll(machine, self._elapsed)
                for include in file.result.includes:
                    queue.extend(self._included_files(file, include, machine))
        if queue:
            self._errors.append(f"{queue[0].path}: more than {_MAX_FILES} files; name or include fewer")
        return reachable

    def _add_roots(self, machine: Surroundings) -> None:
        """Note what is wanted, named files first; what a pattern once found stays so, for it may vanish."""
        for path in sorted(self.paths, key=AUTO.__eq__):
            if path == AUTO:
                for file_format in FORMATS:
                    for pattern in file_format.paths:
                        self._add_pattern(pattern, FileOrigin.DEFAULT_PATH, file_format, machine)
            elif not _is_control_socket(path):
                self._add_pattern(normpath(path), FileOrigin.CONFIGURED, None, machine)

    def _add_pattern(
        self, pattern: str, origin: FileOrigin, file_format: LeaseFormat | None, machine: Surroundings
    ) -> None:
        self._roots.update(
            (_FileSpec(path, origin, file_format), None) for path in self._matching_paths(pattern, machine)
        )
        if origin is FileOrigin.CONFIGURED and not any(
            fnmatchcase(root.path, pattern) for root in self._roots
        ):
            self._errors.append(f"{pattern}: no file fits this pattern; correct clients.leases")

    def _included_files(
        self, file: WatchedFile, include: Include, machine: Surroundings
    ) -> Iterator[_FileSpec]:
        file_format = format_by_name(include.format) if include.format else file.file_format
        origin = FileOrigin.DEFAULT_PATH if include.optional else FileOrigin.INCLUDED
        pattern = normpath(PurePosixPath(file.path).parent / include.path)
        for path in self._matching_paths(pattern, machine):
            if not path.endswith(include.excluded_suffixes):
                yield _FileSpec(path, origin, file_format)

    def _matching_paths(self, pattern: str, machine: Surroundings) -> tuple[str, ...]:
        """Paths that fit a pattern; without wildcards it fits itself, whether that exists or not."""
        if not pattern.isprintable():  # a NUL would be an error of the caller's to the kernel
            self._errors.append(f"{quote(pattern)}: no file has such a name; correct it")
            return ()
        if _GLOB_CHARACTERS.isdisjoint(pattern):
            return (pattern,)
        try:
            return tuple(path for path in machine.find(pattern) if not path.endswith(_BACKUP_SUFFIXES))
        except HostError as error:
            self._errors.append(str(error))
            return ()

    def _build_report(self) -> LeaseReport:
        """A new report."""
        files = self._files.values()
        files_per_name = Counter(basename(file.path) for file in files if not file.is_empty)
        batches = [
            batch
            for file in files
            for batch in file.batches(
                file.path if files_per_name[basename(file.path)] > 1 else basename(file.path)
            )
        ]
        skipped_warnings = (_skipped_warning(file) for file in files if file.result.skipped)
        warnings = [file.error for file in files if file.error and not file.hides_clients]
        unavailable = [file.error for file in files if file.error and file.hides_clients]
        return LeaseReport(
            batches=(*batches, *self._stations.batches()),
            warnings=(*warnings, *skipped_warnings, *self._stations.warnings),
            unavailable_reason="; ".join((*unavailable, *self._errors)) or None,
            stations_current=self._stations.all_answered,
        )


def _skipped_warning(file: WatchedFile) -> str:
    result = file.result
    noun = "entry" if result.skipped == 1 else "entries"
    return f"{file.path}: {result.skipped} {noun} skipped, the first: {result.errors[0]}"


def _is_control_socket(path: str) -> bool:
    """Whether a path is of hostapd's control sockets: they are asked, not read."""
    return PurePosixPath(path).parent.name == "hostapd"


def _control_sockets(paths: tuple[str, ...]) -> tuple[str, ...]:
    defaults = CONTROL_SOCKET_PATTERNS if AUTO in paths else ()
    return (*(path for path in paths if _is_control_socket(path)), *defaults)
