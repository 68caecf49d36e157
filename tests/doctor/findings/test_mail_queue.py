from __future__ import annotations

import re

import pytest
from doctor.server import Server


@pytest.fixture
def postfix(server: Server) -> Server:
    server.install("postfix")
    server.enable("postfix.service")
    for name, source in {"master.cf": "master.cf.dist", "main.cf": "main.cf.debian"}.items():
        server.put(f"/etc/postfix/{name}", server.at(f"/usr/share/postfix/{source}").read_text())
    return server


def test_postfix_looks_once_an_hour_after_the_remedy(postfix: Server) -> None:
    (diagnosis,) = postfix.diagnose("mail_queue")
    assert diagnosis.id == "mail_queue:postfix"
    lines = diagnosis.by_hand.splitlines()
    assert [line for line in lines if "wakeup" in line] == [
        "postconf -F pickup/unix/wakeup=3600",
        "postconf -F qmgr/unix/wakeup=3600",
    ]
    master = postfix.at("/etc/postfix/master.cf").read_text()
    postfix.put(
        "/etc/postfix/master.cf", re.sub(r"(?m)^((?:pickup|qmgr).*\s)(60|300)(\s)", r"\g<1>3600\3", master)
    )
    postfix.put("/etc/postfix/main.cf", "queue_run_delay = 1h\nminimal_backoff_time = 1h\n")
    assert postfix.diagnose("mail_queue") == []


def test_a_fifo_that_an_upgrade_has_left(postfix: Server) -> None:
    master = postfix.at("/etc/postfix/master.cf").read_text()
    postfix.put("/etc/postfix/master.cf", re.sub(r"(?m)^(pickup|qmgr)(\s+)unix", r"\1\2fifo", master))
    (diagnosis,) = postfix.diagnose("mail_queue")
    assert "FIFO" in diagnosis.effect
    assert "postconf -MX qmgr/fifo" in diagnosis.by_hand


def test_a_queue_on_an_ssd(postfix: Server) -> None:
    postfix.move_to_ssd("/var/spool/postfix")
    assert postfix.diagnose("mail_queue") == []


@pytest.mark.parametrize(
    ("unit", "config", "remedied"),
    [
        ("exim4", "/etc/default/exim4", ["QUEUEINTERVAL='6h'", "QUEUERUNNER='no'"]),
        ("sendmail", "/etc/mail/sendmail.conf", ['QUEUE_INTERVAL="6h";', 'QUEUE_MODE="none";']),
    ],
)
def test_other_mail_servers(server: Server, unit: str, config: str, remedied: list[str]) -> None:
    assert server.diagnose("mail_queue") == []
    server.start(f"{unit}.service")
    (diagnosis,) = server.diagnose("mail_queue")
    assert diagnosis.id == f"mail_queue:{unit}"
    assert not diagnosis.fixable
    assert config in diagnosis.by_hand
    for line in remedied:
        server.put(config, f"# of the package\n{line}\n")
        assert server.diagnose("mail_queue") == []
