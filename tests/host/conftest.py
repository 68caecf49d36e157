"""A system D-Bus for whoever asks for one; without python-dbusmock such tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from host.private_bus import PrivateBus, has_dbusmock


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
