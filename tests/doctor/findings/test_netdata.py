from __future__ import annotations

import pytest
from doctor.server import Server

UNIT = "netdata.service"


@pytest.fixture
def netdata(server: Server) -> Server:
    server.install("netdata-core")
    server.enable(UNIT)
    return server


def test_the_metrics_move_to_memory(netdata: Server) -> None:
    diagnosis = netdata.check_fix("netdata")
    assert "ExecStart=/usr/sbin/netdata -D -W set db mode ram\n" in diagnosis.files[0].text


@pytest.mark.parametrize("line", ["[db]\n mode = ram", "[global]\n\tmemory mode = none", "[db]\nmode=alloc"])
def test_a_database_in_memory(netdata: Server, line: str) -> None:
    netdata.put("/etc/netdata/netdata.conf", f"{line}\n")
    assert netdata.diagnose("netdata") == []


def test_a_database_on_an_ssd(netdata: Server) -> None:
    netdata.move_to_ssd("/var/cache/netdata")
    assert netdata.diagnose("netdata") == []
