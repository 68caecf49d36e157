from __future__ import annotations

import asyncio

from powerd.core.turns import in_turns


def test_many_items_do_not_block_the_event_loop() -> None:
    async def test() -> list[str]:
        seen: list[str] = []

        async def other() -> None:
            seen.append("other")

        task = asyncio.create_task(other())
        seen.extend([item async for item in in_turns("abc", 2)])
        await task
        return seen

    assert asyncio.run(test()) == ["other", "a", "b", "c"]
