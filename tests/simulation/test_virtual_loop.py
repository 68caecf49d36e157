from __future__ import annotations

import asyncio

import pytest

from powerd.simulation.virtual_loop import run


def test_a_year_of_waiting_takes_no_time() -> None:
    async def wait() -> float:
        await asyncio.sleep(365 * 86400)
        return asyncio.get_running_loop().time()

    assert run(wait()) == pytest.approx(365 * 86400)


def test_timers_fire_in_their_order() -> None:
    async def action() -> list[int]:
        fired: list[int] = []

        async def at(seconds: int) -> None:
            await asyncio.sleep(seconds)
            fired.append(seconds)

        async with asyncio.TaskGroup() as tasks:
            for seconds in (30, 10, 20):
                tasks.create_task(at(seconds))
        return fired

    assert run(action()) == [10, 20, 30]


def test_what_can_never_happen_is_an_error_not_a_hang() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        run(for_ever())
