"""Which servers keep this one awake, and which it wakes: pure values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, moment

from powerd.config.mqtt_options import MqttOptions
from powerd.config.options import Options
from powerd.core.actions import CompletedAction
from powerd.core.domain import Assessment, Context, Merged
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot
from powerd.mqtt.model import (
    KnownServer,
    PeerFacts,
    PeerMemory,
    PeerReport,
    PeerServer,
    ServerState,
    WakePeer,
)
from powerd.mqtt.policy import (
    FORGOTTEN_AFTER,
    GONE_HOLDS_FOR,
    WAKE_FOR,
    WAKE_INTERVAL,
    assess,
    reachable,
    seen_now,
)

NOW = moment(T0)
MACS = ("02:00:00:00:00:01",)


def server(state: ServerState = "up", *needs: str, busy: bool = False, ago: float = 60.0) -> PeerServer:
    return PeerServer(state, moment(T0 - ago), busy, needs, MACS, ("10.0.0.2",))


def known_as(server: PeerServer, seen_ago: float = 0.0) -> KnownServer:
    """What is remembered of a server."""
    return KnownServer(NOW.wall.timestamp() - seen_ago, "me" in server.needs, server.macs, server.addresses)


def assessed(  # noqa: PLR0913 - each test names what it is about
    peers: dict[str, PeerServer] | None = None,
    *,
    needs: tuple[str, ...] = (),
    busy: bool = False,
    facts: PeerFacts | None = None,
    memory: PeerMemory | None = None,
    last_wake: float | None = None,
    broker: str = "mqtt://10.0.0.3",
    stepped_at: float | None = None,
) -> Assessment:
    """The assessment of ``me``."""
    known = {name: known_as(each) for name, each in (peers or {}).items()}
    given = facts or PeerFacts("me", synchronised=True, peers=peers or {}, known=known)
    snapshot = Snapshot().with_parts(given)
    if last_wake is not None:
        action = WakePeer("nas", MACS, ("10.0.0.2",))
        done = CompletedAction(action, last_wake, ok=True, message="")
        snapshot = replace(snapshot, completed_actions={(WakePeer, "nas"): done})
    options = replace(Options(), mqtt=MqttOptions(broker=broker, needs=needs))
    blockers = (UndatedReason("tv", "is home"),) if busy else ()
    remembered = replace(Memory.initial(NOW, memory or PeerMemory()), clock_stepped_at=stepped_at)
    context = Context(snapshot, remembered, options, NOW, Merged(blockers))
    return assess(context)


def holders(assessment: Assessment) -> list[str]:
    return [reason.subject for reason in assessment.blockers]


@pytest.mark.parametrize(
    ("peers", "needs", "expected"),
    [
        ({}, (), []),
        ({"tv": server("up")}, (), []),
        ({"tv": server("up", "me")}, (), ["tv"]),
        ({"tv": server("up", "me", busy=True)}, (), ["tv"]),
        ({"tv": server("asleep", "me")}, (), []),
        ({"tv": server("gone", "me")}, (), ["tv"]),
        ({"tv": server("gone", "me", ago=GONE_HOLDS_FOR)}, (), []),
        ({"tv": server("up", "other")}, (), []),
        ({"a": server("up", "me"), "b": server("up", "me")}, (), ["a", "b"]),
        # a needs b, which needs this one: b is held by a, and holds this one.
        ({"a": server("up", "b"), "b": server("asleep", "me")}, (), []),
        ({"a": server("up", "b"), "b": server("up", "me")}, (), ["b"]),
        # Both need each other: the busy one keeps the other up.
        ({"a": server("up", "me")}, ("a",), []),
        ({"a": server("up", "me", busy=True)}, ("a",), ["a"]),
        # Nobody knows whether one that is gone is busy.
        ({"a": server("gone", "me")}, ("a",), ["a"]),
        ({"a": server("gone", "b"), "b": server("up", "me")}, ("a",), ["a"]),
        ({"a": server("gone", "me", ago=GONE_HOLDS_FOR)}, ("a",), []),
        # A ring of three; the one that is busy holds all.
        ({"a": server("up", "b"), "b": server("up", "me")}, ("a",), []),
        ({"a": server("up", "b", busy=True), "b": server("up", "me")}, ("a",), ["a"]),
        ({"me": server("up", "me")}, (), []),
    ],
)
def test_who_holds_this_server(
    peers: dict[str, PeerServer], needs: tuple[str, ...], expected: list[str]
) -> None:
    peers = {name: each for name, each in peers.items() if name != "me"}
    assert holders(assessed(peers, needs=needs)) == expected


def test_the_hold_of_a_server_that_has_gone_ends_by_itself() -> None:
    found = assessed({"tv": server("gone", "me", ago=100.0)})
    assert found.blockers_end_at == T0 - 100.0 + GONE_HOLDS_FOR
    assert not found.blockers[0].confirmed
    later = assessed({"tv": server("gone", "me", ago=GONE_HOLDS_FOR)})
    assert [remark.subject for remark in later.remarks] == ["tv"]


@pytest.mark.parametrize(
    ("facts", "needs", "blocks"),
    [
        (PeerFacts("me"), (), False),
        (PeerFacts("me", problem="refused"), (), False),
        (PeerFacts("me"), ("nas",), True),
        (PeerFacts("me", problem="refused"), ("nas",), True),
        (PeerFacts("me", known={"tv": known_as(server("up", "me"))}), (), True),
        (PeerFacts("me", known={"tv": known_as(server("up", "me"), FORGOTTEN_AFTER + 1)}), (), False),
        (PeerFacts("me", known={"tv": known_as(server("up", "me"), -1e9)}), (), True),  # a clock that was set
        (PeerFacts("me", problem="refused", known={"me": known_as(server("up", "me"))}), (), False),
        (PeerFacts("me", problem="refused", known={"nas": known_as(server("up"))}), ("nas",), False),
        (PeerFacts("me", problem="refused", known={"nas": known_as(server("up", "me"))}), ("nas",), True),
    ],
)
def test_a_lost_broker_blocks_only_where_other_servers_are_involved(
    facts: PeerFacts, needs: tuple[str, ...], *, blocks: bool
) -> None:
    found = assessed(facts=facts, needs=needs)
    assert bool(found.blockers) == blocks
    assert all(not each.confirmed for each in found.blockers)


def test_a_step_of_the_clock_forgets_no_server() -> None:
    known = {"tv": known_as(server("up", "me"), FORGOTTEN_AFTER + 1)}
    facts = PeerFacts("me", problem="refused", known=known)
    assert holders(assessed(facts=facts)) == []
    assert holders(assessed(facts=facts, stepped_at=T0 - 86400)) == ["mqtt"]


@pytest.mark.parametrize(
    ("state", "synchronised", "seen_ago"),
    [("up", True, 0.0), ("up", False, 86400.0), ("asleep", True, 86400.0), ("gone", True, 86400.0)],
)
def test_a_server_is_seen_while_the_broker_reports_that_it_is_up(
    state: ServerState,
    synchronised: bool,  # noqa: FBT001 - a column of the table
    seen_ago: float,
) -> None:
    peer = server(state, "me")
    facts = PeerFacts("me", synchronised, peers={"tv": peer}, known={"tv": known_as(peer, 86400.0)})
    assert seen_now(facts, NOW) == {"tv": known_as(peer, seen_ago)}


def test_without_a_broker_nothing_happens() -> None:
    assert assessed({"tv": server("up", "me")}, needs=(), broker="") == Assessment()


@pytest.mark.parametrize("busy", [True, False])
def test_what_others_have_found_makes_this_server_busy(*, busy: bool) -> None:
    assert assessed({"tv": server("up", "me")}, busy=busy).parts == (PeerReport(busy),)


WAKE = WakePeer("nas", MACS, ("10.0.0.2",))


@pytest.mark.parametrize(
    ("nas", "busy", "last_wake", "since", "expected"),
    [
        (server("up"), True, None, None, ()),
        (server("asleep"), False, None, None, (WAKE,)),
        (server("gone"), False, None, None, (WAKE,)),
        (server("asleep"), False, T0 - 1, T0 - 10, ()),
        (server("asleep"), False, T0 - WAKE_INTERVAL, T0 - 100, (WAKE,)),
        (server("asleep"), False, T0 - 100, T0 - WAKE_FOR, ()),
        # It needs this server as well, so it sleeps with it.
        (server("asleep", "me"), False, None, None, ()),
        (server("asleep", "me"), True, None, None, (WAKE,)),
        (replace(server("asleep"), macs=()), True, None, None, ()),
        (None, True, None, None, ()),
    ],
)
def test_a_needed_server_is_woken(
    nas: PeerServer | None,
    busy: bool,  # noqa: FBT001 - a column of the table
    last_wake: float | None,
    since: float | None,
    expected: tuple[WakePeer, ...],
) -> None:
    peers = {} if nas is None else {"nas": nas}
    memory = PeerMemory({} if since is None else {"nas": since})
    found = assessed(peers, needs=("nas",), busy=busy, memory=memory, last_wake=last_wake)
    assert found.actions == expected
    assert found.next_decision_at > T0
    assert not found.blockers


def test_the_wake_up_of_a_server_is_due_again_after_the_interval() -> None:
    found = assessed(
        {"nas": server("asleep")}, needs=("nas",), last_wake=T0 - 1, memory=PeerMemory({"nas": T0 - 5})
    )
    assert found.next_decision_at == T0 - 1 + WAKE_INTERVAL
    assert found.memory == (PeerMemory({"nas": T0 - 5}),)


@pytest.mark.parametrize(("resumed_ago", "wakes"), [(1.0, True), (WAKE_FOR - 1, True), (WAKE_FOR, False)])
def test_a_server_that_did_not_wake_up_is_woken_again_after_a_resume(resumed_ago: float, wakes: bool) -> None:  # noqa: FBT001 - a column of the table
    asleep = server("asleep")
    facts = PeerFacts("me", synchronised=True, peers={"nas": asleep}, known={"nas": known_as(asleep)})
    options = replace(Options(), mqtt=MqttOptions(broker="mqtt://10.0.0.3", needs=("nas",)))
    memory = replace(
        Memory.initial(NOW, PeerMemory({"nas": T0 - 10 * WAKE_FOR})), resumed_at=T0 - resumed_ago
    )
    found = assess(Context(Snapshot().with_parts(facts), memory, options, NOW))
    assert found.actions == ((WAKE,) if wakes else ())
    unreachable = replace(facts, synchronised=False, problem="refused")
    unsure = assess(Context(Snapshot().with_parts(unreachable), memory, options, NOW))
    remark, other = (each.remarks[-1] for each in (found, unsure))
    assert (remark.subject, other.subject, remark.blocks_sleep) == ("nas", "nas", False)
    assert ["unknown" in each.text for each in (remark, other)] == [False, not wakes]


def test_reachable_ends_in_a_ring() -> None:
    graph = {"a": ("b",), "b": ("c",), "c": ("a", "d")}
    assert reachable(graph, "a") == {"a", "b", "c", "d"}
    assert reachable(graph, "d") == frozenset()


@pytest.mark.parametrize(
    ("facts", "woken"),
    [
        (PeerFacts("me", known={"nas": known_as(server("asleep"))}), False),  # is being connected
        (PeerFacts("me", problem="no answer", known={"nas": known_as(server("asleep"))}), True),
        (PeerFacts("me", problem="no answer", known={"nas": known_as(server("asleep", "me"))}), True),
        (PeerFacts("me", problem="no answer", peers={"nas": server("up")}), False),  # no MAC is known
        (PeerFacts("me", synchronised=True, known={"nas": known_as(server("asleep"))}), True),
    ],
)
def test_a_needed_server_on_which_the_broker_may_run_is_woken(facts: PeerFacts, *, woken: bool) -> None:
    """Also one of which the broker has stored nothing, because it was restarted without persistence."""
    found = assessed(facts=facts, needs=("nas",))
    assert list(found.actions) == ([WakePeer("nas", MACS, ("10.0.0.2",))] if woken else [])
    assert (found.next_decision_at < float("inf")) == woken
