"""What every test may rely on: those that make namespaces are skipped, visibly, where they cannot be made.

A system D-Bus for whoever asks for one; without python-dbusmock such tests are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from linux.private_bus import PrivateBus, has_dbusmock

# A busy machine is no fault of the code: how long an example takes is for tests/benchmarks/ to say.
# What continuous integration tries, which sets CI, is the same each time: chance is for desks.
hypothesis.settings.register_profile(
    "powerd",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("powerd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``lan`` for everybody but root."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("lan"):
            item.add_marker(
                pytest.mark.skip(reason="makes network namespaces: run as root, e.g. sudo make test")
            )


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    """A bus with nobody on it, which is the system's for this process and its children."""
    if not has_dbusmock():
        pytest.skip("python-dbusmock is not installed: apt-get install python3-dbusmock")
    one = PrivateBus(tmp_path)
    one.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    yield one
    one.end()
