"""Log files: a line that matches was written lately.

A log file is followed as by ``tail -F``. Each round looks up its size and its time of change, which are in
memory after the first round, and reads what was appended, which is in memory because it has just been
written. A log that does not grow is not read, and neither is what was in it before powerd started: a log
that was written within the last ``within`` counts until that time is over. So does a log of which powerd
cannot read everything: more than 1 MiB in one round or 16 KiB in one line, one that was overwritten, or one
that was replaced while its old file is gone. logrotate(8) loses no line with its usual settings, because the
renamed file beside the new one is read to its end, and so is one that was renamed after it. Compressed logs
are not read.

The time of a line is that of its round; time stamps are not read. A regular expression should match what work
writes, as ``GET /film``, and not what the program writes all the time. Lines without an end count too. A log
also counts if the search of its new lines exceeds a second of processor time. Do not repeat a repetition, as
in ``(a+)+$``, of which ``powerd check`` warns: with such an expression a search of one line can take hours.

The service must be allowed to read the file: those of rsyslog belong to the group ``adm``. It does not see
/home, /root and the /tmp and /var/tmp of others. A log on a network file system or an automount is refused,
as by the check ``file``. Where messages are only in the journal, as on Debian 13 without rsyslog, use the
check ``command`` with ``journalctl --since=-10min --grep=...``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from powerd.activity.answer import optional, parse_regex
from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.checks.file import expand, find_visible_mount, read_mounts
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, duration, list_of, option
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.core.turns import in_turns
from powerd.linux.cpu_limit import MAX_LINE, cpu_limit
from powerd.linux.values import HostError, StatSignature

_MAX_READ: Final = 1 << 20
"""Bytes of one file in one round; 17 kB/s with the default interval of a minute."""
_TAIL: Final = 64
"""Bytes that distinguish a log that has grown from one that was overwritten with more than before."""


class _Finding(StrEnum):
    """Why a file counts, one clause."""

    MATCHES = "has a new line that matches"
    UNREAD = "has changed, and may have a new line that matches"
    TOO_SLOW = "has new lines that regex does not search within a second; simplify it"


@dataclass(frozen=True, slots=True)
class Options:
    """The options."""

    paths: tuple[str, ...] = option(
        (), 'absolute paths, with `*`, e.g. ["/var/log/app/app_*.log"]', list_of(absolute_path().read)
    )
    regex: str = option(
        "",
        "regular expression that is searched for in each new line",
        optional(parse_regex),
    )
    within: float = option(600.0, "time for which such a line keeps the server awake", duration(60, 604_800))

    def __post_init__(self) -> None:
        """Check that there is something to read and to search for."""
        if not all(self.paths) or not self.paths or not self.regex:
            raise ValueError(
                'requires paths and a regex; write paths = ["/var/log/app.log"], regex = "GET /"'
            )


class _Position(NamedTuple):
    """How far a file has been read.

    Attributes:
        signature: of the file as it has been read; None = it is new.
        rest: its last line, which may be incomplete.
        tail: its last bytes; b"" = not read.
    """

    signature: StatSignature | None
    rest: bytes = b""
    tail: bytes = b""


class LogCheck:
    """Follows the files.

    Args:
        options: of the check.
        ports: the files and the clock.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._files = ports.files
        self._clock = ports.clock
        self._regex = re.compile(options.regex)
        self._positions: dict[str, _Position] = {}
        self._counted: dict[str, tuple[float, _Finding]] = {}
        """The time of the last line that counts, in seconds since the boot, and why, by the path."""
        self._polled_at: float | None = None

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each log file that counts.

        Raises:
            NotApplicableError: there is no such file.
            HostError: this user may not read a file, or it is in a place that the service does not see.
        """
        del depth
        now = self._clock.now()
        uptime = now.mono + now.slept
        found = self._look_up()
        if not found and self._polled_at is None:
            raise NotApplicableError(f"there is no {', '.join(self._options.paths)}; check the path")
        # One at a time: each search may take SEARCH_LIMIT.
        async for path, signature in in_turns({**dict.fromkeys(self._positions), **found}.items(), 1):
            finding = await self._follow(path, signature)
            written = signature or self._positions[path].signature
            if finding is not None and written is not None:
                age = max(0.0, now.wall.timestamp() - written.mtime_ns / 1e9)
                if self._polled_at is not None and (signature is not None or finding is _Finding.MATCHES):
                    age = min(age, uptime - self._polled_at)  # also after a step of the wall clock
                self._counted[path] = (uptime - age, finding)
            if signature is None:
                del self._positions[path]
        self._polled_at = uptime
        within = self._options.within
        self._counted = {path: each for path, each in self._counted.items() if uptime - each[0] < within}
        return tuple(
            Activity(path, finding.value, keeps_awake=True) for path, (_, finding) in self._counted.items()
        )

    def _look_up(self) -> dict[str, StatSignature]:
        """The files that exist."""
        mounts = read_mounts(self._files)
        for pattern in self._options.paths:
            find_visible_mount(pattern, mounts)
        paths = [path for pattern in self._options.paths for path in expand(pattern, self._files, mounts)]
        signatures = {path: self._files.stat_signature(path) for path in paths}
        return {path: each for path, each in signatures.items() if each is not None}

    async def _follow(self, path: str, signature: StatSignature | None) -> _Finding | None:
        """Read what was appended; why the file counts, or None.

        Args:
            path: of a file that exists, or that did so in the last round.
            signature: of the file; None = it is gone.
        """
        if path not in self._positions and self._polled_at is None:
            if signature is not None:
                await self._read(path, signature, signature.size)  # no byte: whether it may be read
            self._positions[path] = _Position(signature)
            return _Finding.UNREAD
        known, rest, tail = self._positions.get(path, _Position(None))
        if signature == known:
            return None
        data, new, is_complete = rest, b"", True
        start = 0 if known is None else known.size
        if known is not None and (
            signature is None
            or signature.inode != known.inode
            or signature.size <= known.size
            or self._is_overwritten(path, known.size, tail)
        ):
            renamed = self._find_renamed(path, known)
            is_complete = bool(renamed)
            for each, found in renamed:
                old, is_whole = await self._read(each, found, start)
                data, is_complete, start = data + old + b"\n", is_complete and is_whole, 0
            start, tail = 0, b""
        if signature is not None:
            new, is_whole = await self._read(path, signature, start)
            data, is_complete = data + new, is_complete and is_whole
        lines = data.split(b"\n")
        self._positions[path] = _Position(signature or known, lines[-1][-MAX_LINE:], (tail + new)[-_TAIL:])
        try:
            with cpu_limit():
                if any(self._is_match(line) for line in lines):
                    return _Finding.MATCHES
        except TimeoutError:
            return _Finding.TOO_SLOW
        is_complete = is_complete and all(len(line) <= MAX_LINE for line in lines)
        return None if is_complete else _Finding.UNREAD

    def _is_match(self, line: bytes) -> bool:
        text = line[:MAX_LINE].removesuffix(b"\r").decode(errors="replace")
        return self._regex.search(text) is not None

    def _is_overwritten(self, path: str, size: int, tail: bytes) -> bool:
        """Whether a file does not have these bytes before the size that it had."""
        return bool(tail) and self._files.read_bytes(path, len(tail), size - len(tail)) != tail

    def _find_renamed(self, path: str, known: StatSignature) -> list[tuple[str, StatSignature]]:
        """The file that had this path, under its new name in the same directory, and what followed it.

        Those are the files that had this path in between, if it was renamed several times: their names begin
        with it, and they were changed later. The result is [] if the file itself is gone.
        """
        directory, _, name = path.rpartition("/")
        old: list[tuple[str, StatSignature]] = []
        others: list[tuple[str, StatSignature]] = []
        for other in self._files.listdir(directory or "/"):
            if (
                other != name
                and other.startswith(name.partition(".")[0])
                and self._files.readlink(f"{directory}/{other}") is None  # it may lead to another machine
            ):
                found = self._files.stat_signature(f"{directory}/{other}")
                if found is not None and found.inode == known.inode and found.size >= known.size:
                    old = [(f"{directory}/{other}", found)]
                elif found is not None and other.startswith(name):
                    others.append((f"{directory}/{other}", found))
        later = (each for each in others if old and each[1].mtime_ns > old[0][1].mtime_ns)
        return [*old, *sorted(later, key=lambda each: each[1].mtime_ns)]

    async def _read(self, path: str, signature: StatSignature, start: int) -> tuple[bytes, bool]:
        """The bytes of a file from ``start`` to the size that it had, and whether they are complete."""
        begin = max(start, signature.size - _MAX_READ)
        data = self._files.read_bytes(path, signature.size - begin, begin)
        if data is None:
            await self._files.read(path, 1)  # raises a HostError with the reason
            raise HostError(f"{path} was replaced while it was read; see the next round")
        return data, len(data) == signature.size - start


KIND: Final = CheckKind(
    "log", Options, LogCheck, many=True, example=Options(("/var/log/nginx/access.log",), '"GET /films/')
)
