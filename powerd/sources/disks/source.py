"""Which disks there are and what they do: the source "disks". It looks at files, never at a device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple

from powerd.board import Facts
from powerd.clock import Clock
from powerd.host.eyes import DiskEyes
from powerd.host.values import HostError
from powerd.model import Activity, Blind, Disk, DiskId, Seen, SourceId
from powerd.model.upkeep import SOCKETS, scrubbed
from powerd.sources.disks import blocks, commands, counters, mounts
from powerd.sources.disks.blocks import Block
from powerd.sources.disks.commands import Commands
from powerd.sources.disks.counters import Count
from powerd.sources.disks.inventory import Inventory, assemble, busy
from powerd.sources.disks.wakers import Lookout, Wakers
from powerd.sources.runner import Extent

_SCAN_AGAIN: Final = 600.0
"""Everything is read anew after so many seconds even if nobody said that it has changed: switches such as
power/control and queue/iostats are thrown without a word."""
_ASLEEP: Final = {"suspended", "suspending"}
_COMMANDS: Final = "device/iorequest_cnt"


class _Attachment(NamedTuple):
    """What tells a drive that was there all the time from one that was plugged in again, and since when."""

    path: str
    number: str
    diskseq: str | None
    seen: float


class _Sight(NamedTuple):
    """What a disk's files say: its commands, its I/O, its runtime power management, its partitions' I/O."""

    commands: str | None
    stat: str | None
    status: str | None
    parts: list[str | None]

    def total(self) -> counters.Stat | None:
        """The counters that tell whether it moves; None = they cannot be read."""
        disk, parts = counters.parse(self.stat), [counters.parse(part) for part in self.parts]
        known = [part for part in parts if part is not None]
        if disk is None or len(known) < len(parts):
            return None
        return counters.by_partitions(disk, known) if known else disk


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
        self._counts_commands: frozenset[DiskId] = frozenset()
        self._parts: Mapping[DiskId, tuple[str, ...]] = {}
        self._attached: dict[DiskId, _Attachment] = {}
        self._counts: dict[DiskId, Count] = {}
        self._counted: dict[DiskId, tuple[str, ...]] = {}
        self._commands: dict[DiskId, Commands] = {}
        self._words: dict[DiskId, Seen[Activity] | Blind] = {}
        self._own: Counter[DiskId] = Counter()
        self._orders: Counter[DiskId] = Counter()
        self._disks: Mapping[DiskId, Disk] = {}
        self._made_from: tuple[object, ...] = ()

    def begin(self, disk: DiskId) -> None:
        """An order of powerd's own to the disk is being obeyed from now on."""
        if not self._orders[disk] and disk in self._commands:
            self._commands[disk].begin(self._count_commands(disk))
        self._orders[disk] += 1

    def end(self, disk: DiskId, sent: int) -> None:
        """It has been; so many commands have gone to the disk for it."""
        self._orders[disk] -= 1
        self._own[disk] += sent
        if not self._orders[disk] and disk in self._commands:
            self._commands[disk].end(self._count_commands(disk))

    def _count_commands(self, disk: DiskId) -> int | None:
        block = self._inventory.blocks.get(disk)
        return None if block is None else commands.parse(self._eyes.peek(f"{block.path}/{_COMMANDS}"))

    async def look(self, extent: Extent) -> Facts:
        """Look at all disks once; each look is as thorough.

        Raises:
            HostError: sysfs cannot be looked into.
        """
        del extent
        self._listen()
        await self._take_stock()
        sights = self._read_counters()
        if any(None in (sight.stat, *sight.parts) for sight in sights.values()):
            self._stale = True  # gone since; what is still there is said by a new scan
            await self._take_stock()
            sights = self._read_counters()
        now = self._clock.now().mono
        self._words = {id_: self._word(id_, sight, now) for id_, sight in sights.items()}
        self._own = Counter({id_: own for id_, own in self._own.items() if self._orders[id_]})
        word = Seen(now, (self._deaf,) if self._deaf else ())
        return Facts(word, disks=self._shown(), activity=self._words)

    def _shown(self) -> Mapping[DiskId, Disk]:
        """The inventory with what goes on in it; the same mapping as before where nothing has changed."""
        inventory = self._inventory
        keepers = {**inventory.arrays, **inventory.btrfs}
        words = {key: self._eyes.peek(keeper.file) for key, keeper in keepers.items()}
        scrubs = scrubbed(self._eyes.peek(SOCKETS)) if inventory.btrfs else frozenset()
        made_from = (inventory, words, scrubs, {id_: each.seen for id_, each in self._attached.items()})
        if made_from != self._made_from:
            at_work = busy(inventory, words, scrubs).items()
            self._disks = {id_: replace(disk, seen=self._attached[id_].seen) for id_, disk in at_work}
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
        self._judge_counters()
        self._attach(now)

    def _judge_counters(self) -> None:
        """Whose counters hold commands, and which partitions' counters to go by instead."""
        release = self._eyes.release()
        self._counts_commands = frozenset(
            id_
            for id_, block in self._inventory.blocks.items()
            if counters.counts_commands(release, block.attributes.get("queue/iostats_passthrough"))
        )
        parts = self._inventory.parts.items()
        self._parts = {id_: names for id_, names in parts if id_ in self._counts_commands}

    def _attach(self, now: float) -> None:
        """Begin anew with drives that were plugged in, and forget those that are gone."""
        before, self._attached = self._attached, {}
        for id_, block in self._inventory.blocks.items():
            found = _Attachment(block.path, block.number, block.attributes.get("diskseq"), now)
            old = before.get(id_)
            if old is not None and old._replace(seen=now) == found:
                found = old
            self._attached[id_] = found
        kept = {id_ for id_, attachment in self._attached.items() if before.get(id_) == attachment}
        self._counts = {id_: count for id_, count in self._counts.items() if id_ in kept}
        self._counted = {id_: parts for id_, parts in self._counted.items() if id_ in kept}
        told = {id_: each for id_, each in self._commands.items() if id_ in kept}
        self._commands = {  # of those alone that have the file: looking for it costs more than reading it
            id_: told.get(id_) or Commands()
            for id_ in self._inventory.blocks
            if self._count_commands(id_) is not None
        }

    def _read_counters(self) -> dict[DiskId, _Sight]:
        """Of each disk that is not excluded, what its files say; of partitions only where they count."""
        watched = [disk.id for disk in self._inventory.disks.values() if disk.excluded is None]
        files = {id_: self._files(id_) for id_ in watched}
        texts = iter(self._eyes.gauges([path for paths in files.values() for path in paths]))
        return {id_: self._sight(id_, list(islice(texts, len(paths)))) for id_, paths in files.items()}

    def _files(self, id_: DiskId) -> list[str]:
        """Those that _sight() is made from, in the order in which they are to be read (see Commands.look)."""
        path = self._inventory.blocks[id_].path
        told = (f"{path}/{_COMMANDS}",) if id_ in self._commands else ()
        parts = (f"{part}/stat" for part in self._parts.get(id_, ()))
        return [*told, f"{path}/stat", f"{path}/device/power/runtime_status", *parts]

    def _sight(self, id_: DiskId, texts: list[str | None]) -> _Sight:
        told = texts.pop(0) if id_ in self._commands else None
        stat, status, *parts = texts
        return _Sight(told, stat, status, parts)

    def _word(self, id_: DiskId, sight: _Sight, now: float) -> Seen[Activity] | Blind:
        block, before = self._inventory.blocks[id_], self._counts.get(id_)
        stat = sight.total()
        if stat is None or block.attributes.get("queue/iostats") == "0":
            self._counts.pop(id_, None)
            return Blind(now, _blindness(block, sight.stat))
        with_commands = id_ in self._counts_commands
        if with_commands and before is not None and self._orders[id_] and id_ in self._words:
            return self._words[id_]  # its own commands are counted, and nobody has said yet how many they are
        parts = self._parts.get(id_, ())
        if parts != self._counted.get(id_, parts):
            before = None  # the sum is over others, and nothing can be told from how it differs
        elif before is not None and stat.ios < before.raw:  # counters begin anew with the device
            self._attached[id_] = self._attached[id_]._replace(seen=now)
        self._counted[id_] = parts
        own = self._own[id_] if with_commands and not parts else 0
        count = self._counts[id_] = counters.advance(before, stat, own, now)
        suspended, prodded = sight.status in _ASLEEP, self._prodded(id_, sight, count.moved, now)
        return Seen(now, Activity(count.moved, count.ios, count.in_flight, suspended, prodded))

    def _prodded(self, id_: DiskId, sight: _Sight, moved: float, now: float) -> float:
        """When others last sent it commands that are no I/O; see Activity."""
        told = self._commands.get(id_)
        if told is None:
            return float("-inf")
        obeying = self._orders[id_] > 0
        told.look(commands.parse(sight.commands), now, still=moved < now, obeying=obeying)
        return told.prodded


def _blindness(block: Block, text: str | None) -> str:
    """Why nobody can tell whether the disk moves."""
    if text is None:
        return f"{block.name} is gone, or its counters cannot be read; see {block.path}/stat"
    if block.attributes.get("queue/iostats") == "0":
        return f"{block.name} is not counted: echo 1 > {blocks.BLOCK}/{block.name}/queue/iostats"
    return f"{block.path}/stat has no counters that powerd understands; report its content"
