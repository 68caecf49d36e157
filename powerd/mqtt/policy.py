"""Servers that need each other: which of them keep this one awake, and which this one wakes.

A server holds each one that it needs for as long as it is up. Where two need each other, directly or through
others, both would stay up for ever; so there it holds the other one only while it is busy itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason, unavailable_reason
from powerd.mqtt.model import PeerFacts, PeerMemory, PeerReport, PeerServer, WakePeer

SUBJECT: Final = "mqtt"
GONE_HOLDS_FOR: Final = 1800.0
"""Seconds for which a server that has vanished without an announcement still holds those that it needs."""
WAKE_INTERVAL: Final = 30.0
"""Seconds between magic packets to a server."""
WAKE_FOR: Final = 600.0
"""Seconds after which a server that does not wake up gets no more of them."""


def assess(context: Context) -> Assessment:
    """Servers that need this one are blockers, as is a broker that cannot be asked where there are any.

    This domain is the last one: what the others have found makes this server busy.
    """
    options = context.options.mqtt
    if not options.broker:
        return Assessment()
    facts, busy = context.snapshot.part(PeerFacts), bool(context.merged.blockers)
    report = PeerReport(busy)
    if not facts.synchronised:
        return Assessment(
            blockers=tuple(_unknown_blockers(context, facts)),
            remarks=tuple(_remarks_without_others(context, facts)),
            parts=(report,),
        )
    blockers, ends_at = list[UndatedReason](), float("inf")
    for name, peer in sorted(facts.peers.items()):
        until = _holds_until(context, facts, name, peer)
        if until > context.now.mono:
            blockers.append(_hold_blocker(name, peer))
            ends_at = min(ends_at, until)
    remarks, actions, memory, next_at = _needed(context, facts, busy=busy or bool(blockers))
    return Assessment(
        blockers=tuple(blockers),
        remarks=(*_gone_remarks(context, facts), *remarks),
        actions=actions,
        memory=(memory,),
        parts=(report,),
        blockers_end_at=ends_at,
        next_decision_at=next_at,
    )


def _involved(context: Context, facts: PeerFacts) -> list[str]:
    """The servers with which this one is connected by need."""
    return sorted({*context.options.mqtt.needs, *facts.dependents} - {facts.name})


def _unknown_blockers(context: Context, facts: PeerFacts) -> Iterator[UndatedReason]:
    names = _involved(context, facts)
    if names:
        problem = facts.problem or "is being connected to the broker"
        text = f"{problem}; so it is unknown whether {_listed(names)} needs this server"
        yield unavailable_reason(SUBJECT, text, context.memory, context.now)


def _remarks_without_others(context: Context, facts: PeerFacts) -> Iterator[UndatedReason]:
    if facts.problem and not _involved(context, facts):
        yield UndatedReason(SUBJECT, facts.problem, blocks_sleep=False)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _holds_until(context: Context, facts: PeerFacts, name: str, peer: PeerServer) -> float:
    """CLOCK_MONOTONIC until which a peer holds this server; inf while it does, -inf if it does not."""
    graph = {other: each.needs for other, each in facts.peers.items()}
    graph[facts.name] = context.options.mqtt.needs
    if facts.name not in reachable(graph, name):
        return float("-inf")
    is_mutual = name in reachable(graph, facts.name)
    if not is_mutual and facts.name not in peer.needs:
        return float("-inf")  # it holds the server between, which holds this one
    if peer.state == "gone":
        return peer.since.mono + GONE_HOLDS_FOR  # also if the need is mutual: nobody knows whether it is busy
    holds = peer.state == "up" and (peer.busy or not is_mutual)
    return float("inf") if holds else float("-inf")


def reachable(graph: Mapping[str, tuple[str, ...]], name: str) -> frozenset[str]:
    """The servers that ``name`` needs, directly or through others; with itself only by way of others."""
    found, rest = set[str](), list(graph.get(name, ()))
    while rest:
        each = rest.pop()
        if each not in found:
            found.add(each)
            rest += graph.get(each, ())
    return frozenset(found)


def _hold_blocker(name: str, peer: PeerServer) -> UndatedReason:
    if peer.state == "gone":
        text = "has needed this server, and is not connected to the broker any more"
        return UndatedReason(name, text, since=peer.since, confirmed=False)
    return UndatedReason(name, "is up and needs this server", since=None)


def _gone_remarks(context: Context, facts: PeerFacts) -> Iterator[UndatedReason]:
    for name, peer in sorted(facts.peers.items()):
        over = peer.since.mono + GONE_HOLDS_FOR <= context.now.mono
        if peer.state == "gone" and facts.name in peer.needs and over:
            text = "needed this server, and is not connected to the broker; it does not count any more"
            yield UndatedReason(name, text, blocks_sleep=False)


def _needed(
    context: Context, facts: PeerFacts, *, busy: bool
) -> tuple[list[UndatedReason], tuple[WakePeer, ...], PeerMemory, float]:
    """Remarks on the servers that this one needs, wake-ups of them, memory, and the next wake-up."""
    memory, now = context.memory.part(PeerMemory), context.now.mono
    resumed_at = context.memory.resumed_at or 0.0  # this server needs the others again
    remarks, actions = list[UndatedReason](), list[WakePeer]()
    down_since, next_at = dict[str, float](), float("inf")
    graph = {other: each.needs for other, each in facts.peers.items()}
    for name in context.options.mqtt.needs:
        peer = facts.peers.get(name)
        is_mutual = facts.name in reachable(graph, name)
        if name == facts.name or (peer is not None and peer.state == "up") or (is_mutual and not busy):
            continue
        if peer is None or not peer.macs:
            text = "is needed by this server, and has never been seen at the broker; check its [mqtt]"
            remarks.append(UndatedReason(name, text, blocks_sleep=False))
            continue
        since = down_since[name] = max(memory.down_since.get(name, now), resumed_at)
        if now - since >= WAKE_FOR:
            text = "is needed by this server, and does not wake up; check its Wake-on-LAN"
            remarks.append(UndatedReason(name, text, blocks_sleep=False))
            continue
        remarks.append(UndatedReason(name, "is needed by this server, which wakes it", blocks_sleep=False))
        action = WakePeer(name, peer.macs, peer.addresses)
        last = context.snapshot.completed(WakePeer, name)
        due = max(since, last.ended_at + WAKE_INTERVAL if last else since)
        if due <= now and action not in context.snapshot.running_actions:
            actions.append(action)
        next_at = min(next_at, max(due, now + WAKE_INTERVAL if due <= now else due))
    return remarks, tuple(actions), PeerMemory(down_since), next_at
