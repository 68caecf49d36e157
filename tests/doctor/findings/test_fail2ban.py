from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def fail2ban(server: Server) -> Server:
    server.install("fail2ban")
    server.enable("fail2ban.service")
    server.mount("0:25", "/run", "tmpfs", "tmpfs")
    return server


def test_log_and_database_move_to_memory(fail2ban: Server) -> None:
    diagnosis = fail2ban.check_fix("fail2ban")
    assert "/var/log/fail2ban.log and /var/lib/fail2ban/fail2ban.sqlite3" in diagnosis.effect


def test_the_owner_has_moved_them(fail2ban: Server) -> None:
    text = "[Definition]\nlogtarget = SYSTEMD-JOURNAL\n"
    fail2ban.put("/etc/fail2ban/fail2ban.d/mine.conf", text)
    (diagnosis,) = fail2ban.diagnose("fail2ban")
    assert diagnosis.accesses.paths == ("/var/lib/fail2ban/fail2ban.sqlite3",)
    fail2ban.put("/etc/fail2ban/fail2ban.d/mine.conf", f"{text}dbfile = None\n")
    assert fail2ban.diagnose("fail2ban") == []


def test_a_local_file_overrides_a_fragment(fail2ban: Server) -> None:
    fail2ban.put("/etc/fail2ban/fail2ban.local", "[DEFAULT]\nlogtarget = /var/log/ban.log\n")
    (diagnosis,) = fail2ban.diagnose("fail2ban")
    assert not diagnosis.fixable
    assert "fail2ban.local" in diagnosis.by_hand


def test_files_on_an_ssd(fail2ban: Server) -> None:
    fail2ban.move_to_ssd("/var")
    assert fail2ban.diagnose("fail2ban") == []
