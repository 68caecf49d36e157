from __future__ import annotations

import pytest
from doctor.server import Server


def test_munin(server: Server) -> None:
    server.install("munin")
    (diagnosis,) = server.diagnose("collectors")
    assert diagnosis.id == "collectors:munin"
    assert "every 5 minutes" in diagnosis.effect
    for directory in ("/var/lib/munin", "/var/cache/munin"):
        server.move_to_ssd(directory)
    assert server.diagnose("collectors") == []


def test_munin_has_been_switched_off(server: Server) -> None:
    server.install("munin")
    job = server.at("/etc/cron.d/munin")
    job.write_text(job.read_text().replace("*/5", "#*/5"))
    assert server.diagnose("collectors") == []


def test_rrdcached(server: Server) -> None:
    server.install("rrdcached")
    assert server.diagnose("collectors") == []
    server.start("rrdcached.service")
    (diagnosis,) = server.diagnose("collectors")
    assert "every 300 seconds" in diagnosis.effect
    server.mount("0:25", "/run", "tmpfs", "tmpfs")
    server.put("/etc/default/rrdcached", "WRITE_TIMEOUT=21600\nJOURNAL_PATH=/run/rrdcached\n")
    assert server.diagnose("collectors") == []


def test_vnstat(server: Server) -> None:
    server.install("vnstat")
    assert server.diagnose("collectors") == []
    server.enable("vnstat.service")
    (diagnosis,) = server.diagnose("collectors")
    assert "every 5 minutes" in diagnosis.effect
    server.put("/etc/vnstat.conf", ";SaveInterval 5\nSaveInterval 60\n")
    assert server.diagnose("collectors") == []
    server.put("/etc/vnstat.conf", 'DatabaseDir "/fast/vnstat"\n')
    assert server.diagnose("collectors") == []


@pytest.mark.parametrize("name", ["prometheus", "influxdb", "grafana-server"])
def test_databases(server: Server, name: str) -> None:
    server.start(f"{name}.service")
    (diagnosis,) = server.diagnose("collectors")
    assert diagnosis.id == f"collectors:{name}"
    server.move_to_ssd("/var/lib")
    assert server.diagnose("collectors") == []
