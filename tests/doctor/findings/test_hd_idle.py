from __future__ import annotations

from doctor.server import Server


def test_debian_s_service_is_not_started_until_it_is_configured(server: Server) -> None:
    server.install("hd-idle")
    assert server.diagnose("hd_idle") == []
    server.start("hd-idle.service")
    server.check_fix("hd_idle")


def test_it_starts_at_the_next_boot(server: Server) -> None:
    server.install("hd-idle")
    text = server.at("/etc/default/hd-idle").read_text()
    server.put("/etc/default/hd-idle", f"{text}START_HD_IDLE=true\n")
    (diagnosis,) = server.diagnose("hd_idle")
    assert all("start" not in command.inverse for command in diagnosis.commands), "it did not run"
    server.at("/lib/systemd/system/hd-idle.service").unlink()
    assert server.diagnose("hd_idle") == [], "it is not installed"
