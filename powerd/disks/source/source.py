"""Which disks there are and what they do: the source "disks". It looks at files, never at a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from powerd.core.clock import Clock
from powerd.core.poller import PollDepth
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult
from powerd.core.time import Reading
from powerd.disks.disk_id import DiskId
from powerd.disks.maintenance import UNIX_SOCKETS_FILE, scrubbed_filesystems
from powerd.disks.model import Disk
from powerd.disks.source import block_devices
from powerd.disks.source import mountinfo as mounts
from powerd.disks.source.block_devices import BlockDevice
from powerd.disks.source.inventory import Inventory, build_inventory, with_maintenance
from powerd.disks.source.sampler import ActivitySampler
from powerd.disks.source.wake_causes import WakeCauseReader, WakeCauses
from powerd.linux.ports import DiskEyes
from powerd.linux.values import HostError

_RESCAN_AFTER: Final = 600.0
"""Everything is read anew after so many seconds even if nobody said that it has changed: switches such as
power/control and queue/iostats are thrown without a word."""


class DiskSource:
    """The source "disks".

    Args:
        files: the host.
        clock: for the time of each look.
        poll_interval: seconds between looks; may be replaced at any time.

    Attributes:
        poll_soon: called when disks have come, gone or changed, and a look is due at once.
    """

    name = SourceId("disks")

    def __init__(self, files: DiskEyes, clock: Clock, poll_interval: float = 60.0) -> None:
        self.poll_interval = poll_interval
        self.poll_soon: Callable[[], None] = lambda: None
        self._files = files
        self._clock = clock
        self._subscribed = False
        self._hotplug_error: str | None = None
        self._rescan_needed = True
        self._scanned_at = float("-inf")
        self._names: tuple[str, ...] = ()
        self._mountinfo: str | None = None
        self._wake_cause_reader = WakeCauseReader(files)
        self._wake_causes = WakeCauses()
        self._blocks: Mapping[str, BlockDevice] = {}
        self._inventory = Inventory()
        self._sampler = ActivitySampler(files)
        self._disks: Mapping[DiskId, Disk] = {}
        self._disks_inputs: tuple[object, ...] = ()

    def begin_action(self, disk: DiskId) -> None:
        """An order of powerd's own to the disk is being obeyed from now on."""
        self._sampler.begin_action(disk)

    def end_action(self, disk: DiskId, sent: int) -> None:
        """It has been; so many commands have gone to the disk for it."""
        self._sampler.end_action(disk, sent)

    async def poll(self, depth: PollDepth) -> PollResult:
        """Look at all disks once; each look is as thorough.

        Raises:
            HostError: sysfs cannot be looked into.
        """
        del depth
        self._subscribe_hotplug()
        await self._update_inventory()
        samples = self._sampler.read_samples()
        if any(sight.is_gone for sight in samples.values()):
            self._rescan_needed = True  # what is still there is said by a new scan
            await self._update_inventory()
            samples = self._sampler.read_samples()
        now = self._clock.now().mono
        activity = self._sampler.evaluate(samples, now)
        status = Reading(now, (self._hotplug_error,) if self._hotplug_error else ())
        return PollResult(status, disks=self._current_disks(), activity=activity)

    def _current_disks(self) -> Mapping[DiskId, Disk]:
        """The inventory with what goes on in it; the same mapping as before where nothing has changed."""
        inventory = self._inventory
        arrays = {**inventory.arrays, **inventory.btrfs}
        operations = {key: self._files.read_text(keeper.state_file) for key, keeper in arrays.items()}
        scrubbed_uuids = (
            scrubbed_filesystems(self._files.read_text(UNIX_SOCKETS_FILE)) if inventory.btrfs else frozenset()
        )
        attached_at = self._sampler.attached_at
        inputs = (inventory, operations, scrubbed_uuids, attached_at)
        if inputs != self._disks_inputs:
            with_operations = with_maintenance(inventory, operations, scrubbed_uuids).items()
            self._disks = {id_: replace(disk, attached_at=attached_at[id_]) for id_, disk in with_operations}
            self._disks_inputs = inputs
        return self._disks

    def _subscribe_hotplug(self) -> None:
        """Have hotplug heard from now on; without it, a disk is noticed in the next round."""
        if self._subscribed:
            return
        self._subscribed = True
        try:
            self._files.watch_block_devices(self._on_hotplug)
        except HostError as error:
            self._hotplug_error = str(error)

    def _on_hotplug(self) -> None:
        self._rescan_needed = True
        self.poll_soon()

    async def _update_inventory(self) -> None:
        """Have the inventory up to date; read as much anew as has changed."""
        now = self._clock.now().mono
        names = self._files.listdir(block_devices.SYS_BLOCK)
        mountinfo = self._files.read_text("/proc/self/mountinfo")
        scan_valid = (
            not self._rescan_needed and names == self._names and now - self._scanned_at < _RESCAN_AFTER
        )
        wake_causes = self._wake_cause_reader.read(mountinfo)
        if scan_valid and mountinfo == self._mountinfo and wake_causes == self._wake_causes:
            return
        if not scan_valid:
            self._rescan_needed = (
                False  # and again as soon as somebody says that anything has changed meanwhile
            )
            self._scanned_at = float("-inf")  # of a look that is broken off nothing counts
            self._blocks = await block_devices.read_block_devices(self._files)
            self._names, self._scanned_at = names, now
        self._mountinfo, self._wake_causes = mountinfo, wake_causes
        self._inventory = build_inventory(self._blocks, mounts.parse_mountinfo(mountinfo), wake_causes)
        self._sampler.set_inventory(self._inventory, now)
