"""What has woken a disk: the first access after its spin-down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from powerd.attribution.model import Access, AttributionFacts, AttributionMemory, Certainty, Wake
from powerd.disks.model import DiskId
from powerd.disks.policy.limits import moment_at
from powerd.disks.state import DiskReport

_SLACK: Final = 1.0
"""Seconds by which the kernel's time of an event may be later than powerd's reading of the counters."""
_SIMULTANEOUS: Final = 0.05
"""Seconds within which a thread of the kernel and the process behind it submit I/O."""
_COMMAND_WITHIN: Final = 300.0
"""Seconds after a command in which powerd may not have noticed yet that it has started the drive."""
_GROUP_WITHIN: Final = 60.0
"""Seconds from the first spin-up of a group to that of its other members."""


def name_culprits(
    memory: AttributionMemory, reports: Sequence[DiskReport], facts: AttributionFacts
) -> AttributionMemory:
    """The memory with the culprit of each wake that had none yet and is older than the reading."""
    wakes, pending = dict(memory.wakes), dict(memory.pending)
    for disk, since in memory.pending.items():
        wake, *older = wakes[disk]
        if memory.read_at is None or wake.at.mono > memory.read_at:
            continue
        del pending[disk]
        wakes[disk] = (_with_culprit(wake, memory.accesses, since, facts), *older)
    groups = {report.disk.id: report.disk.group for report in reports}
    for disk in memory.pending.keys() - pending.keys():
        wake, *older = wakes[disk]
        wakes[disk] = (_with_culprit_of_group(wake, wakes, groups), *older)
    return replace(memory, wakes=wakes, pending=pending)


def _with_culprit(wake: Wake, accesses: Sequence[Access], since: float, facts: AttributionFacts) -> Wake:
    """``wake`` with the access that has caused it."""
    wake = replace(wake, level=facts.level)
    access, doubt = first_access(accesses, wake.disk, since, wake.at.mono)
    if access is None:
        return replace(wake, explanation=_why_unknown(facts, since))
    if not access.level.names_processes:
        return replace(wake, access=access, level=access.level, explanation=_at_level(facts))
    at = wake.at
    if access.first_at >= since:
        at = moment_at(at, access.first_at)
    explanation = doubt
    if access.certainty == "unknown":
        explanation = "what this thread of the kernel wrote was changed before the disk was traced"
    elif access.certainty == "likely" and not doubt:
        explanation = "several processes had changed what was written"
    slept_for = None if wake.slept_for is None else max(wake.slept_for + at.mono - wake.at.mono, 0.0)
    return replace(wake, at=at, slept_for=slept_for, access=access, explanation=explanation)


def _why_unknown(facts: AttributionFacts, since: float) -> str:
    if not facts.level.names_processes:
        return _at_level(facts)
    if facts.lost:
        return f"{facts.lost} events were lost because the buffer was full"
    if facts.since > since:
        return "it was not traced yet"
    return "no access to it was recorded"


def _at_level(facts: AttributionFacts) -> str:
    return f"level {facts.level}: {facts.level_reason}" if facts.level_reason else f"level {facts.level}"


def first_access(
    accesses: Iterable[Access], disk: DiskId, since: float, until: float
) -> tuple[Access | None, str]:
    """The access that has started a disk, and one clause why it may be another one, "" = it is this one.

    A command past the block layer counts if there was no I/O, because many do not start a drive, and one of
    powerd itself if there was nothing else. Of units (io.stat) only the number of accesses is known.

    Args:
        accesses: of all disks.
        disk: the disk.
        since: CLOCK_MONOTONIC of its spin-down.
        until: CLOCK_MONOTONIC at which its counters showed the spin-up.
    """

    def begin(access: Access) -> float:
        return access.first_at if access.first_at >= since else access.last_at

    candidates = [
        access
        for access in accesses
        if access.disk == disk and access.last_at >= since and access.first_at <= until + _SLACK
    ]
    named = [access for access in candidates if access.level.names_processes]
    if not named:
        return min(candidates, key=lambda access: (access.own, -access.count), default=None), ""
    commands = [access for access in named if access.operation == "command"]
    io = [access for access in named if access.operation != "command"]
    if not io:
        return min(commands, key=lambda access: (access.own, begin(access))), ""
    together = min(map(begin, io)) + _SIMULTANEOUS
    first = min(
        (access for access in io if begin(access) <= together),
        key=lambda access: (access.certainty == "unknown", begin(access)),
    )
    at = begin(first)
    for command in commands:
        if not command.own and command.first_at <= at <= command.last_at + _COMMAND_WITHIN:
            sender = command.culprit.comm or command.culprit.unit
            doubt = f"a command of {sender} before may have started it" if sender else "a command came before"
            certainty: Certainty = "likely" if first.certainty == "certain" else first.certainty
            return replace(first, certainty=certainty), doubt
    return first, ""


def _with_culprit_of_group(
    wake: Wake, wakes: Mapping[DiskId, tuple[Wake, ...]], groups: Mapping[DiskId, str | None]
) -> Wake:
    """``wake`` of a disk that powerd has started with its group: the culprit is that of the first disk."""
    group = groups.get(wake.disk)
    if group is None or wake.access is None or not wake.access.own:
        return wake
    for disk, (latest, *_) in wakes.items():
        if groups.get(disk) != group or latest.access is None or latest.access.own:
            continue
        if abs(latest.at.mono - wake.at.mono) <= _GROUP_WITHIN:
            access = replace(latest.access, disk=wake.disk)
            return replace(
                wake, access=access, explanation=f"powerd started it with the other disks of {group}"
            )
    return wake
