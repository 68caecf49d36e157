"""Assesses all disks together: their memory, the next action for each, the reports and the watched groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from operator import attrgetter
from typing import Final

from powerd.config.disk_options import DiskOptions, DiskSettings, settings_for_disk
from powerd.core.actions import CompletedAction
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Moment
from powerd.disks.model import Disk, DiskAction, DiskEvents, DiskFacts, DiskId
from powerd.disks.policy.context import DiskContext
from powerd.disks.policy.groups import GroupIdleness, group_watches, idleness_by_group
from powerd.disks.policy.limits import DAY, NEVER, boottime
from powerd.disks.policy.next_action import find_unmanaged_reason, next_action
from powerd.disks.policy.observations import is_unchanged, update_disk
from powerd.disks.policy.report import build_report, remarks
from powerd.disks.policy.transitions import reset_failures
from powerd.disks.state import DiskMemory, DiskReport, DisksMemory, DisksReport, DiskState

_MAX_REMOVED_DISKS: Final = 200
"""Detached disks that are remembered; most of them are attached again."""


def assess(context: Context) -> Assessment:
    """What to do about each disk; maintenance is a blocker, and a running action defers a sleep."""
    snapshot, memory, options, now = context.snapshot, context.memory, context.options, context.now
    facts, requests = snapshot.part(DiskFacts), snapshot.part(DiskEvents).spin_down_requests
    configured_by_disk = _configured_by_disk(facts.disks, options.disks)
    memory_by_disk = update_memory(snapshot, memory, now)
    groups = idleness_by_group(snapshot, memory_by_disk, configured_by_disk, memory.resumed_at)
    disks_with_action = {action.disk for action in snapshot.running_actions if isinstance(action, DiskAction)}
    enforcing = options.mode == "enforce"
    actions: list[DiskAction] = []
    poll_at = decide_again_at = NEVER
    reports: list[DiskReport] = []
    notes: list[tuple[DiskId, list[str]]] = []
    for name, disk in facts.disks.items():
        shared = groups.get(disk.group or name, _NO_GROUP)
        configured, unmanaged_reason = configured_by_disk[name]
        disk_context = DiskContext(
            disk,
            memory_by_disk[name],
            configured,
            unmanaged_reason,
            facts.activity.get(name),
            shared.spin_down_after if configured.spin_down_after else 0.0,
            shared.last_use_at if shared.all_readable else None,
            shared.busy_reason,
            name in disks_with_action,
            enforcing,
            now,
            requests.get(name),
        )
        planned = next_action(disk_context)
        if planned.action is not None:
            actions.append(planned.action)
        poll_at = min(poll_at, planned.poll_at)
        decide_again_at = min(decide_again_at, planned.decide_again_at)
        report = build_report(disk_context, planned)
        reports.append(report)
        texts = remarks(disk_context, report)
        if texts:
            notes.append((name, texts))
    report_on_disks = DisksReport(
        disks=tuple(reports),
        watched_groups=tuple(group_watches(groups, memory_by_disk, options.disks)) if enforcing else (),
        next_disk_poll_at=poll_at,
    )
    return Assessment(
        blockers=_maintenance(facts.disks, context),
        remarks=tuple(
            [UndatedReason(name, text, blocks_sleep=False) for name, texts in notes for text in texts]
        ),
        actions=tuple(actions),
        memory=(DisksMemory(memory_by_disk, facts.activity),),
        parts=(report_on_disks,),
        next_decision_at=decide_again_at,
        defers_sleep=bool(disks_with_action),
    )


def on_reconfigure(memory: Memory) -> Memory:
    """The memory after a change of the configuration: failed disks are tried again."""
    disks = memory.part(DisksMemory)
    return memory.with_parts(
        replace(disks, disks={name: reset_failures(each) for name, each in disks.disks.items()})
    )


_NO_GROUP: Final = GroupIdleness()


def _configured_by_disk(
    disks: Mapping[DiskId, Disk], options: DiskOptions
) -> dict[DiskId, tuple[DiskSettings, str | None]]:
    """Of each disk its settings, and why powerd does not manage it; None = it does."""
    lookup = configured_lookup(options)
    configured_by_disk: dict[DiskId, tuple[DiskSettings, str | None]] = {}
    for name, disk in disks.items():
        configured = lookup(name, disk.model, disk.serial)
        configured_by_disk[name] = configured, find_unmanaged_reason(disk, configured)
    return configured_by_disk


@lru_cache(maxsize=2)
def configured_lookup(options: DiskOptions) -> Callable[[DiskId, str, str], DiskSettings]:
    """The settings of a disk by its id, model and serial number, computed once for each."""

    @lru_cache(maxsize=1 << 12)
    def settings_of(name: DiskId, model: str, serial: str) -> DiskSettings:
        return settings_for_disk(options, name, model, serial)

    return settings_of


def update_memory(snapshot: Snapshot, memory: Memory, now: Moment) -> Mapping[DiskId, DiskMemory]:
    """The memory of each disk, updated; that of a detached disk is unchanged."""
    new_actions: dict[DiskId, list[CompletedAction]] = {}
    facts, events, previous_memory = (
        snapshot.part(DiskFacts),
        snapshot.part(DiskEvents),
        memory.part(DisksMemory),
    )
    for completed_action in snapshot.completed_actions.values():
        if not isinstance(completed_action.action, DiskAction):
            continue
        name = completed_action.action.disk
        tracked = previous_memory.disks.get(name)
        known_at = None if tracked is None else tracked.last_result_at
        if known_at is None or completed_action.ended_at > known_at:
            new_actions.setdefault(name, []).append(completed_action)
    memory_by_disk = dict(previous_memory.disks)
    day_start = boottime(now) - DAY
    for name, disk in facts.disks.items():
        previous = memory_by_disk.get(name)
        before, reading = previous_memory.last_activity.get(name), facts.activity.get(name)
        if previous is None:
            previous = DiskMemory(DiskState.UNKNOWN, now, disk.attached_at, memory.resumed_at)
        elif (
            name not in new_actions
            and not events.group_spin_ups
            and is_unchanged(
                previous, disk, before, reading, resumed_at=memory.resumed_at, day_start=day_start
            )
        ):
            continue
        memory_by_disk[name] = update_disk(
            previous,
            disk,
            readings=(before, reading),
            completed_actions=sorted(new_actions.get(name, ()), key=attrgetter("ended_at")),
            group_spin_up=events.group_spin_ups.get(disk.group) if disk.group else None,
            resumed_at=memory.resumed_at,
            now=now,
        )
    removed = [name for name in memory_by_disk if name not in facts.disks]
    for name in removed[:-_MAX_REMOVED_DISKS]:
        del memory_by_disk[name]
    return memory_by_disk


def _maintenance(disks: Mapping[DiskId, Disk], context: Context) -> tuple[UndatedReason, ...]:
    """The running maintenance that no other blocker names, one reason for each group.

    The check "storage" names it, with its progress, unless the check is off or has failed.
    """
    busy = [(disk.group or disk.id, disk.busy_reason) for disk in disks.values() if disk.busy_reason]
    if not busy:
        return ()
    named = tuple([f"{each.subject} " for each in context.merged.blockers if not each.ignorable])
    reasons = [UndatedReason(group, text) for group, text in busy if not text.startswith(named)]
    return tuple(dict.fromkeys(reasons))
