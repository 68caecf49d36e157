from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def sysstat(server: Server) -> Server:
    server.install("sysstat")
    server.enable("sysstat-collect.timer", "sysstat.service")
    return server


def test_the_samples_move_to_memory(sysstat: Server) -> None:
    diagnosis = sysstat.check_fix("sysstat")
    assert "*:00/10" in diagnosis.effect
    assert len(diagnosis.files) == 3


def test_another_directory(sysstat: Server) -> None:
    sysstat.put("/etc/sysstat/sysstat", "SA_DIR=/srv/sa\n")
    assert "BindPaths=/run/sysstat:/srv/sa\n" in sysstat.check_fix("sysstat").files[0].text
    sysstat.put("/etc/sysstat/sysstat", "SA_DIR=/fast/sa\n")
    assert sysstat.diagnose("sysstat") == []


def test_a_timer_that_is_not_enabled(server: Server) -> None:
    server.install("sysstat")
    assert server.diagnose("sysstat") == []
