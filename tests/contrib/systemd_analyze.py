"""systemd-analyze(1) on the units of contrib/systemd, without installing them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed: apt-get install systemd",
)


def exposure(unit: Path, maximum: float) -> str:
    """The report on the exposure of a service; fails if its level exceeds ``maximum``."""
    argv = ("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={maximum * 10:.0f}")
    done = subprocess.run([*argv, unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    assert "Overall exposure level" in done.stdout
    return done.stdout


def startable_text(service: Path) -> str:
    """The service with programs that exist, as systemd-analyze requires; all else is unchanged."""
    return re.sub(r"^(Exec(?:Start|Reload)=)\S+", r"\1/bin/true", service.read_text(), flags=re.MULTILINE)


def verify(*units: Path) -> None:
    """Fail if systemd does not understand a line of these units."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "powerd" in line] == []
