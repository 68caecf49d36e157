"""Scenarios that mostly wait for polls of a real daemon, and therefore run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, cast

import pytest

Scenario: TypeAlias = Callable[[Path], None]


@pytest.fixture(scope="session", autouse=True)
def started_scenarios(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Scenario, Future[None]]]:
    """Starts every parameter ``story`` of the selected tests with the first one; ``result()`` waits."""
    scenarios = [
        cast("Scenario", item.callspec.params["scenario"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "scenario" in item.callspec.params
    ]
    with ThreadPoolExecutor(max(1, len(scenarios))) as pool:
        yield {scenario: pool.submit(scenario, tmp_path_factory.mktemp("scenario")) for scenario in scenarios}
