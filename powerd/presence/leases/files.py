"""Finds all lease files of this machine, watches them, and reports the hosts that they name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Final, NamedTuple

from powerd.linux.ports import Files, Network
from powerd.linux.values import HostError
from powerd.presence.leases import FORMATS, format_by_name
from powerd.presence.leases.fields import quote
from powerd.presence.leases.format import HostEntry, Include, LeaseFormat
from powerd.presence.leases.hostapd import CONTROL_SOCKET_PATTERNS, StationWatcher
from powerd.presence.leases.watcher import FileOrigin, WatchedFile

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
"""Seconds between two polls that count at most: the wall clock may have stepped."""


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """The content of all lease files; the identical object for as long as nothing changes.

    Attributes:
        entries: of all files and access points; several may name one host.
        warnings: what the administrator should correct, one line each; no client is hidden by it.
        unavailable_reason: why clients may be missing from ``entries``; None = none are. While it is set, an
            absent client proves nothing and the server must stay awake.
        stations_current: False = the stations are from an earlier poll and may have left.
    """

    entries: tuple[HostEntry, ...] = ()
    warnings: tuple[str, ...] = ()
    unavailable_reason: str | None = None
    stations_current: bool = True


class _FileSpec(NamedTuple):
    path: str
    origin: FileOrigin
    file_format: LeaseFormat | None


class LeaseFiles:
    """Finds and watches lease files.

    Args:
        paths: ``auto`` for the default paths of all formats; paths and glob patterns of files, or of
            hostapd's control sockets (``/run/hostapd/wlan0``).
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

    async def poll(self, files: Files, network: Network, now: float) -> LeaseReport:
        """Take one stat of each file, read those that have changed, and ask the access points.

        Args:
            files: reads the lease files.
            network: asks the access points.
            now: POSIX seconds. A step of the clock counts as five minutes at most, a step backwards as none.
        """
        step = 0.0 if self._last_poll_at is None else now - self._last_poll_at
        self._elapsed += min(max(step, 0.0), _MAX_ELAPSED)
        self._last_poll_at = now
        self._errors = []
        await self._stations.poll(files, network, self._elapsed)
        reachable = await self._poll_files(files)
        for path in self._files.keys() - reachable:
            self._files[path].discard(self._elapsed)
            if self._files[path].retained.is_empty:
                del self._files[path]
        versions = ((path, file.version) for path, file in self._files.items())
        version = (*versions, self._stations.version, *self._errors)
        if version != self._version:
            self._report, self._version = self._build_report(), version
        return self._report

    async def _poll_files(self, files: Files) -> set[str]:
        """Poll the root files and the files that they include; return their paths."""
        self._add_roots(files)
        queue = deque(self._roots)
        reachable: set[str] = set()
        while queue and len(reachable) < _MAX_FILES:
            spec = queue.popleft()
            if spec.path not in reachable:
                reachable.add(spec.path)
                file = self._files[spec.path] = self._files.get(spec.path) or WatchedFile(*spec)
                await file.poll(files, self._elapsed)
                for include in file.result.includes:
                    queue.extend(self._included_files(file, include, files))
        if queue:
            self._errors.append(f"{queue[0].path}: more than {_MAX_FILES} files; name or include fewer")
        return reachable

    def _add_roots(self, files: Files) -> None:
        """Add the files to watch, configured ones first. A file that a pattern has once matched stays."""
        for path in sorted(self.paths, key=AUTO.__eq__):
            if path == AUTO:
                for file_format in FORMATS:
                    for pattern in file_format.paths:
                        self._add_pattern(pattern, FileOrigin.DEFAULT_PATH, file_format, files)
            elif not _is_control_socket(path):
                self._add_pattern(normpath(path), FileOrigin.CONFIGURED, None, files)

    def _add_pattern(
        self, pattern: str, origin: FileOrigin, file_format: LeaseFormat | None, files: Files
    ) -> None:
        self._roots.update(
            (_FileSpec(path, origin, file_format), None) for path in self._matching_paths(pattern, files)
        )
        if origin is FileOrigin.CONFIGURED and not any(
            fnmatchcase(root.path, pattern) for root in self._roots
        ):
            self._errors.append(f"{pattern}: no file matches this pattern; correct clients.leases")

    def _included_files(self, file: WatchedFile, include: Include, files: Files) -> Iterator[_FileSpec]:
        file_format = format_by_name(include.format) if include.format else file.file_format
        origin = FileOrigin.DEFAULT_PATH if include.optional else FileOrigin.INCLUDED
        pattern = normpath(PurePosixPath(file.path).parent / include.path)
        for path in self._matching_paths(pattern, files):
            if not path.endswith(include.excluded_suffixes):
                yield _FileSpec(path, origin, file_format)

    def _matching_paths(self, pattern: str, files: Files) -> tuple[str, ...]:
        """Paths that match a pattern; a path without wildcards matches itself, whether it exists or not."""
        if not pattern.isprintable():  # Python raises ValueError for a path with a NUL
            self._errors.append(f"{quote(pattern)}: no file has such a name; correct it")
            return ()
        if _GLOB_CHARACTERS.isdisjoint(pattern):
            return (pattern,)
        try:
            return tuple(path for path in files.find(pattern) if not path.endswith(_BACKUP_SUFFIXES))
        except HostError as error:
            self._errors.append(str(error))
            return ()

    def _build_report(self) -> LeaseReport:
        watched = self._files.values()
        skipped_warnings = (_skipped_warning(file) for file in watched if file.result.skipped)
        warnings = [file.error for file in watched if file.error and not file.hides_clients]
        unavailable = [file.error for file in watched if file.error and file.hides_clients]
        return LeaseReport(
            entries=tuple(
                chain(*(file.retained.entries for file in watched), self._stations.retained.entries)
            ),
            warnings=(*warnings, *skipped_warnings, *self._stations.warnings),
            unavailable_reason="; ".join((*unavailable, *self._errors)) or None,
            stations_current=self._stations.all_answered,
        )


def _skipped_warning(file: WatchedFile) -> str:
    result = file.result
    noun = "entry" if result.skipped == 1 else "entries"
    return f"{file.path}: {result.skipped} {noun} skipped, the first: {result.errors[0]}"


def _is_control_socket(path: str) -> bool:
    """Whether a path is one of hostapd's control sockets, which is queried instead of read."""
    return PurePosixPath(path).parent.name == "hostapd"


def _control_sockets(paths: tuple[str, ...]) -> tuple[str, ...]:
    defaults = CONTROL_SOCKET_PATTERNS if AUTO in paths else ()
    return (*(path for path in paths if _is_control_socket(path)), *defaults)
