from __future__ import annotations

from pathlib import Path

import pytest
from doctor.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)
