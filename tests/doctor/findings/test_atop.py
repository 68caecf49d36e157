from __future__ import annotations

import pytest
from doctor.server import Server

UNIT = "atop.service"


@pytest.fixture
def atop(server: Server) -> Server:
    server.install("atop")
    server.enable(UNIT)
    server.mount("0:25", "/run", "tmpfs", "tmpfs")
    return server


def test_the_log_moves_to_memory(atop: Server) -> None:
    diagnosis = atop.check_fix("atop")
    assert "every 600 seconds" in diagnosis.effect
    assert atop.commands[:2] == ["systemctl daemon-reload", f"systemctl try-restart {UNIT}"]


def test_a_log_on_an_ssd(atop: Server) -> None:
    atop.put("/etc/default/atop", 'LOGPATH="/fast/atop"\n')
    assert atop.diagnose("atop") == []


def test_the_log_path_of_the_owner(atop: Server) -> None:
    atop.put("/etc/default/atop", "LOGPATH=/srv/atop  # big\nLOGINTERVAL=60\n")
    (diagnosis,) = atop.diagnose("atop")
    assert diagnosis.accesses.paths == ("/srv/atop/",)
    assert "every 60 seconds" in diagnosis.effect


def test_a_service_that_is_not_used(server: Server) -> None:
    server.install("atop")
    assert server.diagnose("atop") == []
    server.start(UNIT)
    assert len(server.diagnose("atop")) == 1
