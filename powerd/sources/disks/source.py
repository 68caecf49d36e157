"""Which disks there are and what they do: the source "disks". It looks at files, never at a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from powerd.board import Facts
from powerd.clock import Clock
from powerd.host.eyes import DiskEyes
from powerd.host.values import HostError
from powerd.model import Disk, DiskId, Seen, SourceId
from powerd.model.upkeep import SOCKETS, scrubbed
from powerd.sources.disks import blocks, mounts
from powerd.sources.disks.blocks import Block
from powerd.sources.disks.inventory import Inventory, assemble, busy
from powerd.sources.disks.meters import Meters
from powerd.sources.disks.wakers import Lookout, Wakers
from powerd.sources.runner import Extent

_SCAN_AGAIN: Final = 600.0
"""Everything is read anew after so many seconds even if nobody said that it has changed: switches such as
power/control and queue/iostats are thrown without a word."""


class Disks:
    """The source "disks".

    Args:
        eyes: the host.
        clock: for the time of each look.
        every: seconds between looks; may be replaced at any time.

    Attributes:
        hurry: called when disks have come, gone or changed, and a look is due at once.
    """

    name = SourceId("disks")

    def __init__(self, eyes: DiskEyes, clock: Clock, every: float = 60.0) -> None:
        self.every = every
        self.hurry: Callable[[], None] = lambda: None
        self._eyes = eyes
        self._clock = clock
        self._listening = False
        self._deaf: str | None = None
        self._stale = True
        self._scanned = float("-inf")
        self._names: tuple[str, ...] = ()
        self._mounted: str | None = None
        self._lookout = Lookout(eyes)
        self._wakers = Wakers()
        self._blocks: Mapping[str, Block] = {}
        self._inventory = Inventory()
        self._meters = Meters(eyes)
        self._disks: Mapping[DiskId, Disk] = {}
        self._made_from: tuple[object, ...] = ()

    def begin(self, disk: DiskId) -> None:
        """An order of powerd's own to the disk is being obeyed from now on."""
        self._meters.begin(disk)

    def end(self, disk: DiskId, sent: int) -> None:
        """It has been; so many commands have gone to the disk for it."""
        self._meters.end(disk, sent)

    async def look(self, extent: Extent) -> Facts:
        """Look at all disks once; each look is as thorough.

        Raises:
            HostError: sysfs cannot be looked into.
        """
        del extent
        self._listen()
        await self._take_stock()
        sights = self._meters.read()
        if any(sight.gone for sight in sights.values()):
            self._stale = True  # what is still there is said by a new scan
            await self._take_stock()
            sights = self._meters.read()
        now = self._clock.now().mono
        activity = self._meters.tell(sights, now)
        word = Seen(now, (self._deaf,) if self._deaf else ())
        return Facts(word, disks=self._shown(), activity=activity)

    def _shown(self) -> Mapping[DiskId, Disk]:
        """The inventory with what goes on in it; the same mapping as before where nothing has changed."""
        inventory = self._inventory
        keepers = {**inventory.arrays, **inventory.btrfs}
        words = {key: self._eyes.peek(keeper.file) for key, keeper in keepers.items()}
        scrubs = scrubbed(self._eyes.peek(SOCKETS)) if inventory.btrfs else frozenset()
        seen = self._meters.seen
        made_from = (inventory, words, scrubs, seen)
        if made_from != self._made_from:
            at_work = busy(inventory, words, scrubs).items()
            self._disks = {id_: replace(disk, seen=seen[id_]) for id_, disk in at_work}
            self._made_from = made_from
        return self._disks

    def _listen(self) -> None:
        """Have hotplug heard from now on; without it, a disk is noticed in the next round."""
        if self._listening:
            return
        self._listening = True
        try:
            self._eyes.hotplug(self._changed)
        except HostError as error:
            self._deaf = str(error)

    def _changed(self) -> None:
        self._stale = True
        self.hurry()

    async def _take_stock(self) -> None:
        """Have the inventory up to date; read as much anew as has changed."""
        now = self._clock.now().mono
        names = self._eyes.entries(blocks.BLOCK)
        mounted = self._eyes.peek("/proc/self/mountinfo")
        fresh = not self._stale and names == self._names and now - self._scanned < _SCAN_AGAIN
        wakers = self._lookout.look(mounted)
        if fresh and mounted == self._mounted and wakers == self._wakers:
            return
        if not fresh:
            self._stale = False  # and again as soon as somebody says that anything has changed meanwhile
            self._scanned = float("-inf")  # of a look that is broken off nothing counts
            self._blocks = await blocks.read(self._eyes)
            self._names, self._scanned = names, now
        self._mounted, self._wakers = mounted, wakers
        self._inventory = assemble(self._blocks, mounts.parse(mounted), wakers)
        self._meters.take_up(self._inventory, now)
