from __future__ import annotations

import os
from pathlib import Path

import pytest
from doctor.server import Server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # takes milliseconds on a disk
    return Server(tmp_path)
