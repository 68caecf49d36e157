from __future__ import annotations

import asyncio

import pytest

from powerd.board import Board, Facts
from powerd.model import (
    Activity,
    AskPower,
    Blind,
    Card,
    Cause,
    Client,
    ClientId,
    Disk,
    DiskId,
    Inhibitor,
    KeyPress,
    Leaving,
    Outcome,
    Roused,
    Seen,
    Sighting,
    Sleep,
    SourceId,
    Timer,
    Waking,
    Warn,
)
from powerd.rehearse.loop import run

CLIENTS, OTHER = SourceId("clients"), SourceId("other")
WHO = Client(ClientId("10.0.0.9"), ("10.0.0.9",))
HEARD = {WHO.id: Seen(1.0, Sighting(heard=1.0))}
SLEEP = Sleep(0, "suspend")


def test_a_source_replaces_its_own_word_only() -> None:
    board = Board()
    board.post(CLIENTS, Facts(Seen(1.0, ())))
    board.post(OTHER, Facts(Seen(2.0, ())))
    board.post(CLIENTS, Facts(Blind(3.0, "no carrier")))
    assert board.snapshot().sources == {CLIENTS: Blind(3.0, "no carrier"), OTHER: Seen(2.0, ())}


def test_a_blind_source_leaves_what_was_known_in_the_picture() -> None:
    board = Board()
    board.post(CLIENTS, Facts(Seen(1.0, ()), {WHO.id: WHO}, HEARD))
    board.post(CLIENTS, Facts(Blind(2.0, "no carrier")))
    assert (board.snapshot().known, board.snapshot().sightings) == ({WHO.id: WHO}, HEARD)


def test_nobody_known_any_more_is_not_as_it_was() -> None:
    board = Board()
    board.post(CLIENTS, Facts(Seen(1.0, ()), {WHO.id: WHO}, HEARD))
    board.post(CLIENTS, Facts(Seen(2.0, ()), {}, {}))
    assert (board.snapshot().known, board.snapshot().sightings) == ({}, {})


def test_each_fact_stands_until_there_is_another() -> None:
    board = Board()
    lock = Inhibitor(frozenset({"sleep"}), "backup", "nightly", "block", 0, 7)
    press, timer, card = KeyPress(1.0, "anna on tty1"), Timer("backup.timer", wall=9.0), Card("eth0", "g", "")
    board.post(OTHER, Facts(Seen(1.0, ()), inhibitors=(lock,), key_press=press))
    board.post(OTHER, Facts(Seen(2.0, ()), timers=(timer,), cards={"eth0": Seen(2.0, card)}))
    seen = board.snapshot()
    assert (seen.inhibitors, seen.key_press, seen.timers) == ((lock,), press, (timer,))
    assert seen.cards == {"eth0": Seen(2.0, card)}
    board.post(OTHER, Facts(Seen(3.0, ()), inhibitors=(), timers=(), cards={}))
    seen = board.snapshot()
    assert (seen.inhibitors, seen.key_press, seen.timers, seen.cards) == ((), press, (), {})


def test_on_the_way_down_and_up_again() -> None:
    board, leaving, waking = Board(), Leaving(5.0, "sleep"), Waking(9.0, Cause.ALARM, "rtc_cmos")
    board.leaving(leaving)
    assert board.snapshot().leaving == leaving
    board.leaving(None)
    board.woke(waking)
    assert (board.snapshot().leaving, board.snapshot().waking) == (None, waking)


def test_a_snapshot_does_not_change_with_the_board() -> None:
    board = Board()
    before = board.snapshot()
    board.post(CLIENTS, Facts(Seen(1.0, ()), {WHO.id: WHO}, HEARD))
    board.begin(SLEEP)
    assert (before.sources, before.known, before.in_flight) == ({}, {}, frozenset())


def test_an_order_is_in_flight_from_its_beginning_to_its_outcome() -> None:
    board, warn = Board(), Warn(0, "suspend", 60)
    board.begin(warn)
    board.begin(SLEEP)
    assert board.snapshot().in_flight == {warn, SLEEP}
    outcome = Outcome(SLEEP, 5.0, ok=False, observed="refused", begun=4.0)
    board.end(outcome)
    assert board.snapshot().in_flight == {warn}
    assert board.snapshot().outcomes == {Sleep: outcome}


def test_the_latest_outcome_of_each_kind_is_kept() -> None:
    board = Board()
    first, second = (Outcome(SLEEP, at, ok=True, observed="done") for at in (1.0, 2.0))
    announced = Outcome(Warn(0, "suspend", 60), 1.5, ok=True, observed="announced")
    for outcome in (first, announced, second):
        board.end(outcome)
    assert board.snapshot().outcomes == {Sleep: second, Warn: announced}


def test_a_source_has_one_writer() -> None:
    board = Board()
    board.claim(CLIENTS)
    board.claim(OTHER)
    with pytest.raises(RuntimeError, match="two writers for the facts of clients"):
        board.claim(CLIENTS)


def test_several_changes_wake_the_reader_once() -> None:
    async def read() -> list[tuple[bool, float]]:
        board, loop = Board(), asyncio.get_running_loop()
        board.post(CLIENTS, Facts(Seen(1.0, ())))
        board.post(CLIENTS, Facts(Seen(2.0, ())))
        loop.call_at(20.0, board.touch)
        return [(await board.changed_or(when), round(loop.time(), 3)) for when in (10.0, 12.0, 30.0, 31.0)]

    assert run(read()) == [(True, 0.0), (False, 12.0), (True, 20.0), (False, 31.0)]


def test_an_order_to_a_disk_has_its_outcome_by_kind_and_disk() -> None:
    board = Board()
    first, second = AskPower(DiskId("ata-1")), AskPower(DiskId("ata-2"))
    for order in (first, second):
        board.begin(order)
    board.end(Outcome(first, 5.0, ok=True, observed="it spins"))
    snapshot = board.snapshot()
    assert list(snapshot.disk_outcomes) == [(AskPower, first.disk)]
    assert (snapshot.in_flight, snapshot.outcomes) == (frozenset({second}), {})


def test_disks_and_their_activity_are_replaced_as_a_whole() -> None:
    board, name = Board(), DiskId("ata-1")
    known, moves = {name: Disk(name, "sda")}, {name: Seen(1.0, Activity(1.0))}
    board.post(OTHER, Facts(Seen(1.0, ()), disks=known, activity=moves))
    board.post(OTHER, Facts(Blind(2.0, "no sysfs")))
    assert (board.snapshot().disks, board.snapshot().activity) == (known, moves)


def test_a_group_that_was_roused_is_told_by_its_name() -> None:
    board, roused = Board(), Roused(DiskId("ata-a"), (), 5.0, 1.0)
    board.rouse("md0", roused)
    assert board.snapshot().roused == {"md0": roused}
