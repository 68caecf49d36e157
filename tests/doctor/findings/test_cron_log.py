from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def cron(server: Server) -> Server:
    server.install("cron")
    server.enable("cron.service")
    server.put("/var/log/syslog", "")
    return server


def test_cron_logs_errors_only(cron: Server) -> None:
    diagnosis = cron.check_fix("cron_log")
    assert "pam_unix.so quiet" in diagnosis.by_hand


@pytest.mark.parametrize("options", ["-L 0", "-l -L 0", "-L0"])
def test_cron_does_not_log_jobs(cron: Server, options: str) -> None:
    cron.put("/etc/default/cron", f'EXTRA_OPTS="{options}"\n')
    assert cron.diagnose("cron_log") == []


@pytest.mark.parametrize("options", ["", "-l"])
def test_options_without_a_level(cron: Server, options: str) -> None:
    """Debian 13 sets them to nothing in this file, which overrides a drop-in."""
    cron.put("/etc/default/cron", f"EXTRA_OPTS='{options}'\n")
    cron.check_fix("cron_log")


@pytest.mark.parametrize("options", ["-L 5", "-l -L 15"])
def test_a_level_of_the_owner(cron: Server, options: str) -> None:
    cron.put("/etc/default/cron", f"EXTRA_OPTS='{options}'\n")
    (diagnosis,) = cron.diagnose("cron_log")
    assert not diagnosis.fixable
    assert diagnosis.by_hand.startswith(f'In /etc/default/cron: EXTRA_OPTS="{options} -L 0"\n')


def test_logs_that_are_not_on_a_hard_disk(cron: Server) -> None:
    cron.move_to_ssd("/var/log")
    assert cron.diagnose("cron_log") == []


def test_no_log_files(cron: Server) -> None:
    cron.at("/var/log/syslog").unlink()
    assert cron.diagnose("cron_log") == []
    cron.at("/var/log/journal").mkdir()
    assert len(cron.diagnose("cron_log")) == 1


@pytest.mark.parametrize(("options", "fixable"), [("-l", True), ("-L 5", False)])
def test_options_of_a_drop_in(cron: Server, options: str, *, fixable: bool) -> None:
    cron.put(
        "/etc/systemd/system/cron.service.d/mine.conf", f'[Service]\nEnvironment="EXTRA_OPTS={options}"\n'
    )
    (diagnosis,) = cron.diagnose("cron_log")
    assert diagnosis.fixable is fixable
