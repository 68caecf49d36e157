from __future__ import annotations

import asyncio

import pytest

from powerd.core.actions import CompletedAction, Sleep, WarnUsers
from powerd.core.snapshot import SourceId
from powerd.core.state import POLL_WAIT, PollResult, StateStore
from powerd.core.time import Reading, Unavailable
from powerd.disks.model import CheckPowerMode, Disk, DiskActivity, DiskEvents, DiskFacts, DiskId, GroupSpinUp
from powerd.power.model import (
    Inhibitor,
    KeyPress,
    LogindFacts,
    NetworkCard,
    NetworkCardFacts,
    ShutdownInProgress,
    SystemdTimer,
    TimerFacts,
    TransitionFacts,
    WakeEvent,
    WakeupCause,
)
from powerd.presence.model import Client, ClientId, Observation, PresenceFacts
from powerd.simulation.virtual_loop import run

CLIENTS, OTHER = SourceId("clients"), SourceId("other")
WHO = Client(ClientId("10.0.0.9"), ("10.0.0.9",))
ANSWERED = {WHO.id: Reading(1.0, Observation(last_seen=1.0))}
SLEEP = Sleep(0, "suspend")


def test_a_source_replaces_its_own_reading_only() -> None:
    store = StateStore()
    store.publish(CLIENTS, PollResult(Reading(1.0, ())))
    store.publish(OTHER, PollResult(Reading(2.0, ())))
    store.publish(CLIENTS, PollResult(Unavailable(3.0, "no carrier")))
    assert store.snapshot().sources == {CLIENTS: Unavailable(3.0, "no carrier"), OTHER: Reading(2.0, ())}


def test_a_failed_source_leaves_its_last_facts_in_the_snapshot() -> None:
    store = StateStore()
    store.publish(CLIENTS, PollResult(Reading(1.0, ()), (PresenceFacts({WHO.id: WHO}, ANSWERED),)))
    store.publish(CLIENTS, PollResult(Unavailable(2.0, "no carrier")))
    assert (
        store.snapshot().part(PresenceFacts).clients,
        store.snapshot().part(PresenceFacts).observations,
    ) == ({WHO.id: WHO}, ANSWERED)


def test_an_emptied_set_of_clients_is_a_change() -> None:
    store = StateStore()
    store.publish(CLIENTS, PollResult(Reading(1.0, ()), (PresenceFacts({WHO.id: WHO}, ANSWERED),)))
    store.publish(CLIENTS, PollResult(Reading(2.0, ()), (PresenceFacts({}, {}),)))
    assert (
        store.snapshot().part(PresenceFacts).clients,
        store.snapshot().part(PresenceFacts).observations,
    ) == ({}, {})


def test_each_fact_holds_until_it_is_replaced() -> None:
    store = StateStore()
    lock = Inhibitor(frozenset({"sleep"}), "backup", "nightly", "block", 0, 7)
    press, timer, card = (
        KeyPress(1.0, "anna on tty1"),
        SystemdTimer("backup.timer", wall=9.0),
        NetworkCard("eth0", "g", ""),
    )
    store.publish(OTHER, PollResult(Reading(1.0, ()), (LogindFacts((lock,), press),)))
    store.publish(
        OTHER,
        PollResult(Reading(2.0, ()), (TimerFacts((timer,)), NetworkCardFacts({"eth0": Reading(2.0, card)}))),
    )
    seen = store.snapshot()
    assert (
        seen.part(LogindFacts).inhibitors,
        seen.part(LogindFacts).key_press,
        seen.part(TimerFacts).timers,
    ) == ((lock,), press, (timer,))
    assert seen.part(NetworkCardFacts).network_cards == {"eth0": Reading(2.0, card)}
    store.publish(
        OTHER, PollResult(Reading(3.0, ()), (LogindFacts(key_press=press), TimerFacts(), NetworkCardFacts()))
    )
    seen = store.snapshot()
    assert (
        seen.part(LogindFacts).inhibitors,
        seen.part(LogindFacts).key_press,
        seen.part(TimerFacts).timers,
        seen.part(NetworkCardFacts).network_cards,
    ) == ((), press, (), {})


def test_leaving_and_returning() -> None:
    store, leaving, waking = (
        StateStore(),
        ShutdownInProgress(5.0, "sleep"),
        WakeEvent(9.0, WakeupCause.ALARM, "rtc_cmos"),
    )
    store.put(TransitionFacts(shutdown=leaving))
    assert store.snapshot().part(TransitionFacts).shutdown == leaving
    store.put(TransitionFacts())
    store.put(TransitionFacts(wake_event=waking))
    assert (
        store.snapshot().part(TransitionFacts).shutdown,
        store.snapshot().part(TransitionFacts).wake_event,
    ) == (None, waking)


def test_a_snapshot_does_not_change_with_the_state_store() -> None:
    store = StateStore()
    before = store.snapshot()
    store.publish(CLIENTS, PollResult(Reading(1.0, ()), (PresenceFacts({WHO.id: WHO}, ANSWERED),)))
    store.action_started(SLEEP)
    assert (before.sources, before.part(PresenceFacts).clients, before.running_actions) == (
        {},
        {},
        frozenset(),
    )


def test_an_action_is_in_flight_from_its_start_to_its_result() -> None:
    store, warn = StateStore(), WarnUsers(0, "suspend", 60)
    store.action_started(warn)
    store.action_started(SLEEP)
    assert store.snapshot().running_actions == {warn, SLEEP}
    result = CompletedAction(SLEEP, 5.0, ok=False, message="refused", started_at=4.0)
    store.action_completed(result)
    assert store.snapshot().running_actions == {warn}
    assert store.snapshot().completed_actions == {(Sleep, None): result}


def test_the_latest_result_of_each_kind_is_retained() -> None:
    store = StateStore()
    first, second = (CompletedAction(SLEEP, at, ok=True, message="done") for at in (1.0, 2.0))
    announced = CompletedAction(WarnUsers(0, "suspend", 60), 1.5, ok=True, message="announced")
    for result in (first, announced, second):
        store.action_completed(result)
    assert store.snapshot().completed_actions == {(Sleep, None): second, (WarnUsers, None): announced}


def test_a_source_has_one_writer() -> None:
    store = StateStore()
    store.register_writer(CLIENTS)
    store.register_writer(OTHER)
    with pytest.raises(RuntimeError, match=r"two writers .*clients"):
        store.register_writer(CLIENTS)


def test_several_changes_wake_the_reader_once() -> None:
    async def read() -> list[tuple[bool, float]]:
        store, loop = StateStore(), asyncio.get_running_loop()
        store.publish(CLIENTS, PollResult(Reading(1.0, ())))
        store.publish(CLIENTS, PollResult(Reading(2.0, ())))
        loop.call_at(20.0, store.request_decision)
        return [
            (await store.wait_for_change(when), round(loop.time(), 3)) for when in (10.0, 12.0, 30.0, 31.0)
        ]

    assert run(read()) == [(True, 0.0), (False, 12.0), (True, 20.0), (False, 31.0)]


async def change_seen_at(store: StateStore, other_poll: float, request: float | None = None) -> float:
    """Loop time at which a change at 0 s is seen while another poll takes until ``other_poll``.

    ``request``: a decision is requested at this time.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def poll() -> None:
        with store.polls:
            await asyncio.sleep(other_poll)
            store.publish(OTHER, PollResult(Reading(2.0, ())))

    poll_task = loop.create_task(poll())
    await asyncio.sleep(0)
    store.publish(CLIENTS, PollResult(Reading(1.0, ())))
    if request is not None:
        loop.call_later(request, store.request_decision)
    assert await store.wait_for_change(begin + 3600)
    seen = loop.time() - begin
    await poll_task
    return seen


@pytest.mark.parametrize(
    ("other_poll", "request_at", "seen"),
    [(1.0, None, 1.0), (60.0, None, POLL_WAIT), (60.0, 0.5, 0.5), (60.0, 0.0, 0.0)],
    ids=["both results are one change", "the wait is bounded", "a request ends it", "a request at once"],
)
def test_a_change_waits_for_the_polls_in_progress(
    other_poll: float, request_at: float | None, seen: float
) -> None:
    assert run(change_seen_at(StateStore(), other_poll, request_at)) == pytest.approx(seen, abs=1e-3)


@pytest.mark.parametrize(("urgent", "seen"), [(True, 0.0), (False, 1.0)])
def test_what_is_not_urgent_waits_for_the_polls_in_progress(*, urgent: bool, seen: float) -> None:
    async def seen_at() -> float:
        store, loop = StateStore(), asyncio.get_running_loop()

        async def poll() -> None:
            with store.polls:
                await asyncio.sleep(1)

        poll_task = loop.create_task(poll())
        await asyncio.sleep(0)
        store.put(TransitionFacts(), urgent=urgent)
        assert await store.wait_for_change(3600)
        time = loop.time()
        await poll_task
        return time

    assert run(seen_at()) == pytest.approx(seen, abs=1e-3)


def test_a_request_counts_for_one_decision() -> None:
    async def seen_after_a_request() -> float:
        store = StateStore()
        store.request_decision()
        assert await store.wait_for_change(3600)
        return await change_seen_at(store, 1.0)

    assert run(seen_after_a_request()) == pytest.approx(1.0, abs=1e-3)


def test_a_disk_action_has_its_result_by_kind_and_disk() -> None:
    store = StateStore()
    first, second = CheckPowerMode(DiskId("ata-1")), CheckPowerMode(DiskId("ata-2"))
    for action in (first, second):
        store.action_started(action)
    store.action_completed(CompletedAction(first, 5.0, ok=True, message="it spins"))
    snapshot = store.snapshot()
    assert list(snapshot.completed_actions) == [(CheckPowerMode, first.disk)]
    assert snapshot.running_actions == frozenset({second})


def test_disks_and_their_activity_are_replaced_as_a_whole() -> None:
    store, name = StateStore(), DiskId("ata-1")
    known, moves = {name: Disk(name, "sda")}, {name: Reading(1.0, DiskActivity(1.0))}
    store.publish(OTHER, PollResult(Reading(1.0, ()), (DiskFacts(known, moves),)))
    store.publish(OTHER, PollResult(Unavailable(2.0, "no sysfs")))
    assert (store.snapshot().part(DiskFacts).disks, store.snapshot().part(DiskFacts).activity) == (
        known,
        moves,
    )


def test_a_group_spin_up_is_stored_by_the_name_of_the_group() -> None:
    store, spin_up = StateStore(), Reading(5.0, GroupSpinUp(DiskId("ata-a"), (), (), 1.0))
    store.put(DiskEvents(group_spin_ups={"md0": spin_up}))
    assert store.snapshot().part(DiskEvents).group_spin_ups == {"md0": spin_up}
