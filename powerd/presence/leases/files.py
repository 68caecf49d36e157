"""Finds all lease files of this machine, watches them, and reports the hosts that they name."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import escape
from itertools import chain
from pathlib import PurePosixPath
from posixpath import basename, dirname, normpath
from typing import Final, NamedTuple

from powerd.core.dataclass import dataclass
from powerd.linux.ports import Files, Network
from powerd.linux.values import HostError
from powerd.presence.leases import FORMATS, format_by_name
from powerd.presence.leases.fields import quote
from powerd.presence.leases.format import HostEntry, Include, LeaseFormat
from powerd.presence.leases.hostapd import CONTROL_SOCKET_PATTERNS, StationWatcher
from powerd.presence.leases.watcher import FileOrigin, WatchedFile

AUTO: Final = "auto"
_GLOB_CHARACTERS: Final = frozenset("*?[")
_DEBIAN_SUFFIXES: Final = (".dpkg-dist", ".dpkg-old", ".dpkg-new")
"""What Debian's dnsmasq leaves out in /etc/dnsmasq.d (/etc/default/dnsmasq); it reads a .bak."""
_BACKUP_SUFFIXES: Final = (*_DEBIAN_SUFFIXES, ".bak", ".orig", ".dpkg-tmp", ".ucf-dist")
_ESCAPED_CHARACTER: Final = re.compile(r"\[([*?[])\]")
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
        self._roots_known = False
        self._patterns: list[tuple[str, FileOrigin, LeaseFormat | None]] = []
        self._errors: list[str] = []
        self._report = LeaseReport()
        self._version: tuple[object, ...] = ()
        self._elapsed = 0.0
        self._last_poll_at: float | None = None

    async def poll(self, files: Files, network: Network, now: float) -> LeaseReport:
        """Take one stat of each file, read those that have changed, and query the access points.

        Args:
            files: reads the lease files.
            network: queries the access points.
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
                if not file.is_still_absent(files):  # so are most of the default paths
                    await file.poll(files, self._elapsed)
                for include in file.result.includes:
                    queue.extend(self._included_files(file, include, files))
        if queue:
            self._errors.append(f"{queue[0].path}: more than {_MAX_FILES} files; name or include fewer")
        return reachable

    def _add_roots(self, files: Files) -> None:
        """Add the files to watch, configured ones first. A file that a pattern has once matched stays."""
        if self._roots_known:  # a path without wildcards matches the same file in every poll
            for each in self._patterns:
                self._add_pattern(*each, files)
            return
        self._roots_known = True
        for path in sorted(self.paths, key=AUTO.__eq__):
            if path == AUTO:
                for file_format in FORMATS:
                    for pattern in file_format.paths:
                        self._add_first(pattern, FileOrigin.DEFAULT_PATH, file_format, files)
            elif not _is_control_socket(path):
                self._add_first(normpath(path), FileOrigin.CONFIGURED, None, files)

    def _add_first(
        self, pattern: str, origin: FileOrigin, file_format: LeaseFormat | None, files: Files
    ) -> None:
        if not (_GLOB_CHARACTERS.isdisjoint(pattern) and pattern.isprintable()):
            self._patterns.append((pattern, origin, file_format))
        self._add_pattern(pattern, origin, file_format, files)

    def _add_pattern(
        self, pattern: str, origin: FileOrigin, file_format: LeaseFormat | None, files: Files
    ) -> None:
        excluded = _BACKUP_SUFFIXES if origin is FileOrigin.CONFIGURED else _DEBIAN_SUFFIXES
        self._roots.update(
            (_FileSpec(path, origin, file_format), None)
            for path in self._matching_paths(pattern, files, excluded)
        )
        if origin is FileOrigin.CONFIGURED and not any(
            fnmatchcase(root.path, pattern) for root in self._roots
        ):
            self._errors.append(f"{pattern}: no file matches this pattern; correct clients.leases")

    def _included_files(self, file: WatchedFile, include: Include, files: Files) -> Iterator[_FileSpec]:
        file_format = format_by_name(include.format) if include.format else file.file_format
        origin = FileOrigin.LEASES_OF_SERVER if include.optional else FileOrigin.INCLUDED
        path = normpath(PurePosixPath("/") / include.path)
        if include.may_be_directory and _is_directory(path, files):
            paths = self._matching_paths(f"{escape(path)}/*", files)
        elif include.is_pattern:
            paths = self._matching_paths(path, files)
            self._check_directory(path, files)
        else:
            paths = self._printable_path(path)
        for path in paths:
            if not path.endswith(include.excluded_suffixes):
                yield _FileSpec(path, origin, file_format)

    def _check_directory(self, pattern: str, files: Files) -> None:
        """An absent directory matches as few files as an empty one, but its files may only be invisible."""
        directory = _ESCAPED_CHARACTER.sub(r"\1", dirname(pattern))
        try:
            if directory.isprintable() and files.stat_signature(directory) is None:
                self._errors.append(
                    f"{directory}: another file includes this directory, but it does not exist; correct that"
                )
        except HostError as error:
            self._errors.append(str(error))

    def _matching_paths(
        self, pattern: str, files: Files, excluded_suffixes: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Paths that match a pattern; a path without wildcards matches itself, whether it exists or not."""
        if _GLOB_CHARACTERS.isdisjoint(pattern) or not pattern.isprintable():
            return self._printable_path(pattern)
        try:
            found = files.find(pattern)
        except HostError as error:
            self._errors.append(str(error))
            return ()
        return tuple(path for path in found if not path.endswith(excluded_suffixes) and not _is_backup(path))

    def _printable_path(self, path: str) -> tuple[str, ...]:
        """The path itself; () after an error, since Python raises ValueError for a path with a NUL."""
        if path.isprintable():
            return (path,)
        self._errors.append(f"{quote(path)}: no file has such a name; correct it")
        return ()

    def _build_report(self) -> LeaseReport:
        watched = self._files.values()
        warnings = [file.error for file in watched if file.error and not file.hides_clients]
        warnings += [f"{file.path}: {warning}" for file in watched for warning in file.result.warnings]
        unavailable = [file.error for file in watched if file.error and file.hides_clients]
        unavailable += [_skipped_error(file) for file in watched if file.result.skipped and not file.error]
        return LeaseReport(
            entries=tuple(
                chain(*(file.retained.entries for file in watched), self._stations.retained.entries)
            ),
            warnings=(*warnings, *self._stations.warnings),
            unavailable_reason="; ".join((*unavailable, *self._errors)) or None,
            stations_current=self._stations.all_answered,
        )


def _is_directory(path: str, files: Files) -> bool:
    """Whether the path is a directory; False if this user may not find out; reading it reports that."""
    try:
        return path.isprintable() and files.stat_signature(path) is not None and not files.find(escape(path))
    except HostError:
        return False


def _is_backup(path: str) -> bool:
    """Whether an editor has made this file; dnsmasq(8) leaves these out in every directory."""
    name = basename(path)
    return name.endswith("~") or (name.startswith("#") and name.endswith("#"))


def _skipped_error(file: WatchedFile) -> str:
    result = file.result
    noun = "entry" if result.skipped == 1 else "entries"
    return f"{file.path}: {result.skipped} {noun} skipped, the first: {result.errors[0]}; repair the file"


def _is_control_socket(path: str) -> bool:
    """Whether a path is one of hostapd's control sockets, which is queried instead of read."""
    return PurePosixPath(path).parent.name == "hostapd"


def _control_sockets(paths: tuple[str, ...]) -> tuple[str, ...]:
    defaults = CONTROL_SOCKET_PATTERNS if AUTO in paths else ()
    return (*(path for path in paths if _is_control_socket(path)), *defaults)
