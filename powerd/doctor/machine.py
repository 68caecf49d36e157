"""What a finding may read of a machine: files, units, kernel settings, and which hard disks hold a path.

Everything comes from files below /etc, /usr, /run, /proc and /sys, so a test gives a tree of files. Nothing
is read from a disk that is known to be in standby.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from powerd.disks.conflicts.checks import INCOMPLETE, conflicts_by_program, is_running
from powerd.disks.model import Disk, DiskId
from powerd.disks.source import mountinfo
from powerd.disks.source.block_devices import BlockDevice, read_block_devices
from powerd.disks.source.identity import find_rotational, find_transport, ineligible_reason
from powerd.disks.source.inventory import build_inventory
from powerd.disks.source.spin_up_causes import SpinUpCauseReader
from powerd.disks.source.topology import DeviceTopology
from powerd.doctor.model import AccessPattern, Diagnosis
from powerd.linux import systemd_files
from powerd.linux.ports import Files
from powerd.linux.systemd_files import UNIT_DIRECTORIES, UnitSettings
from powerd.linux.values import HostError

_SHARED_LIBRARY: Final = "libsystemd-shared-*.so"
_LIBRARY_VERSION: Final = re.compile(r"-shared-(\d+)")
_EXAMINED: Final = ("/etc", "/usr/lib", "/usr/local/lib", "/var/spool/cron")
"""The directories, not in memory, whose files the findings read."""
_NO_ACCESSES: Final = AccessPattern()


class Machine:
    """One machine at one moment. ``await Machine.read(files)`` makes one.

    Attributes:
        disks: the hard disks that powerd can spin down, by kernel name, ``sdb``.
        mounts: the mount table.
        notes: sentences about what could not be read; a finding that depends on it does not apply.
    """

    def __init__(
        self,
        files: Files,
        disks: Mapping[str, Disk],
        blocks: Mapping[str, BlockDevice],
        held_mounts: Collection[mountinfo.HeldMount],
        conflicts: Mapping[str, Collection[str]],
    ) -> None:
        self._files = files
        self._held_mounts = held_mounts
        self._blocks = blocks
        self._topology = DeviceTopology(blocks)
        self.disks = disks
        self.mounts = tuple(mount for mount, _ in held_mounts)
        self._conflicts = conflicts
        self.notes: dict[str, None] = {}
        self._sleeping = frozenset[str]()

    @classmethod
    async def read(cls, files: Files, sleeping: Collection[str] = (), *, may_start: bool = False) -> Machine:
        """Read the disks, the mounts and the conflicts.

        Args:
            files: of the machine.
            sleeping: kernel names of the disks in standby.
            may_start: those with the directories that the findings read may be started.

        Raises:
            HostError: sysfs is not readable, or a directory that the findings read lies on a disk in standby.
        """
        text = files.read_text("/proc/self/mountinfo")
        mounts = mountinfo.parse_mountinfo(text)
        blocks = await read_block_devices(files)
        held, topology = mountinfo.mount_holders(blocks, mounts), DeviceTopology(blocks)
        for directory in _EXAMINED:
            asleep = topology.disks(mountinfo.devices_holding(directory, held)) & set(sleeping)
            if may_start:
                sleeping = set(sleeping) - asleep
            elif asleep:
                raise HostError(
                    f"nothing is examined: {directory} lies on {', '.join(sorted(asleep))}, which is in "
                    "standby; run powerd doctor again while it spins"
                )
        inventory = build_inventory(blocks, mounts, SpinUpCauseReader(files).read(text))
        disks = {disk.device: disk for disk in inventory.disks.values() if _is_hard_disk(blocks[disk.device])}
        conflicts = await conflicts_by_program(files) if disks else {}
        machine = cls(files, disks, blocks, held, conflicts)
        machine._sleeping = frozenset(sleeping)
        return machine

    def disks_of(self, path: str) -> tuple[str, ...]:
        """The kernel names of the hard disks that hold a path, which need not exist; () = none of them does.

        Links are followed where the path exists.
        """
        return self.disks_below(mountinfo.devices_holding(self._resolve(path)[0], self._held_mounts))

    def swap_disks(self, area: str) -> tuple[str, ...]:
        """The kernel names of the hard disks that hold a swap area, a device or a file, by its path."""
        return self.disks_below(frozenset(mountinfo.swap_devices(self._blocks, (area,), self._held_mounts)))

    def disks_below(self, devices: Collection[str]) -> tuple[str, ...]:
        """The kernel names of the hard disks below block devices, which are named by the kernel too."""
        return tuple(sorted(self._topology.disks(devices) & self.disks.keys()))

    def mounts_on_disks(self) -> Iterator[tuple[mountinfo.MountEntry, tuple[str, ...], tuple[str, ...]]]:
        """Each mount on hard disks, with their names, and those of the devices directly below it."""
        for mount, devices in self._held_mounts:
            if disks := self.disks_below(devices):
                yield mount, disks, tuple(sorted(devices))

    def conflicts_with(
        self, program: str, subject: str, accesses: AccessPattern = _NO_ACCESSES
    ) -> Iterator[Diagnosis]:
        """What ``powerd check`` finds about a program, as diagnoses that are repaired by hand.

        Args:
            program: a key of conflicts_by_program(), which is the name of the finding as well.
            subject: of the diagnoses.
            accesses: of the diagnoses.
        """
        for number, paragraph in enumerate(self._conflicts.get(program, ()), 1):
            if paragraph.startswith(INCOMPLETE):
                self.notes[paragraph] = None
                continue
            text, _, lines = paragraph.partition("\n\n")
            effect, _, remedy = text.rpartition("; ")
            yield Diagnosis(
                f"{program}:{number}",
                subject,
                f"{effect}.",
                f"{remedy[:1].upper()}{remedy[1:]}".rstrip(":") + ".",
                disks=tuple(sorted(self.disks)),
                by_hand=lines,
                accesses=accesses,
            )

    def text(self, path: str) -> str:
        """The text of a file, stripped; "" = there is none, or it cannot be read, which is noted.

        Services own some of these files, and root reads them, so a link to a device is not opened.
        """
        if self._is_asleep(path):
            return ""
        text = self._files.read_regular(path)
        if text is None and self.exists(path):
            self.notes[f"{path} cannot be read; run powerd doctor as root, or see whether it is a file"] = (
                None
            )
        return text or ""

    def first_line(self, path: str) -> str:
        """The first line of a file that may vanish, such as one of a process; "" = it is not there."""
        return (self._files.read_text(path) or "").partition("\n")[0]

    def texts(self, pattern: str) -> Iterator[tuple[str, str]]:
        """The path and the text of each file that matches a glob, sorted by path."""
        for path in self.find(pattern):
            yield path, self.text(path)

    def find(self, pattern: str) -> tuple[str, ...]:
        """The paths of the files that match a glob, sorted; without directories."""
        if self._is_asleep(pattern):
            return ()
        try:
            return self._files.find(pattern)
        except HostError as error:
            self.notes[str(error)] = None
            return ()

    def listdir(self, directory: str) -> tuple[str, ...]:
        """The names in a directory; () = there is none, or it cannot be listed, which is noted."""
        if self._is_asleep(directory):
            return ()
        try:
            return self._files.listdir(directory)
        except HostError as error:
            self.notes[str(error)] = None
            return ()

    def exists(self, path: str) -> bool:
        """Whether there is a file or directory at a path."""
        return not self._is_asleep(path) and self._files.realpath(path) is not None

    def number(self, path: str) -> int | None:
        """The whole number in a file of /proc or /sys; None = there is none."""
        text = self._files.read_text(path) or ""
        return int(text) if text.removeprefix("-").isdecimal() else None

    def systemd_version(self) -> int:
        """The version of systemd by the name of its library; 0 = none is installed."""
        paths = self.find(f"/usr/lib/systemd/{_SHARED_LIBRARY}") + self.find(
            f"/usr/lib/*/systemd/{_SHARED_LIBRARY}"
        )
        found = [match for path in paths if (match := _LIBRARY_VERSION.search(path))]
        return max((int(match[1]) for match in found), default=0)

    def config(self, name: str) -> UnitSettings:
        """The settings of a configuration file of systemd with its drop-ins: ``journald.conf``."""
        return systemd_files.parse_settings(systemd_files.config_texts(self._files, name))

    def unit(self, name: str) -> UnitSettings:
        """The settings of a unit with its drop-ins; {} = there is no such unit, or it is masked."""
        return systemd_files.parse_settings(systemd_files.unit_texts(self._files, name))

    def running(self, unit: str) -> bool:
        """Whether a unit of the system slice runs."""
        return is_running(self._files, unit)

    def enabled(self, unit: str) -> bool:
        """Whether another unit pulls in this one, and it is not masked."""
        return bool(self.unit(unit)) and any(
            self.find(f"{directory}/*.{kind}/{unit}")
            for directory in UNIT_DIRECTORIES
            for kind in ("wants", "requires")
        )

    def enabled_timers(self) -> tuple[str, ...]:
        """The names of the enabled timer units, sorted."""
        names = {
            path.rpartition("/")[2]
            for directory in UNIT_DIRECTORIES
            for path in self.find(f"{directory}/*.wants/*.timer")
        }
        return tuple(sorted(name for name in names if self.unit(name)))

    def _resolve(self, path: str) -> tuple[str, frozenset[str]]:
        """A path with links followed, and the disks in standby that hold it.

        On such a disk no link is followed, because looking for one may read from the disk.
        """
        if not self._sleeping:
            return self._files.realpath(path) or path, frozenset()
        place = ""
        names = path.strip("/").split("/")
        for index, name in enumerate(names, 1):
            place = self._files.realpath(f"{place}/{name}") or f"{place}/{name}"
            devices = mountinfo.devices_holding(place, self._held_mounts)
            if asleep := self._topology.disks(devices) & self._sleeping:
                return "/".join((place, *names[index:])), asleep
        return place, frozenset()

    def _is_asleep(self, path: str) -> bool:
        """Whether a path or glob lies on a disk in standby, so that it is not read; this is noted."""
        place, asleep = self._resolve(path)
        if asleep:
            self.notes[
                f"{place} is not examined: it lies on {', '.join(sorted(asleep))}, which is in standby"
            ] = None
        return bool(asleep)


def _is_hard_disk(block: BlockDevice) -> bool:
    """Whether powerd could spin it down, or would where udev has a record of it: containers have none."""
    if block.udev.properties or block.is_virtual:
        return ineligible_reason(block, DiskId(block.name)) is None
    return find_rotational(block) is True and find_transport(block) in {"ata", "sas", "usb"}


def last(settings: UnitSettings, name: str, default: str = "") -> str:
    """The value that counts of a setting that has one value: the last."""
    values = settings.get(name, ())
    return values[-1] if values else default
