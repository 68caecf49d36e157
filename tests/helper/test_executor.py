"""Lanes: one call at a time, a hanging one given up, and nothing begun behind it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor

pytestmark = pytest.mark.process


async def comes_back(executor: SerialExecutor) -> None:
    async with asyncio.timeout(30):
        while executor.busy:  # noqa: ASYNC110 - a thread ends it without an event
            await asyncio.sleep(0.001)


async def soon(executor: SerialExecutor, answer: str) -> str:
    """What a call gives back that takes no time of its own, but may have to wait for its thread."""
    async with executor.reserve("a test"):
        return await executor.run_in_thread(lambda: answer, 30)


def test_a_call_gives_back_or_raises() -> None:
    async def main() -> None:
        executor = SerialExecutor("the clock")
        assert await executor.call(lambda: 7, "a test") == 7
        with pytest.raises(ZeroDivisionError):
            await executor.call(lambda: 1 // 0, "a test")
        assert not executor.busy

    asyncio.run(main())


def test_calls_wait_for_their_turn() -> None:
    running: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        running.append(number)
        most.append(len(running))
        time.sleep(0.005)
        running.remove(number)
        return number

    async def main() -> None:
        executor = SerialExecutor("the clock")
        calls = [executor.call(lambda number=number: work(number), "a test") for number in range(10)]  # type: ignore[misc] # a default binds the number
        assert await asyncio.gather(*calls) == list(range(10))

    asyncio.run(main())
    assert max(most) == 1


def test_a_hanging_call_is_given_up_and_quarantined_until_it_comes_back() -> None:
    gate, start = threading.Event(), []

    async def main() -> None:
        executor = SerialExecutor("the clock", deadline=0.05)
        with pytest.raises(RefusalError, match=r"the clock .*0\.05 s"):
            await executor.call(lambda: gate.wait(30), "a test")
        assert executor.busy
        with pytest.raises(RefusalError, match=r"the clock .*earlier request"):
            await executor.call(lambda: start.append("while it hangs"), "a test")
        assert await SerialExecutor("another").call(lambda: "runs on", "a test") == "runs on"
        gate.set()
        await comes_back(executor)
        assert await soon(executor, "again") == "again"

    asyncio.run(main())
    assert start == []


def test_a_request_behind_a_hanging_call_is_never_started() -> None:
    """Its caller gets a refusal, so it must not be executed later."""
    gate, start = threading.Event(), []

    async def main() -> None:
        executor = SerialExecutor("the clock", deadline=0.05)
        first = asyncio.ensure_future(executor.call(lambda: gate.wait(30), "a test"))
        await asyncio.sleep(0)
        rest = [executor.call(lambda: start.append("late"), "a test") for _ in range(3)]
        ends = await asyncio.gather(first, *rest, return_exceptions=True)
        assert all(isinstance(end, RefusalError) for end in ends)
        gate.set()
        await comes_back(executor)

    asyncio.run(main())
    assert start == []


def test_a_request_behind_one_within_its_deadline_is_refused_as_busy() -> None:
    """It may be a drive that is long in telling its health: nothing hangs, and nobody is to blame."""
    start: list[str] = []

    async def main() -> None:
        executor = SerialExecutor("the disk", deadline=0.05)
        over = asyncio.Event()

        async def long() -> None:
            async with executor.reserve("check-health"):
                await over.wait()

        holder = asyncio.ensure_future(long())
        await asyncio.sleep(0)
        with pytest.raises(RefusalError) as caught:
            await executor.call(lambda: start.append("meanwhile"), "read-power")
        assert caught.value.cause == "busy"
        assert "another request (check-health)" in str(caught.value)
        assert (executor.busy, executor.quarantined) == (True, False)
        over.set()
        await holder
        assert await soon(executor, "7") == "7"

    asyncio.run(main())
    assert start == []


def test_a_request_behind_a_hanging_one_is_refused_with_that_reason() -> None:
    """The turn goes on, for what hangs in it is only a part of it."""
    gate = threading.Event()

    async def main() -> None:
        executor = SerialExecutor("the disk", deadline=0.2)
        answer = asyncio.Event()

        async def first() -> None:
            async with executor.reserve("stand-by"):
                with pytest.raises(RefusalError, match=r"0\.01 s"):
                    await executor.run_in_thread(lambda: gate.wait(30), 0.01)
                await answer.wait()

        holder = asyncio.ensure_future(first())
        await asyncio.sleep(0)
        with pytest.raises(RefusalError, match=r"the disk .*earlier request") as caught:
            await executor.call(lambda: None, "read-power")
        assert caught.value.cause == "hung"
        answer.set()
        gate.set()
        await holder
        await comes_back(executor)

    asyncio.run(main())


def test_a_request_with_a_late_turn_has_its_full_deadline() -> None:
    gate = threading.Event()

    async def main() -> None:
        executor = SerialExecutor("the clock", deadline=4.0)

        async def first() -> None:
            async with executor.reserve("a test"):
                await asyncio.sleep(2.5)

        loop = asyncio.get_running_loop()
        holder = asyncio.ensure_future(first())
        await asyncio.sleep(0)
        loop.call_later(4.5, gate.set)
        assert await executor.call(lambda: gate.wait(30), "a test"), "4.5 s after it was asked for"
        await holder

    asyncio.run(main())


def test_a_late_failure_bothers_nobody() -> None:
    gate = threading.Event()

    def fail() -> None:
        gate.wait(30)
        raise OSError

    async def main() -> None:
        executor = SerialExecutor("the clock", deadline=0.05)
        with pytest.raises(RefusalError):
            await executor.call(fail, "a test")
        gate.set()
        await comes_back(executor)

    asyncio.run(main())


def test_whoever_waits_may_be_cancelled_and_the_call_is_not() -> None:
    """It goes on in its thread, so the lane stays shut."""
    gate = threading.Event()

    async def main() -> None:
        executor = SerialExecutor("the clock")
        waiting = asyncio.ensure_future(executor.call(lambda: gate.wait(30), "a test"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        with pytest.raises(RefusalError, match=r"the clock .*earlier request"):
            await executor.call(lambda: None, "a test")
        gate.set()
        await comes_back(executor)

    asyncio.run(main())


def test_a_turn_holds_several_calls() -> None:
    action: list[str] = []

    async def one(executor: SerialExecutor, name: str) -> None:
        async with executor.reserve("a test"):
            for _ in range(3):
                await executor.run_in_thread(lambda: action.append(name), 5)

    async def main() -> None:
        executor = SerialExecutor("the disk")
        await asyncio.gather(one(executor, "a"), one(executor, "b"))
        async with executor.reserve("a test"):
            assert (executor.busy, executor.quarantined) == (True, False)
        assert not executor.busy

    asyncio.run(main())
    assert "".join(action) == "aaabbb"


def test_the_end_does_not_wait_for_a_hanging_call() -> None:
    gate = threading.Event()

    async def main() -> None:
        with pytest.raises(RefusalError):
            await SerialExecutor("the clock", deadline=0.01).call(lambda: gate.wait(30), "a test")

    unresponsive = [thread for thread in threading.enumerate() if thread.name == "the clock"]
    assert unresponsive == []
    asyncio.run(main())
    unresponsive = [thread for thread in threading.enumerate() if thread.name == "the clock"]
    assert [thread.daemon for thread in unresponsive] == [True]
    gate.set()
    unresponsive[0].join(30)
