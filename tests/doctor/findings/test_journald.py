from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def journal(server: Server) -> Server:
    server.install("systemd")
    server.at("/var/log/journal").mkdir(parents=True)
    return server


def test_the_journal_on_a_hard_disk_moves_to_memory(journal: Server) -> None:
    diagnosis = journal.check_fix("journald")
    assert diagnosis.disks == ("sda",)
    assert "systemctl try-restart systemd-journald.service" in journal.commands


@pytest.mark.parametrize("storage", ["volatile", "none"])
@pytest.mark.parametrize("file", ["journald.conf", "journald.conf.d/mine.conf"])
def test_a_journal_that_is_not_on_a_disk(journal: Server, storage: str, file: str) -> None:
    journal.put(f"/etc/systemd/{file}", f"[Journal]\nStorage={storage}\n")
    assert journal.diagnose("journald") == []


def test_a_later_file_of_the_owner_wins(journal: Server) -> None:
    journal.put("/etc/systemd/journald.conf.d/a.conf", "[Journal]\nStorage=volatile\n")
    journal.put("/usr/lib/systemd/journald.conf.d/b.conf", "[Journal]\nStorage=persistent\n")
    assert len(journal.diagnose("journald")) == 1


def test_persistent_needs_no_directory(server: Server) -> None:
    assert server.diagnose("journald") == []
    server.put("/etc/systemd/journald.conf", "[Journal]\nStorage = persistent\nSyncIntervalSec=1h\n")
    (diagnosis,) = server.diagnose("journald")
    assert "1h" in diagnosis.effect


def test_a_journal_on_an_ssd_or_in_memory(journal: Server) -> None:
    journal.move_to_ssd("/var/log")
    assert journal.diagnose("journald") == []
    journal.mount("0:25", "/var/log/journal", "tmpfs", "tmpfs")
    assert journal.diagnose("journald") == []
