"""The unit, its user and its rights, as systemd's own tools judge them; no systemd needs to run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CONTRIB = Path(__file__).parents[2] / "contrib" / "systemd"
UNIT = CONTRIB / "powerd.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed: apt-get install systemd",
)


@needs_systemd
def test_exposure_is_at_most_1_5() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    assert "Overall exposure level" in done.stdout


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """The program is swapped for one that is there; everything else is verified as it ships."""
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "powerd" in line]
    assert done.returncode == 0, done.stderr
    assert ours == []


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_sysusers_makes_the_user_that_the_unit_names(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", CONTRIB / "powerd.sysusers"],
        check=True,
        capture_output=True,
    )
    users = (tmp_path / "etc" / "passwd").read_text()
    user = re.search(r"^User=(\S+)$", UNIT.read_text(), re.MULTILINE)
    assert user is not None
    assert re.search(rf"^{user[1]}:.*:/usr/sbin/nologin$", users, re.MULTILINE)


def test_polkit_rule_leaves_inhibitors_in_force() -> None:
    """Granted are exactly power-off, suspend and hibernate, alone or not, and own locks."""
    granted = set(re.findall(r'"(org\.freedesktop\.[^"]+)"', (CONTRIB / "powerd.rules").read_text()))
    acts = ("power-off", "suspend", "hibernate")
    locks = ("block-sleep", "block-shutdown", "block-idle", "delay-sleep", "delay-shutdown")
    assert granted == {
        *(f"org.freedesktop.login1.{act}{more}" for act in acts for more in ("", "-multiple-sessions")),
        *(f"org.freedesktop.login1.inhibit-{lock}" for lock in locks),
    }
