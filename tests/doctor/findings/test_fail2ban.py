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


@pytest.mark.parametrize("name", ["fail2ban.local", "fail2ban.d/mine.local"])
def test_each_local_file_counts(fail2ban: Server, name: str) -> None:
    fail2ban.put(f"/etc/fail2ban/{name}", "[Definition]\ndbfile = /var/lib/ban.db\n")
    assert not fail2ban.diagnose("fail2ban")[0].fixable


def test_the_log_is_not_an_unlimited_file_in_memory(fail2ban: Server) -> None:
    (diagnosis,) = fail2ban.diagnose("fail2ban")
    assert "logtarget = SYSOUT\n" in diagnosis.files[0].text
    fail2ban.put("/etc/fail2ban/fail2ban.d/a.conf", "[Definition]\nlogtarget = /var/log/ban\n")
    fail2ban.check_fix("fail2ban")


def test_a_jail_that_reads_the_log(fail2ban: Server) -> None:
    fail2ban.put("/etc/fail2ban/jail.local", "[recidive]\nbantime = 1w\nenabled = true\n[sshd]\n")
    (diagnosis,) = fail2ban.diagnose("fail2ban")
    assert not diagnosis.fixable
    assert "backend = systemd" in diagnosis.by_hand
    fail2ban.put("/etc/fail2ban/jail.local", "[recidive]\n[sshd]\nenabled = true\n")
    assert fail2ban.diagnose("fail2ban")[0].fixable
