"""decide(): the whole board in, one Decision out. Pure: no clock, no I/O, no log."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.config import Options
from powerd.model import Decision, Memory, Moment, Phase, Reason, Sleep, Snapshot, Verdict, Waking
from powerd.policy import machine, unrest
from powerd.policy.called_off import called_off
from powerd.policy.clients import judge_all
from powerd.policy.disks import DiskCourse, course_of_disks
from powerd.policy.idle import CLIENTS, kept, remarks, stirring
from powerd.policy.leaving import departure
from powerd.policy.machine import pressed
from powerd.policy.sleep import CLOSE_LOOK, course, recall
from powerd.policy.smart import with_health
from powerd.policy.wake import announced, next_wake, on_duty
from powerd.policy.why import Why, dated

_SLEPT: Final = 0.01
"""BOOTTIME and MONOTONIC are read within a millisecond (clock.py); no real sleep is this short, seconds."""
_LEAST: Final = 0.1
"""A keep's last moments are not waited for more closely, seconds."""
_STEP: Final = 2.0
"""A wall clock off by more than this, plus a thousandth of the time between, was set: NTP slews less."""


def decide(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> Decision:
    """Say what to do now, why, and when to ask again.

    Args:
        snapshot: all facts, each with the monotonic time at which it was true.
        memory: of the previous decision, or Memory.newborn().
        options: the configuration in force.
        now: the present moment.
    """
    memory = recall(snapshot, _aware_of_time(memory, snapshot.waking, now), options, now)
    disks = with_health(course_of_disks(snapshot, memory, options, now), snapshot, options, now)
    memory = replace(memory, disks=disks.memory, disk_looks=snapshot.activity)
    return _with_disks(_decide(snapshot, memory, options, now, disks), disks, snapshot, now)


def _decide(snapshot: Snapshot, memory: Memory, options: Options, now: Moment, disks: DiskCourse) -> Decision:
    """Whether the server may sleep."""
    verdicts = judge_all(snapshot, memory, options, now)
    stirs = (*stirring(snapshot, verdicts, memory, options, now), *disks.stirs)
    memory = _aware_of_rest(snapshot, memory, options, now, stirs)
    wake = next_wake(snapshot, options, now)
    notes = (
        *remarks(verdicts, options),
        *machine.remarks(snapshot, options, wake),
        *announced(snapshot, options, now),
        *disks.remarks,
    )
    if stirs:
        memory = replace(memory, idle_since=None, done=frozenset(), failures={})
    going = departure(snapshot, memory, now)
    if going is not None:
        decision = _decision(memory, verdicts, (going, *stirs, *notes), (now, "going-down"))
        return replace(decision, wake=wake, look_again=now.mono + CLOSE_LOOK)
    if stirs:
        phase: Phase = "starting" if _starting(snapshot, memory, options) else "awake"
        decision = _decision(memory, verdicts, (*stirs, *notes), (now, phase))
        orders = called_off(snapshot, memory, stirs, now)
        return replace(decision, orders=orders, wake=wake, look_again=now.mono + _lasts(snapshot, now))
    memory, idle_since = _idling(snapshot, memory, now)
    next_step = course(snapshot, memory, options, now, idle_since)
    decision = _decision(memory, verdicts, (*next_step.reasons, *notes), (now, next_step.phase))
    orders = next_step.orders
    if next_step.phase == "idle":
        orders = called_off(snapshot, memory, next_step.reasons, now)
    return replace(
        decision,
        orders=tuple(replace(order, wake=wake) if isinstance(order, Sleep) else order for order in orders),
        plan=next_step.plan,
        look_again=next_step.look_again,
        closely=next_step.closely,
        wake=wake,
    )


def _with_disks(decision: Decision, disks: DiskCourse, snapshot: Snapshot, now: Moment) -> Decision:
    """The decision with what is to be done about disks.

    An order to a disk puts the server's own sleep off, and one to the server puts off those to disks.
    """
    orders, look_again = decision.orders, min(decision.look_again, max(disks.look_again, now.mono + _LEAST))
    if disks.holds and any(order.final for order in orders):
        orders = tuple(order for order in orders if not order.final)
        look_again = min(look_again, now.mono + CLOSE_LOOK)
    elif not any(order.final for order in (*orders, *snapshot.in_flight)) and snapshot.leaving is None:
        orders = (*orders, *disks.orders)
    return replace(
        decision,
        orders=orders,
        look_again=look_again,
        disks=disks.reports,
        guards=disks.guards,
        smart=disks.smart,
        look_at_disks=disks.look_at_disks,
    )


def _aware_of_time(memory: Memory, waking: Waking | None, now: Moment) -> Memory:
    """Memory that has noticed a sleep or a step of the wall clock since the last decision.

    A resume needs no signal: time asleep is exactly what CLOCK_BOOTTIME has gained on CLOCK_MONOTONIC. Only a
    sleep so short that the clocks show nothing of it has to be told.
    """
    last = memory.last
    slept = now.slept - last.slept
    passed = now.mono - last.mono + slept
    if abs(now.wall.timestamp() - last.wall.timestamp() - passed) > _STEP + passed / 1000:
        memory = replace(memory, stepped=now.mono)
    unclocked = waking is not None and not waking.clocked and waking != memory.unrest.told
    if slept > _SLEPT or unclocked:
        memory = replace(
            memory,
            resumed=now.mono,
            idle_since=None,
            done=frozenset(),
            failures={},
            duty=None,
            unrest=unrest.woken(memory.unrest, now),
        )
    return replace(memory, last=now)


def _aware_of_rest(
    snapshot: Snapshot, memory: Memory, options: Options, now: Moment, stirs: tuple[Why, ...]
) -> Memory:
    """Memory of whether the latest wake-up was in vain, and of what the server stays up for."""
    press = snapshot.key_press
    typed = press is not None and memory.resumed is not None and press.at >= memory.resumed
    needed = typed or any(why.certain for why in stirs)
    return replace(
        memory,
        unrest=unrest.noted(memory.unrest, snapshot, needed=needed),
        duty=on_duty(snapshot, memory.duty, options, now),
    )


def _idling(snapshot: Snapshot, memory: Memory, now: Moment) -> tuple[Memory, float]:
    """Since when nothing has kept the server awake; a key that was pressed meanwhile begins it anew."""
    since = now.mono if memory.idle_since is None else memory.idle_since
    press = snapshot.key_press
    if press is not None and since < pressed(press):
        since = pressed(press)
        memory = replace(memory, done=frozenset(), failures={})
    return replace(memory, idle_since=since), since


def _lasts(snapshot: Snapshot, now: Moment) -> float:
    """Seconds until a reason to be awake ends by itself."""
    ends = [keep.left(now) for keep in kept(snapshot, now)]
    if snapshot.key_press is not None and (left := pressed(snapshot.key_press) - now.mono) > 0:
        ends.append(left)
    return max(min(ends, default=float("inf")), _LEAST)


def _starting(snapshot: Snapshot, memory: Memory, options: Options) -> bool:
    """Whether a source has yet to speak for the first time."""
    sources = (CLIENTS, *machine.needed(options))
    return memory.resumed is None and any(source not in snapshot.sources for source in sources)


def _decision(
    memory: Memory, verdicts: tuple[Verdict, ...], whys: tuple[Why, ...], about: tuple[Moment, Phase]
) -> Decision:
    """The Decision that orders nothing, with its reasons dated."""
    now, phase = about
    reasons = tuple([Reason(why.subject, why.text, dated(memory, why, now), why.keeps_awake) for why in whys])
    memory = replace(
        memory,
        verdicts={verdict.client.id: verdict for verdict in verdicts},
        since={(reason.subject, reason.text): reason.since for reason in reasons},
    )
    return Decision(
        (), reasons, memory, float("inf"), closely=False, phase=phase, plan=None, verdicts=verdicts
    )
