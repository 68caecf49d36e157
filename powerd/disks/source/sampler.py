"""Reads the activity of the disks from sysfs: I/O, passthrough commands, runtime power management.

A disk has up to three files, and one more for each partition if those count. One call reads them all. Each
command counter is read before the I/O counters (see CommandCounter.update).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from powerd.core.time import Reading, Unavailable
from powerd.disks.model import DiskActivity, DiskId, DiskTransfer
from powerd.disks.source import block_devices, counters
from powerd.disks.source.block_devices import BlockDevice
from powerd.disks.source.counters import CommandCounter, IoCounter
from powerd.disks.source.inventory import Inventory
from powerd.linux.ports import Files

_SUSPENDED_STATUS: Final = {"suspended", "suspending"}
_COMMAND_COUNT_FILE: Final = "device/iorequest_cnt"


class _Attachment(NamedTuple):
    """The attachment of a drive: a different one means that the drive was attached again."""

    path: str
    device_number: str
    diskseq: str | None
    attached_at: float


class DiskSample(NamedTuple):
    """The texts of a disk's files: command count, I/O counters, runtime status, partitions' counters."""

    command_count: str | None
    stat: str | None
    runtime_status: str | None
    partition_stats: list[str | None]

    @property
    def is_gone(self) -> bool:
        """Whether a counter file no longer exists."""
        return None in (self.stat, *self.partition_stats)

    def sum_partitions(self, disk: counters.IoStat | None) -> counters.IoStat | None:
        """The counters of the disk, or the sum of its partitions if those count; None = not readable.

        Passthrough commands bypass partitions. Flushes count only for the whole disk. Requests in flight are
        those of the whole disk, so that a copy of the whole disk counts as well.
        """
        partitions = [counters.parse_stat(part) for part in self.partition_stats]
        known = [part for part in partitions if part is not None]
        if disk is None or len(known) < len(partitions):
            return None
        if not known:
            return disk
        return disk._replace(completed=disk.flushes + sum(part.completed for part in known))


class ActivitySampler:
    """Turns the samples of each disk into activity, by comparison with the sample before.

    Args:
        files: of the host.

    Attributes:
        transfers: of each disk, as of the last evaluate().
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._inventory = Inventory()
        self._includes_passthrough: frozenset[DiskId] = frozenset()
        self._partitions: Mapping[DiskId, tuple[str, ...]] = {}
        self._attachments: dict[DiskId, _Attachment] = {}
        self._io_counters: dict[DiskId, IoCounter] = {}
        self._counted_partitions: dict[DiskId, tuple[str, ...]] = {}
        self._command_counters: dict[DiskId, CommandCounter] = {}
        self._readings: dict[DiskId, Reading[DiskActivity] | Unavailable] = {}
        self._own_commands: Counter[DiskId] = Counter()
        self._running_actions: Counter[DiskId] = Counter()
        self.transfers: Mapping[DiskId, Reading[DiskTransfer] | Unavailable] = {}

    @property
    def attached_at(self) -> dict[DiskId, float]:
        """CLOCK_MONOTONIC since which each disk has been attached without a break."""
        return {id_: attachment.attached_at for id_, attachment in self._attachments.items()}

    def begin_action(self, disk: DiskId) -> None:
        """An action of powerd for the disk starts; until end_action(), its commands are powerd's own."""
        if not self._running_actions[disk] and disk in self._command_counters:
            self._command_counters[disk].begin_own(self._read_command_count(disk))
        self._running_actions[disk] += 1

    def end_action(self, disk: DiskId, sent: int) -> None:
        """The action has ended; it took ``sent`` passthrough commands."""
        self._running_actions[disk] -= 1
        self._own_commands[disk] += sent
        if not self._running_actions[disk] and disk in self._command_counters:
            self._command_counters[disk].end_own(self._read_command_count(disk))

    def _read_command_count(self, disk: DiskId) -> int | None:
        block = self._inventory.blocks.get(disk)
        return (
            None
            if block is None
            else counters.parse_command_count(self._files.read_text(f"{block.path}/{_COMMAND_COUNT_FILE}"))
        )

    def set_inventory(self, inventory: Inventory, now: float) -> None:
        """Sample the disks of ``inventory`` from now on."""
        self._inventory = inventory
        self._choose_counters()
        self._attach(now)

    def read_samples(self) -> dict[DiskId, DiskSample]:
        """The sample of each disk that has hardware of its own."""
        sampled = [id_ for id_, block in self._inventory.blocks.items() if not block.is_virtual]
        files = {id_: self._paths_of(id_) for id_ in sampled}
        texts = iter(self._files.read_cached([path for paths in files.values() for path in paths]))
        return {id_: self._make_sample(id_, list(islice(texts, len(paths)))) for id_, paths in files.items()}

    def evaluate(
        self, samples: Mapping[DiskId, DiskSample], now: float
    ) -> Mapping[DiskId, Reading[DiskActivity] | Unavailable]:
        """The activity of each disk that powerd can manage, by comparison with the sample before."""
        blocks, disks = self._inventory.blocks, self._inventory.disks
        stats = {
            id_: None
            if blocks[id_].attributes.get("queue/iostats") == "0"
            else counters.parse_stat(sample.stat)
            for id_, sample in samples.items()
        }
        self.transfers = {
            id_: Unavailable(now, _unavailable_reason(blocks[id_], samples[id_].stat))
            if stat is None
            else Reading(now, stat.transfer)
            for id_, stat in stats.items()
        }
        self._readings = {
            id_: self._evaluate_disk(id_, sample, stats[id_], now)
            for id_, sample in samples.items()
            if disks[id_].ineligible_reason is None
        }
        self._own_commands = Counter(
            {id_: own for id_, own in self._own_commands.items() if self._running_actions[id_]}
        )
        return self._readings

    def _choose_counters(self) -> None:
        """Determines whose counters include passthrough commands, and which partitions to count instead."""
        release = self._files.kernel_release()
        self._includes_passthrough = frozenset(
            id_
            for id_, block in self._inventory.blocks.items()
            if counters.includes_passthrough(release, block.attributes.get("queue/iostats_passthrough"))
        )
        parts = self._inventory.partitions.items()
        self._partitions = {id_: names for id_, names in parts if id_ in self._includes_passthrough}

    def _attach(self, now: float) -> None:
        """Starts new counters for drives that were attached, and drops those of detached ones."""
        before, self._attachments = self._attachments, {}
        for id_, block in self._inventory.blocks.items():
            found = _Attachment(block.path, block.device_number, block.attributes.get("diskseq"), now)
            old = before.get(id_)
            if old is not None and old._replace(attached_at=now) == found:
                found = old
            self._attachments[id_] = found
        unchanged = {id_ for id_, attachment in self._attachments.items() if before.get(id_) == attachment}
        self._io_counters = {id_: count for id_, count in self._io_counters.items() if id_ in unchanged}
        self._counted_partitions = {
            id_: parts for id_, parts in self._counted_partitions.items() if id_ in unchanged
        }
        counters_before = {id_: each for id_, each in self._command_counters.items() if id_ in unchanged}
        # only of disks that have the file: a failed open costs more than a read
        self._command_counters = {
            id_: counters_before.get(id_) or CommandCounter()
            for id_ in self._inventory.blocks
            if self._read_command_count(id_) is not None
        }

    def _paths_of(self, id_: DiskId) -> list[str]:
        """The paths whose texts _make_sample() takes, in the order of reading (see CommandCounter.update)."""
        path = self._inventory.blocks[id_].path
        command_path = (f"{path}/{_COMMAND_COUNT_FILE}",) if id_ in self._command_counters else ()
        parts = (f"{part}/stat" for part in self._partitions.get(id_, ()))
        return [*command_path, f"{path}/stat", f"{path}/device/power/runtime_status", *parts]

    def _make_sample(self, id_: DiskId, texts: list[str | None]) -> DiskSample:
        command_count = texts.pop(0) if id_ in self._command_counters else None
        stat, status, *parts = texts
        return DiskSample(command_count, stat, status, parts)

    def _evaluate_disk(
        self, id_: DiskId, sample: DiskSample, disk_stat: counters.IoStat | None, now: float
    ) -> Reading[DiskActivity] | Unavailable:
        stat, before = sample.sum_partitions(disk_stat), self._io_counters.get(id_)
        if stat is None:
            self._io_counters.pop(id_, None)
            return Unavailable(now, _unavailable_reason(self._inventory.blocks[id_], sample.stat))
        includes_passthrough = id_ in self._includes_passthrough
        if (
            includes_passthrough
            and before is not None
            and self._running_actions[id_]
            and id_ in self._readings
        ):
            return self._readings[
                id_
            ]  # the counters include own commands, whose number is known when the action ends
        partitions = self._partitions.get(id_, ())
        if partitions != self._counted_partitions.get(id_, partitions):
            before = None  # the sum is over other partitions, so the difference means nothing
        elif (
            before is not None and stat.completed < before.completed
        ):  # the counters of a new device start at 0
            self._attachments[id_] = self._attachments[id_]._replace(attached_at=now)
        self._counted_partitions[id_] = partitions
        own_commands = self._own_commands[id_] if includes_passthrough and not partitions else 0
        count = self._io_counters[id_] = counters.advance_counter(before, stat, own_commands, now)
        runtime_suspended, last_passthrough_at = (
            sample.runtime_status in _SUSPENDED_STATUS,
            self._update_command_counter(id_, sample, count.last_io_at, now),
        )
        return Reading(
            now,
            DiskActivity(
                count.last_io_at,
                count.foreign_completed,
                count.in_flight,
                runtime_suspended,
                last_passthrough_at,
            ),
        )

    def _update_command_counter(
        self, id_: DiskId, sample: DiskSample, last_io_at: float, now: float
    ) -> float | None:
        """The time of the last passthrough command of another program, see DiskActivity."""
        counter = self._command_counters.get(id_)
        if counter is None:
            return None
        own_running = self._running_actions[id_] > 0
        counter.update(
            counters.parse_command_count(sample.command_count),
            now,
            no_io=last_io_at < now,
            own_running=own_running,
        )
        return counter.last_passthrough_at


def _unavailable_reason(block: BlockDevice, text: str | None) -> str:
    """Why the activity of the disk is unknown."""
    if text is None:
        return f"{block.name} is gone, or its counters cannot be read; see {block.path}/stat"
    if block.attributes.get("queue/iostats") == "0":
        switch = f"{block_devices.SYS_BLOCK}/{block.name}/queue/iostats"
        return f"{block.name} has no I/O counters; to enable them: echo 1 > {switch}"
    return f"{block.path}/stat has no counters that powerd understands; report its content"
