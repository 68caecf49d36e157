"""What the disks' files in sysfs say of their use: I/O, commands of others, runtime power management.

Of one disk there are up to three files, and one more for each partition where those count. All are read in
one go, in an order that matters: the commands before the I/O (see Commands.look).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from powerd.host.eyes import DiskEyes
from powerd.model import Activity, Blind, DiskId, Seen
from powerd.sources.disks import blocks, commands, counters
from powerd.sources.disks.blocks import Block
from powerd.sources.disks.commands import Commands
from powerd.sources.disks.counters import Count
from powerd.sources.disks.inventory import Inventory

_ASLEEP: Final = {"suspended", "suspending"}
_COMMANDS: Final = "device/iorequest_cnt"


class _Attachment(NamedTuple):
    """What tells a drive that was there all the time from one that was plugged in again, and since when."""

    path: str
    number: str
    diskseq: str | None
    seen: float


class Sight(NamedTuple):
    """What a disk's files say: its commands, its I/O, its runtime power management, its partitions' I/O."""

    commands: str | None
    stat: str | None
    status: str | None
    parts: list[str | None]

    @property
    def gone(self) -> bool:
        """Whether a file of counters is not there any more."""
        return None in (self.stat, *self.parts)

    def total(self) -> counters.Stat | None:
        """The counters that tell whether it moves; None = they cannot be read."""
        disk, parts = counters.parse(self.stat), [counters.parse(part) for part in self.parts]
        known = [part for part in parts if part is not None]
        if disk is None or len(known) < len(parts):
            return None
        return counters.by_partitions(disk, known) if known else disk


class Meters:
    """What is known of each disk's use from one look to the next.

    Args:
        eyes: the host.
    """

    def __init__(self, eyes: DiskEyes) -> None:
        self._eyes = eyes
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

    @property
    def seen(self) -> dict[DiskId, float]:
        """CLOCK_MONOTONIC since which each disk has been there without a break."""
        return {id_: attachment.seen for id_, attachment in self._attached.items()}

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

    def take_up(self, inventory: Inventory, now: float) -> None:
        """Read these disks from now on."""
        self._inventory = inventory
        self._judge_counters()
        self._attach(now)

    def read(self) -> dict[DiskId, Sight]:
        """What the files of each disk that is not excluded say, and of partitions where they count."""
        watched = [disk.id for disk in self._inventory.disks.values() if disk.excluded is None]
        files = {id_: self._files(id_) for id_ in watched}
        texts = iter(self._eyes.gauges([path for paths in files.values() for path in paths]))
        return {id_: self._sight(id_, list(islice(texts, len(paths)))) for id_, paths in files.items()}

    def tell(self, sights: Mapping[DiskId, Sight], now: float) -> Mapping[DiskId, Seen[Activity] | Blind]:
        """What that means, compared with the look before."""
        self._words = {id_: self._word(id_, sight, now) for id_, sight in sights.items()}
        self._own = Counter({id_: own for id_, own in self._own.items() if self._orders[id_]})
        return self._words

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

    def _files(self, id_: DiskId) -> list[str]:
        """Those that _sight() is made from, in the order in which they are to be read (see Commands.look)."""
        path = self._inventory.blocks[id_].path
        told = (f"{path}/{_COMMANDS}",) if id_ in self._commands else ()
        parts = (f"{part}/stat" for part in self._parts.get(id_, ()))
        return [*told, f"{path}/stat", f"{path}/device/power/runtime_status", *parts]

    def _sight(self, id_: DiskId, texts: list[str | None]) -> Sight:
        told = texts.pop(0) if id_ in self._commands else None
        stat, status, *parts = texts
        return Sight(told, stat, status, parts)

    def _word(self, id_: DiskId, sight: Sight, now: float) -> Seen[Activity] | Blind:
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

    def _prodded(self, id_: DiskId, sight: Sight, moved: float, now: float) -> float:
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
