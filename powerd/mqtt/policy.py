"""Servers that need each other: those that keep this one awake, and those that it wakes.

A server holds each one that it needs for as long as it is up. Where two need each other, directly or through
others, both would stay up for ever; so in that case it holds the other only while it is busy itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final

from powerd.core.actions import Sleep
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason, unavailable_reason
from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.mqtt.model import SUBJECT, KnownServer, PeerFacts, PeerMemory, PeerReport, PeerServer, WakePeer
from powerd.mqtt.payloads import server_topic
from powerd.power.model import TransitionFacts

GONE_HOLDS_FOR: Final = 1800.0
"""Seconds for which a server that has vanished without an announcement still holds those that it needs."""
WAKE_INTERVAL: Final = 30.0
"""Seconds between magic packets to a server."""
WAKE_FOR: Final = 600.0
"""Seconds after which no more magic packets are sent to a server that does not wake up."""
FORGOTTEN_AFTER: Final = 30 * 86400.0
"""Seconds after which a server that was neither up nor announced a sleep no longer counts while the broker
is unreachable: it may have been taken out of service."""
_DAY: Final = 86400.0
_SLEEP_BEGINS_WITHIN: Final = 60.0
"""Seconds from the end of a sleep action to logind's announcement of that sleep."""


def assess(context: Context) -> Assessment:
    """Servers that need this one are blockers, and so is an unreachable broker if there may be such servers.

    This domain is the last one: the blockers of the others make this server busy.
    """
    options = context.options.mqtt
    if not options.broker:
        return Assessment()
    facts, busy = context.snapshot.part(PeerFacts), bool(context.merged.blockers)
    report = PeerReport(busy)
    if not facts.synchronised:
        return _without_broker(context, facts, report)
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


def remember(
    known: Mapping[str, KnownServer], name: str, peer: PeerServer, *, needs_this: bool, is_proof: bool
) -> Mapping[str, KnownServer]:
    """What is known after a message of a server.

    Args:
        known: before.
        name: of the server.
        peer: the server, as it has described itself.
        needs_this: it needs this server.
        is_proof: it was up when the broker sent the message, or has just announced a sleep.
    """
    at, before = peer.since.wall.timestamp(), known.get(name)
    if before is not None and (not is_proof or 0 <= at - before.seen_at < _DAY):
        at = before.seen_at
    return {**known, name: KnownServer(at, needs_this, peer.macs, peer.addresses)}


def seen_now(facts: PeerFacts, now: Moment) -> Mapping[str, KnownServer]:
    """PeerFacts.known with what the broker reports now: a server that is up may send nothing for months."""
    if not facts.synchronised:
        return facts.known
    wall = now.wall.timestamp()
    up = {name for name, each in facts.peers.items() if each.state == "up"}
    return {
        name: replace(each, seen_at=wall) if name in up and not 0 <= wall - each.seen_at < _DAY else each
        for name, each in facts.known.items()
    }


def peers_after_connecting(
    facts: PeerFacts, stored: Collection[str], now: Moment
) -> Mapping[str, PeerServer]:
    """The other servers after a new connection, by those of the last one and what the broker had stored.

    A server that was up and is not stored has gone for now: the broker was restarted without persistence, and
    the server may connect to it later than this one. A server that has needed this one may be up too, if it
    was asleep, or if powerd was restarted as well. Each counts as gone once, until it connects.
    """
    dependents = {name: each for name, each in facts.known.items() if each.needs_this}
    found = dict[str, PeerServer]()
    for name, each in facts.peers.items():
        holds = each.state == "gone" and now.mono - each.since.mono < GONE_HOLDS_FOR
        if name in stored or holds or (each.state == "gone" and name in dependents):
            found[name] = each
        elif each.state == "up" or name in dependents:
            found[name] = replace(each, state="gone", since=now)
    for name, known in dependents.items():
        if name not in facts.peers and name not in stored:
            needs, macs, addresses = (facts.name,), known.macs, known.addresses
            found[name] = PeerServer("gone", now, needs=needs, macs=macs, addresses=addresses)
    return found


def must_be_stored(stored: Mapping[str, KnownServer], known: Mapping[str, KnownServer]) -> bool:
    """Whether a disk may be started to store ``known``: not for times that are a few days old."""
    return stored.keys() != known.keys() or any(
        abs(each.seen_at - stored[name].seen_at) > FORGOTTEN_AFTER / 4
        or replace(each, seen_at=0.0) != replace(stored[name], seen_at=0.0)
        for name, each in known.items()
    )


def _without_broker(context: Context, facts: PeerFacts, report: PeerReport) -> Assessment:
    """It is unknown which servers are up: those that may need this one are a blocker.

    Those that this one needs are woken, because the broker may run on one of them.
    """
    wall, needs = context.now.wall.timestamp(), context.options.mqtt.needs
    is_sure = context.memory.clock_stepped_at is None  # otherwise a step of the clock could lead to a sleep
    dependents = {
        name
        for name, each in facts.known.items()
        if each.needs_this and not (is_sure and wall - each.seen_at > FORGOTTEN_AFTER)
    }
    never_seen = {name for name in needs if name not in facts.known}  # it may need this one as well
    names = sorted((dependents | never_seen) - {facts.name})
    blockers, remarks = list[UndatedReason](), list[UndatedReason]()
    if names:
        problem = facts.problem or "is being connected to the broker"
        text = f"{problem}; so it is unknown whether {_listed(names)} needs this server"
        blockers.append(unavailable_reason(SUBJECT, text, context.memory, context.now))
    elif facts.problem:
        remarks.append(UndatedReason(SUBJECT, facts.problem, blocks_sleep=False))
    if not facts.problem:
        return Assessment(blockers=tuple(blockers), remarks=tuple(remarks), parts=(report,))
    busy = report.busy or bool(blockers)
    more, actions, memory, next_at = _needed(context, facts, busy=busy)
    return Assessment(
        blockers=tuple(blockers),
        remarks=(*remarks, *more),
        actions=actions,
        memory=(memory,),
        parts=(report,),
        next_decision_at=next_at,
    )


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
        return (
            peer.since.mono + GONE_HOLDS_FOR
        )  # also if the need is mutual: it is unknown whether it is busy
    holds = peer.state == "up" and (peer.busy or not is_mutual)
    return float("inf") if holds else float("-inf")


def reachable(graph: Mapping[str, tuple[str, ...]], name: str) -> frozenset[str]:
    """The servers that ``name`` needs, directly or through others; itself only through others."""
    found, rest = set[str](), list(graph.get(name, ()))
    while rest:
        each = rest.pop()
        if each not in found:
            found.add(each)
            rest += graph.get(each, ())
    return frozenset(found)


def _hold_blocker(name: str, peer: PeerServer) -> UndatedReason:
    if peer.state == "gone":
        text = "has needed this server, and is no longer connected to the broker"
        return UndatedReason(name, text, since=peer.since, confirmed=False)
    return UndatedReason(name, "is up and needs this server", since=None)


def _gone_remarks(context: Context, facts: PeerFacts) -> Iterator[UndatedReason]:
    for name, peer in sorted(facts.peers.items()):
        over = peer.since.mono + GONE_HOLDS_FOR <= context.now.mono
        if peer.state == "gone" and facts.name in peer.needs and over:
            text = (
                "needed this server, and is not connected to the broker; it no longer counts; if it "
                f"is out of service, delete its topic {server_topic(name)}"
            )
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
        known = facts.known.get(name)
        peer = facts.peers.get(name) if facts.synchronised else None
        is_mutual = facts.name in reachable(graph, name) or (known is not None and known.needs_this)
        if name == facts.name or (peer is not None and peer.state == "up") or (is_mutual and not busy):
            continue
        if known is None or not known.macs:
            text = "is needed by this server, and has never been seen at the broker; check its [mqtt]"
            remarks.append(UndatedReason(name, text, blocks_sleep=False))
            continue
        since = down_since[name] = max(memory.down_since.get(name, now), resumed_at)
        if now - since >= WAKE_FOR:
            text = "is needed by this server, and does not wake up; check its Wake-on-LAN"
            if not facts.synchronised:
                text = "is needed by this server; it is unknown whether it is up"
            remarks.append(UndatedReason(name, text, blocks_sleep=False))
            continue
        remarks.append(UndatedReason(name, "is needed by this server, which wakes it", blocks_sleep=False))
        action = WakePeer(name, known.macs, known.addresses)
        last = context.snapshot.completed(WakePeer, name)
        due = max(since, last.ended_at + WAKE_INTERVAL if last else since)
        if due <= now and action not in context.snapshot.running_actions:
            actions.append(action)
        next_at = min(next_at, max(due, now + WAKE_INTERVAL if due <= now else due))
    return remarks, tuple(actions), PeerMemory(down_since), next_at


def is_going_down(status: Status) -> bool:
    """Whether a sleep or a shutdown is in progress, or follows from a sleep action that has ended."""
    facts, last = status.snapshot, status.snapshot.completed(Sleep)
    if facts.part(TransitionFacts).shutdown or any(isinstance(each, Sleep) for each in facts.running_actions):
        return True
    return (
        last is not None
        and last.ok
        and isinstance(last.action, Sleep)
        and last.action.sleep_action != "command"
        and status.now.mono - last.ended_at < _SLEEP_BEGINS_WITHIN
        and status.mode == "enforce"
    )
