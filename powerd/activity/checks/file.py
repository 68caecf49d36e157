"""Files: one that exists, such as a lock file, or that has changed lately.

Looking up a file may read from the disk that holds it, and wake it. So files are looked up only when a
sleep is near, or while the last result kept the server awake, and a file not in memory (``/run``) is
reported with a warning. The service does not see /home, /root, devices and the /tmp and /var/tmp of others
(ProtectHome=, PrivateDevices=, PrivateTmp=): a path there is a failure, also by a symbolic link, and so is a
directory that it may not list. lost+found, which only root may list, does not match a wildcard.

A path on a network file system or an automount is a failure, too, also by a symbolic link: while its server
does not answer, looking it up would block powerd. Use the check ``command`` with
``["/usr/bin/test", "-e", "/nas/lock"]``, which has a deadline.
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, duration, list_of, option
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files

_MOUNTINFO: Final = "/proc/self/mountinfo"
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "sysfs", "proc", "cgroup2", "efivarfs"})
_REMOTE: Final = frozenset(
    {"autofs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "lustre"}
    | {f"fuse.{name}" for name in ("sshfs", "rclone", "glusterfs", "s3fs", "curlftpfs")}
    | {"fuse.davfs", "davfs", "fuse.gvfsd-fuse"}
)
"""Types of file systems on which a call can block for as long as another machine does not answer."""
_PRIVATE_TMP: Final = "systemd-private-"
"""In the root of the mounts that PrivateTmp= makes (systemd.exec(5))."""
_MAX_SHOWN: Final = 5
_MAX_LINKS: Final = 40
"""Symbolic links in one path, after which the kernel returns ELOOP (path_resolution(7))."""


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
            raise ValueError('requires a path; write paths = ["/run/backup.lock"]')


class FileMount(NamedTuple):
    """A line of mountinfo: the root of the mount in its file system, where it is, and the type."""

    root: str = ""
    point: str = ""
    kind: str = ""

    @property
    def is_in_memory(self) -> bool:
        """Whether it reads from no disk."""
        return self.kind in _IN_MEMORY

    @property
    def is_private(self) -> bool:
        """Whether the service has it to itself, by PrivateTmp= or PrivateDevices=."""
        return _PRIVATE_TMP in self.root or (self.point == "/dev" and self.kind != "devtmpfs")


def parse_mounts(mountinfo: str) -> Iterator[FileMount]:
    """The mounts in /proc/self/mountinfo (proc_pid_mountinfo(5)); a later one covers an earlier one."""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) > 4:  # noqa: PLR2004 - the mount point is the fifth field
            yield FileMount(fields[3], fields[4].replace("\\040", " "), source.partition(" ")[0])


def find_mount(path: str, mounts: Iterable[FileMount]) -> FileMount:
    """The mount of an absolute path, by its mount point.

    Args:
        path: may contain a glob, which counts as a name of its directory.
        mounts: in the order of /proc/self/mountinfo.
    """
    best = FileMount()
    for mount in mounts:
        if _is_below(path, mount.point) and len(mount.point) >= len(best.point):
            best = mount
    return best


def _is_below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(directory.rstrip("/") + "/")


def read_mounts(files: Files) -> tuple[FileMount, ...]:
    """The mounts that the service sees.

    Raises:
        HostError: it cannot be read.
    """
    mountinfo = files.read_text(_MOUNTINFO)
    if mountinfo is None:
        raise HostError(f"cannot read {_MOUNTINFO}; is /proc mounted?")
    return tuple(parse_mounts(mountinfo))


def find_visible_mount(pattern: str, mounts: Iterable[FileMount]) -> FileMount:
    """The mount of an absolute path, as find_mount().

    Raises:
        HostError: the service has that mount to itself, so it does not see what others write there.
    """
    mount = find_mount(pattern, mounts)
    if mount.is_private:
        raise HostError(f"{mount.point} of this service is its own, without {pattern}; use a file in /run")
    return mount


def expand(pattern: str, files: Files, mounts: Collection[FileMount]) -> Iterable[str]:
    """The paths that match a glob; their last names may not exist.

    Files.find() leaves out what is in a directory that this user may not enter.

    Raises:
        HostError: this user may not list a directory of the pattern, it can block powerd, or the service has
            it to itself.
    """
    visible = {mount.point: mount for mount in mounts}
    remote = [mount for mount in visible.values() if mount.kind in _REMOTE]
    paths = [""]
    for part in pattern.strip("/").split("/"):
        for path in paths if glob.has_magic(part) else ():
            find_visible_mount(_resolve(path, files, remote), mounts)
        names = (
            [[name for name in files.listdir(path or "/") if _matches(name, part)] for path in paths]
            if glob.has_magic(part)
            else [[part]] * len(paths)
        )
        paths = [f"{path}/{name}" for path, found in zip(paths, names, strict=True) for name in found]
    for path in paths:
        find_visible_mount(_resolve(path, files, remote), mounts)
    return paths


def _resolve(path: str, files: Files, remote: Collection[FileMount]) -> str:
    """The path without symbolic links, which it follows as the kernel does (path_resolution(7)).

    It stops before it reaches a remote mount, because a call on the mount point itself can block, too.

    Raises:
        HostError: looking up the path can block.
    """
    names, place, links = path.split("/"), "", 0
    while names:
        name = names.pop(0)
        if name == "..":
            place = place.rpartition("/")[0]
        if name in {"", ".", ".."}:
            continue
        step = f"{place}/{name}"
        if mount := next((each for each in remote if _is_below(step, each.point)), None):
            remedy = 'use a local file, or the check "command" with test -e'
            raise HostError(f"{path} is on {mount.kind}, which can block powerd; {remedy}")
        target = files.readlink(step)
        links += target is not None
        if target is None or links > _MAX_LINKS:
            place = step
            continue
        names = target.split("/") + names
        place = "" if target.startswith("/") else place
    return place


def _matches(name: str, part: str) -> bool:
    is_hidden = name.startswith(".") and not part.startswith(".")
    return fnmatchcase(name, part) and not is_hidden and name != "lost+found"


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
        """Look up the files.

        Raises:
            HostError: this user may not look them up, or they are in a place that the service does not see.
        """
        del depth
        files, within = self._ports.files, self._options.within
        now = self._ports.clock.now().wall.timestamp()
        mounts = read_mounts(files)
        found = []
        for pattern in self._options.paths:
            mount = find_visible_mount(pattern, mounts)
            paths = [
                path
                for path in expand(pattern, files, mounts)
                if (signature := files.stat_signature(path))
                and (not within or now - signature.mtime_ns / 1e9 < within)
                and files.find(glob.escape(path))  # no directory
            ]
            text = "has changed lately" if within else "exists"
            found += [Activity(path, f"{path} {text}", keeps_awake=True) for path in paths[:_MAX_SHOWN]]
            if not paths and not mount.is_in_memory:
                warning = f"looking up {pattern} may wake its disk before a sleep; use a file in /run"
                found.append(Activity(pattern, warning, keeps_awake=False))
        return tuple(found)


KIND: Final = CheckKind(
    "file", Options, FileCheck, many=True, near_sleep_only=True, example=Options(("/run/backup.lock",))
)
