from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def logger(server: Server) -> Server:
    server.install("rsyslog")
    server.enable("rsyslog.service")
    return server


def test_debian_s_rules_are_collected(logger: Server) -> None:
    diagnosis = logger.check_fix("rsyslog")
    assert diagnosis.disks == ("sda",)
    assert "/var/log/syslog, /var/log/auth.log" in diagnosis.effect
    assert "systemctl try-restart rsyslog.service" in logger.commands


def test_a_service_that_is_not_used(server: Server) -> None:
    server.install("rsyslog")
    assert server.diagnose("rsyslog") == []
    server.start("rsyslog.service")
    assert len(server.diagnose("rsyslog")) == 1


def test_logs_on_an_ssd(logger: Server) -> None:
    logger.move_to_ssd("/var/log")
    assert logger.diagnose("rsyslog") == []
    logger.put("/etc/rsyslog.d/nas.conf", "local1.*\t-/srv/log/nas\n")
    (diagnosis,) = logger.diagnose("rsyslog")
    assert "/srv/log/nas" in diagnosis.effect
    assert "/var/log/syslog" not in diagnosis.effect


def test_rules_before_the_drop_ins_are_repaired_by_hand(logger: Server) -> None:
    logger.put("/etc/rsyslog.conf", "*.* /var/log/all\n$IncludeConfig /etc/rsyslog.d/*.conf\n")
    (diagnosis,) = logger.diagnose("rsyslog")
    assert not diagnosis.fixable
    assert "$OMFileFlushInterval" in diagnosis.by_hand


def test_the_new_include_and_messages_to_users_and_hosts(logger: Server) -> None:
    logger.put(
        "/etc/rsyslog.conf",
        '# *.* /x\ninclude(file="/etc/rsyslog.d/*.conf" mode="optional")\n*.* @@loghost\n',
    )
    assert logger.diagnose("rsyslog") == []
    logger.put("/etc/rsyslog.d/50-default.conf", "*.* -/var/log/all\n")
    assert logger.check_fix("rsyslog").fixable


def test_actions_take_parameters_by_hand(logger: Server) -> None:
    logger.put("/etc/rsyslog.conf", 'if $msg contains "x" then action(type="omfile" file="/var/log/x")\n')
    (diagnosis,) = logger.diagnose("rsyslog")
    assert 'action with file="/var/log/x", add: asyncWriting="on"' in diagnosis.by_hand
    logger.put("/etc/rsyslog.conf", 'action(type="omfile"\n  file="/var/log/x" flushOnTXEnd="off")\n')
    assert logger.diagnose("rsyslog") == []


@pytest.mark.parametrize("unit", ["fail2ban.service", "crowdsec.service", "sshguard.service"])
def test_a_program_that_blocks_attackers_by_the_files_is_not_delayed(logger: Server, unit: str) -> None:
    logger.start(unit)
    (diagnosis,) = logger.diagnose("rsyslog")
    assert not diagnosis.fixable
    assert unit in diagnosis.by_hand
