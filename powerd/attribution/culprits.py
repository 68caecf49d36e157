r"""The culprit of an event: its process, the systemd unit, and what that stands for.

A unit can stand for a container, a virtual machine or a login session.

Control groups are paths in cgroup v2. systemd nests them by slice, ``/system.slice/cron.service``, and
escapes names (https://systemd.io/CGROUP_DELEGATION, systemd-escape(1)): ``\x2d`` is a hyphen. Below a unit
with Delegate= the owner makes groups of its own, whose names are not systemd's. Container managers make
scopes, or with the cgroupfs driver groups at the root:

    docker, podman    docker-<id>.scope, libpod-<id>.scope, /docker/<id>
    Kubernetes        cri-containerd-<id>.scope, crio-<id>.scope, /kubepods/burstable/pod<uid>/<id>
    systemd-machined  machine-<name>.scope, systemd-nspawn@<name>.service
    libvirt           machine-qemu\x2d<number>\x2d<name>.scope, machine-lxc\x2d<number>\x2d<name>.scope
    LXC, Incus        /lxc.payload.<name>, /lxc.monitor.<name>, /lxc/<name>
    Proxmox VE        /qemu.slice/<number>.scope, /lxc/<number>
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from powerd.attribution.model import SESSION_SCOPE, USER_MANAGER, Culprit, TracedProcess, TraceEvent

OWN_UNITS: Final = frozenset({"powerd.service", "powerd-helper.service", "powerd-files.service"})
_SUFFIXES: Final = (".service", ".scope", ".socket", ".mount", ".swap")
"""Of the units that have processes."""
_ID: Final = re.compile(r"(?:.*[:-])?([0-9a-f]{64})")
"""A container's id, with the prefix of its manager: ``docker-``, ``POD:cri-containerd:``."""
_SHORT_ID: Final = 12
"""Characters of a container's id that ``docker ps`` and ``podman ps`` show."""
_LIBVIRT: Final = re.compile(r"(qemu|lxc|xen)-\d+-(.+)")
_ESCAPE: Final = re.compile(r"\\x([0-9a-f]{2})")
_SYSTEM: Final = "system.slice"
_USER_SLICE: Final = re.compile(r"user-(\d+)\.slice")

_DELEGATES: Final = re.compile(
    r"(kworker/|jbd2/|xfsaild/|xfs-|btrfs-|flush-|kcryptd|dmcrypt_write|kdmflush|md\d+_raid|dm_bufio|txg_sync)"
)
"""Kernel threads that write for others."""
_KERNEL_SERVERS: Final[Mapping[str, str]] = {"nfsd": "nfs-server.service"}
"""Kernel threads that serve clients, with the unit that starts them."""


class UnitOwner(NamedTuple):
    """The unit of a process, and what it stands for, as in Culprit; both "" = the kernel, or unknown."""

    unit: str = ""
    owner: str = ""


class Culprits:
    """The culprit of each process of a reading.

    A process id can have been used again: then only the row with the name of the event counts, and if there
    is none, nothing is known.
    """

    def __init__(self, processes: Iterable[TracedProcess], users: Mapping[int, str]) -> None:
        self._by_name: dict[tuple[int, str], TracedProcess] = {}
        self._by_pid: dict[int, TracedProcess | None] = {}
        for each in processes:
            self._by_name[each.pid, each.comm] = each
            self._by_pid[each.pid] = None if each.pid in self._by_pid else each
        self._users = users

    def _process(self, event: TraceEvent) -> TracedProcess | None:
        return self._by_name.get((event.pid, event.comm)) or self._by_pid.get(event.pid)

    def of(self, event: TraceEvent) -> Culprit:
        """The process in whose context an event happened."""
        process = self._process(event)
        unit, owner = find_unit(process.cgroup if process else "", self._users)
        if not unit and not owner:
            unit = _KERNEL_SERVERS.get(event.comm, "")
        is_process = process is None or not process.is_thread
        return Culprit(unit, event.comm, (event.pid or None) if is_process else None, owner)

    def is_delegate(self, event: TraceEvent) -> bool:
        """Whether the process of an event is a kernel thread that writes for others."""
        process = self._process(event)
        in_kernel = process is None or process.cgroup in {"", "/"}
        return in_kernel and _DELEGATES.match(event.comm) is not None


def find_unit(cgroup: str, users: Mapping[int, str]) -> UnitOwner:
    """The unit of a control group.

    The unit is the outermost one, which systemctl(1) knows. Only the units of a user are named by the user's
    own service manager, and those of a container by the systemd in it, if it runs one.

    Args:
        cgroup: its path; "" = unknown.
        users: names by user id.
    """
    parts = [_unescape_group(part) for part in cgroup.split("/") if part]
    found = _outermost(parts, users)
    if found.owner.startswith("container ") and (inner := _unit_within(parts)):
        return found._replace(unit=inner)
    return found


def _outermost(parts: list[str], users: Mapping[int, str]) -> UnitOwner:
    slices, uid = 0, None
    for part in parts:
        if not part.endswith(".slice"):
            break
        slices += 1
        if found := _USER_SLICE.fullmatch(part):
            uid = int(found[1])
    inner = parts[slices:]
    if not inner:
        return UnitOwner()
    first = inner[0]
    if not first.endswith(_SUFFIXES):
        return UnitOwner("", _unmanaged_owner(inner))
    if parts[:1] == ["qemu.slice"] and first.removesuffix(".scope").isdecimal():
        return UnitOwner(first, f"virtual machine {first.removesuffix('.scope')}")
    if found := USER_MANAGER.fullmatch(first):
        return _unit_of_user(inner, _name_of(int(found[1]), users))
    if uid is not None and (found := SESSION_SCOPE.fullmatch(first)):
        return UnitOwner(first, f"{_name_of(uid, users)}'s session {found[1]}")
    return UnitOwner(first, owner_of_unit(first) or _unmanaged_owner(inner[1:]))


def find_user(cgroup: str) -> int | None:
    """The user whose name find_unit() needs; None = none."""
    found = re.match(r"/user\.slice/user-(\d+)\.slice/", cgroup)
    return None if found is None else int(found[1])


def owner_of_unit(unit: str) -> str:
    """The container or virtual machine of a unit, ``container web``; "" = it is neither."""
    name = unit.rpartition(".")[0]
    if name.startswith("machine-") and unit.endswith(".scope"):
        machine = _unescape(name.removeprefix("machine-"))
        if found := _LIBVIRT.fullmatch(machine):
            return f"{'container' if found[1] == 'lxc' else 'virtual machine'} {found[2]}"
        return f"container {machine}"
    if name.startswith("systemd-nspawn@"):
        return f"container {_unescape(name.removeprefix('systemd-nspawn@'))}"
    found = _ID.fullmatch(name)
    return "" if found is None or not unit.endswith(".scope") else f"container {found[1][:_SHORT_ID]}"


def _unit_within(parts: list[str]) -> str:
    """The unit of the systemd in a container, ``.../payload/system.slice/cron.service``; "" = it has none."""
    if _SYSTEM not in parts[1:]:
        return ""
    below = parts[parts.index(_SYSTEM, 1) + 1 :]
    first = next((part for part in below if not part.endswith(".slice")), "")
    return first if first.endswith(_SUFFIXES) else ""


def _unit_of_user(inner: list[str], name: str) -> UnitOwner:
    """A unit of a user's own service manager, ``user@1000.service/app.slice/syncthing.service``."""
    below = [part for part in inner[1:] if not part.endswith(".slice")]
    if below and below[0] != "init.scope" and below[0].endswith(_SUFFIXES):
        return UnitOwner(below[0], owner_of_unit(below[0]) or name)
    return UnitOwner(inner[0], name)


def _unmanaged_owner(parts: list[str]) -> str:
    """The container whose groups a container manager has made without systemd; "" = none."""
    for number, part in enumerate(parts):
        for prefix in ("lxc.payload.", "lxc.monitor."):
            if part.startswith(prefix):
                return f"container {part.removeprefix(prefix)}"
        if part in {"lxc", "lxc.payload", "lxc.monitor"} and number + 1 < len(parts):
            return f"container {parts[number + 1]}"
        if found := _ID.fullmatch(part.removesuffix(".scope")):
            return f"container {found[1][:_SHORT_ID]}"
    return ""


def _name_of(uid: int, users: Mapping[int, str]) -> str:
    return users.get(uid, f"user {uid}")


def _unescape_group(name: str) -> str:
    """A name without the ``_`` by which systemd distinguishes it from a file of the kernel."""
    return name.removeprefix("_")


def _unescape(name: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)
