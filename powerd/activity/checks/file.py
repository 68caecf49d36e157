"""Files: one that exists, such as a lock file, or that has changed lately.

Looking up a file may read from the disk that holds it, and wake it. So files are looked up only when a
sleep is near, or while the last result kept the server awake, and a file not in memory (``/run``) is
reported with a warning. The daemon does not see /home, /root and the /tmp of others (ProtectHome=,
PrivateTmp=).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, duration, list_of, option
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

_MOUNTINFO: Final = "/proc/self/mountinfo"
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "sysfs", "proc", "cgroup2", "efivarfs"})
_MAX_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Options:
    """The options."""

    paths: tuple[str, ...] = option(
        (), 'absolute paths, with `*`, e.g. ["/run/backup.lock"]', list_of(absolute_path().read)
    )
    within: float = option(0.0, 'time since the last change; "0s" = the file exists', duration())

    def __post_init__(self) -> None:
        """Check the combination."""
        if not all(self.paths) or not self.paths:
            raise ValueError('requires "paths"')


def is_in_memory(path: str, mountinfo: str) -> bool:
    """Whether the file system of an absolute path reads from no disk, by its mount point.

    Args:
        path: may contain a glob, which counts as a name of its directory.
        mountinfo: the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    """
    best, in_memory = "", False
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields, kinds = mount.split(" "), source.split(" ")
        if len(fields) <= 4:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = fields[4].replace("\\040", " ")
        if f"{path}/".startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, in_memory = point, kinds[0] in _IN_MEMORY
    return in_memory


class FileCheck:
    """Looks up the files.

    Args:
        options: of the check.
        ports: the files and the clock.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """Look up the files."""
        del depth
        files, within = self._ports.files, self._options.within
        now = self._ports.clock.now().wall.timestamp()
        mountinfo = files.read_text(_MOUNTINFO)
        if mountinfo is None:
            raise HostError(f"cannot read {_MOUNTINFO}; is /proc mounted?")
        found = []
        for pattern in self._options.paths:
            paths = [
                path
                for path in files.find(pattern)
                if (signature := files.stat_signature(path))
                and (not within or now - signature.mtime_ns / 1e9 < within)
            ]
            text = "has changed lately" if within else "exists"
            found += [Activity(path, f"{path} {text}", keeps_awake=True) for path in paths[:_MAX_SHOWN]]
            if not paths and not is_in_memory(pattern, mountinfo):
                warning = f"looking up {pattern} may wake its disk before a sleep; use a file in /run"
                found.append(Activity(pattern, warning, keeps_awake=False))
        return tuple(found)


KIND: Final = CheckKind(
    "file", Options, FileCheck, many=True, near_sleep_only=True, example=Options(("/run/backup.lock",))
)
