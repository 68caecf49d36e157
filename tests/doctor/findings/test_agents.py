from __future__ import annotations

import pytest
from doctor.server import Server


def test_the_collector_of_scrutiny(server: Server) -> None:
    assert server.diagnose("agents") == []
    server.put("/etc/systemd/system/timers.target.wants/scrutiny-collector.timer", "")
    (diagnosis,) = server.diagnose("agents")
    assert diagnosis.id == "agents:scrutiny"
    assert "systemctl disable --now scrutiny-collector.timer" in f"{diagnosis.remedy} {diagnosis.by_hand}"


@pytest.mark.parametrize(
    ("line", "applies"),
    [("[[inputs.smart]]", True), ("  [[inputs.smartctl]]", True), ("# [[inputs.smart]]", False), ("", False)],
)
def test_telegraf(server: Server, line: str, applies: bool) -> None:  # noqa: FBT001 - a parameter
    server.put("/etc/telegraf/telegraf.d/disks.conf", f"[[inputs.cpu]]\n{line}\n")
    assert server.diagnose("agents") == [], "it does not run"
    server.start("telegraf.service")
    assert [each.id for each in server.diagnose("agents")] == ["agents:telegraf"] * applies


def test_atop_has_a_finding_of_its_own(server: Server) -> None:
    server.start("atop.service")
    assert server.diagnose("agents") == []
