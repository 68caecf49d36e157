"""decide(): the whole board in, one Decision out. Pure: no clock, no I/O, no log."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.config import Options
from powerd.model import Decision, Memory, Moment, Phase, Reason, Snapshot, Verdict
from powerd.policy.clients import judge_all
from powerd.policy.idle import CLIENTS, Why, dated, kept, remarks, stirring
from powerd.policy.sleep import course, recall

_SLEPT: Final = 0.5
"""BOOTTIME and MONOTONIC are read microseconds apart; no real sleep is this short, seconds."""
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
    memory = recall(snapshot, _aware_of_time(memory, now), options, now)
    verdicts = judge_all(snapshot, memory, options, now)
    stirs = tuple(stirring(snapshot, verdicts, memory, options, now))
    if stirs:
        memory = replace(memory, idle_since=None, done=frozenset(), failures={})
        phase: Phase = "starting" if _starting(snapshot, memory) else "awake"
        decision = _decision(memory, verdicts, (*stirs, *remarks(verdicts, options)), (now, phase))
        left = min((keep.left(now) for keep in kept(snapshot, now)), default=float("inf"))
        return replace(decision, look_again=now.mono + max(left, _LEAST))
    idle_since = now.mono if memory.idle_since is None else memory.idle_since
    memory = replace(memory, idle_since=idle_since)
    next_step = course(snapshot, memory, options, now, idle_since)
    decision = _decision(
        memory, verdicts, (*next_step.reasons, *remarks(verdicts, options)), (now, next_step.phase)
    )
    return replace(
        decision,
        orders=next_step.orders,
        plan=next_step.plan,
        look_again=next_step.look_again,
        closely=next_step.closely,
    )


def _aware_of_time(memory: Memory, now: Moment) -> Memory:
    """Memory that has noticed a sleep or a step of the wall clock since the last decision.

    A resume needs no signal: time asleep is exactly what CLOCK_BOOTTIME has gained on CLOCK_MONOTONIC.
    """
    last = memory.last
    slept = now.slept - last.slept
    passed = now.mono - last.mono + slept
    if abs(now.wall.timestamp() - last.wall.timestamp() - passed) > _STEP + passed / 1000:
        memory = replace(memory, stepped=now.mono)
    if slept > _SLEPT:
        memory = replace(memory, resumed=now.mono, idle_since=None, done=frozenset(), failures={})
    return replace(memory, last=now)


def _starting(snapshot: Snapshot, memory: Memory) -> bool:
    """Whether a source has yet to speak for the first time."""
    return CLIENTS not in snapshot.sources and memory.resumed is None


def _decision(
    memory: Memory, verdicts: tuple[Verdict, ...], whys: tuple[Why, ...], about: tuple[Moment, Phase]
) -> Decision:
    """The Decision that orders nothing, with its reasons dated."""
    now, phase = about
    reasons = tuple(Reason(why.subject, why.text, dated(memory, why, now), why.keeps_awake) for why in whys)
    memory = replace(
        memory,
        verdicts={verdict.client.id: verdict for verdict in verdicts},
        since={(reason.subject, reason.text): reason.since for reason in reasons},
    )
    return Decision(
        (), reasons, memory, float("inf"), closely=False, phase=phase, plan=None, verdicts=verdicts
    )
