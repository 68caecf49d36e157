"""decide(): the whole board in, one Decision out. Pure: no clock, no I/O, no log."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Sleep
from powerd.core.reasons import UndatedReason, reason_since
from powerd.core.snapshot import Decision, Memory, Phase, Reason, Snapshot
from powerd.core.time import Moment
from powerd.disks.policy.plan import DiskAssessment, assess_disks
from powerd.power import blockers, wake_storm
from powerd.power.blockers import CLIENTS, active_keeps, find_blockers, idle_from, remarks
from powerd.power.cancellation import cancellation_actions
from powerd.power.model import WakeEvent
from powerd.power.shutdown import shutdown_reason
from powerd.power.sleep_rules import CLOSE_POLL_INTERVAL, assess_sleep, record_result
from powerd.power.wake_schedule import current_busy_until, next_wake_time, wake_remarks
from powerd.presence.model import ClientStatus
from powerd.presence.policy import evaluate_clients
from powerd.smart.policy import plan_with_health

_MIN_SLEEP: Final = 0.01
"""BOOTTIME and MONOTONIC are read within a millisecond (clock.py); no real sleep is this short, seconds."""
_MIN_WAIT: Final = 0.1
"""A keep's last moments are not waited for more closely, seconds."""
_CLOCK_STEP_TOLERANCE: Final = 2.0
"""A wall clock off by more than this, plus a thousandth of the time between, was set: NTP slews less."""


def decide(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> Decision:
    """Say what to do now, why, and when to ask again.

    Args:
        snapshot: all facts, each with the monotonic time at which it was true.
        memory: of the previous decision, or Memory.newborn().
        options: the configuration in force.
        now: the present moment.
    """
    memory = record_result(
        snapshot, _detect_resume_and_clock_step(memory, snapshot.wake_event, now), options, now
    )
    disks = plan_with_health(assess_disks(snapshot, memory, options, now), snapshot, options, now)
    memory = replace(memory, disks=disks.memory, last_activity=snapshot.activity)
    return _add_disk_actions(_decide(snapshot, memory, options, now, disks), disks, snapshot, now)


def _decide(
    snapshot: Snapshot, memory: Memory, options: Options, now: Moment, disks: DiskAssessment
) -> Decision:
    """Whether the server may sleep."""
    client_statuses = evaluate_clients(snapshot, memory, options, now)
    all_blockers = (*find_blockers(snapshot, client_statuses, memory, options, now), *disks.blockers)
    memory = _update_wake_storm_and_duty(snapshot, memory, options, now, all_blockers)
    wake_time = next_wake_time(snapshot, options, now)
    all_remarks = (
        *remarks(client_statuses, options),
        *blockers.machine_remarks(snapshot, options, wake_time),
        *wake_remarks(snapshot, options, now),
        *disks.remarks,
    )
    if all_blockers:
        memory = replace(memory, idle_since=None, completed_rules=frozenset(), failures={})
    in_transition = shutdown_reason(snapshot, memory, now)
    if in_transition is not None:
        decision = _without_actions(
            memory, client_statuses, (in_transition, *all_blockers, *all_remarks), (now, "going-down")
        )
        return replace(decision, wake_time=wake_time, next_decision_at=now.mono + CLOSE_POLL_INTERVAL)
    if all_blockers:
        phase: Phase = "starting" if _is_starting(snapshot, memory, options) else "awake"
        decision = _without_actions(memory, client_statuses, (*all_blockers, *all_remarks), (now, phase))
        actions = cancellation_actions(snapshot, memory, all_blockers, now)
        return replace(
            decision,
            actions=actions,
            wake_time=wake_time,
            next_decision_at=now.mono + _seconds_until_blocker_ends(snapshot, now),
        )
    memory, idle_since = _update_idle_since(snapshot, memory, now)
    next_step = assess_sleep(snapshot, memory, options, now, idle_since)
    decision = _without_actions(
        memory, client_statuses, (*next_step.reasons, *all_remarks), (now, next_step.phase)
    )
    actions = next_step.actions
    if next_step.phase == "idle":
        actions = cancellation_actions(snapshot, memory, next_step.reasons, now)
    return replace(
        decision,
        actions=tuple(
            replace(action, wake_time=wake_time) if isinstance(action, Sleep) else action
            for action in actions
        ),
        planned_sleep=next_step.plan,
        next_decision_at=next_step.next_decision_at,
        needs_fresh_readings=next_step.poll_before,
        wake_time=wake_time,
    )


def _add_disk_actions(decision: Decision, disks: DiskAssessment, snapshot: Snapshot, now: Moment) -> Decision:
    """The decision with what is to be done about disks.

    An order to a disk puts the server's own sleep off, and one to the server puts off those to disks.
    """
    actions, next_decision_at = (
        decision.actions,
        min(decision.next_decision_at, max(disks.decide_again_at, now.mono + _MIN_WAIT)),
    )
    if disks.actions_running and any(action.irreversible for action in actions):
        actions = tuple(order for order in actions if not order.irreversible)
        next_decision_at = min(next_decision_at, now.mono + CLOSE_POLL_INTERVAL)
    elif (
        not any(order.irreversible for order in (*actions, *snapshot.running_actions))
        and snapshot.shutdown is None
    ):
        actions = (*actions, *disks.actions)
    return replace(
        decision,
        actions=actions,
        next_decision_at=next_decision_at,
        disks=disks.reports,
        watched_groups=disks.group_watches,
        smart=disks.smart_reports,
        next_disk_poll_at=disks.poll_disks_at,
    )


def _detect_resume_and_clock_step(memory: Memory, wake_event: WakeEvent | None, now: Moment) -> Memory:
    """Memory that has noticed a sleep or a step of the wall clock since the last decision.

    A resume needs no signal: time asleep is exactly what CLOCK_BOOTTIME has gained on CLOCK_MONOTONIC. Only a
    sleep so short that the clocks show nothing of it has to be told.
    """
    last = memory.last_decision_at
    slept = now.slept - last.slept
    passed = now.mono - last.mono + slept
    if abs(now.wall.timestamp() - last.wall.timestamp() - passed) > _CLOCK_STEP_TOLERANCE + passed / 1000:
        memory = replace(memory, clock_stepped_at=now.mono)
    unmeasured = (
        wake_event is not None
        and not wake_event.clock_advanced
        and wake_event != memory.wake_storm.last_event
    )
    if slept > _MIN_SLEEP or unmeasured:
        memory = replace(
            memory,
            resumed_at=now.mono,
            idle_since=None,
            completed_rules=frozenset(),
            failures={},
            busy_until=None,
            wake_storm=wake_storm.record_wakeup(memory.wake_storm, now),
        )
    return replace(memory, last_decision_at=now)


def _update_wake_storm_and_duty(
    snapshot: Snapshot, memory: Memory, options: Options, now: Moment, all_blockers: tuple[UndatedReason, ...]
) -> Memory:
    """Memory of whether the latest wake-up was in vain, and of what the server stays up for."""
    key_press = snapshot.key_press
    key_pressed = (
        key_press is not None and memory.resumed_at is not None and key_press.at >= memory.resumed_at
    )
    needed = key_pressed or any(reason.confirmed for reason in all_blockers)
    return replace(
        memory,
        wake_storm=wake_storm.record_activity(memory.wake_storm, snapshot, needed=needed),
        busy_until=current_busy_until(snapshot, memory.busy_until, options, now),
    )


def _update_idle_since(snapshot: Snapshot, memory: Memory, now: Moment) -> tuple[Memory, float]:
    """Since when nothing has kept the server awake; a key that was pressed meanwhile begins it anew."""
    since = now.mono if memory.idle_since is None else memory.idle_since
    key_press = snapshot.key_press
    if key_press is not None and since < idle_from(key_press):
        since = idle_from(key_press)
        memory = replace(memory, completed_rules=frozenset(), failures={})
    return replace(memory, idle_since=since), since


def _seconds_until_blocker_ends(snapshot: Snapshot, now: Moment) -> float:
    """Seconds until a reason to be awake ends by itself."""
    ends = [request.seconds_left(now) for request in active_keeps(snapshot, now)]
    if snapshot.key_press is not None and (left := idle_from(snapshot.key_press) - now.mono) > 0:
        ends.append(left)
    return max(min(ends, default=float("inf")), _MIN_WAIT)


def _is_starting(snapshot: Snapshot, memory: Memory, options: Options) -> bool:
    """Whether a source has yet to speak for the first time."""
    sources = (CLIENTS, *blockers.required_sources(options))
    return memory.resumed_at is None and any(source not in snapshot.sources for source in sources)


def _without_actions(
    memory: Memory,
    client_statuses: tuple[ClientStatus, ...],
    undated: tuple[UndatedReason, ...],
    about: tuple[Moment, Phase],
) -> Decision:
    """The Decision that orders nothing, with its reasons dated."""
    now, phase = about
    reasons = tuple(
        [Reason(why.subject, why.text, reason_since(memory, why, now), why.blocks_sleep) for why in undated]
    )
    memory = replace(
        memory,
        client_statuses={client_status.client.id: client_status for client_status in client_statuses},
        reasons_since={(reason.subject, reason.text): reason.since for reason in reasons},
    )
    return Decision(
        (),
        reasons,
        memory,
        float("inf"),
        needs_fresh_readings=False,
        phase=phase,
        planned_sleep=None,
        client_statuses=client_statuses,
    )
