"""Locks of powerd's own: held while they are wanted, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fakes.unused_ports import UnusedPorts

from powerd.linux.dbus import NotRunningError
from powerd.linux.values import HostError
from powerd.power.inhibitor_lock import InhibitorLock
from powerd.simulation.machine import SimulatedMachine
from powerd.simulation.virtual_loop import run


class FakeInhibitor(UnusedPorts):
    """A lock, and logind on the other side of it."""

    def __init__(self) -> None:
        self.logind = SimulatedMachine()
        self.errors: list[str] = []
        self.asked = 0
        self.lock = InhibitorLock(self, ("sleep", "idle"), "block", self.errors.append)

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        self.asked += 1
        await asyncio.sleep(0.1)
        return await self.logind.inhibit(what, why, mode)

    def held(self) -> list[str]:
        return [repr(lock) for lock in self.logind.own_locks("block")]


def at(test: Callable[[FakeInhibitor], Awaitable[None]]) -> FakeInhibitor:
    doors: list[FakeInhibitor] = []

    async def main() -> None:
        doors.append(FakeInhibitor())
        task = asyncio.create_task(doors[0].lock.run())
        await test(doors[0])
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    run(main())
    return doors[0]


BOTH = ["block sleep: backup", "block idle: backup"]


def test_it_is_held_while_it_is_wanted() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.lock.request("backup")
        await asyncio.sleep(1)
        assert d.held() == BOTH
        d.lock.request("backup")
        await asyncio.sleep(1)
        assert d.asked == 2
        d.lock.request(None)
        assert d.held() == [], "at once"

    at(test)


def test_it_goes_with_the_daemon() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.lock.request("backup")
        await asyncio.sleep(1)

    assert at(test).held() == []


def test_new_words_leave_no_gap() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.lock.request("backup")
        await asyncio.sleep(1)
        d.lock.request("backup; scrub")
        await asyncio.sleep(0.15)
        assert d.held()[:2] == BOTH
        await asyncio.sleep(1)
        assert d.held() == ["block sleep: backup; scrub", "block idle: backup; scrub"]

    at(test)


def test_one_that_is_wanted_no_more_when_it_comes_is_let_go() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.lock.request("backup")
        await asyncio.sleep(0.15)
        d.lock.request(None)
        await asyncio.sleep(1)
        assert d.held() == []

    at(test)


def test_a_refusal_is_reported_once_and_retried() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.logind.inhibit_error = HostError("Permission denied")
        d.lock.request("backup")
        await asyncio.sleep(100)
        (error,) = d.errors
        assert "(backup): Permission denied" in error
        assert d.asked == 3, "after 30 s and 60 s more"
        d.logind.inhibit_error = None
        d.lock.retry()
        await asyncio.sleep(1)
        assert d.held() == BOTH

    at(test)


def test_half_a_lock_is_none() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.lock.request("backup")
        await asyncio.sleep(0.15)
        d.logind.inhibit_error = HostError("Too many locks")
        await asyncio.sleep(1)
        assert d.asked == 2
        assert d.held() == []

    at(test)


def test_where_there_is_no_logind_nobody_is_asked_until_somebody_has_found_it() -> None:
    async def test(d: FakeInhibitor) -> None:
        d.logind.inhibit_error = NotRunningError("there is no system D-Bus")
        d.lock.request("backup")
        await asyncio.sleep(10_000)
        assert (d.asked, d.errors) == (1, [])
        d.logind.inhibit_error = None
        d.lock.retry()
        await asyncio.sleep(1)
        assert d.held() == BOTH

    at(test)
