"""What every test may rely on: those that make namespaces are skipped, visibly, where they cannot be made."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``lan`` for everybody but root."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("lan"):
            item.add_marker(
                pytest.mark.skip(reason="makes network namespaces: run as root, e.g. sudo make test")
            )
