from __future__ import annotations

import pytest
from doctor.server import Server

TIMER = "systemd-tmpfiles-clean.timer"


@pytest.fixture
def cleaned(server: Server) -> Server:
    server.install("systemd")
    link = server.at(f"/lib/systemd/system/timers.target.wants/{TIMER}")
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../{TIMER}")
    return server


def test_debian_s_timer(cleaned: Server) -> None:
    cleaned.check_fix("tmpfiles_clean")
    assert f"systemctl try-restart {TIMER}" in cleaned.commands


def test_directories_in_memory_or_on_an_ssd(cleaned: Server) -> None:
    cleaned.mount("0:35", "/tmp", "tmpfs", "tmpfs")  # noqa: S108 - a row of the mount table
    assert len(cleaned.diagnose("tmpfiles_clean")) == 1
    cleaned.move_to_ssd("/var")
    assert cleaned.diagnose("tmpfiles_clean") == []


def test_a_timer_that_the_owner_has_changed_or_masked(cleaned: Server) -> None:
    cleaned.put(f"/etc/systemd/system/{TIMER}.d/mine.conf", "[Timer]\nOnBootSec=\nOnUnitActiveSec=30d\n")
    assert cleaned.diagnose("tmpfiles_clean") == []
    cleaned.at(f"/etc/systemd/system/{TIMER}.d/mine.conf").unlink()
    cleaned.at(f"/etc/systemd/system/{TIMER}").symlink_to("/dev/null")
    assert cleaned.diagnose("tmpfiles_clean") == []
