"""The source "disks": the inventory and the activity of all disks. It reads files and opens no device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from powerd.core.clock import Clock
from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Reading
from powerd.disks.maintenance import UNIX_SOCKETS_FILE, scrubbed_filesystems
from powerd.disks.model import DISKS, Disk, DiskFacts, DiskId
from powerd.disks.source import block_devices
from powerd.disks.source import mountinfo as mounts
from powerd.disks.source.block_devices import BlockDevice
from powerd.disks.source.inventory import Inventory, build_inventory, with_maintenance
from powerd.disks.source.sampler import ActivitySampler
from powerd.disks.source.spin_up_causes import SpinUpCauseReader, SpinUpCauses
from powerd.linux.ports import Files
from powerd.linux.values import HostError

_RESCAN_AFTER: Final = 600.0
"""Seconds after which everything is read again without a hotplug event, because the kernel announces no
change of switches such as power/control and queue/iostats.
"""


class DiskSource:
    """The source "disks".

    Args:
        files: of the host.
        clock: dates each poll.
        poll_interval: seconds between polls; may be changed at any time.

    Attributes:
        poll_soon: called after a hotplug event, when a poll is due at once.
    """

    name = DISKS

    def __init__(self, files: Files, clock: Clock, poll_interval: float = 60.0) -> None:
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
        self._spin_up_cause_reader = SpinUpCauseReader(files)
        self._spin_up_causes = SpinUpCauses()
        self._blocks: Mapping[str, BlockDevice] = {}
        self._inventory = Inventory()
        self._sampler = ActivitySampler(files)
        self._disks: Mapping[DiskId, Disk] = {}
        self._disks_inputs: tuple[object, ...] = ()

    def begin_action(self, disk: DiskId) -> None:
        """An action of powerd for the disk starts."""
        self._sampler.begin_action(disk)

    def end_action(self, disk: DiskId, sent: int) -> None:
        """The action has ended; it took ``sent`` passthrough commands."""
        self._sampler.end_action(disk, sent)

    async def poll(self, depth: PollDepth) -> PollResult:
        """Poll all disks; the depth makes no difference.

        Raises:
            HostError: sysfs is not readable.
        """
        del depth
        self._subscribe_hotplug()
        await self._update_inventory()
        samples = self._sampler.read_samples()
        if any(sample.is_gone for sample in samples.values()):
            self._rescan_needed = True  # a new scan finds the disks that are left
            await self._update_inventory()
            samples = self._sampler.read_samples()
        now = self._clock.now().mono
        activity = self._sampler.evaluate(samples, now)
        status = Reading(now, (self._hotplug_error,) if self._hotplug_error else ())
        facts = DiskFacts(self._current_disks(), activity, self._sampler.transfers)
        return PollResult(status, (facts,))

    def _current_disks(self) -> Mapping[DiskId, Disk]:
        """The inventory with the running maintenance; the same mapping as before if nothing has changed."""
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
        """Subscribes to hotplug events; without them, a new disk is found at the next poll."""
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
        """Updates the inventory; reads again only what has changed."""
        now = self._clock.now().mono
        names = self._files.listdir(block_devices.SYS_BLOCK)
        mountinfo = self._files.read_text("/proc/self/mountinfo")
        scan_valid = (
            not self._rescan_needed and names == self._names and now - self._scanned_at < _RESCAN_AFTER
        )
        spin_up_causes = self._spin_up_cause_reader.read(mountinfo)
        if scan_valid and mountinfo == self._mountinfo and spin_up_causes == self._spin_up_causes:
            return
        if not scan_valid:
            self._rescan_needed = False  # a hotplug event during the scan sets it again
            self._scanned_at = float("-inf")  # a cancelled scan does not count
            self._blocks = await block_devices.read_block_devices(self._files)
            self._names, self._scanned_at = names, now
        self._mountinfo, self._spin_up_causes = mountinfo, spin_up_causes
        self._inventory = build_inventory(self._blocks, mounts.parse_mountinfo(mountinfo), spin_up_causes)
        self._sampler.set_inventory(self._inventory, now)
