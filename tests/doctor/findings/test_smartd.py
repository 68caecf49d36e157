from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def monitored(server: Server) -> Server:
    server.install("smartmontools")
    server.start("smartmontools.service")
    return server


def test_debian_s_configuration_logs_on(monitored: Server) -> None:
    diagnosis = monitored.check_fix("smartd")
    assert "logs" in diagnosis.effect
    assert diagnosis.files[0].link == "/dev/null"
    assert "systemctl start smartmontools.service" in monitored.commands


@pytest.mark.parametrize(
    ("line", "applies"),
    [
        ("DEVICESCAN -n standby,q", False),
        ("DEVICESCAN -n standby,10,q", True),
        ("/dev/sda -a", True),
        ("/dev/sda -n never -a", True),
        ("/dev/nvme0 -d nvme -a", False),
    ],
)
def test_what_disturbs_a_stopped_disk(monitored: Server, line: str, *, applies: bool) -> None:
    monitored.put("/etc/smartd.conf", f"{line}\n")
    assert bool(monitored.diagnose("smartd")) is applies


def test_it_does_not_run(server: Server) -> None:
    server.install("smartmontools")
    assert server.diagnose("smartd") == []


def test_a_log_on_an_ssd_starts_no_disk(monitored: Server) -> None:
    monitored.move_to_ssd("/var/log")
    assert monitored.diagnose("smartd") == []
    monitored.put("/etc/smartd.conf", "/dev/sda -a\n")
    assert len(monitored.diagnose("smartd")) == 1
