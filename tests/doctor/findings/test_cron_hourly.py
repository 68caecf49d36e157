from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def cron(server: Server) -> Server:
    server.install("cron")
    server.install("cron-daemon-common")
    server.enable("cron.service")
    return server


def test_an_empty_directory(cron: Server) -> None:
    (diagnosis,) = cron.diagnose("cron_hourly")
    assert not diagnosis.fixable
    line = "#17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly"
    assert line in diagnosis.by_hand
    number, text = cron.at("/etc/crontab").read_text().splitlines().index(line[1:]), line[1:]
    assert f"line {number + 1}:" in diagnosis.by_hand
    cron.put("/etc/crontab", cron.at("/etc/crontab").read_text().replace(text, line))
    assert cron.diagnose("cron_hourly") == []


@pytest.mark.parametrize(
    ("name", "count"), [("backup", 0), ("my-job_2", 0), ("backup.sh", 1), (".hidden", 1)]
)
def test_a_job(cron: Server, name: str, count: int) -> None:
    cron.put(f"/etc/cron.hourly/{name}", "#!/bin/sh\n")
    assert len(cron.diagnose("cron_hourly")) == count


def test_without_cron(server: Server) -> None:
    server.install("cron-daemon-common")
    assert server.diagnose("cron_hourly") == []
    server.start("cron.service")
    assert len(server.diagnose("cron_hourly")) == 1
    server.move_to_ssd("/etc")
    assert server.diagnose("cron_hourly") == []
